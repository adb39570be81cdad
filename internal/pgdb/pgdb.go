// Package pgdb opens the PostgreSQL database that any number of processes share:
// a pool, transactions whose outcome is always known, the group commit of the
// application, a LISTEN connection that comes back by itself, and migrations.
// DESIGN.md beside it gives the reasons.
package pgdb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/liwanag/liwanag/internal/groupcommit"
)

// Config says how to open a database. Only URL has no default.
type Config struct {
	// URL is a connection string as libpq takes it: postgres://USER@HOST/NAME.
	URL string
	// Application is what connections call themselves in pg_stat_activity, unless the URL
	// says application_name; default liwanag.
	Application string
	// MaxConns bounds the pool, default 16; connections that listen come on top.
	MaxConns int
	// ConnectTimeout bounds one attempt to connect, unless the URL says
	// connect_timeout; default 5 s.
	ConnectTimeout time.Duration
	// GroupHold is how long a group of the application's changes may run before it
	// is committed and the rest of the queue waits for the next one, default 10 ms.
	GroupHold time.Duration
	// GroupSize bounds the changes in a group, default 64: as many subtransactions
	// as the server keeps in memory.
	GroupSize int
	// Patience bounds one transaction, and how long the outcome of a commit whose
	// answer was lost is looked for; default 30 s. No new try of a transaction begins
	// after it. A statement, and a commit, is given up after a third of it, and its
	// connection closed.
	Patience time.Duration
}

func (c Config) withDefaults() Config {
	c.Application = cmp.Or(c.Application, "liwanag")
	c.MaxConns = cmp.Or(c.MaxConns, 16)
	c.ConnectTimeout = cmp.Or(c.ConnectTimeout, 5*time.Second)
	c.GroupHold = cmp.Or(c.GroupHold, 10*time.Millisecond)
	c.GroupSize = cmp.Or(c.GroupSize, 64)
	c.Patience = cmp.Or(c.Patience, 30*time.Second)
	return c
}

// Validate returns every fault of the configuration, joined. It never repeats the
// URL, which may hold a password.
func (c Config) Validate() error {
	var faults []error
	if c.URL == "" {
		faults = append(faults, errors.New("pgdb: URL is empty"))
	} else if _, err := pgxpool.ParseConfig(c.URL); err != nil {
		faults = append(faults, errors.New("pgdb: URL is not a PostgreSQL connection string. Try: postgres://USER@HOST/NAME"))
	}
	if c.MaxConns < 0 || c.GroupSize < 0 || c.GroupHold < 0 || c.Patience < 0 || c.ConnectTimeout < 0 {
		faults = append(faults, errors.New("pgdb: MaxConns, GroupSize, GroupHold, Patience and ConnectTimeout must not be negative"))
	}
	if c.MaxConns > 0 && c.MaxConns < minConns {
		faults = append(faults, fmt.Errorf("pgdb: MaxConns %d is too few. Try: at least %d", c.MaxConns, minConns))
	}
	return errors.Join(faults...)
}

const (
	// listening is how many connections are for [DB.Listen]: the engine's, and the live view's.
	listening = 2
	// minConns: a migration holds a lock on one connection and works on another.
	minConns = 3
	// oldestServer is PostgreSQL 13, the first with pg_current_xact_id.
	oldestServer = 130000
)

// DB is an open database. Its methods may be called from any goroutine, but never
// from inside of a function given to [DB.Write] or [DB.Transact].
type DB struct {
	cfg      Config
	pool     *pgxpool.Pool
	where    string // host and name, for errors
	begin    string // a transaction: its number, the server's incarnation, and settings are
	settings string
	// incarnation tells a server from itself after a crash, which starts it anew and
	// forgets its statistics.
	incarnation string
	fsync       bool
	writer      *writer
	// Runs counts the groups of the engine's store in this database; see Stats.
	Runs   groupcommit.Recorder
	close  func()
	closed atomic.Bool

	life       context.Context // ends when Close waits no longer
	background context.Context // ends with Close
	listeners  sync.WaitGroup
}

