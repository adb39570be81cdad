-- +goose Up

-- Lists of runs that have not ended, newest first: they are few among those that
-- have. It is written when a run begins and when it ends, not with its moves.
CREATE INDEX run_open ON run (created_at) WHERE status = 'open';
