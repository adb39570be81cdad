-- +goose Up

-- Sub-runs are rows of wf_run, behind the run around them in its primary key (see
-- store.PackID). They are the rows without an input, which is made of what is around
-- them. They are in no list, and are pruned with the run that they belong to: no other
-- index follows them.
DROP INDEX wf_run_created;
DROP INDEX wf_run_ended;
UPDATE wf_run SET input = '' WHERE input IS NULL;
CREATE INDEX wf_run_created ON wf_run (created_at, id) WHERE input IS NOT NULL;
CREATE INDEX wf_run_ended ON wf_run (ended_at) WHERE status <> 'open' AND input IS NOT NULL;

-- How far the sub-runs are of the step at which a run stands: see store.Group. "open"
-- and the other counters tell of rows of wf_run. Most of a page is left empty: a row is
-- written with every end of a sub-run, and stays on its page.
CREATE TABLE wf_subs (
	version    bigint  NOT NULL,
	generation integer NOT NULL,
	total      integer NOT NULL,
	at_most    integer NOT NULL,
	need       integer NOT NULL,
	tolerate   integer NOT NULL,
	next       integer NOT NULL,
	open       integer NOT NULL,
	completed  integer NOT NULL,
	failed     integer NOT NULL,
	canceled   integer NOT NULL,
	again      integer NOT NULL,
	stopped    boolean NOT NULL,
	run_id     bytea   NOT NULL PRIMARY KEY,
	step       text    COLLATE "C" NOT NULL,
	workflow   text    COLLATE "C" NOT NULL
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
