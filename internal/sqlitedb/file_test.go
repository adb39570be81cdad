package sqlitedb

import (
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestOpenRefusesWhatIsNoFileOfItsOwn(t *testing.T) {
	for path, part := range map[string]string{
		":memory:": "keep nothing", ":memory:?cache=shared": "keep nothing",
		"file:a.db": "is a URL", "file:a.db?mode=memory": "is a URL", "file::memory:": "is a URL", "FILE:///x/a.db": "is a URL",
		"sqlite://a.db": "is a URL",
		os.DevNull:      "is not a file", t.TempDir(): "is a directory",
	} {
		t.Run(path, func(t *testing.T) {
			t.Chdir(t.TempDir())
			_, err := Open(t.Context(), Config{Path: path})
			if err == nil {
				t.Fatal("it was opened")
			}
			contains(t, err.Error(), part)
			if left, _ := os.ReadDir("."); len(left) != 0 {
				t.Errorf("%s was created", left[0].Name())
			}
		})
	}
}

func TestAFileWithSeveralNamesIsRefused(t *testing.T) {
	db := openTable(t, Config{})
	other := filepath.Join(t.TempDir(), "other.db")
	link(t, os.Link, db.Path(), other)
	if out, err := role(t, "open", other).CombinedOutput(); err == nil {
		t.Error("another process opened the file under another name")
	} else {
		contains(t, string(out), "has 2. Try: ")
	}
	if _, err := Open(t.Context(), Config{Path: other}); !errors.As(err, new(*LockedError)) {
		t.Errorf("this process opens the file under another name: %v", err)
	}
	exec1(t, db, "INSERT INTO t (id) VALUES (1)") // the first one goes on
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Config{Path: db.Path()}); !errors.Is(err, ErrLinkedFile) {
		t.Errorf("nobody has it open: %v", err)
	}
	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
	if got := ids(t, open(t, Config{Path: db.Path()})); len(got) != 1 {
		t.Errorf("rows %v", got)
	}
}

func TestASymbolicLinkMeansTheFileItLeadsTo(t *testing.T) {
	dir := t.TempDir()
	target, name := filepath.Join(dir, "target.db"), filepath.Join(dir, "name.db")
	link(t, os.Symlink, target, name) // leads to nothing yet
	db := openTable(t, Config{Path: name})
	if want, _ := filepath.EvalSymlinks(target); db.Path() != want {
		t.Errorf("path %s, want %s", db.Path(), want)
	}
	for _, path := range []string{name, target} {
		if out, err := role(t, "open", path).CombinedOutput(); err == nil {
			t.Errorf("a second process opened %s", path)
		} else {
			contains(t, string(out), " holds ")
		}
	}
	if err := db.Check(); err != nil {
		t.Error(err)
	}
	move(t, name, name+".old")
	link(t, os.Symlink, filepath.Join(dir, "elsewhere.db"), name)
	checkReplaced(t, db, name)
}

