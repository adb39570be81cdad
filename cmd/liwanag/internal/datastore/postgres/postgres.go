// Package postgres runs package datastore's statements in a PostgreSQL database
// that any number of nodes share. DESIGN.md beside it gives the reasons.
package postgres

import (
	"context"
	"embed"
	"errors"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/internal/migrate"
	"github.com/liwanag/liwanag/internal/pgdb"
)

//go:embed migrations/*.sql
var migrations embed.FS

const versionTable = "app_migrations"

// New creates the application's tables in an empty database. One whose schema
// is older or newer than this program's is refused with pgdb's sentinels: an
// older one waits for [Migrate]. The caller closes db, when nothing uses the
// store any more.
func New(ctx context.Context, db *pgdb.DB) (*datastore.Store, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(ctx, files, versionTable); err != nil {
		return nil, err
	}
	return datastore.New(&database{db: db, pool: db}), nil
}

// Migrate brings the application's tables up to date. Nodes of an older release
// must not run meanwhile.
func Migrate(ctx context.Context, db *pgdb.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	return db.MigrateUp(ctx, files, versionTable)
}

// Pending is the SQL that Migrate would run. Nothing is changed.
func Pending(ctx context.Context, db *pgdb.DB) (script string, err error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return "", err
	}
	version, err := db.In("").Version(ctx, versionTable)
	if err != nil {
		return "", dialect{}.Fault("tell the version of its tables", err)
	}
	return migrate.Script(files, version)
}

// Steps are those by which the tables came to be, in order.
func Steps() ([]migrate.Step, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return migrate.Read(files)
}

// VersionTable accounts for the steps that were taken.
const VersionTable = versionTable

// dialect is PostgreSQL's, in whose words the statements are written.
type dialect struct{}

func (dialect) IDs(ids []liwanag.ID) any { return uuids(ids) }
func (dialect) Words(all []string) any   { return texts(all, true) }

// Fault gives an error of the database its class. Its text names tables and
// indexes; the server's detail, which holds values, is not part of it.
func (dialect) Fault(doing string, err error) error {
	var known *liwanag.Error
	switch {
	case errors.As(err, &known):
		return err
	case pgdb.IsFull(err):
		return liwanag.Wrap(err, liwanag.DiskFull, liwanag.ErrDiskFull.Code, liwanag.ErrDiskFull.Message)
	case pgdb.IsUnique(err):
		return liwanag.Wrap(err, liwanag.Conflict, liwanag.ErrState.Code, "something with this identity exists already")
	}
	return liwanag.Wrap(err, liwanag.Unavailable, liwanag.ErrDatabase.Code,
		"datastore: the database cannot "+doing+", try again later")
}

// database is a [datastore.Database].
type database struct {
	dialect
	db   *pgdb.DB
	pool interface {
		Query(ctx context.Context, query string, args ...any) (pgx.Rows, error)
	}
}

func (d *database) Query(ctx context.Context, query string, args ...any) (datastore.Rows, error) {
	return d.pool.Query(ctx, query, storable(args)...)
}

// Write runs fn as a part of the next group commit.
func (d *database) Write(ctx context.Context, fn func(w datastore.Writer) error) error {
	var own error
	err := d.db.Write(ctx, func(tx *pgdb.Tx) error {
		own = fn(writer{tx: tx})
		return own
	})
	var panicked *pgdb.PanicError
	switch {
	case err == nil, errors.As(err, &panicked):
		return err
	case own != nil && errors.Is(err, own):
		return own
	}
	return d.Fault("write", err)
}

// Scrub takes dead rows out of the tables that hold what was erased. The server's
// log of changes and its backups keep them until they are recycled.
func (d *database) Scrub(ctx context.Context) error {
	for _, table := range []string{"subscriber", "subscriber_word", "profile", "delivery", "receipt", "upload_chunk", "upload_error"} {
		if _, err := d.db.Pool().Exec(ctx, "VACUUM "+table); err != nil {
			return d.Fault("be scrubbed", err)
		}
	}
	return nil
}

// storable makes every text argument one that PostgreSQL takes: it refuses NUL
// and what is not UTF-8, which may reach us in a name, a file name or a body of
// the partner. Both become U+FFFD, in what is written and in what is looked up,
// so that a row is found by the text it was stored with.
func storable(args []any) []any {
	for i, arg := range args {
		switch v := arg.(type) {
		case string:
			args[i] = datastore.Clean(v)
		case pgtype.FlatArray[pgtype.Text]:
			for i, s := range v {
				v[i].String = datastore.Clean(s.String)
			}
		}
	}
	return args
}
