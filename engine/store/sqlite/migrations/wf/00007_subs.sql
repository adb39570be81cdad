-- +goose Up

-- Sub-runs are rows of wf_run, behind the run around them in its primary key (see
-- store.PackID). They are the rows without an input, which is made of what is around
-- them. They are in no list, and are pruned with the run that they belong to: no other
-- index follows them.
DROP INDEX wf_run_created;
DROP INDEX wf_run_ended;
DROP INDEX wf_run_open;
UPDATE wf_run SET input = x'' WHERE input IS NULL;
CREATE INDEX wf_run_created ON wf_run (created_at) WHERE input IS NOT NULL;
CREATE INDEX wf_run_ended ON wf_run (ended_at) WHERE status <> 'open' AND input IS NOT NULL;
CREATE INDEX wf_run_open ON wf_run (created_at) WHERE status = 'open' AND input IS NOT NULL;

-- How far the sub-runs are of the step at which a run stands: see store.Group. "open"
-- and the other counters tell of rows of wf_run.
CREATE TABLE wf_subs (
	run_id     BLOB    NOT NULL PRIMARY KEY,
	step       TEXT    NOT NULL,
	workflow   TEXT    NOT NULL,
	version    INTEGER NOT NULL,
	generation INTEGER NOT NULL,
	total      INTEGER NOT NULL,
	at_most    INTEGER NOT NULL,
	need       INTEGER NOT NULL,
	tolerate   INTEGER NOT NULL,
	next       INTEGER NOT NULL,
	open       INTEGER NOT NULL,
	completed  INTEGER NOT NULL,
	failed     INTEGER NOT NULL,
	canceled   INTEGER NOT NULL,
	again      INTEGER NOT NULL,
	stopped    INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
