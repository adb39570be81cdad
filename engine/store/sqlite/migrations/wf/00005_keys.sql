-- +goose Up

-- What is known of the runs of earlier releases, in one row. Those created until
-- old_keys keep the idempotency keys that they had, so that an attempt after the
-- upgrade is known by the services that saw one before it; 0: there are none.
CREATE TABLE wf_upgrade (
	old_keys INTEGER NOT NULL
) STRICT;
INSERT INTO wf_upgrade (old_keys) SELECT coalesce(max(created_at), 0) FROM wf_run;
