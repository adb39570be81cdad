-- +goose Up
-- Where an act came from, and how often what is counted happened.
ALTER TABLE act ADD COLUMN client TEXT;
ALTER TABLE act ADD COLUMN times bigint NOT NULL DEFAULT 1;

-- Keys of FullEnrich's that were replaced, by SHA-256, and since when: they verify for a while.
CREATE TABLE retired_key (
  hash bytea PRIMARY KEY,
  since bigint NOT NULL
);
