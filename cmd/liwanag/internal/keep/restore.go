package keep

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/sqlite"
	"github.com/liwanag/liwanag/internal/migrate"
	"github.com/liwanag/liwanag/internal/pgdb"
	"github.com/liwanag/liwanag/internal/sqlitedb"
)

// Unfinished is an error when a restore into the file at path was begun and did not
// end: what lies there is of before, of the backup, or nothing at all.
func Unfinished(path string) error {
	if _, err := os.Stat(path + underWay); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("a restore into %s was begun and did not end\n  Try: the same liwanag restore again", path)
}

const (
	prepared = ".restoring"         // the backup, while it is made ready
	underWay = ".restore-under-way" // from the first file that is moved until the last
)

// RestoreSQLite puts a backup in the place of the database at path, which no process
// may have open, and returns where the one before lies now; empty: there was none.
// held is written into the backup before it takes the place, so that nothing is ever
// there that was restored and does not say so.
func RestoreSQLite(ctx context.Context, backup, path string, held func(*datastore.Tx) error) (aside string, err error) {
	if err := refuseDump(backup); err != nil {
		return "", err
	}
	if _, err := os.Stat(backup + "-wal"); err == nil {
		return "", fmt.Errorf("%s has a log beside it, %[1]s-wal: it is a database in use, or a copy of one\n"+
			"  Try: a file that liwanag backup made", backup)
	}
	if err := sqlitedb.Sound(ctx, backup); err != nil {
		return "", fmt.Errorf("%w\n  Try: another backup", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("keep: %w", err)
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	unlock, err := sqlitedb.Lock(path)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if err := prepare(ctx, backup, path+prepared, held); err != nil {
		return "", err
	}
	if err := touch(path + underWay); err != nil {
		return "", err
	}
	now := time.Now().UTC().Format("20060102T150405.000000000Z")
	for _, part := range []string{"-wal", "-shm", ""} { // the database last: its log belongs to it
		err := os.Rename(path+part, path+".before-restore-"+now+part)
		switch {
		case err == nil && part == "":
			aside = path + ".before-restore-" + now
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return aside, fmt.Errorf("keep: %w", err)
		}
	}
	if err := os.Rename(path+prepared, path); err != nil {
		return aside, fmt.Errorf("keep: %w", err)
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return aside, fmt.Errorf("keep: %w", err)
	}
	if err := os.Remove(path + underWay); err != nil {
		return aside, fmt.Errorf("keep: %w", err)
	}
	return aside, syncDir(filepath.Dir(path))
}

// prepare copies a backup, brings its tables up to date and marks it.
func prepare(ctx context.Context, backup, to string, held func(*datastore.Tx) error) (err error) {
	left, err := filepath.Glob(to + "*")
	if err != nil {
		return fmt.Errorf("keep: %w", err)
	}
	for _, file := range left {
		if err := os.Remove(file); err != nil {
			return fmt.Errorf("keep: %w", err)
		}
	}
	if err := copyFile(backup, to); err != nil {
		return err
	}
	db, err := sqlitedb.Open(ctx, sqlitedb.Config{Path: to})
	if err != nil {
		return err
	}
	rows, err := sqlite.New(ctx, db)
	if err == nil {
		err = rows.Write(ctx, held)
	}
	if err == nil {
		err = db.Checkpoint(ctx)
	}
	if err = errors.Join(err, db.Close()); err != nil {
		return err
	}
	left, err = filepath.Glob(to + ".*")
	for _, file := range left { // its lock, and the copy that a migration put aside: the backup is there
		err = errors.Join(err, os.Remove(file))
	}
	return err
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from) // #nosec G304 -- the file that the operator names
	if err != nil {
		return fmt.Errorf("keep: %w", err)
	}
	defer in.Close()
	// #nosec G304 -- the file that the operator names
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("keep: %w", err)
	}
	_, err = io.Copy(out, in)
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("keep: copy %s: %w", from, err)
	}
	return nil
}

