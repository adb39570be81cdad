package sqlitedb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The tests that need a second process run this binary again, with the role in
// the environment and the database file as the argument.
const roleVariable = "SQLITEDB_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		if err := play(role, os.Args[1]); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func play(role, path string) error {
	ctx := context.Background()
	db, err := Open(ctx, Config{Path: path})
	if err != nil {
		return err
	}
	insert := func(n int) error {
		return db.Write(ctx, func(tx *Tx) error {
			_, err := tx.Exec("INSERT INTO t (id, body) VALUES (?, randomblob(200))", n)
			return err
		})
	}
	create := func() error {
		return db.Write(ctx, func(tx *Tx) error {
			_, err := tx.Exec("CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB)")
			return err
		})
	}
	switch role {
	case "open":
		return db.Close()
	case "write until killed":
		if err := create(); err != nil {
			return err
		}
		for n := 1; ; n++ {
			if err := insert(n); err != nil {
				return err
			}
			fmt.Println(n)
		}
	case "write ten":
		if err := create(); err != nil {
			return err
		}
		for n := range 10 {
			if err := insert(n); err != nil {
				return err
			}
		}
		return db.Close()
	case "file size limit":
		signal.Ignore(syscall.SIGXFSZ)
		if err := create(); err != nil {
			return err
		}
		return writeErrors(db, insert)
	}
	return fmt.Errorf("unknown role %q", role)
}

// writeErrors lets every write to a file fail in the middle of the log, then
// succeed again.
func writeErrors(db *DB, insert func(int) error) error {
	wal, err := os.Stat(db.Path() + "-wal")
	if err != nil {
		return err
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	low := limit
	low.Cur = uint64(wal.Size())
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &low); err != nil {
		return err
	}
	failed := make(chan error, 20)
	for n := range cap(failed) {
		go func() { failed <- insert(n) }()
	}
	for range cap(failed) {
		if err := <-failed; err == nil {
			return errors.New("a write beyond the file size limit was acknowledged")
		}
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	if err := insert(7); err != nil {
		return fmt.Errorf("after the limit was lifted: %w", err)
	}
	var n int
	if err := db.Reader().QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil || n != 1 {
		return fmt.Errorf("%d rows instead of 1 (%v)", n, err)
	}
	return db.Close()
}

func role(t *testing.T, name, path string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], path)
	cmd.Env = append(os.Environ(), roleVariable+"="+name)
	return cmd
}

func open(t *testing.T, c Config) *DB {
	t.Helper()
	if c.Path == "" {
		c.Path = filepath.Join(t.TempDir(), "test.db")
	}
	db, err := Open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// openTable opens a database with an empty table t (id INTEGER PRIMARY KEY,
// body BLOB).
func openTable(t *testing.T, c Config) *DB {
	t.Helper()
	db := open(t, c)
	exec1(t, db, "CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB)")
	return db
}

func exec1(t *testing.T, db *DB, query string, args ...any) {
	t.Helper()
	err := db.Write(context.Background(), func(tx *Tx) error {
		_, err := tx.Exec(query, args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func ids(t *testing.T, db *DB) (out []int) {
	t.Helper()
	rows, err := db.Reader().Query("SELECT id FROM t ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id int
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		out = append(out, id)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// hold keeps the writer busy until the returned function is called, so that
// what is queued meanwhile becomes one group.
func hold(t *testing.T, db *DB) (release func()) {
	t.Helper()
	entered, leave, left := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		left <- db.Write(context.Background(), func(*Tx) error {
			close(entered)
			<-leave
			return nil
		})
	}()
	<-entered
	return func() {
		close(leave)
		if err := <-left; err != nil {
			t.Error(err)
		}
	}
}

// awaitQueued returns once n changes wait for the writer.
func awaitQueued(t *testing.T, db *DB, n int) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		queued := db.writer.queue.Len()
		if queued == n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d changes are queued, want %d", queued, n)
		}
		time.Sleep(time.Microsecond)
	}
}

func contains(t *testing.T, text, part string) {
	t.Helper()
	if !strings.Contains(text, part) {
		t.Errorf("%q does not contain %q", text, part)
	}
}
