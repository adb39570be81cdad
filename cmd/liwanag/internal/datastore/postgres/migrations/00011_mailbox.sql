-- +goose Up
-- One mailbox may have several addresses: those of Gmail have it here, the others nothing. '' is of an earlier release: such
-- rows are told apart when the server starts, a piece at a time.
ALTER TABLE subscriber ADD COLUMN mailbox text COLLATE "C" DEFAULT '';
CREATE INDEX subscriber_mailbox ON subscriber (mailbox, id) WHERE mailbox IS NOT NULL;
ALTER TABLE job ADD COLUMN mailbox text COLLATE "C";
-- GUARD: one open job a mailbox.
CREATE UNIQUE INDEX job_open_mailbox ON job (mailbox) WHERE mailbox IS NOT NULL AND status IN ('pending', 'submitted', 'held');
-- Who waits for the lookup of another address.
CREATE INDEX job_same_mailbox ON job (subscriber_id, id)
  WHERE latest AND status = 'canceled' AND failure_code = 'same_mailbox';
