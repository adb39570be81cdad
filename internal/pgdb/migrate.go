package pgdb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

// Migrate sees to it that the tables that versionTable accounts for have the
// newest version in migrations, whose *.sql files lie at its root. In an empty
// database they are created; an older schema is refused with [ErrSchemaOlder],
// since other nodes may still use it, a newer one with [ErrSchemaNewer]. Nodes
// that start at the same time wait for each other.
func (db *DB) Migrate(ctx context.Context, migrations fs.FS, versionTable string) error {
	return db.migrate(ctx, migrations, versionTable, false)
}

// MigrateUp is [DB.Migrate] that brings an older schema up to date.
func (db *DB) MigrateUp(ctx context.Context, migrations fs.FS, versionTable string) error {
	return db.migrate(ctx, migrations, versionTable, true)
}

// lockMigrations is held by the one process that migrates, for as long as the
// transaction that took it stays open.
const lockMigrations = "SELECT pg_advisory_xact_lock(x'6d696772617465'::bigint)" // "migrate"

func (db *DB) migrate(ctx context.Context, migrations fs.FS, versionTable string, upgrade bool) (err error) {
	lock, err := db.pool.Begin(ctx)
	if err != nil {
		return db.unreachable(err)
	}
	defer func() { err = errors.Join(err, lock.Rollback(context.WithoutCancel(ctx))) }()
	if _, err := lock.Exec(ctx, lockMigrations); err != nil {
		return fmt.Errorf("pgdb: migrate %s: %w", db.where, err)
	}
	handle := stdlib.OpenDBFromPool(db.pool)
	defer func() { err = errors.Join(err, handle.Close()) }()
	provider, err := goose.NewProvider(goose.DialectPostgres, handle, migrations,
		goose.WithTableName(versionTable), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("pgdb: migrate %s: %w", db.where, err)
	}
	current, target, err := provider.GetVersions(ctx)
	switch {
	case err != nil:
		return db.cannotMigrate("the schema's version cannot be read", err)
	case current == target:
		return nil
	case current > target:
		return fmt.Errorf("%w: %s has version %d in %s, this program knows %d\n  Try: the newer release",
			ErrSchemaNewer, db.where, current, versionTable, target)
	case current > 0 && !upgrade:
		return fmt.Errorf("%w: %s has version %d in %s, this program needs %d\n  Try: liwanag migrate",
			ErrSchemaOlder, db.where, current, versionTable, target)
	}
	if _, err := provider.Up(ctx); err != nil {
		return db.cannotMigrate(fmt.Sprintf("the schema cannot be brought from version %d to %d", current, target), err)
	}
	return nil
}

func (db *DB) cannotMigrate(what string, err error) error {
	try := ""
	if codeOf(err) == pgerrcode.InsufficientPrivilege {
		try = "\n  Try: GRANT CREATE ON SCHEMA public TO the user of DATABASE_URL, or liwanag migrate as the database's owner"
	}
	return fmt.Errorf("pgdb: %s: %s: %w%s", db.where, what, err, try)
}
