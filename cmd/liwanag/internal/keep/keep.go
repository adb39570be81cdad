// Package keep backs the one database of an installation up, and puts a backup back.
package keep

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/postgres"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	enginepostgres "github.com/liwanag/liwanag/engine/store/postgres"
	"github.com/liwanag/liwanag/internal/migrate"
	"github.com/liwanag/liwanag/internal/pgdb"
	"github.com/liwanag/liwanag/internal/sqlitedb"
)

// Database is an open one, of one kind.
type Database struct {
	SQLite     *sqlitedb.DB
	PostgreSQL *pgdb.DB
}

// BackUp writes a copy of the database, as of one moment, to a file that is not there
// yet, mode 0600, and reads it through before it has its name. Nobody waits for it.
func (d Database) BackUp(ctx context.Context, path string, now time.Time) (b liwanag.Backup, err error) {
	if path, err = filepath.Abs(path); err != nil {
		return b, fmt.Errorf("keep: %w", err)
	}
	if d.SQLite != nil {
		err = d.SQLite.Backup(ctx, path)
	} else {
		err = d.dump(ctx, path, now)
	}
	if errors.Is(err, fs.ErrExist) {
		return b, liwanag.NewError(liwanag.Conflict, "exists", path+" is there already, and a backup overwrites nothing: name another file")
	}
	if err != nil {
		return b, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return b, fmt.Errorf("keep: %w", err)
	}
	return liwanag.Backup{Path: path, MadeAt: now.UTC().Truncate(time.Microsecond), Size: info.Size()}, nil
}

const engineVersions = "wf_migrations"

// dump writes PostgreSQL's rows, in a file that bears its name only when it is whole.
func (d Database) dump(ctx context.Context, path string, now time.Time) (err error) {
	contents, err := d.contents(ctx, now)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(path); err == nil {
		return fs.ErrExist
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("keep: %w", err)
	}
	part := path + ".part"
	if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("keep: %w", err)
	}
	// #nosec G304 -- in the folder that the operator names
	file, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("keep: %w", err)
	}
	buffer := bufio.NewWriterSize(file, 1<<20)
	err = d.PostgreSQL.Dump(ctx, buffer, contents)
	if err == nil {
		err = errors.Join(buffer.Flush(), file.Sync())
	}
	if err == nil {
		if _, err = file.Seek(0, 0); err == nil {
			_, err = pgdb.CheckDump(file)
		}
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(part, path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("keep: back up %s to %s: %w", d.PostgreSQL.Where(), path, err), os.Remove(part))
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a new name durable, where a directory can be synced.
func syncDir(path string) error {
	if d, err := os.Open(path); err == nil { // #nosec G304 -- in the folder that the operator names
		_ = d.Sync()
		return d.Close()
	}
	return nil
}

// contents are our own tables and their versions.
func (d Database) contents(ctx context.Context, now time.Time) (c pgdb.Contents, err error) {
	c = pgdb.Contents{Made: now.UTC(), Versions: map[string]int64{}}
	schemas, err := d.schemas(ctx)
	if err != nil {
		return c, err
	}
	for _, s := range schemas {
		version, err := s.in.Version(ctx, s.versions)
		if err != nil {
			return c, fmt.Errorf("keep: read the version of the tables: %w", err)
		}
		if version == 0 {
			return c, liwanag.NewError(liwanag.Conflict, liwanag.ErrState.Code, "the database has no tables of ours yet: liwanag migrate makes them")
		}
		c.Versions[s.versions] = version
		tables, err := s.in.Tables(ctx, s.names)
		if err != nil {
			return c, err
		}
		c.Tables = append(c.Tables, tables...)
	}
	return c, nil
}

// schema is where one half of our tables is.
type schema struct {
	name      string
	in        pgdb.Schema
	versions  string // the table that accounts for them
	names     []string
	functions []string
	steps     []migrate.Step
}

var (
	makesTable    = regexp.MustCompile(`CREATE TABLE (?:IF NOT EXISTS )?(\w+)`)
	makesFunction = regexp.MustCompile(`CREATE FUNCTION (\w+)`)
)

// schemas are the application's and the engine's, wherever search_path finds them.
func (d Database) schemas(ctx context.Context) ([]schema, error) {
	rows, err := postgres.Steps()
	if err != nil {
		return nil, err
	}
	runs, err := migrate.Read(enginepostgres.Migrations())
	if err != nil {
		return nil, err
	}
	all := []schema{{versions: postgres.VersionTable, steps: rows}, {versions: engineVersions, steps: runs}}
	for i := range all {
		s := &all[i]
		if err := d.PostgreSQL.QueryRow(ctx, `SELECT coalesce((SELECT nspname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
			WHERE c.oid = to_regclass($1)), current_schema(), '')::text`, []any{s.versions}, &s.name); err != nil {
			return nil, fmt.Errorf("keep: find our tables: %w", err)
		}
		s.in, s.names = d.PostgreSQL.In(s.name), []string{s.versions}
		for _, step := range s.steps {
			for _, made := range makesTable.FindAllStringSubmatch(step.SQL, -1) {
				s.names = append(s.names, made[1])
			}
			for _, made := range makesFunction.FindAllStringSubmatch(step.SQL, -1) {
				s.functions = append(s.functions, made[1])
			}
		}
		slices.Sort(s.names)
		s.names = slices.Compact(s.names)
	}
	return all, nil
}

// Inside is the path of a new file in a folder, and says why it is none: a name that
// leads elsewhere, by dots or by a symbolic link.
func Inside(folder, name string) (string, error) {
	wrong := func(why string) error {
		return liwanag.NewError(liwanag.Invalid, "outside", fmt.Sprintf("%s: name a file in LIWANAG_BACKUP_DIR, %s", why, folder))
	}
	root, err := filepath.EvalSymlinks(folder)
	if err == nil {
		root, err = filepath.Abs(root)
	}
	if err != nil {
		return "", liwanag.Wrap(err, liwanag.Conflict, "backup_dir",
			"LIWANAG_BACKUP_DIR cannot be used: make the folder, as the user whom the server runs as")
	}
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(root, path)
	}
	parent, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return "", wrong("the folder of " + name + " is not there")
	}
	inside, err := filepath.Rel(root, parent)
	if err != nil || !filepath.IsLocal(inside) || filepath.Base(path) == "." || filepath.Base(path) == ".." || name == "" {
		return "", wrong(name + " lies elsewhere")
	}
	return filepath.Join(parent, filepath.Base(path)), nil
}
