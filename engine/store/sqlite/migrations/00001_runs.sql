-- +goose Up

-- Times are microseconds since 1970, 0 when there is none. Ids of runs are
-- packed. What people read of a run (pending, running, waiting) is derived. Strict
-- tables hold no value of another type, so that no row fails a claim that reads it.
CREATE TABLE run (
	id          BLOB    NOT NULL PRIMARY KEY,
	workflow    TEXT    NOT NULL,
	version     INTEGER NOT NULL,
	status      TEXT    NOT NULL,
	owner       INTEGER NOT NULL, -- epoch of a node, 0: nobody
	token       INTEGER NOT NULL, -- counts the claims
	due_at      INTEGER NOT NULL, -- of an open run without owner; the end of its park
	seq         INTEGER NOT NULL,
	inbox_seq   INTEGER NOT NULL DEFAULT 0,
	canceled    INTEGER NOT NULL DEFAULT 0,
	attempt     INTEGER NOT NULL DEFAULT 0,
	begun       INTEGER NOT NULL DEFAULT 0,
	takeovers   INTEGER NOT NULL DEFAULT 0,
	created_at  INTEGER NOT NULL,
	started_at  INTEGER NOT NULL,
	ended_at    INTEGER NOT NULL DEFAULT 0,
	ended_seq   INTEGER NOT NULL DEFAULT 0,
	park_kind   TEXT    NOT NULL DEFAULT '',
	park_step   TEXT    NOT NULL DEFAULT '',
	park_events TEXT,             -- JSON array of event names
	park_since  INTEGER NOT NULL DEFAULT 0,
	park_seq    INTEGER NOT NULL DEFAULT 0,
	because     TEXT    NOT NULL DEFAULT '',
	failure     TEXT,             -- JSON
	input       BLOB
) WITHOUT ROWID, STRICT;

-- What may be claimed: nobody's runs by due time, and those of dead nodes.
CREATE INDEX run_due ON run (owner, due_at) WHERE status = 'open';
-- Lists, newest first.
CREATE INDEX run_created ON run (created_at);
-- Pruning.
CREATE INDEX run_ended ON run (ended_at) WHERE status <> 'open';

CREATE TABLE history (
	run_id      BLOB    NOT NULL,
	seq         INTEGER NOT NULL, -- the last of the numbers that the entry stands for
	kind        TEXT    NOT NULL,
	step        TEXT    NOT NULL,
	attempt     INTEGER NOT NULL,
	at          INTEGER NOT NULL,
	started_at  INTEGER NOT NULL,
	started_seq INTEGER NOT NULL,
	begins      INTEGER NOT NULL,
	next_at     INTEGER NOT NULL,
	reconciled  INTEGER NOT NULL,
	label       TEXT    NOT NULL,
	signals     TEXT,             -- JSON array of the ids that a wait consumed or a reopening returned
	failure     TEXT,             -- JSON
	output      BLOB,
	PRIMARY KEY (run_id, seq)
) WITHOUT ROWID, STRICT;

CREATE TABLE signal (
	run_id      BLOB    NOT NULL,
	id          TEXT    NOT NULL,
	seq         INTEGER NOT NULL,
	event       TEXT    NOT NULL,
	at          INTEGER NOT NULL,
	late        INTEGER NOT NULL,
	payload     BLOB,
	PRIMARY KEY (run_id, id)
) WITHOUT ROWID, STRICT;

-- The registrations: the last one lives.
CREATE TABLE node (
	epoch INTEGER NOT NULL PRIMARY KEY,
	name  TEXT    NOT NULL
) STRICT;
