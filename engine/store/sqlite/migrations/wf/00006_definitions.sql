-- +goose Up

-- What the definitions were like that open runs were begun with: a JSON array of
-- shapes, each with the time from which on runs were created with it.
CREATE TABLE wf_definition (
	workflow TEXT    NOT NULL,
	version  INTEGER NOT NULL,
	shapes   TEXT    NOT NULL,
	PRIMARY KEY (workflow, version)
) WITHOUT ROWID, STRICT;
