package pgdb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"

	"github.com/liwanag/liwanag/internal/migrate"
)

// Schema is a schema of a database, in which migrations make their tables.
type Schema struct {
	db   *DB
	name string // empty: the first of search_path
}

// In is the schema of a name; it is made by the first migration when it is missing.
func (db *DB) In(schema string) Schema { return Schema{db, schema} }

// Migrate sees to it that the tables that versionTable accounts for have the
// newest version in migrations, whose *.sql files lie at its root. In an empty
// database they are created; an older schema is refused with [ErrSchemaOlder],
// since other nodes may still use it, a newer one with [ErrSchemaNewer]. Nodes
// that start at the same time wait for each other.
func (db *DB) Migrate(ctx context.Context, migrations fs.FS, versionTable string) error {
	return db.In("").Migrate(ctx, migrations, versionTable)
}

// MigrateUp is [DB.Migrate] that brings an older schema up to date.
func (db *DB) MigrateUp(ctx context.Context, migrations fs.FS, versionTable string) error {
	return db.In("").MigrateUp(ctx, migrations, versionTable)
}

// Migrate is [DB.Migrate] in this schema.
func (s Schema) Migrate(ctx context.Context, migrations fs.FS, versionTable string) error {
	return s.migrate(ctx, migrations, versionTable, false)
}

// MigrateUp is [DB.MigrateUp] in this schema.
func (s Schema) MigrateUp(ctx context.Context, migrations fs.FS, versionTable string) error {
	return s.migrate(ctx, migrations, versionTable, true)
}

// Version is the version that versionTable has, 0 when there is no such table.
func (s Schema) Version(ctx context.Context, versionTable string) (version int64, err error) {
	there, err := s.Has(ctx, versionTable)
	if err != nil || !there {
		return 0, err
	}
	err = s.db.pool.QueryRow(ctx, "SELECT coalesce(max(version_id), 0) FROM "+s.qualified(versionTable)).Scan(&version)
	return version, err
}

// Has says whether the schema has a table.
func (s Schema) Has(ctx context.Context, table string) (there bool, err error) {
	err = s.db.pool.QueryRow(ctx, "SELECT to_regclass($1::text) IS NOT NULL", s.qualified(table)).Scan(&there)
	return there, err
}

func (s Schema) qualified(table string) string {
	if s.name == "" {
		return pgx.Identifier{table}.Sanitize()
	}
	return pgx.Identifier{s.name, table}.Sanitize()
}

// lockMigrations is held by the one process that migrates, for as long as the
// transaction that took it stays open.
const lockMigrations = "SELECT pg_advisory_xact_lock(x'6d696772617465'::bigint)" // "migrate"

func (s Schema) migrate(ctx context.Context, migrations fs.FS, versionTable string, upgrade bool) (err error) {
	db := s.db
	lock, err := db.pool.Begin(ctx)
	if err != nil {
		return db.unreachable(err)
	}
	defer func() { err = errors.Join(err, lock.Rollback(context.WithoutCancel(ctx))) }()
	if _, err := lock.Exec(ctx, lockMigrations); err != nil {
		return fmt.Errorf("pgdb: migrate %s: %w", db.where, err)
	}
	if err := s.create(ctx); err != nil {
		return fmt.Errorf("pgdb: %s: the schema %s cannot be created: %w\n  Try: CREATE SCHEMA %s "+
			"AUTHORIZATION the user of the URL, as the database's owner",
			db.where, s.name, err, pgx.Identifier{s.name}.Sanitize())
	}
	steps, err := migrate.Read(migrations)
	if err != nil {
		return fmt.Errorf("pgdb: migrate %s: %w", db.where, err)
	}
	target := migrate.Newest(steps)
	current, err := s.Version(ctx, versionTable)
	switch {
	case err != nil:
		return s.cannotMigrate("the schema's version cannot be read", err)
	case current == target:
		return nil
	case current > target:
		return fmt.Errorf("%w: %s has version %d in %s, this program knows %d\n  Try: the newer release",
			ErrSchemaNewer, db.where, current, versionTable, target)
	case current > 0 && !upgrade:
		return fmt.Errorf("%w: %s has version %d in %s, this program needs %d\n  Try: liwanag migrate",
			ErrSchemaOlder, db.where, current, versionTable, target)
	}
	for _, step := range migrate.After(steps, current) {
		if err := s.apply(ctx, versionTable, step); err != nil {
			what := fmt.Sprintf("the schema cannot be brought from version %d to %d: %s", current, target, step.Name)
			return s.cannotMigrate(what, err)
		}
	}
	return nil
}

