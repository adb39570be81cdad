// Package sqlitedb opens the one SQLite file of a process: one writing
// connection behind a group commit, a pool of readers, an operating system
// lock on the file, and its migrations. DESIGN.md beside it gives the reasons.
package sqlitedb

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"modernc.org/sqlite"
)

// Synchronous is how much of a commit SQLite forces to the disk before the
// commit is acknowledged.
type Synchronous string

// The two settings that make sense with a write-ahead log.
const (
	// Full syncs every commit: an acknowledged change survives a power cut.
	Full Synchronous = "FULL"
	// Normal syncs checkpoints only: a power cut may lose the last commits, a
	// killed process loses nothing. For tests and benchmarks.
	Normal Synchronous = "NORMAL"
)

// Config says how to open a database. Only Path has no default.
type Config struct {
	// Path is the database file. A missing file is created with mode 0600, a
	// missing directory with 0700. A file that everyone may read is refused, and so
	// are one with several names (hard links), since each name would have a log of
	// its own, ":memory:" and URLs. A symbolic link means the file it leads to.
	Path string
	// Readers is the size of the read pool, default 4.
	Readers int
	// BusyTimeout is how long a statement waits for a lock that another
	// program holds on the file, default 5 s.
	BusyTimeout time.Duration
	// PageSize of a database that Open creates, in bytes, default 16384: a
	// payload of 2 KiB then stays out of overflow pages. An existing file
	// keeps its own.
	PageSize int
	// Synchronous defaults to Full.
	Synchronous Synchronous
	// GroupHold is how long a group of changes may run before it is committed
	// and the rest of the queue waits for the next one, default 10 ms.
	GroupHold time.Duration
	// GroupSize bounds the changes in a group, default 1024.
	GroupSize int
	// CheckpointPages is the size of the write-ahead log, in pages, at which a
	// commit also copies it into the database, default 2000 (32 MiB).
	CheckpointPages int
}

func (c Config) withDefaults() Config {
	c.Readers = cmp.Or(c.Readers, 4)
	c.BusyTimeout = cmp.Or(c.BusyTimeout, 5*time.Second)
	c.PageSize = cmp.Or(c.PageSize, 16384)
	c.Synchronous = cmp.Or(c.Synchronous, Full)
	c.GroupHold = cmp.Or(c.GroupHold, 10*time.Millisecond)
	c.GroupSize = cmp.Or(c.GroupSize, 1024)
	c.CheckpointPages = cmp.Or(c.CheckpointPages, 2000)
	return c
}

// Validate returns every fault of the configuration, joined.
func (c Config) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf("sqlitedb: "+format, args...)) }
	switch {
	case c.Path == "":
		fault("Path is empty")
	case strings.HasPrefix(c.Path, ":memory:"):
		fault("Path %q would keep nothing beyond this process. Try: the path of a file, or the store in memory", c.Path)
	case len(c.Path) >= 5 && strings.EqualFold(c.Path[:5], "file:") || strings.Contains(c.Path, "://"):
		fault("Path %q is a URL. Try: the path alone, without file: and what follows the question mark", c.Path)
	}
	if c.Readers < 0 || c.GroupSize < 0 || c.CheckpointPages < 0 {
		fault("Readers %d, GroupSize %d and CheckpointPages %d must not be negative", c.Readers, c.GroupSize, c.CheckpointPages)
	}
	if c.BusyTimeout < 0 || c.GroupHold < 0 {
		fault("BusyTimeout %v and GroupHold %v must not be negative", c.BusyTimeout, c.GroupHold)
	}
	if p := c.PageSize; p != 0 && (p < 512 || p > 65536 || p&(p-1) != 0) {
		fault("PageSize %d is not a power of two between 512 and 65536", p)
	}
	if s := c.Synchronous; s != "" && s != Full && s != Normal {
		fault("Synchronous %q is neither FULL nor NORMAL", s)
	}
	return errors.Join(faults...)
}

// DB is an open database. All its methods may be called from any goroutine,
// but never from inside a function given to [DB.Write] or [DB.Apply].
type DB struct {
	path    string
	named   string // what Config called it; differs from path when it is a symbolic link
	dsn     string
	lock    *fileLock
	file    *os.File               // the database, held open: its identity cannot be given to another
	beside  map[string]os.FileInfo // what was open under each name after Open
	readers *sql.DB
	writer  *writer
	close   func() error
}

// Open locks and opens the database of c. Whoever opens the file a second time,
// under whatever name, is refused with a [LockedError] that names the holder.
func Open(ctx context.Context, c Config) (*DB, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	reservePages()
	named, path, err := prepareFile(c.Path)
	if err != nil {
		return nil, err
	}
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return nil, err
	}
	db := &DB{path: path, named: named, dsn: dsn(path, c), lock: lock}
	if err := db.own(); err != nil {
		return nil, errors.Join(err, lock.unlock())
	}
	if err := db.open(ctx, c); err != nil {
		return nil, errors.Join(fmt.Errorf("sqlitedb: open %s: %w", path, err), db.disown(), lock.unlock())
	}
	db.close = sync.OnceValue(db.shut)
	return db, nil
}

