-- +goose Up
-- What was done with the database as a whole. Its id and the last line of each file tie it to the spend journal.
CREATE TABLE instance (
  one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
  id TEXT, -- absent until the first start
  moved_to TEXT, -- where its rows went: nothing starts here any more
  restored INTEGER NOT NULL DEFAULT 0 -- what the journal knows beyond it is not applied yet
);
INSERT INTO instance (one) VALUES (1);
CREATE TABLE journal_file (name TEXT NOT NULL PRIMARY KEY, line INTEGER NOT NULL) WITHOUT ROWID;
-- Held: spending waits for a word, since the journal may know of paid calls that the database does not.
ALTER TABLE spending ADD COLUMN held_at INTEGER;
ALTER TABLE spending ADD COLUMN held_note TEXT;
-- Lookups that the journal knows of, of people who are not here: by the HMAC of the address. Back: the person is
-- here again, and the result is to be fetched once more.
CREATE TABLE ordered (
  digest TEXT NOT NULL,
  job_id BLOB NOT NULL,
  submission_id BLOB NOT NULL,
  back INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (digest, job_id)
) WITHOUT ROWID;
CREATE INDEX ordered_back ON ordered (submission_id) WHERE back = 1;
CREATE TABLE backup (
  path TEXT NOT NULL PRIMARY KEY,
  made_at INTEGER NOT NULL,
  size INTEGER NOT NULL,
  scheduled INTEGER NOT NULL
) WITHOUT ROWID;
