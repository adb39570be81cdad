-- +goose Up
-- The budget of a day bounds what nobody confirmed: jobs say whether somebody did, submissions how much of what is reserved
-- for them nobody did, and the day what that comes to. A budget that somebody set is in spending. Who spent more than the
-- budget by default on a day had none, and keeps none (1: they have to be told, 2: they were).
ALTER TABLE job ADD COLUMN confirmed boolean NOT NULL DEFAULT false;
ALTER TABLE submission ADD COLUMN unconfirmed bigint NOT NULL DEFAULT 0;
ALTER TABLE credit_day ADD COLUMN unconfirmed bigint NOT NULL DEFAULT 0;
ALTER TABLE spending ADD COLUMN budget bigint;
ALTER TABLE spending ADD COLUMN unbounded bigint NOT NULL DEFAULT 0;
UPDATE spending SET unbounded = 1 WHERE (SELECT max(reserved + spent) FROM credit_day) > 1000;
-- What an upload may cost, as whoever confirmed it said.
ALTER TABLE upload ADD COLUMN cap bigint;
-- How the latest lookups of a source ended, oldest first: 1 found, 0 not found. Stopped: they wait for an operator.
CREATE TABLE found_rate (
  source text COLLATE "C" NOT NULL PRIMARY KEY,
  answers text NOT NULL,
  stopped_at bigint
);
CREATE INDEX found_rate_stopped ON found_rate (stopped_at) WHERE stopped_at IS NOT NULL;
