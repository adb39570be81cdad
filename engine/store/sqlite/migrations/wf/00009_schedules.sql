-- +goose Up

-- Schedules: up to when their firing times are noted.
CREATE TABLE wf_schedule (
	name   TEXT    NOT NULL PRIMARY KEY,
	upto   INTEGER NOT NULL,
	paused INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID, STRICT;

-- What was fired, or is to be, once for each time of a schedule.
CREATE TABLE wf_firing (
	schedule TEXT    NOT NULL,
	at       INTEGER NOT NULL,
	cause    TEXT    NOT NULL,
	state    TEXT    NOT NULL,
	failure  TEXT    NOT NULL DEFAULT '',
	tries    INTEGER NOT NULL DEFAULT 0,
	open     INTEGER NOT NULL DEFAULT 0, -- its run may be open, and others heed that
	taken    INTEGER NOT NULL DEFAULT 0, -- until then it is a node's
	PRIMARY KEY (schedule, at)
) WITHOUT ROWID, STRICT;
CREATE INDEX wf_firing_due ON wf_firing (schedule, cause, at) WHERE state = 'due';
CREATE INDEX wf_firing_open ON wf_firing (schedule, at) WHERE open;
CREATE INDEX wf_firing_taken ON wf_firing (schedule, taken) WHERE taken > 0;
CREATE INDEX wf_firing_at ON wf_firing (at);
