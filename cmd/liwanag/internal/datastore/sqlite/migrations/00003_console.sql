-- +goose Up
-- Sources of sign-ups, sinks of webhooks out, sessions, the audit trail. A source or sink that was deleted stays,
-- hidden, until what it received or was to be sent is gone too, a piece at a time.

CREATE TABLE source (
  id BLOB NOT NULL PRIMARY KEY,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  token_hash BLOB NOT NULL,
  secrets TEXT,
  settings TEXT,
  disabled INTEGER NOT NULL,
  deleted INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) WITHOUT ROWID;
-- GUARD: an address names one source.
CREATE UNIQUE INDEX source_token ON source (token_hash);

-- Bodies are the last column, so that a listing never reads them.
CREATE TABLE receipt (
  seq INTEGER PRIMARY KEY,
  id BLOB NOT NULL UNIQUE,
  source_id BLOB NOT NULL,
  state TEXT NOT NULL,
  code TEXT,
  reason TEXT,
  content_type TEXT,
  size INTEGER NOT NULL,
  created INTEGER NOT NULL, updated INTEGER NOT NULL, unsubscribed INTEGER NOT NULL, failed INTEGER NOT NULL,
  received_at INTEGER NOT NULL,
  replayed_at INTEGER,
  kept INTEGER NOT NULL,
  body BLOB
);
CREATE INDEX receipt_state ON receipt (state, id);
CREATE INDEX receipt_source ON receipt (source_id, state, id);
CREATE INDEX receipt_kept ON receipt (state, received_at) WHERE kept = 1;
CREATE INDEX receipt_received ON receipt (received_at);

CREATE TABLE sink (
  id BLOB NOT NULL PRIMARY KEY,
  name TEXT NOT NULL,
  url TEXT NOT NULL,
  topics TEXT,
  secrets TEXT,
  disabled INTEGER NOT NULL,
  disabled_reason TEXT,
  deleted INTEGER NOT NULL DEFAULT 0,
  failing_since INTEGER,
  sent_at INTEGER,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE message (
  id BLOB NOT NULL PRIMARY KEY,
  sink_id BLOB NOT NULL,
  topic TEXT NOT NULL,
  subject TEXT,
  job_id BLOB,
  facts TEXT,
  state TEXT NOT NULL,
  run_id BLOB,
  started INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  status INTEGER,
  error TEXT,
  created_at INTEGER NOT NULL,
  next_at INTEGER,
  ended_at INTEGER
) WITHOUT ROWID;
CREATE INDEX message_state ON message (state, id);
CREATE INDEX message_sink ON message (sink_id, state, id);
CREATE INDEX message_unstarted ON message (id) WHERE started = 0 AND run_id IS NOT NULL;
CREATE INDEX message_open ON message (subject) WHERE subject IS NOT NULL AND state IN ('pending', 'sending', 'retrying');
CREATE INDEX message_ended ON message (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE message_attempt (
  message_id BLOB NOT NULL REFERENCES message (id) ON DELETE CASCADE,
  n INTEGER NOT NULL,
  at INTEGER NOT NULL,
  took INTEGER NOT NULL, -- microseconds
  status INTEGER,
  error TEXT,
  PRIMARY KEY (message_id, n)
) WITHOUT ROWID;

CREATE TABLE pass (
  hash BLOB NOT NULL PRIMARY KEY,
  kind TEXT NOT NULL,
  key_hash BLOB,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX pass_expires ON pass (expires_at);

CREATE TABLE act (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  at INTEGER NOT NULL,
  actor TEXT NOT NULL,
  act TEXT NOT NULL,
  subject TEXT,
  reason TEXT,
  request TEXT
);
CREATE INDEX act_subject ON act (subject, seq) WHERE subject IS NOT NULL;
CREATE INDEX act_act ON act (act, seq);
CREATE INDEX act_at ON act (at);

ALTER TABLE subscriber ADD COLUMN suppressed_at INTEGER;

-- What happened in a span of time is counted along these; they only grow at their end.
CREATE INDEX subscriber_created ON subscriber (created_at);
CREATE INDEX job_ended ON job (ended_at, status) WHERE ended_at IS NOT NULL;
