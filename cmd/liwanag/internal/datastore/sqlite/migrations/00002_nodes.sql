-- +goose Up
-- What several nodes on one database agree on.

-- GUARD: a firing of the schedule happens once over all nodes.
CREATE TABLE firing (at INTEGER NOT NULL, name TEXT NOT NULL, PRIMARY KEY (at, name)) WITHOUT ROWID;

ALTER TABLE upload ADD COLUMN owner TEXT;
ALTER TABLE upload ADD COLUMN owned_until INTEGER;
