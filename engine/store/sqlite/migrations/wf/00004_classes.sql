-- +goose Up

-- What may be claimed, by class, so that none is looked for among the others: runs
-- that go on, newcomers, and those that lost several workers in a row. An open run
-- stands in one of the first two, as it did in the index before.
DROP INDEX wf_run_due;
CREATE INDEX wf_run_due ON wf_run (owner, due_at) WHERE status = 'open' AND started_at > 0;
CREATE INDEX wf_run_new ON wf_run (owner, due_at) WHERE status = 'open' AND started_at = 0;
CREATE INDEX wf_run_suspect ON wf_run (due_at) WHERE status = 'open' AND takeovers > 1;

-- A newcomer is due since it was created.
UPDATE wf_run SET due_at = created_at WHERE status = 'open' AND started_at = 0 AND due_at = 0;
