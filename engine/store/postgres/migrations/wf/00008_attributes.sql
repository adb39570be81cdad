-- +goose Up

-- Attributes of runs: what runs are found by, newest first. A run without any has no row
-- here, and its own rows are as they were.
CREATE TABLE wf_attribute (
	at     bigint NOT NULL, -- when the run was created
	run_id bytea  NOT NULL,
	key    text   COLLATE "C" NOT NULL,
	value  text   COLLATE "C" NOT NULL,
	PRIMARY KEY (key, value, at, run_id)
);
CREATE INDEX wf_attribute_run ON wf_attribute (run_id, key);

-- Those that a run is to be started with, as JSON.
ALTER TABLE wf_post ADD COLUMN attributes text COLLATE "C" NOT NULL DEFAULT '';
