package sqlitedb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/liwanag/liwanag/internal/migrate"
)

// Migrate brings the tables that versionTable accounts for to the newest
// version in migrations, whose *.sql files lie at its root. A new database is
// created; one with an older schema is copied aside first, to
// PATH.before-TABLE-VERSION with the version it is migrated to; one with a
// newer schema is refused with [ErrSchemaNewer] and left as it is. Call it
// after Open, before the first change.
func (db *DB) Migrate(ctx context.Context, migrations fs.FS, versionTable string) (err error) {
	connector, err := db.connector("&_txlock=immediate")
	if err != nil {
		return fmt.Errorf("sqlitedb: migrate %s: %w", db.path, err)
	}
	handle := sql.OpenDB(connector)
	handle.SetMaxOpenConns(1)
	defer func() { err = errors.Join(err, handle.Close()) }()

	steps, err := migrate.Read(migrations)
	if err != nil {
		return fmt.Errorf("sqlitedb: migrate %s: %w", db.path, err)
	}
	current, err := versionOf(ctx, handle, versionTable)
	if err != nil {
		return fmt.Errorf("sqlitedb: read the schema version of %s: %w", db.path, err)
	}
	target := migrate.Newest(steps)
	switch {
	case current == target:
		return nil
	case current > target:
		return fmt.Errorf("%w: %s has version %d in %s, this program knows %d. Try: the newer release, or the copy that it put aside",
			ErrSchemaNewer, db.path, current, versionTable, target)
	case current > 0:
		if err := copyAside(ctx, handle, fmt.Sprintf("%s.before-%s-%d", db.path, versionTable, target)); err != nil {
			return fmt.Errorf("sqlitedb: copy %s aside before its migration: %w", db.path, err)
		}
	}
	for _, step := range migrate.After(steps, current) {
		if err := apply(ctx, handle, versionTable, step); err != nil {
			return fmt.Errorf("sqlitedb: migrate %s from version %d to %d: %s: %w", db.path, current, target, step.Name, err)
		}
	}
	return nil
}

// apply takes one step and accounts for it, in one transaction.
func apply(ctx context.Context, handle *sql.DB, versionTable string, step migrate.Step) (err error) {
	tx, err := handle.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tx.Rollback())
		}
	}()
	for _, statements := range []string{
		"CREATE TABLE IF NOT EXISTS " + versionTable + versionColumns,
		step.SQL,
		fmt.Sprintf("INSERT INTO %s (version_id, is_applied) VALUES (%d, 1)", versionTable, step.Version),
	} {
		if _, err := tx.ExecContext(ctx, statements); err != nil {
			return err
		}
	}
	return tx.Commit()
}

const versionColumns = ` (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	version_id INTEGER NOT NULL,
	is_applied INTEGER NOT NULL,
	tstamp     TIMESTAMP DEFAULT (datetime('now'))
)`

// versionOf is the version that a table accounts for, 0 when there is no such table.
func versionOf(ctx context.Context, handle *sql.DB, versionTable string) (version int64, err error) {
	var there bool
	row := handle.QueryRowContext(ctx, "SELECT count(*) > 0 FROM sqlite_schema WHERE name = ?", versionTable)
	if err := row.Scan(&there); err != nil || !there {
		return 0, err
	}
	err = handle.QueryRowContext(ctx, "SELECT coalesce(max(version_id), 0) FROM "+versionTable).Scan(&version)
	return version, err
}

// Versions are the versions that version tables have in the file at path, 0 where
// there is none. The file is only read, whoever else uses it.
func Versions(ctx context.Context, path string, versionTables ...string) (versions []int64, err error) {
	versions = make([]int64, len(versionTables))
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return versions, nil
	}
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("sqlitedb: %w", err)
	}
	handle, err := sql.Open("sqlite", fileURL(path, url.Values{"mode": {"ro"}}))
	if err != nil {
		return nil, fmt.Errorf("sqlitedb: read %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, handle.Close()) }()
	for i, table := range versionTables {
		if versions[i], err = versionOf(ctx, handle, table); err != nil {
			return nil, fmt.Errorf("sqlitedb: read the schema version of %s: %w", path, err)
		}
	}
	return versions, nil
}

// copyAside copies the database. An earlier copy of this name stays: after a
// migration that stopped half-way it is the better one.
func copyAside(ctx context.Context, handle *sql.DB, path string) error {
	if err := copyTo(ctx, handle, path); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0) // #nosec G304 -- the database that the operator names
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// syncDir makes a rename durable; where a directory cannot be opened or synced
// the rename is durable with the next journal write of the file system.
func syncDir(path string) error {
	d, err := os.Open(path) // #nosec G304 -- the database that the operator names
	if err != nil {
		return nil
	}
	_ = d.Sync()
	return d.Close()
}
