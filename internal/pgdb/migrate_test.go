package pgdb

import (
	"errors"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
)

func versions(n int) fs.FS {
	files := fstest.MapFS{"00001_initial.sql": {Data: []byte("-- +goose Up\nCREATE TABLE t (n integer PRIMARY KEY);\n")}}
	if n > 1 {
		files["00002_more.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nCREATE TABLE u (n integer PRIMARY KEY);\n")}
	}
	return files
}

func TestAnEmptyDatabaseIsCreatedOnceHoweverManyStart(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	var all sync.WaitGroup
	for range 5 {
		db := open(t, url)
		all.Go(func() {
			if err := db.Migrate(t.Context(), versions(2), "app_migrations"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	holds(t, open(t, url))
}

func TestAnOlderSchemaIsMigratedByItsOwnCommandOnly(t *testing.T) {
	t.Parallel()
	db := open(t, pgtest.Database(t))
	if err := db.Migrate(t.Context(), versions(1), "app_migrations"); err != nil {
		t.Fatal(err)
	}
	err := db.Migrate(t.Context(), versions(2), "app_migrations")
	if !errors.Is(err, ErrSchemaOlder) || !strings.Contains(err.Error(), "Try: liwanag migrate") {
		t.Errorf("got %v", err)
	}
	if err := db.MigrateUp(t.Context(), versions(2), "app_migrations"); err != nil {
		t.Fatal(err)
	}
	if err := db.Migrate(t.Context(), versions(2), "app_migrations"); err != nil {
		t.Errorf("after the migration: %v", err)
	}
	if err := db.MigrateUp(t.Context(), versions(1), "app_migrations"); !errors.Is(err, ErrSchemaNewer) {
		t.Errorf("with an older program: %v", err)
	}
}

func TestAUserWithoutTheRightToCreateTablesIsToldWhatToDo(t *testing.T) {
	t.Parallel()
	s := pgtest.Shared(t)
	url := pgtest.Database(t)
	name := pgtest.Name(url)
	s.Exec(t, name, "CREATE USER guest; REVOKE CREATE ON SCHEMA public FROM public")
	db := open(t, s.URLAs("guest", name))
	err := db.Migrate(t.Context(), versions(1), "app_migrations")
	if err == nil || !strings.Contains(err.Error(), "Try: GRANT CREATE") {
		t.Errorf("got %v", err)
	}
	owner := open(t, url)
	if err := owner.Migrate(t.Context(), versions(1), "app_migrations"); err != nil {
		t.Fatal(err)
	}
	exec(t, owner, "GRANT SELECT ON app_migrations TO guest")
	if err := db.Migrate(t.Context(), versions(1), "app_migrations"); err != nil {
		t.Errorf("once the tables are there: %v", err)
	}
}
