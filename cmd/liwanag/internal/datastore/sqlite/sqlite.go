// Package sqlite runs package datastore's statements in the SQLite file that the
// engine's store shares. DESIGN.md beside it gives the reasons.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"io/fs"
	"sync"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/internal/migrate"
	"github.com/liwanag/liwanag/internal/sqlitedb"
)

//go:embed migrations/*.sql
var migrations embed.FS

const versionTable = "app_migrations"

// New brings the application's tables in db up to date. The caller closes db,
// when nothing uses the store any more.
func New(ctx context.Context, db *sqlitedb.DB) (*datastore.Store, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(ctx, files, versionTable); err != nil {
		return nil, err
	}
	return datastore.New(&database{db: db}), nil
}

// Pending is the SQL that New would run on the file at path. Nothing is changed.
func Pending(ctx context.Context, path string) (script string, err error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return "", err
	}
	versions, err := sqlitedb.Versions(ctx, path, versionTable)
	if err != nil {
		return "", err
	}
	return migrate.Script(files, versions[0])
}

// dialect is SQLite's: [datastore.Lite] makes its statements.
type dialect struct{}

// IDs are the 16 bytes of each, side by side.
func (dialect) IDs(ids []liwanag.ID) any {
	all := make([]byte, 0, 16*len(ids))
	for _, id := range ids {
		all = append(all, id.Bytes()...)
	}
	return all
}

// Words are a JSON array.
func (dialect) Words(all []string) any {
	b, _ := json.Marshal(all) // texts: it can be encoded
	return string(b)
}

// Fault gives an error of the database its class. Messages of SQLite name
// tables and columns, never values.
func (dialect) Fault(doing string, err error) error {
	var known *liwanag.Error
	switch {
	case errors.As(err, &known):
		return err
	case sqlitedb.IsFull(err):
		return liwanag.Wrap(err, liwanag.DiskFull, liwanag.ErrDiskFull.Code, liwanag.ErrDiskFull.Message)
	case sqlitedb.IsUnique(err):
		return liwanag.Wrap(err, liwanag.Conflict, liwanag.ErrState.Code, "something with this identity exists already")
	}
	return liwanag.Wrap(err, liwanag.Unavailable, liwanag.ErrDatabase.Code,
		"datastore: the database cannot "+doing+", try again later")
}

// database is a [datastore.Database]. It keeps each query text prepared on the
// readers: texts are fixed or built from a few fixed parts, so their number is small.
type database struct {
	dialect
	db         *sqlitedb.DB
	statements sync.Map
}

func (d *database) Query(ctx context.Context, query string, args ...any) (datastore.Rows, error) {
	stmt, err := d.prepare(ctx, datastore.Lite(query))
	if err != nil {
		return nil, err
	}
	return closing(stmt.QueryContext(ctx, args...))
}

func (d *database) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if kept, ok := d.statements.Load(query); ok {
		return kept.(*sql.Stmt), nil
	}
	stmt, err := d.db.Reader().PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	if kept, loaded := d.statements.LoadOrStore(query, stmt); loaded {
		return kept.(*sql.Stmt), stmt.Close()
	}
	return stmt, nil
}

// Write runs fn as a part of the next group commit.
func (d *database) Write(ctx context.Context, fn func(w datastore.Writer) error) error {
	var own error
	err := d.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		own = fn(writer{tx: tx})
		return own
	})
	var panicked *sqlitedb.PanicError
	switch {
	case err == nil, errors.As(err, &panicked):
		return err
	case own != nil && errors.Is(err, own):
		return own
	}
	return d.Fault("write", err)
}

// Scrub truncates the log: what was deleted is overwritten in the file already
// (secure_delete), and lives on in frames of the log until then.
func (d *database) Scrub(ctx context.Context) error {
	if err := d.db.Checkpoint(ctx); err != nil {
		return d.Fault("be scrubbed", err)
	}
	return nil
}

type result interface {
	datastore.Row
	Next() bool
	Err() error
	Close() error
}

// rows are closed without an error: it says nothing that Err did not.
type rows struct{ result }

func (r rows) Close() { _ = r.result.Close() }

func closing(r result, err error) (datastore.Rows, error) {
	if err != nil {
		return nil, err
	}
	return rows{r}, nil
}