// Open connects to the database of c, and fails when it cannot be reached, is too
// old, or only repeats another server.
func Open(ctx context.Context, c Config) (*DB, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	pc, err := pgxpool.ParseConfig(c.URL)
	if err != nil {
		return nil, errors.New("pgdb: URL is not a PostgreSQL connection string")
	}
	pc.MaxConns = int32(c.MaxConns + listening) // #nosec G115 -- a number of connections
	// Statements are planned with their parameters each time and have no name on the
	// server, so that a pooler may hand every transaction to another connection.
	pc.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	if pc.ConnConfig.ConnectTimeout == 0 || !strings.Contains(c.URL, "connect_timeout") {
		pc.ConnConfig.ConnectTimeout = c.ConnectTimeout
	}
	if pc.ConnConfig.RuntimeParams["application_name"] == "" {
		pc.ConnConfig.RuntimeParams["application_name"] = c.Application
	}
	db := &DB{cfg: c, where: where(pc.ConnConfig)}
	pc.ShouldPing = db.isSuspect
	pool, err := pgxpool.NewWithConfig(context.WithoutCancel(ctx), pc)
	if err != nil {
		return nil, fmt.Errorf("pgdb: %w", err)
	}
	db.pool = pool
	if err := db.inspect(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	var stop, die context.CancelFunc
	db.life, die = context.WithCancel(context.WithoutCancel(ctx))
	db.background, stop = context.WithCancel(db.life)
	db.writer = startWriter(db)
	db.close = sync.OnceFunc(func() {
		defer time.AfterFunc(closeWithin, die).Stop()
		db.writer.stop()
		db.closed.Store(true)
		stop()
		closed := make(chan struct{})
		go func() { defer close(closed); db.listeners.Wait(); pool.Close() }()
		select {
		case <-closed:
		case <-db.life.Done(): // connections that are silent end with the process
		}
	})
	return db, nil
}

// idleTooLong is after how long a connection is asked whether it still is one.
const idleTooLong = time.Second

// closeWithin is how long Close waits for what was queued, and for connections. A
// commit that is under way has a second more.
const closeWithin = 3 * time.Second

// isSuspect says whether a connection is to be closed. One that has fallen silent is
// seldom alone, so all that are idle go with it.
func (db *DB) isSuspect(ctx context.Context, p pgxpool.ShouldPingParams) bool {
	if p.IdleDuration < idleTooLong {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, db.cfg.Patience/3)
	defer cancel()
	if p.Conn.Ping(ctx) == nil {
		return false
	}
	db.pool.Reset()
	return true // which asks again, and finds it closed
}

// inspect asks the server what promises rest on.
func (db *DB) inspect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, db.cfg.Patience)
	defer cancel()
	var version int
	var standby bool
	var synchronous, fsync, encoding string
	row := db.pool.QueryRow(ctx, `
		SELECT current_setting('server_version_num')::int, pg_is_in_recovery(), current_setting('synchronous_commit'), current_setting('fsync'), current_setting('server_encoding')`)
	if err := row.Scan(&version, &standby, &synchronous, &fsync, &encoding); err != nil {
		return db.unreachable(err)
	}
	switch {
	case version < oldestServer:
		return fmt.Errorf("pgdb: %s is PostgreSQL %d, 13 or newer is needed", db.where, version/10000)
	case standby:
		return fmt.Errorf("pgdb: %s is a standby, which cannot be written to\n  Try: the primary in "+
			"DATABASE_URL, or target_session_attrs=read-write with both hosts", db.where)
	case encoding != "UTF8":
		return fmt.Errorf("%w: %s has %s\n  Try: CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0, and "+
			"restore a dump into it", ErrEncoding, db.where, encoding)
	}
	db.fsync = fsync == "on"
	// A process that was stopped in the middle of a transaction must not keep its
	// locks; the server ends it. Changes find their rows by key, whatever the planner
	// thinks of a small or an unknown table: they are worth neither compiling nor workers.
	db.incarnation = "extract(epoch FROM pg_postmaster_start_time())::text"
	if version >= 150000 { // an older server reads this from a file
		db.incarnation += " || ' ' || coalesce(extract(epoch FROM pg_stat_get_bgwriter_stat_reset_time())::text, '')"
	}
	db.settings = fmt.Sprintf("SELECT pg_current_xact_id()::text, "+db.incarnation+
		", set_config('idle_in_transaction_session_timeout', '%d', true), set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true), set_config('max_parallel_workers_per_gather', '0', true)",
		idleInTransaction.Milliseconds())
	if synchronous == "off" {
		db.settings += ", set_config('synchronous_commit', 'on', true)"
	}
	db.begin = begin + "; " + db.settings
	return nil
}

// begin names its isolation level: a database or a role may have another default.
const begin = "BEGIN ISOLATION LEVEL READ COMMITTED"

// idleInTransaction is how long a process may leave a transaction alone.
const idleInTransaction = 5 * time.Second

