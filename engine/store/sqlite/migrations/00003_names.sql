-- +goose Up

-- The tables get names that leave room for those of others in the same file.
-- engine_migrations stays as it is by then, so that a program of the release before
-- is refused; wf_migrations goes on from here.
ALTER TABLE run     RENAME TO wf_run;
ALTER TABLE history RENAME TO wf_history;
ALTER TABLE signal  RENAME TO wf_signal;
ALTER TABLE node    RENAME TO wf_node;

DROP INDEX run_due;
DROP INDEX run_created;
DROP INDEX run_ended;
DROP INDEX run_open;
CREATE INDEX wf_run_due ON wf_run (owner, due_at) WHERE status = 'open';
CREATE INDEX wf_run_created ON wf_run (created_at);
CREATE INDEX wf_run_ended ON wf_run (ended_at) WHERE status <> 'open';
CREATE INDEX wf_run_open ON wf_run (created_at) WHERE status = 'open';

CREATE TABLE wf_migrations (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	version_id INTEGER NOT NULL,
	is_applied INTEGER NOT NULL,
	tstamp     TIMESTAMP DEFAULT (datetime('now'))
);
INSERT INTO wf_migrations (version_id, is_applied) VALUES (0, 1), (3, 1);
