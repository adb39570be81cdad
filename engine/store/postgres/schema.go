package postgres

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/liwanag/liwanag/internal/migrate"
	"github.com/liwanag/liwanag/internal/pgdb"
	"github.com/liwanag/liwanag/workflow"
)

//go:embed migrations/*.sql migrations/wf/*.sql
var migrations embed.FS

const (
	// versionTable accounts for the versions of this store's tables.
	versionTable = "wf_migrations"
	// namelessTable did so before the tables had names of their own; its migrations
	// end where the other's begin.
	namelessTable = "engine_migrations"
	namedAt       = 2
)

// schema is where the tables are. Statements are written without it; it is put
// before each table's name.
type schema struct {
	name   string
	prefix string   // as it stands in a statement
	known  sync.Map // statements, by how they are written
}

// find finds the schema of a database: the one that is wanted, or the one on
// search_path that has the tables, or else the first one there.
func find(ctx context.Context, db *pgdb.DB, wanted string) (*schema, error) {
	if wanted != "" {
		return named(wanted)
	}
	err := db.QueryRow(ctx, `
		SELECT coalesce((
			SELECT nspname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
			WHERE c.oid = coalesce(to_regclass($1), to_regclass($2))), current_schema(), '')`, []any{versionTable, namelessTable}, &wanted)
	if err != nil {
		return nil, fmt.Errorf("postgres: find the schema of the tables: %w", err)
	}
	if wanted == "" {
		return nil, errors.New("postgres: no schema in search_path exists\n  Try: a schema of your choice in " +
			"Config.Schema, or ALTER ROLE ... SET search_path")
	}
	return named(wanted)
}

// named is the schema of a name.
func named(name string) (*schema, error) {
	if err := workflow.CheckName("schema", name); err != nil || len(name) > 63 {
		return nil, fmt.Errorf("postgres: %w", cmp.Or(err, fmt.Errorf("the schema %q: up to 63 bytes are allowed", name)))
	}
	return &schema{name: name, prefix: pgx.Identifier{name}.Sanitize() + "."}, nil
}

var tableNames = regexp.MustCompile(`\bwf_(run|history|signal|node|upgrade|definition|subs|post|attribute|schedule|firing)\b`)

// in is one of the store's own statements, its tables named with their schema.
func (s *schema) in(statement string) string {
	if known, ok := s.known.Load(statement); ok {
		return known.(string)
	}
	qualified := s.qualify(statement)
	s.known.Store(statement, qualified)
	return qualified
}

// qualify is in for one of any number of statements, which is not kept.
func (s *schema) qualify(statement string) string {
	return tableNames.ReplaceAllStringFunc(statement, func(table string) string { return s.prefix + table })
}

// batch is statements for one round trip.
type batch struct {
	*pgx.Batch
	schema *schema
}

// Queue queues a statement that names tables without their schema.
func (b batch) Queue(statement string, args ...any) *pgx.QueuedQuery {
	return b.Batch.Queue(b.schema.in(statement), args...)
}

// migrate brings the tables to the newest version.
func (s *schema) migrate(ctx context.Context, db *pgdb.DB, upgrade bool) error {
	in := db.In(s.name)
	up := in.Migrate
	if upgrade {
		up = in.MigrateUp
	}
	nameless, err := in.Has(ctx, namelessTable)
	if err != nil {
		return fmt.Errorf("postgres: find the version of the tables: %w", err)
	}
	if nameless {
		if err := up(ctx, files("migrations"), namelessTable); err != nil {
			return err
		}
	}
	return up(ctx, files("migrations/wf"), versionTable)
}

// pending is what migrate would do.
func (s *schema) pending(ctx context.Context, db *pgdb.DB) (script string, err error) {
	in := db.In(s.name)
	nameless, err := in.Version(ctx, namelessTable)
	if err != nil {
		return "", fmt.Errorf("postgres: read the version of the tables: %w", err)
	}
	named, err := in.Version(ctx, versionTable)
	if err != nil {
		return "", fmt.Errorf("postgres: read the version of the tables: %w", err)
	}
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

// Migrations are the files by which the tables came to be; the table wf_migrations has
// the versions that were reached. For who copies a database as a whole.
func Migrations() fs.FS { return files("migrations/wf") }

func files(folder string) fs.FS {
	sub, err := fs.Sub(migrations, folder)
	if err != nil {
		panic(err) // the folder's name is no path
	}
	return sub
}
