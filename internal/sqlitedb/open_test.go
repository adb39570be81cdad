package sqlitedb

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	lib "modernc.org/sqlite/lib"
)

func TestEveryConnectionHasThePragmas(t *testing.T) {
	db := openTable(t, Config{Readers: 4})
	want := map[string]string{
		"synchronous": "2", "journal_mode": "wal", "secure_delete": "1", "foreign_keys": "1",
		"busy_timeout": "5000", "page_size": "16384", "wal_autocheckpoint": "2000",
		"journal_size_limit": "65536000", "cell_size_check": "1", "query_only": "1",
	}
	for i := range 3 {
		c, err := db.Reader().Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close() // not before the others are open, so that each is another one
		got := map[string]string{}
		for name := range want {
			var v string
			if err := c.QueryRowContext(t.Context(), "PRAGMA "+name).Scan(&v); err != nil {
				t.Fatal(err)
			}
			got[name] = v
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("reader %d: %s", i, d)
		}
		if _, err := c.ExecContext(t.Context(), "INSERT INTO t (id) VALUES (1)"); err == nil {
			t.Error("a reader wrote")
		}
	}
	reading, err := db.Reader().Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer reading.Rollback()
	if err := db.Write(t.Context(), insert(1)); err != nil {
		t.Errorf("a transaction of a reader stopped the writer: %v", err)
	}
	delete(want, "query_only")
	got := map[string]string{}
	err = db.Write(t.Context(), func(tx *Tx) error {
		for name := range want {
			var v string
			if err := tx.QueryRow("PRAGMA " + name).Scan(&v); err != nil {
				return err
			}
			got[name] = v
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("writer: %s", d)
	}
}

func TestOpenRefusesSettingsThatDidNotTakeEffect(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	c := Config{Path: path}.withDefaults()
	weak := c
	weak.Synchronous = Normal
	raw, err := connect(t.Context(), dsn(path, weak))
	if err != nil {
		t.Fatal(err)
	}
	conn := newConn(raw)
	defer conn.close()
	if err := verify(conn, c); err == nil {
		t.Error("synchronous=NORMAL passed for FULL")
	}
}

func TestASecondProcessIsRefusedWithTheHoldersPID(t *testing.T) {
	db := open(t, Config{})
	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(db.Path(), link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{db.Path(), link} {
		out, err := role(t, "open", path).CombinedOutput()
		if err == nil {
			t.Fatalf("a second process opened %s", path)
		}
		contains(t, string(out), fmt.Sprintf("the process %d holds ", os.Getpid()))
	}
	_, err := Open(t.Context(), Config{Path: db.Path()})
	if locked := (*LockedError)(nil); !errors.As(err, &locked) || locked.PID != os.Getpid() {
		t.Errorf("second Open in this process: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if out, err := role(t, "open", db.Path()).CombinedOutput(); err != nil {
		t.Errorf("after Close: %v: %s", err, out)
	}
}

func TestFilesAreForTheOwnerOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "test.db")
	db := openTable(t, Config{Path: path})
	for name, want := range map[string]os.FileMode{
		filepath.Dir(path): 0o700, path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600, path + ".lock": 0o600,
	} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", name, got, want)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), Config{Path: path})
	if !errors.Is(err, ErrPublicFile) {
		t.Errorf("Open of a world-readable file: %v", err)
	}
}

func TestAPathMayContainTheCharactersOfAURL(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b?c#d%e&f.db")
	openTable(t, Config{Path: path})
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

func TestADamagedFileIsRefused(t *testing.T) {
	damage := map[string]func(file []byte) []byte{
		"header":    func(f []byte) []byte { copy(f, "not a database at all"); return f },
		"truncated": func(f []byte) []byte { return f[:len(f)/2] },
		"schema":    func(f []byte) []byte { copy(f[100:], strings.Repeat("x", 200)); return f },
	}
	for name, damage := range damage {
		t.Run(name, func(t *testing.T) {
			db := openTable(t, Config{})
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			file, err := os.ReadFile(db.Path())
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(db.Path(), damage(file), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err = Open(t.Context(), Config{Path: db.Path()})
			if code := primaryCode(err); code != lib.SQLITE_CORRUPT && code != lib.SQLITE_NOTADB {
				t.Fatalf("Open: %v", err)
			}
			contains(t, err.Error(), db.Path())
			if _, err := Open(t.Context(), Config{Path: db.Path()}); errors.As(err, new(*LockedError)) {
				t.Error("the refused file stays locked")
			}
		})
	}
}

func TestValidateReturnsEveryFault(t *testing.T) {
	err := Config{Readers: -1, PageSize: 1000, BusyTimeout: -1, Synchronous: "OFF"}.Validate()
	for _, part := range []string{"Path is empty", "Readers -1", "PageSize 1000", "BusyTimeout -1ns", `"OFF"`} {
		contains(t, fmt.Sprint(err), part)
	}
	if err := (Config{Path: "x"}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestAnAcknowledgedChangeSurvivesKill9(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	cmd := role(t, "write until killed", path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	acknowledged := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		n, err := strconv.Atoi(lines.Text())
		if err != nil {
			t.Fatalf("%q", lines.Text())
		}
		if acknowledged = n; n == 200 {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || acknowledged < 200 {
		t.Fatalf("the child was not killed: %v, %d acknowledged", err, acknowledged)
	}
	got := ids(t, open(t, Config{Path: path}))
	if len(got) < acknowledged {
		t.Errorf("%d changes were acknowledged, %d are there", acknowledged, len(got))
	}
	for i, id := range got {
		if id != i+1 {
			t.Fatalf("change %d is missing", i+1)
		}
	}
}

// TestEveryCommitIsSynced counts the system calls where strace may be used;
// everywhere else the setting read back on the writer's connection, above, is
// the proof.
func TestEveryCommitIsSynced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	trace := filepath.Join(t.TempDir(), "trace")
	probe := exec.Command("strace", "-o", os.DevNull, "true")
	if err := probe.Run(); err != nil {
		t.Logf("strace cannot be used here (%v): the read-back of synchronous is the only proof", err)
		return
	}
	cmd := exec.Command("strace", "-f", "-e", "trace=fsync,fdatasync", "-o", trace, os.Args[0], path)
	cmd.Env = append(os.Environ(), roleVariable+"=write ten")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	calls, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(calls), "sync("); n < 11 {
		t.Errorf("11 commits made %d sync calls:\n%s", n, calls)
	}
}

func TestAClosedDatabaseSaysSo(t *testing.T) {
	db := openTable(t, Config{})
	if db.Closed() {
		t.Error("closed before Close")
	}
	if err := db.Close(); err != nil || !db.Closed() {
		t.Fatal(err, db.Closed())
	}
	for name, change := range map[string]func(context.Context, func(*Tx) error) error{"Write": db.Write, "Apply": db.Apply} {
		if err := change(t.Context(), func(*Tx) error { return nil }); !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := db.Reader().QueryRow("SELECT id FROM t").Scan(new(int)); err == nil || strings.Contains(err.Error(), "no rows") {
		t.Errorf("Reader: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}
