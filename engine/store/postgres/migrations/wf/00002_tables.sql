-- +goose Up

-- What a new database begins with. One of an earlier release comes to the same by
-- the files in the folder above, which its own version table accounts for.

-- Times are microseconds since 1970, 0 when there is none; ids of runs are packed.
-- What people read of a run (pending, running, waiting) is derived. Numbers come
-- first and texts last, so that a row has no holes. A page is left a third empty:
-- a move that changes no indexed column then stays on it and touches no index.
CREATE TABLE wf_run (
	owner       bigint  NOT NULL, -- epoch of a node, 0: nobody
	token       bigint  NOT NULL, -- counts the commits and, twice, the claims
	due_at      bigint  NOT NULL, -- of an open run without owner; the end of its park
	seq         bigint  NOT NULL,
	inbox_seq   bigint  NOT NULL DEFAULT 0,
	created_at  bigint  NOT NULL,
	started_at  bigint  NOT NULL,
	ended_at    bigint  NOT NULL DEFAULT 0,
	ended_seq   bigint  NOT NULL DEFAULT 0,
	park_since  bigint  NOT NULL DEFAULT 0,
	park_seq    bigint  NOT NULL DEFAULT 0,
	version     bigint  NOT NULL,
	attempt     integer NOT NULL DEFAULT 0,
	takeovers   smallint NOT NULL DEFAULT 0,
	canceled    boolean NOT NULL DEFAULT false,
	begun       boolean NOT NULL DEFAULT false,
	id          bytea   NOT NULL PRIMARY KEY,
	workflow    text    COLLATE "C" NOT NULL,
	status      text    COLLATE "C" NOT NULL,
	park_kind   text    COLLATE "C" NOT NULL DEFAULT '',
	park_step   text    COLLATE "C" NOT NULL DEFAULT '',
	park_events text    COLLATE "C" NOT NULL DEFAULT '', -- JSON array of event names
	because     text    COLLATE "C" NOT NULL DEFAULT '',
	failure     text    COLLATE "C" NOT NULL DEFAULT '', -- JSON
	input       bytea
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

-- What may be claimed: nobody's runs by due time, and those of dead nodes.
CREATE INDEX wf_run_due ON wf_run (owner, due_at) WHERE status = 'open';
-- Lists, newest first.
CREATE INDEX wf_run_created ON wf_run (created_at, id);
-- Pruning.
CREATE INDEX wf_run_ended ON wf_run (ended_at) WHERE status <> 'open';

CREATE TABLE wf_history (
	seq         bigint  NOT NULL, -- the last of the numbers that the entry stands for
	at          bigint  NOT NULL,
	started_at  bigint  NOT NULL,
	started_seq bigint  NOT NULL,
	next_at     bigint  NOT NULL,
	attempt     integer NOT NULL,
	begins      boolean NOT NULL,
	reconciled  boolean NOT NULL,
	run_id      bytea   NOT NULL,
	kind        text    COLLATE "C" NOT NULL,
	step        text    COLLATE "C" NOT NULL,
	label       text    COLLATE "C" NOT NULL,
	signals     text    COLLATE "C" NOT NULL, -- JSON array of the ids that a wait consumed or a reopening returned
	failure     text    COLLATE "C" NOT NULL, -- JSON
	output      bytea,
	PRIMARY KEY (run_id, seq)
) WITH (toast_tuple_target = 8160); -- what fits into a page is neither compressed nor put aside

CREATE TABLE wf_signal (
	seq         bigint  NOT NULL,
	at          bigint  NOT NULL,
	late        boolean NOT NULL,
	run_id      bytea   NOT NULL,
	id          text    COLLATE "C" NOT NULL,
	event       text    COLLATE "C" NOT NULL,
	payload     bytea,
	PRIMARY KEY (run_id, id)
) WITH (toast_tuple_target = 8160);

-- The nodes and their leases, on this server's clock. An epoch is given out once:
-- a run whose owner has no row here, or one that has expired, has a dead owner.
CREATE TABLE wf_node (
	epoch   bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name    text        COLLATE "C" NOT NULL,
	expires timestamptz NOT NULL
);