// unreachable says what to do about a server that does not answer at start.
func (db *DB) unreachable(err error) error {
	try := "check DATABASE_URL, and that the server runs and lets this machine in"
	var refusal *pgconn.PgError
	if errors.As(err, &refusal) {
		switch refusal.Code {
		case "3D000": // invalid_catalog_name
			try = "createdb, or another name in DATABASE_URL"
		case "28P01", "28000": // invalid_password, invalid_authorization_specification
			try = "another user or password in DATABASE_URL (or DATABASE_URL_FILE)"
		case "53300": // too_many_connections
			try = "fewer servers, a higher max_connections, or a pooler in front of the database"
		}
		return fmt.Errorf("pgdb: %s refuses the connection: %s (SQLSTATE %s)\n  Try: %s", db.where, refusal.Message, refusal.Code, try)
	}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) { // it says where, too, and once for each address and TLS mode
		err = errors.New(strings.Split(connect.Unwrap().Error(), "\n")[0])
	}
	return fmt.Errorf("pgdb: %s cannot be reached: %w\n  Try: %s", db.where, err, try)
}

func where(c *pgx.ConnConfig) string {
	return fmt.Sprintf("the PostgreSQL database %s at %s:%d", c.Database, c.Host, c.Port)
}

// Where names the database for people: its name, host and port.
func (db *DB) Where() string { return db.where }

// Durable says whether the server syncs what it commits (fsync=on): otherwise a
// power cut may lose what was acknowledged.
func (db *DB) Durable() bool { return db.fsync }

// Pool is for what none of the methods does. Its statements end with their context
// alone.
func (db *DB) Pool() *pgxpool.Pool { return db.pool }

// QueryRow runs one statement that answers with one row, pgx.ErrNoRows when there is
// none, and again when it did certainly nothing for a passing cause. A try is given up
// after a third of [Config.Patience].
func (db *DB) QueryRow(ctx context.Context, sql string, args []any, into ...any) error {
	for try := 1; ; try++ {
		err := db.queryRow(ctx, sql, args, into)
		passing := codeOf(err) != "" && IsTransient(err) || pgconn.SafeToRetry(err)
		if !passing || try == 3 || ctx.Err() != nil {
			return err
		}
	}
}

func (db *DB) queryRow(ctx context.Context, sql string, args, into []any) error {
	ctx, cancel := context.WithTimeout(ctx, db.cfg.Patience/3)
	defer cancel()
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	err = conn.QueryRow(ctx, sql, args...).Scan(into...)
	if conn.Conn().IsClosed() {
		db.pool.Reset()
	}
	return err
}

// Query reads rows outside of a transaction: they see every change whose caller has
// returned. Reading them has [Config.Patience].
func (db *DB) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	ctx, cancel := context.WithTimeout(ctx, db.cfg.Patience)
	rows, err := db.pool.Query(ctx, sql, args...)
	if err != nil {
		cancel()
		return nil, err
	}
	return &boundedRows{rows, cancel}, nil
}

// boundedRows end their context when they were read.
type boundedRows struct {
	pgx.Rows
	cancel context.CancelFunc
}

func (r *boundedRows) Next() bool {
	more := r.Rows.Next()
	if !more {
		r.cancel()
	}
	return more
}

func (r *boundedRows) Close() {
	r.Rows.Close()
	r.cancel()
}

// Read reads as of one moment, and again when the connection that it was given is a
// dead one. An attempt is given up after a third of [Config.Patience].
func (db *DB) Read(ctx context.Context, read func(ctx context.Context, tx pgx.Tx) error) error {
	for try := 1; ; try++ {
		lost, err := db.readOnce(ctx, read)
		if err == nil || !lost || try == 3 || ctx.Err() != nil {
			return err
		}
	}
}

func (db *DB) readOnce(ctx context.Context, read func(ctx context.Context, tx pgx.Tx) error) (lost bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, db.cfg.Patience/3)
	defer cancel()
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return IsTransient(err), err
	}
	defer conn.Release()
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err == nil {
		err = read(ctx, tx)
		_ = tx.Rollback(ctx) // it wrote nothing
	}
	if conn.Conn().IsClosed() {
		db.pool.Reset()
		return err != nil, err
	}
	return err != nil && IsTransient(err), err
}

// Close commits what was queued, refuses everything after it with [ErrClosed],
// and closes all connections, once they are given back. A database that does not
// answer is waited for a few seconds.
func (db *DB) Close() { db.close() }

// Closed reports whether Close was called: an error of [DB.Pool] then means
// nothing else.
func (db *DB) Closed() bool { return db.closed.Load() || db.writer.queue.Closed() }
