-- +goose Up
-- Whom nobody is to bring in again: by the HMAC of the address, or by the domain. The address itself stands here only while
-- an operator gave it and nobody erased the person.
CREATE TABLE suppression (
  id BLOB NOT NULL PRIMARY KEY,
  digest TEXT,
  domain TEXT,
  email TEXT,
  reason TEXT,
  created_at INTEGER NOT NULL
) WITHOUT ROWID;
-- GUARD: an address or a domain is suppressed once.
CREATE UNIQUE INDEX suppression_digest ON suppression (digest);
CREATE UNIQUE INDEX suppression_domain ON suppression (domain);
CREATE TABLE suppression_key (one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1), key BLOB NOT NULL);
INSERT INTO suppression_key VALUES (1, randomblob(32));

ALTER TABLE upload ADD COLUMN relay INTEGER NOT NULL DEFAULT 0;
ALTER TABLE upload ADD COLUMN disposable INTEGER NOT NULL DEFAULT 0;
ALTER TABLE upload ADD COLUMN suppressed INTEGER NOT NULL DEFAULT 0;
