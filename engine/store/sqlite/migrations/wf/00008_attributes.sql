-- +goose Up

-- Attributes of runs: what runs are found by, newest first. A run without any has no row
-- here, and its own rows are as they were.
CREATE TABLE wf_attribute (
	key    TEXT    NOT NULL,
	value  TEXT    NOT NULL,
	at     INTEGER NOT NULL, -- when the run was created
	run_id BLOB    NOT NULL,
	PRIMARY KEY (key, value, at, run_id)
) WITHOUT ROWID, STRICT;
CREATE INDEX wf_attribute_run ON wf_attribute (run_id, key);