func TestCheckNoticesThatTheFilesAreNotTheOpenOnes(t *testing.T) {
	for name, replace := range map[string]func(t *testing.T, path string) (at string){
		"removed":  func(t *testing.T, path string) string { remove(t, path); return path },
		"moved":    func(t *testing.T, path string) string { move(t, path, path+".old"); return path },
		"replaced": func(t *testing.T, path string) string { remove(t, path); write(t, path); return path },
		"restored over": func(t *testing.T, path string) string {
			write(t, path+".new")
			move(t, path+".new", path)
			return path
		},
		"folder": func(t *testing.T, path string) string {
			move(t, filepath.Dir(path), filepath.Dir(path)+".old")
			return path
		},
		"log removed": func(t *testing.T, path string) string { remove(t, path+"-wal"); return path + "-wal" },
		"log replaced": func(t *testing.T, path string) string {
			remove(t, path+"-wal")
			write(t, path+"-wal")
			return path + "-wal"
		},
		"log's index": func(t *testing.T, path string) string { remove(t, path+"-shm"); return path + "-shm" },
	} {
		t.Run(name, func(t *testing.T) {
			db := openTable(t, Config{Path: filepath.Join(t.TempDir(), "data", "test.db")})
			for n := range 20 {
				exec1(t, db, "INSERT INTO t (id, body) VALUES (?, randomblob(100000))", n)
			}
			if err := db.Checkpoint(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := db.Check(); err != nil {
				t.Fatalf("nothing has happened: %v", err)
			}
			checkReplaced(t, db, replace(t, db.Path()))
		})
	}
}

func TestAMovedFileThatIsOpenIsRefused(t *testing.T) {
	db := openTable(t, Config{})
	moved := db.Path() + ".moved"
	move(t, db.Path(), moved)
	if _, err := Open(t.Context(), Config{Path: moved}); !errors.As(err, new(*LockedError)) {
		t.Errorf("this process opens it again: %v", err)
	}
	out, err := role(t, "open", moved).CombinedOutput()
	if err == nil && lockedByContent(t) {
		t.Error("another process opened it")
	} else if err != nil {
		contains(t, string(out), "another process holds "+moved)
	}
	move(t, moved, db.Path())
	if err := db.Check(); err != nil {
		t.Errorf("moved back: %v", err)
	}
	exec1(t, db, "INSERT INTO t (id) VALUES (1)")
	// The refused opens have not cost SQLite its own locks on the file.
	if sqlite3, err := exec.LookPath("sqlite3"); err == nil {
		out, err := exec.Command(sqlite3, db.Path(), "SELECT count(*) FROM t").CombinedOutput()
		if err != nil || string(out) != "1\n" {
			t.Errorf("%s, %v", out, err)
		}
	}
}

// A connection that is opened while the file is elsewhere would create an empty one,
// and SQLite deletes the log beside an empty database: what it holds would be lost.
func TestAFileThatIsAwayForAMomentLosesNothing(t *testing.T) {
	for _, file := range []string{"", "-wal", "-shm"} {
		t.Run("database"+file, func(t *testing.T) {
			db := openTable(t, Config{Readers: 8})
			exec1(t, db, "INSERT INTO t (id) VALUES (1)")
			away := db.Path() + file
			move(t, away, away+".old")
			var conns []*sql.Conn // more than there are idle ones
			for range 3 {
				if conn, err := db.Reader().Conn(t.Context()); err == nil {
					conns = append(conns, conn)
				} else if !errors.Is(err, ErrReplaced) {
					t.Error(err)
				}
			}
			if err := db.Checkpoint(t.Context()); !errors.Is(err, ErrReplaced) {
				t.Errorf("a checkpoint: %v", err)
			}
			if _, err := os.Stat(away); !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("%s was made anew: %v", away, err)
			}
			move(t, away+".old", away)
			for range 3 {
				conn, err := db.Reader().Conn(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				conns = append(conns, conn)
				var rows int
				if err := conn.QueryRowContext(t.Context(), "SELECT count(*) FROM t").Scan(&rows); err != nil || rows != 1 {
					t.Errorf("%d rows, %v", rows, err)
				}
			}
			for _, conn := range conns {
				if err := conn.Close(); err != nil {
					t.Error(err)
				}
			}
			if err := db.Check(); err != nil {
				t.Error(err)
			}
		})
	}
}

// lockedByContent says whether this system locks a file by its content.
func lockedByContent(t *testing.T) bool {
	path := filepath.Join(t.TempDir(), "file")
	write(t, path)
	for range 2 {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if lockContent(f) {
			return true
		}
	}
	return false
}

func checkReplaced(t *testing.T, db *DB, at string) {
	t.Helper()
	err := db.Check()
	if !errors.Is(err, ErrReplaced) {
		t.Fatalf("Check: %v", err)
	}
	contains(t, err.Error(), at)
	contains(t, err.Error(), "Try: ")
}

func link(t *testing.T, make func(from, to string) error, from, to string) {
	t.Helper()
	if err := make(from, to); err != nil {
		t.Fatal(err)
	}
}

func move(t *testing.T, from, to string) { t.Helper(); link(t, os.Rename, from, to) }

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}
