-- +goose Up
-- Filters of people that were saved under a name; the filter is JSON.
CREATE TABLE saved_view (
  id BLOB NOT NULL PRIMARY KEY,
  name TEXT NOT NULL,
  filter TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) WITHOUT ROWID;
-- GUARD: one view a name.
CREATE UNIQUE INDEX saved_view_name ON saved_view (name);
-- Of people a sink is only told of those who match.
ALTER TABLE sink ADD COLUMN view_id BLOB;
