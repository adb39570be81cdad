-- +goose Up
-- Runs that wait for a pause to end, looked up when it has ended.
CREATE INDEX batch_waiting ON batch (waiting, run_id) WHERE waiting IS NOT NULL;
