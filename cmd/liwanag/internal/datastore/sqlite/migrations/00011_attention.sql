-- +goose Up
-- What an operator has seen of what needs a person: the latest cause of each thing.
CREATE TABLE dismissal (
  kind TEXT NOT NULL,
  thing TEXT NOT NULL,
  cause TEXT NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (kind, thing)
) WITHOUT ROWID;
CREATE INDEX dismissal_at ON dismissal (at);
CREATE INDEX upload_waiting ON upload (id) WHERE status IN ('previewed', 'needs_mapping');
