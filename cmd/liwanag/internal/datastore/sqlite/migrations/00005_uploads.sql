-- +goose Up
-- Rows of a file that say that somebody left count by themselves. The encoding is the file's, as it was found or given;
-- the cells are those of an invalid row, a JSON list.
ALTER TABLE upload ADD COLUMN unsubscribed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE upload ADD COLUMN encoding TEXT;
ALTER TABLE upload_error ADD COLUMN cells TEXT;
