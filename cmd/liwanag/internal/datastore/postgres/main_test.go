package postgres_test

import (
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/postgres"
	"github.com/liwanag/liwanag/internal/pgdb"
	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// open is one node: a pool and a store of its own.
func open(t testing.TB, url string) (*pgdb.DB, *datastore.Store) {
	t.Helper()
	db, err := pgdb.Open(t.Context(), pgdb.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	store, err := postgres.New(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	return db, store
}

var sharedURL string

// emptied is the one database of this process' tests, which run one after the
// other, with nothing in it: making one for each would take most of their time.
func emptied(t testing.TB) string {
	t.Helper()
	if sharedURL == "" {
		sharedURL = pgtest.Database(t)
		open(t, sharedURL)
	}
	pgtest.Shared(t).Exec(t, nameOf(t, sharedURL), `
		DO $$ DECLARE name text; BEGIN
			FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'app_migrations' LOOP
				EXECUTE 'DELETE FROM ' || name;
			END LOOP;
			INSERT INTO spending (one) VALUES (1);
			INSERT INTO search_mark VALUES ('00000000-0000-0000-0000-000000000000');
		END $$`)
	return sharedURL
}

// nameOf is the database of a URL.
func nameOf(t testing.TB, location string) string {
	t.Helper()
	parsed, err := url.Parse(location)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Trim(parsed.Path, "/")
}

func openEmpty(t testing.TB) (*pgdb.DB, *datastore.Store) {
	t.Helper()
	return open(t, emptied(t))
}
