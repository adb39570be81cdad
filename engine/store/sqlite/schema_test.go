package sqlite

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/internal/sqlitedb"
)

// shape is the tables and indexes of a file, as they were written down.
func shape(t *testing.T, s *Store) string {
	t.Helper()
	found, err := s.db.Reader().Query("SELECT replace(sql, '\"', '') FROM sqlite_schema WHERE tbl_name LIKE 'wf%' AND sql <> '' ORDER BY name")
	var shape []string
	err = each(found, err, func(r rows) error {
		var line string
		err := r.Scan(&line)
		shape = append(shape, strings.Join(strings.Fields(line), " "))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(shape, "\n")
}

func TestAMigratedFileIsLikeANewOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "old.db")
	db, err := sqlitedb.Open(t.Context(), sqlitedb.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Migrate(t.Context(), files("migrations"), namelessTable); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	migrated, made := shape(t, open(t, path)), shape(t, open(t, filepath.Join(t.TempDir(), "new.db")))
	if migrated != made || strings.Count(made, "\n") < 8 {
		t.Errorf("migrated:\n%s\n\nnew:\n%s", migrated, made)
	}
}

func TestTheTablesOfOthersAreNoneOfOurs(t *testing.T) {
	db, err := sqlitedb.Open(t.Context(), sqlitedb.Config{Path: filepath.Join(t.TempDir(), "app.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Write(t.Context(), func(tx *sqlitedb.Tx) error {
		for _, table := range []string{"run", "history", "signal", "node"} {
			if _, err := tx.Exec("CREATE TABLE " + table + " (theirs)"); err != nil {
				return err
			}
		}
		_, err := tx.Exec("CREATE INDEX run_due ON run (theirs)")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	s, err := newStore(t.Context(), db, Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Create(t.Context(), store.Run{ID: "r", Workflow: "w", Version: 1, CreatedAt: time.Now(), Seq: 1}); err != nil {
		t.Error(err)
	}
}

func TestADryRunReadsAFileInUseAndMakesNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	script, err := Pending(t.Context(), path)
	if err != nil || !strings.Contains(script, "CREATE TABLE wf_run") || strings.Contains(script, "RENAME") {
		t.Errorf("of no file: %s, %v", script, err)
	}
	open(t, path) // and none was made, which would be open to others
	if script, err := Pending(t.Context(), path); script != "" || err != nil {
		t.Errorf("of a file in use: %s, %v", script, err)
	}
}
