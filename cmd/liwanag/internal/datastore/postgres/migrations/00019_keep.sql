-- +goose Up
-- What was done with the database as a whole. Its id and the last line of each file tie it to the spend journal.
CREATE TABLE instance (
  one bigint NOT NULL PRIMARY KEY CHECK (one = 1),
  id text, -- absent until the first start
  moved_to text, -- where its rows went: nothing starts here any more
  restored boolean NOT NULL DEFAULT false -- what the journal knows beyond it is not applied yet
);
INSERT INTO instance (one) VALUES (1);
CREATE TABLE journal_file (name text COLLATE "C" NOT NULL PRIMARY KEY, line bigint NOT NULL);
-- Held: spending waits for a word, since the journal may know of paid calls that the database does not.
ALTER TABLE spending ADD COLUMN held_at bigint;
ALTER TABLE spending ADD COLUMN held_note text;
-- Lookups that the journal knows of, of people who are not here: by the HMAC of the address. Back: the person is
-- here again, and the result is to be fetched once more.
CREATE TABLE ordered (
  digest text COLLATE "C" NOT NULL,
  job_id uuid NOT NULL,
  submission_id uuid NOT NULL,
  back boolean NOT NULL DEFAULT false,
  PRIMARY KEY (digest, job_id)
);
CREATE INDEX ordered_back ON ordered (submission_id) WHERE back;
CREATE TABLE backup (
  path text COLLATE "C" NOT NULL PRIMARY KEY,
  made_at bigint NOT NULL,
  size bigint NOT NULL,
  scheduled boolean NOT NULL
);
