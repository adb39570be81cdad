-- +goose Up
-- Filters of people that were saved under a name; the filter is JSON.
CREATE TABLE saved_view (
  id uuid NOT NULL PRIMARY KEY,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  name text COLLATE "C" NOT NULL,
  filter text NOT NULL
);
-- GUARD: one view a name.
CREATE UNIQUE INDEX saved_view_name ON saved_view (name);
-- Of people a sink is only told of those who match.
ALTER TABLE sink ADD COLUMN view_id uuid;
