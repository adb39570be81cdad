package pgdb

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func open(t testing.TB, url string) *DB {
	t.Helper()
	return openPatient(t, url, 20*time.Second)
}

func openPatient(t testing.TB, url string, patience time.Duration) *DB {
	t.Helper()
	db, err := Open(t.Context(), Config{URL: url, MaxConns: 6, Patience: patience, GroupHold: time.Minute}) // no group ends by the clock
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

// openTable opens an empty database with a table t (n integer primary key).
func openTable(t testing.TB) *DB {
	t.Helper()
	db := open(t, pgtest.Database(t))
	exec(t, db, "CREATE TABLE t (n integer PRIMARY KEY)")
	return db
}

func exec(t testing.TB, db *DB, sql string, args ...any) {
	t.Helper()
	if _, err := db.Pool().Exec(context.Background(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

func insert(n int) func(tx *Tx) error {
	return func(tx *Tx) error {
		_, err := tx.Exec("INSERT INTO t VALUES ($1)", n)
		return err
	}
}

// holds compares the numbers in the table.
func holds(t testing.TB, db *DB, want ...int) {
	t.Helper()
	rows, err := db.Pool().Query(context.Background(), "SELECT n FROM t ORDER BY n")
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) && len(got)+len(want) > 0 {
		t.Errorf("the table holds %v, want %v", got, want)
	}
}

// await polls what other processes do.
func await(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s never happened", what)
		}
	}
}
