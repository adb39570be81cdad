-- +goose Up
-- ids are UUIDv7 (time-ordered), digests 32 bytes, times bigint unix microseconds, absent is NULL. JSON is text,
-- so that it comes back byte by byte. Texts that are compared say COLLATE "C": every server answers and orders
-- alike, and a new version of its locales never spoils an index.

CREATE TABLE subscriber (
  id uuid NOT NULL PRIMARY KEY,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  enriched_at bigint,
  result_at bigint,
  headcount bigint,
  email_key text COLLATE "C" NOT NULL,
  email text NOT NULL,
  email_type text COLLATE "C" NOT NULL,
  source text COLLATE "C",
  first_name text COLLATE "C", last_name text COLLATE "C", full_name text COLLATE "C",
  headline text, job_title text, seniority text, linkedin_url text, location text,
  company_name text COLLATE "C", company_domain text COLLATE "C", company_linkedin_url text,
  industry text,
  metadata text
);
-- GUARD: one subscriber an address.
CREATE UNIQUE INDEX subscriber_email ON subscriber (email_key);

CREATE TABLE profile (
  subscriber_id uuid NOT NULL PRIMARY KEY REFERENCES subscriber (id) ON DELETE CASCADE,
  raw bytea NOT NULL
);

CREATE TABLE job (
  id uuid NOT NULL PRIMARY KEY,
  subscriber_id uuid NOT NULL,
  run_id uuid,
  upload_id uuid,
  created_at bigint NOT NULL,
  ended_at bigint,
  retry_at bigint,
  retries bigint NOT NULL,
  credits bigint NOT NULL,
  late boolean NOT NULL,
  latest boolean NOT NULL, -- the person's newest job, kept by the statement that inserts
  status text COLLATE "C" NOT NULL,
  enrichment_id text,
  failure_code text COLLATE "C",
  failure_message text
);
-- GUARD: one open job a person.
CREATE UNIQUE INDEX job_open ON job (subscriber_id) WHERE status IN ('pending', 'submitted', 'held');
CREATE INDEX job_subscriber ON job (subscriber_id);
CREATE INDEX job_status ON job (status, subscriber_id) WHERE latest;
CREATE INDEX job_run ON job (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX job_open_run ON job (run_id, created_at) WHERE status IN ('pending', 'submitted', 'held');
CREATE INDEX job_upload ON job (upload_id, status) WHERE upload_id IS NOT NULL;
CREATE INDEX job_unbatched ON job (id) WHERE run_id IS NULL AND status = 'pending';
CREATE INDEX job_retry ON job (retry_at) WHERE retry_at IS NOT NULL;

CREATE TABLE batch (
  run_id uuid NOT NULL PRIMARY KEY,
  closes_at bigint NOT NULL,
  size bigint NOT NULL,
  ended_at bigint,
  waiting_until bigint,
  created_at bigint NOT NULL,
  started boolean NOT NULL,
  state text COLLATE "C" NOT NULL,
  waiting text
);
CREATE INDEX batch_open ON batch (run_id, closes_at) WHERE state = 'open';
CREATE INDEX batch_unstarted ON batch (run_id) WHERE NOT started;

CREATE TABLE submission (
  id uuid NOT NULL PRIMARY KEY,
  run_id uuid NOT NULL,
  supersedes uuid,
  n bigint NOT NULL,
  jobs bigint NOT NULL,
  prepared_at bigint NOT NULL,
  sending_at bigint,
  outcome_at bigint,
  grace_until bigint,
  follow_at bigint,
  reserved bigint NOT NULL,
  credits bigint NOT NULL,
  duplicates bigint NOT NULL,
  credit_day bigint NOT NULL,
  detached boolean NOT NULL,
  late boolean NOT NULL,
  state text COLLATE "C" NOT NULL,
  name text NOT NULL,
  sender text,
  cause text,
  enrichment_id text COLLATE "C",
  token_hash bytea,
  request_digest bytea
);
-- GUARD: two executions never prepare the same paid call twice.
CREATE UNIQUE INDEX submission_run ON submission (run_id, n);
-- GUARD: a token names one submission, an enrichment belongs to one.
CREATE UNIQUE INDEX submission_token ON submission (token_hash) WHERE token_hash IS NOT NULL;
CREATE UNIQUE INDEX submission_enrichment ON submission (enrichment_id) WHERE enrichment_id IS NOT NULL;
CREATE INDEX submission_state ON submission (state, id);
CREATE INDEX submission_follow ON submission (follow_at) WHERE follow_at IS NOT NULL;
CREATE INDEX submission_flying ON submission (jobs) WHERE state IN ('sending', 'accepted', 'ambiguous') AND NOT detached;

CREATE TABLE submission_job (
  submission_id uuid NOT NULL,
  job_id uuid NOT NULL,
  open boolean NOT NULL,
  PRIMARY KEY (submission_id, job_id)
);
-- GUARD: one open submission a job.
CREATE UNIQUE INDEX submission_job_open ON submission_job (job_id) WHERE open;
CREATE INDEX submission_job_job ON submission_job (job_id, submission_id);

-- Bodies are kept as they are: packing them would hold everyone who writes. They are dropped soon, so vacuum
-- comes early.
CREATE TABLE delivery (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- the order of arrival
  size bigint NOT NULL,
  received_at bigint NOT NULL,
  submission_id uuid,
  digest bytea NOT NULL,
  token_hash bytea,
  source text NOT NULL,
  state text COLLATE "C" NOT NULL,
  enrichment_id text,
  note text,
  raw bytea
) WITH (autovacuum_vacuum_scale_factor = 0.02, toast.autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE delivery ALTER COLUMN raw SET STORAGE EXTERNAL;
-- GUARD: a repeated delivery is stored once.
CREATE UNIQUE INDEX delivery_digest ON delivery (digest);
CREATE INDEX delivery_received ON delivery (received_at, seq);
CREATE INDEX delivery_state ON delivery (state, received_at, seq);
CREATE INDEX delivery_submission ON delivery (submission_id, received_at, seq) WHERE submission_id IS NOT NULL;
CREATE INDEX delivery_new ON delivery (received_at, seq) WHERE state = 'stored' OR (state = 'unmatched' AND note IS NULL);

CREATE TABLE call_budget (minute bigint NOT NULL PRIMARY KEY, calls bigint NOT NULL);
CREATE TABLE credit_day (day bigint NOT NULL PRIMARY KEY, reserved bigint NOT NULL, spent bigint NOT NULL);
CREATE TABLE spending (
  one integer NOT NULL PRIMARY KEY CHECK (one = 1),
  paused boolean NOT NULL DEFAULT false,
  until bigint,
  reason text,
  note text,
  at bigint,
  balance double precision NOT NULL DEFAULT 0,
  balance_at bigint
);
INSERT INTO spending (one) VALUES (1);
CREATE TABLE public_url (url text COLLATE "C" NOT NULL PRIMARY KEY, proven_at bigint NOT NULL);
CREATE TABLE reach (
  url text COLLATE "C" NOT NULL, since bigint NOT NULL, until bigint NOT NULL,
  PRIMARY KEY (url, since)
);

-- GUARD: a firing of the schedule happens once over all nodes.
CREATE TABLE firing (at bigint NOT NULL, name text COLLATE "C" NOT NULL, PRIMARY KEY (at, name));

-- A sender's id is of any length; its digest is not.
CREATE TABLE webhook_id (
  at bigint NOT NULL,
  endpoint text COLLATE "C" NOT NULL,
  id_digest bytea NOT NULL,
  answer bytea,
  PRIMARY KEY (endpoint, id_digest)
);
CREATE INDEX webhook_id_at ON webhook_id (at);

CREATE TABLE upload (
  id uuid NOT NULL PRIMARY KEY,
  rows bigint NOT NULL, new bigint NOT NULL, known bigint NOT NULL,
  duplicate bigint NOT NULL, corporate bigint NOT NULL, invalid bigint NOT NULL,
  size bigint NOT NULL,
  position bigint NOT NULL,
  owned_until bigint,
  created_at bigint NOT NULL,
  ended_at bigint,
  status text COLLATE "C" NOT NULL,
  file_name text NOT NULL,
  owner text COLLATE "C",
  source text,
  columns text,
  mapping text,
  failure_code text,
  failure_message text
);
CREATE INDEX upload_active ON upload (id) WHERE status IN ('importing', 'enriching');
CREATE TABLE upload_chunk (
  upload_id uuid NOT NULL, n bigint NOT NULL, data bytea NOT NULL,
  PRIMARY KEY (upload_id, n)
);
ALTER TABLE upload_chunk ALTER COLUMN data SET STORAGE EXTERNAL;
CREATE TABLE upload_error (
  upload_id uuid NOT NULL, row bigint NOT NULL, line bigint NOT NULL, field text, code text, reason text NOT NULL,
  PRIMARY KEY (upload_id, row)
);
