-- +goose Up
-- What was said of a person and what was found stand apart, as JSON; the columns that were there show one of each. Rows
-- that are not parted yet are of an earlier release: they are parted when the server starts, a piece at a time.
ALTER TABLE subscriber ADD COLUMN stated text;
ALTER TABLE subscriber ADD COLUMN found text;
ALTER TABLE subscriber ADD COLUMN country text COLLATE "C";
ALTER TABLE subscriber ADD COLUMN name_matches text COLLATE "C" NOT NULL DEFAULT 'unknown';
ALTER TABLE subscriber ADD COLUMN sources text; -- a JSON list; absent: source is the only one
ALTER TABLE subscriber ADD COLUMN tags text; -- a JSON object: sender to list
ALTER TABLE subscriber ADD COLUMN signed_up_at bigint;
ALTER TABLE subscriber ADD COLUMN parted boolean NOT NULL DEFAULT false;
CREATE INDEX subscriber_unparted ON subscriber (id) WHERE NOT parted;

-- Sign-ups are counted by the time that was stated, else by that of their coming.
DROP INDEX subscriber_created;
CREATE INDEX subscriber_signed_up ON subscriber (coalesce(signed_up_at, created_at));

-- What an import would change of known people, a JSON object.
ALTER TABLE upload ADD COLUMN changes text;
