package postgres

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/internal/pgdb"
	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
)

func database(t *testing.T) (*pgdb.DB, string) {
	t.Helper()
	url := pgtest.Database(t)
	db, err := pgdb.Open(t.Context(), pgdb.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db, url
}

// shape is what the server knows of the store's tables in a schema.
func shape(t *testing.T, db *pgdb.DB, schema string) string {
	t.Helper()
	found, err := db.Pool().Query(t.Context(), `
		SELECT format('%s.%s %s not null %s default %s collation %s', relname, attname, atttypid::regtype, attnotnull,
			pg_get_expr(adbin, adrelid), attcollation::regcollation) AS line
		FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
		WHERE relnamespace = $1::text::regnamespace AND relkind = 'r' AND relname LIKE 'wf%' AND attnum > 0
		UNION ALL SELECT format('%s %s %s', relname, relkind, reloptions) FROM pg_class WHERE relnamespace = $1::text::regnamespace AND relkind IN ('r', 'S', 'i')
			AND relname NOT LIKE 'engine_migrations%'
		UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = $1 AND tablename LIKE 'wf%'
		ORDER BY line`, schema)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(found, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(strings.Join(lines, "\n"), schema+".", "")
}

func TestAMigratedDatabaseIsLikeANewOne(t *testing.T) {
	t.Parallel()
	db, url := database(t)
	if err := db.In("old").MigrateUp(t.Context(), files("migrations"), namelessTable); err != nil {
		t.Fatal(err)
	}
	if err := (Config{URL: url, Schema: "old"}).Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	openIn(t, url, "old")
	openIn(t, url, "new")
	migrated, made := shape(t, db, "old"), shape(t, db, "new")
	if migrated != made || strings.Count(made, "\n") < 50 {
		t.Errorf("migrated:\n%s\n\nnew:\n%s", migrated, made)
	}
}

func TestASchemaWhoseNameTheServerDoesNotKeepIsRefused(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	for _, name := range []string{"a\x00b", "\xff", "a\nb", strings.Repeat("s", 64)} {
		if _, err := (Config{URL: url, Schema: name}).Open(t.Context()); err == nil || !strings.Contains(err.Error(), "the schema \"") ||
			strings.Contains(err.Error(), "SQLSTATE") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestTheTablesOfOthersAreNoneOfOurs(t *testing.T) {
	t.Parallel()
	_, url := database(t)
	pgtest.Shared(t).Exec(t, pgtest.Name(url), `
		CREATE TABLE run (theirs integer); CREATE TABLE history (theirs integer); CREATE TABLE signal (theirs integer);
		CREATE TABLE node (theirs integer); CREATE INDEX run_due ON run (theirs)`)
	if err := open(t, url).Create(t.Context(), newRun("r", 0)); err != nil {
		t.Error(err)
	}
}

func TestTwoSchemasOfOneDatabaseAreTwoStores(t *testing.T) {
	t.Parallel()
	_, url := database(t)
	for _, schema := range []string{"one", "two", ""} {
		s := openIn(t, url, schema)
		if err := s.Create(t.Context(), newRun("r", 0)); err != nil {
			t.Errorf("in %q: %v", schema, err)
		}
		node := register(t, s)
		if claimed, _, err := s.Claim(t.Context(), node, store.Want(10, defs...), began); err != nil || len(claimed) != 1 {
			t.Errorf("in %q: claimed %d, %v", schema, len(claimed), err)
		}
	}
}

// Whoever made the tables may have had another search_path.
func TestTheTablesAreFoundWhereverSearchPathLeads(t *testing.T) {
	t.Parallel()
	_, url := database(t)
	if err := open(t, url).Create(t.Context(), newRun("r", 0)); err != nil {
		t.Fatal(err)
	}
	pgtest.Shared(t).Exec(t, pgtest.Name(url), `CREATE SCHEMA app; ALTER DATABASE `+pgtest.Name(url)+` SET search_path = app, public`)
	if err := open(t, url).Create(t.Context(), newRun("r", 0)); !errors.Is(err, store.ErrExists) {
		t.Errorf("the tables in public are not found: %v", err)
	}
	pgtest.Shared(t).Exec(t, pgtest.Name(url), `ALTER DATABASE `+pgtest.Name(url)+` SET search_path = nowhere`)
	if _, err := Open(t.Context(), url); err == nil || !strings.Contains(err.Error(), "no schema in search_path exists") {
		t.Errorf("without a schema: %v", err)
	}
}

func TestAUserWhoMayNotMakeSchemasUsesOneThatIsThere(t *testing.T) {
	t.Parallel()
	_, url := database(t)
	s := pgtest.Shared(t)
	s.Exec(t, pgtest.Name(url), `CREATE ROLE tenant LOGIN; CREATE SCHEMA tenants; GRANT USAGE, CREATE ON SCHEMA tenants TO tenant`)
	as := s.URLAs("tenant", pgtest.Name(url))
	if err := openIn(t, as, "tenants").Create(t.Context(), newRun("r", 0)); err != nil {
		t.Error(err)
	}
	if _, err := (Config{URL: as, Schema: "more"}).Open(t.Context()); err == nil || !strings.Contains(err.Error(), "Try: CREATE SCHEMA") {
		t.Errorf("a schema that may not be made: %v", err)
	}
}