func touch(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600) // #nosec G304 -- the file that the operator names
	if err == nil {
		err = errors.Join(f.Sync(), f.Close())
	}
	if err != nil {
		return fmt.Errorf("keep: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

// refuseDump tells a backup of PostgreSQL from one of SQLite.
func refuseDump(path string) error {
	file, err := os.Open(path) // #nosec G304 -- the file that the operator names
	if err != nil {
		return fmt.Errorf("keep: %w", err)
	}
	defer file.Close()
	if _, err := pgdb.ReadDump(file); err == nil {
		return fmt.Errorf("%s is a backup of a PostgreSQL database\n  Try: DATABASE_URL=postgres://USER@HOST/NAME", path)
	}
	return nil
}

// RestorePostgreSQL puts the rows of a backup in the place of our own tables, in one
// transaction, and holds spending in it. Nothing of another program is touched.
func RestorePostgreSQL(ctx context.Context, path, url, note string) (err error) {
	file, err := os.Open(path) // #nosec G304 -- the file that the operator names
	if err != nil {
		return fmt.Errorf("keep: %w", err)
	}
	defer file.Close()
	if _, err := pgdb.CheckDump(file); err != nil {
		return fmt.Errorf("%s: %w\n  Try: another backup; one of SQLite needs DATABASE_URL=sqlite:PATH", path, err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("keep: %w", err)
	}
	dump, err := pgdb.ReadDump(file)
	if err != nil {
		return err
	}
	db, err := pgdb.Open(ctx, pgdb.Config{URL: url, Application: alone})
	if err != nil {
		return err
	}
	defer db.Close()
	if err := refuseBusy(ctx, db); err != nil {
		return err
	}
	schemas, err := Database{PostgreSQL: db}.schemas(ctx)
	if err != nil {
		return err
	}
	for _, s := range schemas {
		if have, can := dump.Versions[s.versions], migrate.Newest(s.steps); have > can {
			return fmt.Errorf("%w: the backup has version %d in %s, this program knows %d\n  Try: the newer release",
				pgdb.ErrSchemaNewer, have, s.versions, can)
		}
	}
	conn, err := db.Pool().Acquire(ctx)
	if err != nil {
		return fmt.Errorf("keep: %w", err)
	}
	defer conn.Release()
	return pgx.BeginFunc(ctx, conn.Conn(), func(tx pgx.Tx) error {
		for _, s := range schemas {
			if _, err := s.ours(ctx, tx, db); err != nil {
				return err
			}
		}
		return refill(ctx, tx, dump, schemas, note)
	})
}

// alone is what the connections of who may be the only one call themselves.
const alone = "liwanag alone"

// refuseBusy refuses a database that a server uses: by its connections, and by a lease
// that has not ended.
func refuseBusy(ctx context.Context, db *pgdb.DB) error {
	others, err := db.Others(ctx, "liwanag")
	if err != nil {
		return fmt.Errorf("keep: %w", err)
	}
	leases := 0
	if there, err := db.In("").Has(ctx, "wf_node"); err == nil && there {
		if err := db.QueryRow(ctx, "SELECT count(*) FROM wf_node WHERE expires > now()", nil, &leases); err != nil {
			return fmt.Errorf("keep: %w", err)
		}
	}
	if others+leases > 0 {
		return fmt.Errorf("a server uses %s: %d connections, %d nodes\n"+
			"  Try: stop it first; one that was killed counts for its lease, 15 seconds", db.Where(), others, leases)
	}
	return nil
}

// refill makes our tables anew as they were, fills them, and brings them up to date.
func refill(ctx context.Context, tx pgx.Tx, dump *pgdb.DumpReader, schemas []schema, note string) error {
	in := map[string]string{}
	for _, s := range schemas {
		if err := s.clear(ctx, tx); err != nil {
			return err
		}
		if err := s.advance(ctx, tx, 0, dump.Versions[s.versions]); err != nil {
			return err
		}
		for _, name := range s.names {
			in[name] = s.name
		}
	}
	if err := pgdb.Fill(ctx, tx, dump, func(table string) string { return in[table] }); err != nil {
		return err
	}
	for _, s := range schemas {
		if err := s.advance(ctx, tx, dump.Versions[s.versions], migrate.Newest(s.steps)); err != nil {
			return err
		}
	}
	rows := pgx.Identifier{schemas[0].name}.Sanitize()
	if _, err := tx.Exec(ctx, "UPDATE "+rows+".spending SET held_at = $1, held_note = $2 WHERE held_at IS NULL",
		time.Now().UnixMicro(), note); err != nil {
		return fmt.Errorf("keep: hold spending: %w", err)
	}
	if _, err := tx.Exec(ctx, "UPDATE "+rows+".instance SET restored = true, moved_to = NULL"); err != nil {
		return fmt.Errorf("keep: mark the database as restored: %w", err)
	}
	return nil
}

// ours lists our tables that are there; those of another program that have names of ours
// are refused.
func (s schema) ours(ctx context.Context, tx pgx.Tx, db *pgdb.DB) ([]pgdb.Table, error) {
	tables, err := s.in.TablesIn(ctx, tx, s.names)
	if err != nil || slices.ContainsFunc(tables, func(t pgdb.Table) bool { return t.Name == s.versions }) {
		return tables, err
	}
	for _, table := range tables {
		return nil, fmt.Errorf("%s has a table %s that is not ours\n  Try: an empty database", db.Where(), table.Name)
	}
	return nil, nil
}

// clear drops what our migrations made.
func (s schema) clear(ctx context.Context, tx pgx.Tx) error {
	for _, name := range s.names {
		if _, err := tx.Exec(ctx, "DROP TABLE IF EXISTS "+pgx.Identifier{s.name, name}.Sanitize()+" CASCADE"); err != nil {
			return fmt.Errorf("keep: drop %s: %w", name, err)
		}
	}
	for _, name := range s.functions {
		if _, err := tx.Exec(ctx, "DROP FUNCTION IF EXISTS "+pgx.Identifier{s.name, name}.Sanitize()+" CASCADE"); err != nil {
			return fmt.Errorf("keep: drop %s: %w", name, err)
		}
	}
	return nil
}

// advance takes the steps from one version to another.
func (s schema) advance(ctx context.Context, tx pgx.Tx, from, to int64) error {
	if _, err := tx.Exec(ctx, "SET LOCAL search_path = "+pgx.Identifier{s.name}.Sanitize()); err != nil {
		return fmt.Errorf("keep: %w", err)
	}
	script := &strings.Builder{}
	script.WriteString(pgdb.VersionTable(s.versions))
	for _, step := range migrate.After(s.steps, from) {
		if step.Version > to {
			break
		}
		fmt.Fprintf(script, ";\n%s\n;INSERT INTO %s (version_id, is_applied) VALUES (%d, true)",
			step.SQL, pgx.Identifier{s.versions}.Sanitize(), step.Version)
	}
	if _, err := tx.Conn().PgConn().Exec(ctx, script.String()).ReadAll(); err != nil {
		return fmt.Errorf("keep: bring the tables of %s from version %d to %d: %w", s.versions, from, to, err)
	}
	return nil
}
