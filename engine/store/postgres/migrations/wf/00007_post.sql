-- +goose Up

-- What transactions of the program ask for: runs to start, and events. A row is written
-- by the program's own transaction, and touches no other; a node moves it to the runs
-- and inboxes once that has committed. Nothing else is unique in it, so that no
-- transaction waits for another one.
CREATE TABLE wf_post (
	id       bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	at       timestamptz NOT NULL DEFAULT clock_timestamp(),
	version  bigint      NOT NULL, -- of a start; 0: the highest that is held
	kind     text        COLLATE "C" NOT NULL, -- start or event
	run      text        COLLATE "C" NOT NULL,
	workflow text        COLLATE "C" NOT NULL, -- of a start
	signal   text        COLLATE "C" NOT NULL, -- of an event: its id
	event    text        COLLATE "C" NOT NULL, -- of an event: its name
	payload  bytea       NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
