package app

import (
	"context"
	"errors"
	"log/slog"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/config"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/postgres"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/sqlite"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/keep"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/why"
	"github.com/liwanag/liwanag/engine/schedule"
	"github.com/liwanag/liwanag/engine/store"
	enginepostgres "github.com/liwanag/liwanag/engine/store/postgres"
	enginesqlite "github.com/liwanag/liwanag/engine/store/sqlite"
	"github.com/liwanag/liwanag/internal/groupcommit"
	"github.com/liwanag/liwanag/internal/opened"
	"github.com/liwanag/liwanag/internal/pgdb"
	"github.com/liwanag/liwanag/internal/sqlitedb"
)

// storage is the one database of a server: the application's rows, and the
// engine's beside them.
type storage struct {
	rows     *datastore.Store
	raw      keep.Database
	runs     func(ctx context.Context) (runStore, error) // the engine's store in it
	where    string                                      // for people
	warnings []string
	full     func(error) bool // finds a full disk in an error of it
	// tell and hear exchange messages of a channel with the other processes on the
	// database; nil where there are none.
	tell    func(ctx context.Context, channel, payload string) error
	hear    func(ctx context.Context, channel string, heard func(payload string, missed bool))
	trouble func(ctx context.Context) why.Trouble // what keeps it from being written
	check   func() error                          // says that the database is not where it was; nil: it cannot be lost so
	size    func(ctx context.Context) (bytes int64, err error)
	commits map[string]*groupcommit.Recorder // by writer
	close   func() error
}

// runStore is an engine's store; closing it leaves the database open.
type runStore interface {
	store.Store
	Ledger() schedule.Ledger
	Close() error
}

// openStorage opens the database that a URL names and brings it into shape: an
// empty one gets its tables, an older one on SQLite is migrated.
func openStorage(ctx context.Context, d config.Database) (*storage, error) {
	if path, ok := d.SQLitePath(); ok {
		return openSQLite(ctx, path)
	}
	return openPostgreSQL(ctx, d.DatabaseURL)
}

func openSQLite(ctx context.Context, path string) (*storage, error) {
	if err := keep.Unfinished(path); err != nil {
		return nil, err
	}
	db, err := sqlitedb.Open(ctx, sqlitedb.Config{Path: path})
	if err != nil {
		return nil, err
	}
	rows, err := sqlite.New(ctx, db)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &storage{
		rows: rows, raw: keep.Database{SQLite: db}, where: db.Path(), full: sqlitedb.IsFull, close: db.Close, check: db.Check, size: db.Size,
		commits: map[string]*groupcommit.Recorder{"all": db.Groups()},
		trouble: troubleOf(rows, readOnlySQLite),
		runs:    func(ctx context.Context) (runStore, error) { return enginesqlite.Open(opened.With(ctx, db), path) },
	}, nil
}

func openPostgreSQL(ctx context.Context, url string) (*storage, error) {
	db, err := pgdb.Open(ctx, pgdb.Config{URL: url})
	if err != nil {
		return nil, err
	}
	rows, err := postgres.New(ctx, db)
	if err != nil {
		db.Close()
		return nil, err
	}
	s := &storage{
		rows: rows, raw: keep.Database{PostgreSQL: db}, where: db.Where(), full: pgdb.IsFull,
		close: func() error { db.Close(); return nil }, size: db.Size,
		commits: map[string]*groupcommit.Recorder{"application": db.Groups(), "engine": &db.Runs},
		runs:    func(ctx context.Context) (runStore, error) { return enginepostgres.Open(opened.With(ctx, db), url) },
	}
	s.hear, s.trouble = db.Listen, troubleOf(rows, readOnlyPostgreSQL(db))
	s.tell = func(ctx context.Context, channel, payload string) error {
		_, err := db.Pool().Exec(ctx, "SELECT pg_notify($1, $2)", channel, payload)
		return err
	}
	if !db.Durable() {
		s.warnings = append(s.warnings,
			"the database server does not sync what it commits (fsync is off): a power cut may lose what was "+
				"acknowledged. Try: fsync = on in postgresql.conf")
	}
	return s, nil
}

// Migrate creates the database or brings its schema up to date, and returns where
// it is.
func Migrate(ctx context.Context, d config.Database) (where string, err error) {
	if err := d.Validate(); err != nil {
		return "", &UsageError{err}
	}
	if _, ok := d.SQLitePath(); !ok {
		return migratePostgreSQL(ctx, d.DatabaseURL)
	}
	s, err := openStorage(ctx, d) // which migrates
	if err != nil {
		return "", err
	}
	if err = enrichment.BringUp(ctx, s.rows, slog.New(slog.DiscardHandler)); err == nil {
		_, err = s.runs(ctx)
	}
	return s.where, errors.Join(err, s.close())
}

func migratePostgreSQL(ctx context.Context, url string) (where string, err error) {
	db, err := pgdb.Open(ctx, pgdb.Config{URL: url})
	if err != nil {
		return "", err
	}
	defer db.Close()
	if err := postgres.Migrate(ctx, db); err != nil {
		return "", err
	}
	rows, err := postgres.New(ctx, db)
	if err != nil {
		return "", err
	}
	if err := enrichment.BringUp(ctx, rows, slog.New(slog.DiscardHandler)); err != nil {
		return "", err
	}
	return db.Where(), enginepostgres.Migrate(ctx, url)
}

// Pending is the SQL that Migrate would run, empty when the schema is up to date.
// Nothing is changed.
func Pending(ctx context.Context, d config.Database) (script string, err error) {
	if err := d.Validate(); err != nil {
		return "", &UsageError{err}
	}
	var rows, runs string
	if path, ok := d.SQLitePath(); ok {
		if rows, err = sqlite.Pending(ctx, path); err == nil {
			runs, err = enginesqlite.Pending(ctx, path)
		}
		return rows + runs, err
	}
	db, err := pgdb.Open(ctx, pgdb.Config{URL: d.DatabaseURL})
	if err != nil {
		return "", err
	}
	defer db.Close()
	if rows, err = postgres.Pending(ctx, db); err == nil {
		runs, err = enginepostgres.Config{URL: d.DatabaseURL}.Pending(ctx)
	}
	return rows + runs, err
}
