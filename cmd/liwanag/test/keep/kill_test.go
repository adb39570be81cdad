package keep

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/keep"
	"github.com/liwanag/liwanag/internal/pgdb"
	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
	"github.com/liwanag/liwanag/internal/sqlitedb"
)

const people = "SELECT count(*) FROM subscriber"

// onBoth runs a test on a SQLite file and on PostgreSQL.
func onBoth(t *testing.T, test func(t *testing.T, w *world)) {
	t.Run("sqlite", func(t *testing.T) { test(t, newWorld(t, "")) })
	t.Run("postgres", func(t *testing.T) { test(t, newWorld(t, pgtest.Database(t))) })
}

func TestABackupThatIsKilledIsNeverTakenForAWholeOne(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		made, whole := w.path("new.backup"), w.path("whole.backup")
		w.kills(func() {
			if err := os.Rename(made, whole); errors.Is(err, fs.ErrNotExist) {
				return
			}
			if strings.HasPrefix(w.url, "sqlite:") {
				if err := sqlitedb.Sound(t.Context(), whole); err != nil || askSQLite(t, whole, people) != 600 {
					t.Fatalf("half a backup bears the name of one: %v", err)
				}
				return
			}
			file, err := os.Open(whole)
			if err == nil {
				_, err = pgdb.CheckDump(file)
				_ = file.Close()
			}
			if err != nil {
				t.Fatalf("half a backup bears the name of one: %v", err)
			}
		}, "backup", made)
		if info, err := os.Stat(whole); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info, err)
		}
		// What was left of one is no backup.
		half, err := os.ReadFile(whole)
		if err != nil {
			t.Fatal(err)
		}
		cut := w.path("cut.backup")
		if err := os.WriteFile(cut, half[:len(half)/2], 0o600); err != nil {
			t.Fatal(err)
		}
		w.refused("another backup", "restore", "--yes", cut)
		if n := w.ask(people); n != 600 {
			t.Errorf("%d people after half a backup was refused", n)
		}
	})
}

func TestARestoreThatIsKilledLeavesTheOldDatabaseOrTheBackupHeld(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		path, isSQLite := strings.CutPrefix(w.url, "sqlite:")
		w.kills(func() {
			if isSQLite && keep.Unfinished(path) != nil {
				w.refused("restore into .* was begun and did not end", "serve", "--addr", "127.0.0.1:0", "--admin-addr", "off")
				return
			}
			n, held := w.ask(people), w.ask("SELECT count(*) FROM spending WHERE held_at IS NOT NULL")
			if n != 600 && (n != 500 || held != 1) {
				t.Fatalf("%d people, held %d: neither what was there nor the backup, held", n, held)
			}
		}, "restore", "--yes", w.path("old.backup"))
		if n := w.ask(people); n != 500 {
			t.Errorf("%d people at the end", n)
		}
		if isSQLite {
			if all, err := filepath.Glob(path + ".before-restore-*"); err != nil || len(all) == 0 {
				t.Errorf("what was there is not kept: %v, %v", all, err)
			}
		}
	})
}

// At no moment do two databases think that they are the one.
func TestACopyThatIsKilledEndsRightWhenItIsRepeated(t *testing.T) {
	w, target := newWorld(t, ""), pgtest.Database(t)
	path := strings.TrimPrefix(w.url, "sqlite:")
	w.kills(func() {
		there := askPostgreSQL(t, target, people)
		marked := askSQLite(t, path, "SELECT count(*) FROM instance WHERE moved_to IS NOT NULL")
		if there != -1 && there != 600 {
			t.Fatalf("%d people are in the target", there)
		}
		if there == 600 && marked == 0 {
			t.Fatal("the rows are in both databases, and both start")
		}
	}, "copy", "--yes", "--to", target)
	w.refused("were moved to the PostgreSQL database", "serve", "--addr", "127.0.0.1:0", "--admin-addr", "off")

	// Killed between the mark and the end: nothing starts until the same copy ends it.
	mark(t, path)
	w.refused("Try: the same liwanag copy again", "serve", "--addr", "127.0.0.1:0", "--admin-addr", "off")
	w.refused("a copy of this database to", "copy", "--yes", "--to", pgtest.Database(t))
	w.run("copy", "--yes", "--to", target)
	w.refused("were moved to the PostgreSQL database", "serve", "--addr", "127.0.0.1:0", "--admin-addr", "off")

	// Killed behind the mark, before anything was there.
	empty := pgtest.Database(t)
	mark(t, path)
	execSQLite(t, path, "UPDATE instance SET moved_to = replace(moved_to, ?, ?)", pgtest.Name(target), pgtest.Name(empty))
	w.run("copy", "--yes", "--to", empty)
	if n := askPostgreSQL(t, empty, people); n != 600 {
		t.Errorf("%d people", n)
	}
	if n := askPostgreSQL(t, empty, "SELECT count(*) FROM instance WHERE moved_to IS NOT NULL"); n != 0 {
		t.Error("the copy bears the mark of its source")
	}
}
