-- +goose Up
-- Whom nobody is to bring in again: by the HMAC of the address, or by the domain. The address itself stands here only while
-- an operator gave it and nobody erased the person.
CREATE TABLE suppression (
  id uuid NOT NULL PRIMARY KEY,
  created_at bigint NOT NULL,
  digest text COLLATE "C",
  domain text COLLATE "C",
  email text,
  reason text
);
-- GUARD: an address or a domain is suppressed once.
CREATE UNIQUE INDEX suppression_digest ON suppression (digest);
CREATE UNIQUE INDEX suppression_domain ON suppression (domain);
CREATE TABLE suppression_key (one bigint NOT NULL PRIMARY KEY CHECK (one = 1), key bytea NOT NULL);
INSERT INTO suppression_key VALUES (1, decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'));

ALTER TABLE upload ADD COLUMN relay bigint NOT NULL DEFAULT 0;
ALTER TABLE upload ADD COLUMN disposable bigint NOT NULL DEFAULT 0;
ALTER TABLE upload ADD COLUMN suppressed bigint NOT NULL DEFAULT 0;
