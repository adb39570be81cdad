-- +goose Up
-- Which columns a saved view shows, as a JSON list.
ALTER TABLE saved_view ADD COLUMN columns TEXT;
-- The audit trail is listed by time: what is counted is stored after what came meanwhile.
DROP INDEX act_at;
DROP INDEX act_act;
DROP INDEX act_subject;
CREATE INDEX act_at ON act (at, seq);
CREATE INDEX act_act ON act (act, at, seq);
CREATE INDEX act_subject ON act (subject, at, seq) WHERE subject IS NOT NULL;
