package pgdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
)

func TestATransactionIsDoneOrUndoneWhole(t *testing.T) {
	t.Parallel()
	db := openTable(t)
	broken := errors.New("broken")
	err := db.Transact(t.Context(), func(tx *Tx) error {
		if err := insert(1)(tx); err != nil {
			return err
		}
		return broken
	})
	if err != broken {
		t.Errorf("got %v, want the function's own error", err)
	}
	holds(t, db)
	var after *Tx
	if err := db.Transact(t.Context(), func(tx *Tx) error { after = tx; return insert(2)(tx) }); err != nil {
		t.Fatal(err)
	}
	holds(t, db, 2)
	if _, err := after.Exec("SELECT 1"); err == nil {
		t.Error("a transaction can be used after its function returned")
	}
}

func TestACommitWhoseAnswerIsLostIsLookedUp(t *testing.T) {
	t.Parallel()
	s := pgtest.NewServer(t)
	p := pgtest.NewProxy(t, s, "postgres")
	db := open(t, p.URL)
	exec(t, db, "CREATE TABLE t (n integer PRIMARY KEY)")
	ran := 0
	p.LoseCommits(1)
	if err := db.Transact(t.Context(), func(tx *Tx) error { ran++; return insert(1)(tx) }); err != nil {
		t.Fatal(err)
	}
	if ran != 1 || p.Lost() != 1 {
		t.Errorf("the function ran %d times, %d answers were lost; want 1 and 1", ran, p.Lost())
	}
	holds(t, db, 1)
}

// What was lost before it was committed is known as such, and done again.
func TestAConnectionThatIsKilledIsReplacedAndItsTransactionRepeated(t *testing.T) {
	t.Parallel()
	db := openTable(t)
	for n := range 50 {
		ran := 0
		err := db.Transact(t.Context(), func(tx *Tx) error {
			if ran++; ran == 1 {
				var pid int
				if err := tx.QueryRow("SELECT pg_backend_pid()").Scan(&pid); err != nil {
					return err
				}
				if n%2 == 0 {
					exec(t, db, "SELECT pg_terminate_backend($1)", pid)
				} else if err := insert(n)(tx); err != nil {
					return err
				} else {
					exec(t, db, "SELECT pg_terminate_backend($1)", pid)
				}
			}
			return insert(n)(tx)
		})
		if err != nil || ran != 2 {
			t.Fatalf("transaction %d: %v, after %d runs", n, err, ran)
		}
	}
}

func TestADeadlockCostsARepetition(t *testing.T) {
	t.Parallel()
	db := openTable(t)
	exec(t, db, "INSERT INTO t VALUES (1), (2)")
	var both, met sync.WaitGroup
	met.Add(2)
	runs := make(chan int, 2)
	for _, order := range [][2]int{{1, 2}, {2, 1}} {
		both.Go(func() {
			ran := 0
			err := db.Transact(context.Background(), func(tx *Tx) error {
				ran++
				if _, err := tx.Exec("SELECT 1 FROM t WHERE n = $1 FOR UPDATE", order[0]); err != nil {
					return err
				}
				if ran == 1 {
					met.Done()
					met.Wait()
				}
				_, err := tx.Exec("SELECT 1 FROM t WHERE n = $1 FOR UPDATE", order[1])
				return err
			})
			if err != nil {
				t.Error(err)
			}
			runs <- ran
		})
	}
	both.Wait()
	if total := <-runs + <-runs; total != 3 {
		t.Errorf("%d runs, want 3: one of the two is the victim, once", total)
	}
}

func TestASerializationFailureCostsARepetition(t *testing.T) {
	t.Parallel()
	db := openTable(t)
	ran := 0
	err := db.Transact(t.Context(), func(tx *Tx) error {
		if ran++; ran < 3 {
			_, err := tx.Exec("DO $$ BEGIN RAISE EXCEPTION 'conflict' USING ERRCODE = '40001'; END $$")
			return err
		}
		return insert(1)(tx)
	})
	if err != nil || ran != 3 {
		t.Errorf("%v after %d runs, want 3", err, ran)
	}
	holds(t, db, 1)
}