// create makes the schema. One that is there may belong to somebody who lets this
// user make tables in it, and no schemas.
func (s Schema) create(ctx context.Context) error {
	var there bool
	err := s.db.pool.QueryRow(ctx, "SELECT $1 = '' OR EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)", s.name).Scan(&there)
	if err == nil && !there {
		_, err = s.db.pool.Exec(ctx, "CREATE SCHEMA "+pgx.Identifier{s.name}.Sanitize())
	}
	return err
}

// apply takes one step. All that want a table queue behind a statement that waits for a
// lock on it, so none waits for long: the step lets them pass and begins anew.
func (s Schema) apply(ctx context.Context, versionTable string, step migrate.Step) error {
	for began := time.Now(); ; {
		err := s.applyOnce(ctx, versionTable, step)
		if codeOf(err) != pgerrcode.LockNotAvailable || time.Since(began) > lockPatience {
			return err
		}
		select {
		case <-time.After(lockWait):
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		}
	}
}

const (
	lockWait     = time.Second     // of a statement, and between two tries
	lockPatience = 2 * time.Minute // how long a step is tried
)

// applyOnce takes a step and accounts for it, in one transaction whose search_path is the
// schema.
func (s Schema) applyOnce(ctx context.Context, versionTable string, step migrate.Step) error {
	table := s.qualified(versionTable)
	script := []string{
		fmt.Sprintf("SET LOCAL lock_timeout = %d", lockWait.Milliseconds()),
		"CREATE TABLE IF NOT EXISTS " + table + versionColumns,
		step.SQL,
		fmt.Sprintf("INSERT INTO %s (version_id, is_applied) VALUES (%d, true)", table, step.Version),
	}
	if s.name != "" {
		script = slices.Insert(script, 0, "SET LOCAL search_path = "+pgx.Identifier{s.name}.Sanitize())
	}
	return pgx.BeginFunc(ctx, s.db.pool, func(tx pgx.Tx) error {
		for _, statements := range script {
			if _, err := tx.Exec(ctx, statements); err != nil {
				return err
			}
		}
		return nil
	})
}

// Alone lets no process migrate until a transaction ends.
func Alone(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, lockMigrations); err != nil {
		return fmt.Errorf("pgdb: wait for migrations: %w", err)
	}
	return nil
}

// VersionTable is the statement that makes a version table, unless it is there.
func VersionTable(name string) string {
	return "CREATE TABLE IF NOT EXISTS " + pgx.Identifier{name}.Sanitize() + versionColumns
}

const versionColumns = ` (
	id         integer   PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY,
	version_id bigint    NOT NULL,
	is_applied boolean   NOT NULL,
	tstamp     timestamp NOT NULL DEFAULT now()
)`

func (s Schema) cannotMigrate(what string, err error) error {
	try := ""
	switch codeOf(err) {
	case pgerrcode.LockNotAvailable:
		try = "\n  Try: again, when nothing holds the table any more: SELECT pid, state, query FROM pg_stat_activity " +
			"WHERE state <> 'idle'"
	case pgerrcode.InsufficientPrivilege:
		try = "\n  Try: GRANT CREATE ON SCHEMA " + cmp.Or(s.name, "public") +
			" TO the user of DATABASE_URL, or liwanag migrate as the database's owner"
	}
	return fmt.Errorf("pgdb: %s: %s: %w%s", s.db.where, what, err, try)
}
