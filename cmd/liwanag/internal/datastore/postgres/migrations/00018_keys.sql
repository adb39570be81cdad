-- +goose Up
-- API keys beside the server's own, by the SHA-256 of each; scopes are joined by commas.
CREATE TABLE api_key (
  id uuid NOT NULL PRIMARY KEY,
  created_at bigint NOT NULL,
  expires_at bigint,
  used_at bigint,
  name text COLLATE "C" NOT NULL,
  hash bytea NOT NULL,
  scopes text COLLATE "C" NOT NULL
);
-- GUARD: a hash is one key's.
CREATE UNIQUE INDEX api_key_hash ON api_key (hash);
-- Whose a session is: a named key's, or a person's who signed in at a provider.
ALTER TABLE pass ADD COLUMN key_id uuid;
ALTER TABLE pass ADD COLUMN person text COLLATE "C";
ALTER TABLE pass ADD COLUMN scopes text COLLATE "C";
