-- +goose Up
-- What was said of a person and what was found stand apart, as JSON; the columns that were there show one of each. Rows
-- that are not parted yet are of an earlier release: they are parted when the server starts, a piece at a time.
ALTER TABLE subscriber ADD COLUMN stated TEXT;
ALTER TABLE subscriber ADD COLUMN found TEXT;
ALTER TABLE subscriber ADD COLUMN country TEXT;
ALTER TABLE subscriber ADD COLUMN name_matches TEXT NOT NULL DEFAULT 'unknown';
ALTER TABLE subscriber ADD COLUMN sources TEXT; -- a JSON list; absent: source is the only one
ALTER TABLE subscriber ADD COLUMN tags TEXT; -- a JSON object: sender to list
ALTER TABLE subscriber ADD COLUMN signed_up_at INTEGER;
ALTER TABLE subscriber ADD COLUMN parted INTEGER NOT NULL DEFAULT 0;
CREATE INDEX subscriber_unparted ON subscriber (id) WHERE parted = 0;

-- Sign-ups are counted by the time that was stated, else by that of their coming.
DROP INDEX subscriber_created;
CREATE INDEX subscriber_signed_up ON subscriber (coalesce(signed_up_at, created_at));

-- What an import would change of known people, a JSON object.
ALTER TABLE upload ADD COLUMN changes TEXT;