func TestAServerThatRestartsIsWaitedForAndItsTransactionsAreKnown(t *testing.T) {
	t.Parallel()
	s := pgtest.NewServer(t)
	db := openPatient(t, s.URL("postgres"), 9*time.Second)
	exec(t, db, "CREATE TABLE t (n integer PRIMARY KEY)")
	for n := range 3 { // all of the pool's connections die
		if err := db.Transact(t.Context(), insert(n)); err != nil {
			t.Fatal(err)
		}
	}
	s.Stop()
	if err := db.Transact(t.Context(), insert(10)); err == nil || !IsTransient(err) || strings.Contains(err.Error(), "no rows") {
		t.Errorf("while it is down: %v, want a transient error", err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if err := db.Transact(t.Context(), insert(11)); err != nil {
		t.Errorf("after the restart: %v", err)
	}
	holds(t, db, 0, 1, 2, 11)
}

func TestAnExhaustedPoolIsAnErrorOnceTheContextEnds(t *testing.T) {
	t.Parallel()
	db := openTable(t)
	entered, leave := make(chan struct{}, 6), make(chan struct{})
	var all sync.WaitGroup
	for n := range 6 {
		all.Go(func() {
			err := db.Transact(context.Background(), func(tx *Tx) error {
				entered <- struct{}{}
				<-leave
				return insert(n)(tx)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	for range 6 {
		<-entered
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := db.Transact(ctx, insert(9)); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no connection") {
		t.Errorf("got %v, want what is missing and for how long it was waited", err)
	}
	close(leave)
	all.Wait()
	holds(t, db, 0, 1, 2, 3, 4, 5)
}

// A process that stops in the middle of a transaction does not keep its locks.
func TestATransactionThatIsLeftAloneIsEndedByTheServer(t *testing.T) {
	t.Parallel()
	db := openTable(t)
	db.begin = strings.Replace(db.begin, fmt.Sprint(idleInTransaction.Milliseconds()), "100", 1)
	other := open(t, db.cfg.URL)
	ran, neighbor := 0, false
	err := db.Transact(t.Context(), func(tx *Tx) error {
		if ran++; neighbor {
			return nil
		}
		if err := insert(1)(tx); err != nil {
			return err // a busy machine left it alone before
		}
		// The same key waits for the lock, which only the server can take away.
		neighbor = true
		if err := other.Transact(context.Background(), insert(1)); err != nil {
			t.Errorf("the neighbor: %v", err)
		}
		return nil
	})
	if err != nil || ran < 2 {
		t.Errorf("%v after %d runs, want 2: the server had ended the first", err, ran)
	}
	holds(t, db, 1)
}

func TestAClosedDatabaseIsToldApart(t *testing.T) {
	t.Parallel()
	db := openTable(t)
	db.Close()
	db.Close()
	if err := db.Transact(t.Context(), insert(1)); !errors.Is(err, ErrClosed) {
		t.Errorf("Transact: %v", err)
	}
	if err := db.Write(t.Context(), insert(1)); !errors.Is(err, ErrClosed) || !db.Closed() {
		t.Errorf("Write: %v", err)
	}
}

func TestWhatCannotBeOpenedSaysWhatToDo(t *testing.T) {
	t.Parallel()
	s := pgtest.Shared(t)
	for url, want := range map[string]string{
		"":                                     "URL is empty",
		"mysql://x":                            "not a PostgreSQL connection string",
		s.URL("missing"):                       "Try: createdb",
		s.URLAs("nobody", "postgres"):          "Try: another user",
		"postgres://u:passw0rd@127.0.0.1:1/db": "cannot be reached",
	} {
		_, err := Open(t.Context(), Config{URL: url})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "passw0rd") {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
}

func TestAServerThatDoesNotWaitForItsDiskIsMadeTo(t *testing.T) {
	t.Parallel()
	s := pgtest.Shared(t)
	url := pgtest.Database(t)
	name := pgtest.Name(url)
	s.Exec(t, "postgres", "ALTER DATABASE "+name+" SET synchronous_commit = off")
	db := open(t, url)
	err := db.Transact(t.Context(), func(tx *Tx) error {
		var setting string
		if err := tx.QueryRow("SHOW synchronous_commit").Scan(&setting); err != nil || setting != "on" {
			return fmt.Errorf("synchronous_commit is %s: %w", setting, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if db.Durable() {
		t.Error("the test's server does not sync, and that is not told")
	}
}

// A server that is shut down may have committed before it said so.
func TestATransactionThatMayBeCommittedIsNeverRepeated(t *testing.T) {
	t.Parallel()
	shutdown := &pgconn.PgError{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: pgerrcode.AdminShutdown}
	if !IsTransient(shutdown) {
		t.Error("a shutdown before the commit is not transient")
	}
	for _, known := range []error{ErrOutcomeUnknown, ErrAnswerLost} {
		for _, cause := range []error{shutdown, &lostError{io.EOF}} {
			if err := fmt.Errorf("%w: %w", known, cause); IsTransient(err) {
				t.Errorf("%v would be repeated", err)
			}
		}
	}
}
