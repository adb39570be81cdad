-- +goose Up
-- What an operator has seen of what needs a person: the latest cause of each thing.
CREATE TABLE dismissal (
  kind text COLLATE "C" NOT NULL,
  thing text COLLATE "C" NOT NULL,
  cause text NOT NULL,
  at bigint NOT NULL,
  PRIMARY KEY (kind, thing)
);
CREATE INDEX dismissal_at ON dismissal (at);
CREATE INDEX upload_waiting ON upload (id) WHERE status IN ('previewed', 'needs_mapping');
