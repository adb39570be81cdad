package pgdb

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
)

// openSilent opens a database behind a proxy that can fall silent, with a table t.
func openSilent(t *testing.T, patience time.Duration) (*DB, *pgtest.Proxy) {
	t.Helper()
	proxy := pgtest.NewProxy(t, pgtest.Shared(t), pgtest.Name(pgtest.Database(t)))
	db := openPatient(t, proxy.URL, patience)
	exec(t, db, "CREATE TABLE t (n integer PRIMARY KEY)")
	return db, proxy
}

// A statement has less time than its transaction, so that the transaction is made
// again on a connection that answers.
func TestATransactionWhoseConnectionFallsSilentIsRepeatedOnAnother(t *testing.T) {
	t.Parallel()
	for name, statement := range map[string]func(tx *Tx, n int) error{
		"exec":   func(tx *Tx, n int) error { return insert(n)(tx) },
		"change": func(tx *Tx, n int) error { return insert(n)(tx) },
		"row":    func(tx *Tx, n int) error { return tx.QueryRow("INSERT INTO t VALUES ($1) RETURNING n", n).Scan(&n) },
		"batch": func(tx *Tx, n int) error {
			b := &pgx.Batch{}
			b.Queue("INSERT INTO t VALUES ($1)", n)
			return tx.SendBatch(b).Close()
		},
		"query": func(tx *Tx, n int) error {
			rows, err := tx.Query("INSERT INTO t VALUES ($1) RETURNING n", n)
			if err != nil {
				return err
			}
			rows.Close()
			return rows.Err()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, proxy := openSilent(t, 18*time.Second)
			ran := 0
			once := func(tx *Tx) error {
				if ran++; ran == 1 {
					proxy.Silence(false)
				}
				return statement(tx, 1)
			}
			transact := db.Transact
			if name == "change" {
				transact = db.Write
			}
			if err := transact(t.Context(), once); err != nil || ran != 2 {
				t.Errorf("%v after %d runs, want 2", err, ran)
			}
			holds(t, db, 1)
		})
	}
}

func TestAReadInSilenceEnds(t *testing.T) {
	t.Parallel()
	db, proxy := openSilent(t, 6*time.Second)
	proxy.Silence(true)
	rows, err := db.Query(t.Context(), "SELECT n FROM t")
	if err == nil {
		_, err = pgx.CollectRows(rows, pgx.RowTo[int])
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Query: %v", err)
	}
	if err := db.QueryRow(t.Context(), "SELECT 1", nil, new(int)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("QueryRow: %v", err)
	}
}

func TestAListenerWhoseConnectionFallsSilentComesBack(t *testing.T) {
	t.Parallel()
	db, proxy := openSilent(t, 6*time.Second)
	var connected atomic.Int64
	db.Listen(t.Context(), "c", func(_ string, missed bool) {
		if missed {
			connected.Add(1)
		}
	})
	await(t, "the first connection", func() bool { return connected.Load() == 1 })
	proxy.Silence(false)
	await(t, "the second connection", func() bool { return connected.Load() == 2 })
}

func TestAnAbandonedChangeIsToldWhenADatabaseIsClosedInSilence(t *testing.T) {
	t.Parallel()
	db, proxy := openSilent(t, time.Hour)
	db.Listen(t.Context(), "c", func(string, bool) {})
	began, told := make(chan struct{}), make(chan error, 2)
	go func() {
		told <- db.Write(context.Background(), func(tx *Tx) error {
			proxy.Silence(true)
			close(began)
			return insert(1)(tx)
		})
	}()
	<-began
	go func() { told <- db.Write(context.Background(), insert(2)) }()
	await(t, "the second change", func() bool { return db.writer.queue.Len() == 1 })
	closed := make(chan struct{})
	go func() { db.Close(); close(closed) }()
	await(t, "the end of Close", func() bool {
		select {
		case <-closed:
			return true
		default:
			return false
		}
	})
	for range 2 {
		if err := <-told; err == nil {
			t.Error("a change that was abandoned is told as made")
		}
	}
}
