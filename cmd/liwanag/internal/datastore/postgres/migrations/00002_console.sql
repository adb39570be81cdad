-- +goose Up
-- Sources of sign-ups, sinks of webhooks out, sessions, the audit trail. A source or sink that was deleted stays,
-- hidden, until what it received or was to be sent is gone too, a piece at a time.

CREATE TABLE source (
  id uuid NOT NULL PRIMARY KEY,
  name text NOT NULL,
  kind text COLLATE "C" NOT NULL,
  token_hash bytea NOT NULL,
  secrets text,
  settings text,
  disabled boolean NOT NULL,
  deleted boolean NOT NULL DEFAULT false,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL
);
-- GUARD: an address names one source.
CREATE UNIQUE INDEX source_token ON source (token_hash);

-- Bodies are the last column, so that a listing never reads them.
CREATE TABLE receipt (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id uuid NOT NULL UNIQUE,
  source_id uuid NOT NULL,
  state text COLLATE "C" NOT NULL,
  code text,
  reason text,
  content_type text,
  size bigint NOT NULL,
  created bigint NOT NULL, updated bigint NOT NULL, unsubscribed bigint NOT NULL, failed bigint NOT NULL,
  received_at bigint NOT NULL,
  replayed_at bigint,
  kept boolean NOT NULL,
  body bytea
);
CREATE INDEX receipt_state ON receipt (state, id);
CREATE INDEX receipt_source ON receipt (source_id, state, id);
CREATE INDEX receipt_kept ON receipt (state, received_at) WHERE kept;
CREATE INDEX receipt_received ON receipt (received_at);

CREATE TABLE sink (
  id uuid NOT NULL PRIMARY KEY,
  name text NOT NULL,
  url text NOT NULL,
  topics text,
  secrets text,
  disabled boolean NOT NULL,
  disabled_reason text,
  deleted boolean NOT NULL DEFAULT false,
  failing_since bigint,
  sent_at bigint,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL
);

CREATE TABLE message (
  id uuid NOT NULL PRIMARY KEY,
  sink_id uuid NOT NULL,
  topic text COLLATE "C" NOT NULL,
  subject text COLLATE "C",
  job_id uuid,
  facts text,
  state text COLLATE "C" NOT NULL,
  run_id uuid,
  started boolean NOT NULL,
  attempts bigint NOT NULL,
  status bigint,
  error text,
  created_at bigint NOT NULL,
  next_at bigint,
  ended_at bigint
);
CREATE INDEX message_state ON message (state, id);
CREATE INDEX message_sink ON message (sink_id, state, id);
CREATE INDEX message_unstarted ON message (id) WHERE NOT started AND run_id IS NOT NULL;
CREATE INDEX message_open ON message (subject) WHERE subject IS NOT NULL AND state IN ('pending', 'sending', 'retrying');
CREATE INDEX message_ended ON message (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE message_attempt (
  message_id uuid NOT NULL REFERENCES message (id) ON DELETE CASCADE,
  n bigint NOT NULL,
  at bigint NOT NULL,
  took bigint NOT NULL, -- microseconds
  status bigint,
  error text,
  PRIMARY KEY (message_id, n)
);

CREATE TABLE pass (
  hash bytea NOT NULL PRIMARY KEY,
  kind text COLLATE "C" NOT NULL,
  key_hash bytea,
  created_at bigint NOT NULL,
  expires_at bigint NOT NULL
);
CREATE INDEX pass_expires ON pass (expires_at);

CREATE TABLE act (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at bigint NOT NULL,
  actor text NOT NULL,
  act text COLLATE "C" NOT NULL,
  subject text COLLATE "C",
  reason text,
  request text
);
CREATE INDEX act_subject ON act (subject, seq) WHERE subject IS NOT NULL;
CREATE INDEX act_act ON act (act, seq);
CREATE INDEX act_at ON act (at);

ALTER TABLE subscriber ADD COLUMN suppressed_at bigint;

-- What happened in a span of time is counted along these; they only grow at their end.
CREATE INDEX subscriber_created ON subscriber (created_at);
CREATE INDEX job_ended ON job (ended_at, status) WHERE ended_at IS NOT NULL;
