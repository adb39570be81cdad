package sqlite

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"github.com/liwanag/liwanag/internal/migrate"
	"github.com/liwanag/liwanag/internal/sqlitedb"
)

//go:embed migrations/*.sql migrations/wf/*.sql
var migrations embed.FS

const (
	// versionTable accounts for the versions of this store's tables.
	versionTable = "wf_migrations"
	// namelessTable did so before the tables had names of their own; its migrations
	// end where the other's begin.
	namelessTable = "engine_migrations"
	namedAt       = 3
)

// upgrade brings the tables to the newest version.
func upgrade(ctx context.Context, db *sqlitedb.DB) error {
	var nameless bool
	row := db.Reader().QueryRowContext(ctx, "SELECT count(*) > 0 FROM sqlite_schema WHERE name = ?", namelessTable)
	if err := row.Scan(&nameless); err != nil {
		return fmt.Errorf("sqlite: find the version of the tables: %w", err)
	}
	if nameless {
		if err := db.Migrate(ctx, files("migrations"), namelessTable); err != nil {
			return err
		}
	}
	return db.Migrate(ctx, files("migrations/wf"), versionTable)
}

// Pending is the SQL that Open would run on the file at path before it is used, empty
// when its tables are those of this release. Nothing is changed, and another process
// may use the file.
func Pending(ctx context.Context, path string) (script string, err error) {
	versions, err := sqlitedb.Versions(ctx, path, namelessTable, versionTable)
	if err != nil {
		return "", err
	}
	nameless, named := versions[0], versions[1]
	var renames string
	if nameless > 0 {
		if renames, err = migrate.Script(files("migrations"), nameless); err != nil {
			return "", err
		}
		named = max(named, namedAt)
	}
	script, err = migrate.Script(files("migrations/wf"), named)
	return renames + script, err
}

func files(folder string) fs.FS {
	sub, err := fs.Sub(migrations, folder)
	if err != nil {
		panic(err) // the folder's name is no path
	}
	return sub
}
