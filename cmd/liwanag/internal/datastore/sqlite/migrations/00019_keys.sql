-- +goose Up
-- API keys beside the server's own, by the SHA-256 of each; scopes are joined by commas.
CREATE TABLE api_key (
  id BLOB NOT NULL PRIMARY KEY,
  name TEXT NOT NULL,
  hash BLOB NOT NULL,
  scopes TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  used_at INTEGER
) WITHOUT ROWID;
-- GUARD: a hash is one key's.
CREATE UNIQUE INDEX api_key_hash ON api_key (hash);
-- Whose a session is: a named key's, or a person's who signed in at a provider.
ALTER TABLE pass ADD COLUMN key_id BLOB;
ALTER TABLE pass ADD COLUMN person TEXT;
ALTER TABLE pass ADD COLUMN scopes TEXT;
