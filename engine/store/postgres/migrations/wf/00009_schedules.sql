-- +goose Up

-- Schedules: up to when their firing times are noted.
CREATE TABLE wf_schedule (
	name   text    COLLATE "C" NOT NULL PRIMARY KEY,
	upto   bigint  NOT NULL,
	paused boolean NOT NULL DEFAULT false
);

-- What was fired, or is to be, once for each time of a schedule.
CREATE TABLE wf_firing (
	at       bigint  NOT NULL,
	taken    bigint  NOT NULL DEFAULT 0, -- until then it is a node's
	tries    integer NOT NULL DEFAULT 0,
	open     boolean NOT NULL DEFAULT false, -- its run may be open, and others heed that
	schedule text    COLLATE "C" NOT NULL,
	cause    text    COLLATE "C" NOT NULL,
	state    text    COLLATE "C" NOT NULL,
	failure  text    NOT NULL DEFAULT '',
	PRIMARY KEY (schedule, at)
);
CREATE INDEX wf_firing_due ON wf_firing (schedule, cause, at) WHERE state = 'due';
CREATE INDEX wf_firing_open ON wf_firing (schedule, at) WHERE open;
CREATE INDEX wf_firing_taken ON wf_firing (schedule, taken) WHERE taken > 0;
CREATE INDEX wf_firing_at ON wf_firing (at);
