package postgres_test

import (
	"os"
	"sync"
	"testing"

	"github.com/liwanag/liwanag/internal/datastore/postgres"
	"github.com/liwanag/liwanag/internal/pgdb"
	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// open is one node: a pool and a store of its own.
func open(t testing.TB, url string) (*pgdb.DB, *postgres.Store) {
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

var (
	sharedOnce sync.Once
	sharedURL  string
)

// emptied is the one database of this process' tests, which run one after the
// other, with nothing in it: making one for each would take most of their time.
func emptied(t testing.TB) string {
	t.Helper()
	sharedOnce.Do(func() { sharedURL = pgtest.Database(t) })
	db, _ := open(t, sharedURL)
	defer db.Close()
	if _, err := db.Pool().Exec(t.Context(), `
		DO $$ DECLARE name text; BEGIN
			FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'app_migrations' LOOP
				EXECUTE 'DELETE FROM ' || name;
			END LOOP;
			INSERT INTO spending (one) VALUES (1);
		END $$`); err != nil {
		t.Fatal(err)
	}
	return sharedURL
}

func openEmpty(t testing.TB) (*pgdb.DB, *postgres.Store) {
	t.Helper()
	return open(t, emptied(t))
}