func (db *DB) open(ctx context.Context, c Config) error {
	raw, err := connect(ctx, db.dsn)
	if err != nil {
		return err
	}
	conn := newConn(raw)
	for _, setting := range []string{"PRAGMA cache_size=-65536", "PRAGMA temp_store=MEMORY"} {
		if err := conn.run(setting); err != nil {
			return errors.Join(err, conn.close())
		}
	}
	if err := cmp.Or(verify(conn, c), db.remember()); err != nil {
		return errors.Join(err, conn.close())
	}
	connector, err := db.connector("&_query_only=1")
	if err != nil {
		return errors.Join(err, conn.close())
	}
	db.readers = sql.OpenDB(connector)
	db.readers.SetMaxOpenConns(c.Readers)
	db.readers.SetMaxIdleConns(c.Readers)
	db.writer = startWriter(conn, c.GroupSize, c.GroupHold)
	return nil
}

// Close commits what was queued, refuses everything after it with
// [ErrClosed], closes the file and gives the lock back. Later calls return the
// result of the first. Reads that are still open on [DB.Reader] must be closed
// before; a read afterwards fails with an error of database/sql.
func (db *DB) Close() error { return db.close() }

func (db *DB) shut() error {
	db.writer.stop()
	err := errors.Join(db.readers.Close(), db.writer.conn.close(), db.disown(), db.lock.unlock())
	if err != nil {
		return fmt.Errorf("sqlitedb: close %s: %w", db.path, err)
	}
	return nil
}

// Closed reports whether Close was called: an error of [DB.Reader] then means
// nothing else.
func (db *DB) Closed() bool { return db.writer.queue.Closed() }

// Checkpoint moves the log into the database file and truncates it, so that no
// older version of a page is left in the log. It waits for readers and the
// writer, for the busy timeout at most; that they keep it from truncating is an
// error.
func (db *DB) Checkpoint(ctx context.Context) error {
	connector, err := db.connector("")
	if err != nil {
		return fmt.Errorf("sqlitedb: checkpoint: %w", err)
	}
	raw, err := connector.Connect(ctx)
	if err != nil {
		return fmt.Errorf("sqlitedb: checkpoint: %w", err)
	}
	conn := newConn(raw)
	var busy, frames, moved int64
	err = conn.queryRow("PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames, &moved)
	if err == nil && busy != 0 {
		err = errBusyLog
	}
	if err = errors.Join(err, conn.close()); err != nil {
		return fmt.Errorf("sqlitedb: checkpoint: %w", err)
	}
	return nil
}

// Path is the absolute path of the database file, symbolic links resolved.
func (db *DB) Path() string { return db.path }

// Reader is the pool of reading connections. They see every change whose
// caller has returned, and refuse to write.
func (db *DB) Reader() *sql.DB { return db.readers }

// dsn carries every setting, so that each connection of a pool has them. The
// driver runs _pragma before _journal_mode, which fixes the page size.
func dsn(path string, c Config) string {
	return fileURL(path, url.Values{
		"_busy_timeout": {strconv.FormatInt(c.BusyTimeout.Milliseconds(), 10)},
		"_foreign_keys": {"1"},
		"_journal_mode": {"WAL"},
		"_synchronous":  {string(c.Synchronous)},
		"_dqs":          {"0"},
		"_pragma": {
			fmt.Sprintf("page_size(%d)", c.PageSize),
			"secure_delete(1)",
			fmt.Sprintf("wal_autocheckpoint(%d)", c.CheckpointPages),
			fmt.Sprintf("journal_size_limit(%d)", 2*c.CheckpointPages*c.PageSize),
			"cell_size_check(1)",
		},
	})
}

func fileURL(path string, q url.Values) string {
	slashed := filepath.ToSlash(path)
	if !strings.HasPrefix(slashed, "/") {
		slashed = "/" + slashed
	}
	return (&url.URL{Scheme: "file", Path: slashed, RawQuery: q.Encode()}).String()
}

// connector opens further connections. Each looks before and after whether the files
// are those that are open: SQLite would make what is missing anew, and it deletes the
// log beside a database that it finds empty.
func (db *DB) connector(params string) (driver.Connector, error) {
	inner, err := sqlite.NewConnector(db.dsn + "&mode=rw" + params)
	return checked{inner, db}, err
}

type checked struct {
	driver.Connector
	db *DB
}

func (c checked) Connect(ctx context.Context) (driver.Conn, error) {
	if err := c.db.Check(); err != nil {
		return nil, err
	}
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.db.Check(); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

func connect(ctx context.Context, dsn string) (driver.Conn, error) {
	connector, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	return connector.Connect(ctx)
}

// verify reads the settings back that a promise rests on, and the schema, so
// that a damaged file is refused at start.
func verify(conn *conn, c Config) error {
	sync := "2"
	if c.Synchronous == Normal {
		sync = "1"
	}
	for _, want := range [][2]string{
		{"synchronous", sync}, {"journal_mode", "wal"}, {"secure_delete", "1"}, {"foreign_keys", "1"},
	} {
		var got string
		if err := conn.queryRow("PRAGMA " + want[0]).Scan(&got); err != nil {
			return fmt.Errorf("read back %s: %w", want[0], err)
		}
		if got != want[1] {
			return fmt.Errorf("the file system does not allow %s=%s: it is %s", want[0], want[1], got)
		}
	}
	var tables int64
	if err := conn.queryRow("SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return fmt.Errorf("read the schema: %w", err)
	}
	return nil
}
