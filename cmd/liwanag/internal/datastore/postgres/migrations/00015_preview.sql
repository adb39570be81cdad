-- +goose Up
-- What a preview says beside the counts, a JSON object; nothing was written there before.
ALTER TABLE upload RENAME COLUMN changes TO notes;
ALTER TABLE upload ADD COLUMN ignore_standing boolean NOT NULL DEFAULT false;
-- Those who left by the word of an upload are read in pieces, by id.
DROP INDEX subscriber_left_by;
CREATE INDEX subscriber_left_by ON subscriber (unsubscribed_by, id) WHERE unsubscribed_by IS NOT NULL;
