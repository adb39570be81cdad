-- +goose Up

-- What a new database begins with. One of an earlier release comes to the same by
-- the files in the folder above, which its own version table accounts for.

-- Times are microseconds since 1970, 0 when there is none. Ids of runs are
-- packed. What people read of a run (pending, running, waiting) is derived. Strict
-- tables hold no value of another type, so that no row fails a claim that reads it.
CREATE TABLE wf_run (
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
CREATE INDEX wf_run_due ON wf_run (owner, due_at) WHERE status = 'open';
-- Lists, newest first.
CREATE INDEX wf_run_created ON wf_run (created_at);
-- Pruning.
CREATE INDEX wf_run_ended ON wf_run (ended_at) WHERE status <> 'open';

CREATE TABLE wf_history (
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

CREATE TABLE wf_signal (
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
CREATE TABLE wf_node (
	epoch INTEGER NOT NULL PRIMARY KEY,
	name  TEXT    NOT NULL
) STRICT;

-- Lists of runs that have not ended, newest first: they are few among those that
-- have. It is written when a run begins and when it ends, not with its moves.
CREATE INDEX wf_run_open ON wf_run (created_at) WHERE status = 'open';
