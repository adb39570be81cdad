-- +goose Up
-- Who said that a person unsubscribed: an operator, the source, the upload. Few people left: they are found, counted and
-- taken back along indexes of their own.
ALTER TABLE subscriber ADD COLUMN unsubscribed_by TEXT;
CREATE INDEX subscriber_left ON subscriber (id) WHERE suppressed_at IS NOT NULL;
CREATE INDEX subscriber_left_by ON subscriber (unsubscribed_by) WHERE unsubscribed_by IS NOT NULL;
