-- +goose Up
-- Which sinks were told of somebody: a back-fill tells nobody twice.
DROP INDEX message_open;
CREATE INDEX message_about ON message (subject, sink_id) WHERE subject IS NOT NULL;
