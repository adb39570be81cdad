package sqlitedb

import (
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
)

func schema(statements ...string) fs.FS {
	files := fstest.MapFS{}
	names := []string{"00001_a.sql", "00002_b.sql", "00003_c.sql"}
	for i, s := range statements {
		files[names[i]] = &fstest.MapFile{Data: []byte("-- +goose Up\n" + s + ";\n")}
	}
	return files
}

const (
	createT  = "CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB)"
	addColor = "ALTER TABLE t ADD COLUMN color TEXT"
)

func TestMigrateCreatesAndUpgradesAndPutsTheOlderFileAside(t *testing.T) {
	db := open(t, Config{})
	if err := db.Migrate(t.Context(), schema(createT), "engine_migrations"); err != nil {
		t.Fatal(err)
	}
	exec1(t, db, "INSERT INTO t (id) VALUES (7)")
	aside := db.Path() + ".before-engine_migrations-2"
	if _, err := os.Stat(aside); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("a copy without a migration: %v", err)
	}
	for range 2 {
		if err := db.Migrate(t.Context(), schema(createT, addColor), "engine_migrations"); err != nil {
			t.Fatal(err)
		}
	}
	exec1(t, db, "UPDATE t SET color = 'red'")
	info, err := os.Stat(aside)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the copy has mode %o", info.Mode().Perm())
	}
	older := open(t, Config{Path: aside})
	if got := ids(t, older); len(got) != 1 || got[0] != 7 {
		t.Errorf("the copy holds %v", got)
	}
	if err := older.Reader().QueryRow("SELECT color FROM t").Scan(new(sql.NullString)); err == nil {
		t.Error("the copy was migrated")
	}
}

func TestTwoOwnersMigrateOneFile(t *testing.T) {
	db := open(t, Config{})
	if err := db.Migrate(t.Context(), schema(createT), "engine_migrations"); err != nil {
		t.Fatal(err)
	}
	if err := db.Migrate(t.Context(), schema("CREATE TABLE u (id INTEGER)"), "app_migrations"); err != nil {
		t.Fatal(err)
	}
	exec1(t, db, "INSERT INTO u SELECT 1")
	entries, err := fs.Glob(os.DirFS(filepath.Dir(db.Path())), "*before*")
	if err != nil || len(entries) != 0 {
		t.Errorf("copies %v of a database in which nothing was older (%v)", entries, err)
	}
}

func TestMigrateRefusesANewerSchema(t *testing.T) {
	db := open(t, Config{})
	if err := db.Migrate(t.Context(), schema(createT, addColor), "engine_migrations"); err != nil {
		t.Fatal(err)
	}
	if err := db.Migrate(t.Context(), schema(createT), "engine_migrations"); !errors.Is(err, ErrSchemaNewer) {
		t.Errorf("Migrate: %v", err)
	}
}

func TestAFailedMigrationKeepsTheFirstCopy(t *testing.T) {
	db := open(t, Config{})
	if err := db.Migrate(t.Context(), schema(createT), "m"); err != nil {
		t.Fatal(err)
	}
	if err := db.Migrate(t.Context(), schema(createT, addColor, "CREATE TABEL"), "m"); err == nil {
		t.Fatal("a broken migration passed")
	}
	exec1(t, db, "INSERT INTO t (id, color) VALUES (1, 'red')")
	if err := db.Migrate(t.Context(), schema(createT, addColor, "CREATE TABLE u (id)"), "m"); err != nil {
		t.Fatal(err)
	}
	first := open(t, Config{Path: db.Path() + ".before-m-3"})
	if got := ids(t, first); len(got) != 0 {
		t.Errorf("the copy of the first try was replaced: %v", got)
	}
}
