-- +goose Up
-- ids are 16-byte UUIDv7 blobs (time-ordered), digests 32-byte blobs, times integer unix microseconds,
-- absent is NULL. Tables whose key grows with time have no rowid: the row lies in its key's index.

CREATE TABLE subscriber (
  id BLOB NOT NULL PRIMARY KEY,
  email_key TEXT NOT NULL,
  email TEXT NOT NULL,
  email_type TEXT NOT NULL,
  source TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  enriched_at INTEGER,
  result_at INTEGER,
  first_name TEXT, last_name TEXT, full_name TEXT, headline TEXT, job_title TEXT, seniority TEXT,
  linkedin_url TEXT, location TEXT, company_name TEXT, company_domain TEXT, company_linkedin_url TEXT,
  headcount INTEGER, industry TEXT,
  metadata TEXT
) WITHOUT ROWID;
-- GUARD: one subscriber an address.
CREATE UNIQUE INDEX subscriber_email ON subscriber (email_key);

CREATE TABLE profile (
  subscriber_id BLOB NOT NULL PRIMARY KEY REFERENCES subscriber (id) ON DELETE CASCADE,
  raw BLOB NOT NULL
);

CREATE TABLE job (
  id BLOB NOT NULL PRIMARY KEY,
  subscriber_id BLOB NOT NULL,
  run_id BLOB,
  upload_id BLOB,
  status TEXT NOT NULL,
  latest INTEGER NOT NULL DEFAULT 1, -- the person's newest job, kept by job_superseded
  created_at INTEGER NOT NULL,
  ended_at INTEGER,
  retry_at INTEGER,
  retries INTEGER NOT NULL,
  credits INTEGER NOT NULL,
  late INTEGER NOT NULL,
  enrichment_id TEXT,
  failure_code TEXT,
  failure_message TEXT
) WITHOUT ROWID;
-- GUARD: one open job a person.
CREATE UNIQUE INDEX job_open ON job (subscriber_id) WHERE status IN ('pending', 'submitted', 'held');
CREATE INDEX job_subscriber ON job (subscriber_id);
CREATE INDEX job_status ON job (status, subscriber_id) WHERE latest = 1;
CREATE INDEX job_status_old ON job (status) WHERE latest = 0;
CREATE INDEX job_run ON job (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX job_open_run ON job (run_id, created_at) WHERE status IN ('pending', 'submitted', 'held');
CREATE INDEX job_upload ON job (upload_id, status) WHERE upload_id IS NOT NULL;
CREATE INDEX job_unbatched ON job (id) WHERE run_id IS NULL AND status = 'pending';
CREATE INDEX job_retry ON job (retry_at) WHERE retry_at IS NOT NULL;
-- +goose StatementBegin
CREATE TRIGGER job_superseded AFTER INSERT ON job BEGIN
  UPDATE job SET latest = 0 WHERE subscriber_id = NEW.subscriber_id AND latest = 1 AND id <> NEW.id;
END;
-- +goose StatementEnd

CREATE TABLE batch (
  run_id BLOB NOT NULL PRIMARY KEY,
  closes_at INTEGER NOT NULL,
  size INTEGER NOT NULL,
  state TEXT NOT NULL,
  started INTEGER NOT NULL,
  ended_at INTEGER,
  waiting TEXT,
  waiting_until INTEGER,
  created_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX batch_open ON batch (run_id, closes_at) WHERE state = 'open';
CREATE INDEX batch_unstarted ON batch (run_id) WHERE started = 0;

CREATE TABLE submission (
  id BLOB NOT NULL PRIMARY KEY,
  run_id BLOB NOT NULL,
  n INTEGER NOT NULL,
  state TEXT NOT NULL,
  name TEXT NOT NULL,
  jobs INTEGER NOT NULL,
  sender TEXT,
  token_hash BLOB,
  request_digest BLOB,
  enrichment_id TEXT,
  supersedes BLOB,
  cause TEXT,
  prepared_at INTEGER NOT NULL,
  sending_at INTEGER,
  outcome_at INTEGER,
  grace_until INTEGER,
  detached INTEGER NOT NULL,
  follow_at INTEGER,
  late INTEGER NOT NULL,
  reserved INTEGER NOT NULL,
  credits INTEGER NOT NULL,
  duplicates INTEGER NOT NULL,
  credit_day INTEGER NOT NULL
) WITHOUT ROWID;
-- GUARD: two executions never prepare the same paid call twice.
CREATE UNIQUE INDEX submission_run ON submission (run_id, n);
-- GUARD: a token names one submission, an enrichment belongs to one.
CREATE UNIQUE INDEX submission_token ON submission (token_hash) WHERE token_hash IS NOT NULL;
CREATE UNIQUE INDEX submission_enrichment ON submission (enrichment_id) WHERE enrichment_id IS NOT NULL;
CREATE INDEX submission_state ON submission (state);
CREATE INDEX submission_follow ON submission (follow_at) WHERE follow_at IS NOT NULL;
CREATE INDEX submission_flying ON submission (jobs) WHERE state IN ('sending', 'accepted', 'ambiguous') AND detached = 0;

CREATE TABLE submission_job (
  submission_id BLOB NOT NULL,
  job_id BLOB NOT NULL,
  open INTEGER NOT NULL,
  PRIMARY KEY (submission_id, job_id)
) WITHOUT ROWID;
-- GUARD: one open submission a job.
CREATE UNIQUE INDEX submission_job_open ON submission_job (job_id) WHERE open = 1;
CREATE INDEX submission_job_job ON submission_job (job_id);

-- Digests are random and bodies large: arrival order is the rowid, and raw is the last column,
-- so that a listing never reads it.
CREATE TABLE delivery (
  seq INTEGER PRIMARY KEY,
  digest BLOB NOT NULL,
  source TEXT NOT NULL,
  token_hash BLOB,
  submission_id BLOB,
  enrichment_id TEXT,
  size INTEGER NOT NULL,
  state TEXT NOT NULL,
  note TEXT,
  received_at INTEGER NOT NULL,
  raw BLOB
);
-- GUARD: a repeated delivery is stored once.
CREATE UNIQUE INDEX delivery_digest ON delivery (digest);
CREATE INDEX delivery_received ON delivery (received_at);
CREATE INDEX delivery_state ON delivery (state, received_at);
CREATE INDEX delivery_submission ON delivery (submission_id, received_at) WHERE submission_id IS NOT NULL;
CREATE INDEX delivery_new ON delivery (received_at) WHERE state = 'stored' OR (state = 'unmatched' AND note IS NULL);

CREATE TABLE call_budget (minute INTEGER NOT NULL PRIMARY KEY, calls INTEGER NOT NULL);
CREATE TABLE credit_day (day INTEGER NOT NULL PRIMARY KEY, reserved INTEGER NOT NULL, spent INTEGER NOT NULL);
CREATE TABLE spending (
  one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
  paused INTEGER NOT NULL DEFAULT 0,
  until INTEGER,
  reason TEXT,
  note TEXT,
  at INTEGER,
  balance REAL NOT NULL DEFAULT 0,
  balance_at INTEGER
);
INSERT INTO spending (one) VALUES (1);
CREATE TABLE public_url (url TEXT NOT NULL PRIMARY KEY, proven_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE reach (
  url TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER NOT NULL,
  PRIMARY KEY (url, since)
) WITHOUT ROWID;

CREATE TABLE webhook_id (
  endpoint TEXT NOT NULL, id TEXT NOT NULL, at INTEGER NOT NULL, answer BLOB,
  PRIMARY KEY (endpoint, id)
);
CREATE INDEX webhook_id_at ON webhook_id (at);

CREATE TABLE upload (
  id BLOB NOT NULL PRIMARY KEY,
  file_name TEXT NOT NULL,
  source TEXT,
  status TEXT NOT NULL,
  columns TEXT,
  mapping TEXT,
  rows INTEGER NOT NULL, new INTEGER NOT NULL, known INTEGER NOT NULL,
  duplicate INTEGER NOT NULL, corporate INTEGER NOT NULL, invalid INTEGER NOT NULL,
  size INTEGER NOT NULL,
  position INTEGER NOT NULL,
  failure_code TEXT,
  failure_message TEXT,
  created_at INTEGER NOT NULL,
  ended_at INTEGER
) WITHOUT ROWID;
CREATE INDEX upload_active ON upload (id) WHERE status IN ('importing', 'enriching');
CREATE TABLE upload_chunk (upload_id BLOB NOT NULL, n INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (upload_id, n));
CREATE TABLE upload_error (
  upload_id BLOB NOT NULL, row INTEGER NOT NULL, line INTEGER NOT NULL, field TEXT, code TEXT, reason TEXT NOT NULL,
  PRIMARY KEY (upload_id, row)
) WITHOUT ROWID;
