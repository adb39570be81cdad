package pgdb

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
)

// group holds the writer until n changes are queued behind it, so that they make
// one group.
func group(t *testing.T, db *DB, fns ...func(tx *Tx) error) []error {
	t.Helper()
	entered, leave := make(chan struct{}), make(chan struct{})
	var once sync.Once
	first := make(chan error, 1)
	go func() {
		first <- db.Write(context.Background(), func(*Tx) error {
			once.Do(func() { close(entered) })
			<-leave
			return nil
		})
	}()
	<-entered
	errs := make([]error, len(fns))
	var all sync.WaitGroup
	for i, fn := range fns {
		all.Go(func() { errs[i] = db.Write(context.Background(), fn) })
		await(t, "the queue", func() bool { return db.writer.queue.Len() == i+1 })
	}
	close(leave)
	all.Wait()
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	return errs
}

func transactionID(to *string) func(tx *Tx) error {
	return func(tx *Tx) error { return tx.QueryRow("SELECT pg_current_xact_id()::text").Scan(to) }
}

func TestWritesAtTheSameTimeShareACommit(t *testing.T) {
	t.Parallel()
	db := openTable(t)
	before := db.Stats()
	var a, b string
	for _, err := range group(t, db, transactionID(&a), transactionID(&b)) {
		if err != nil {
			t.Error(err)
		}
	}
	if a == "" || a != b {
		t.Errorf("the transactions are %s and %s, want one", a, b)
	}
	if after := db.Stats(); after.Groups-before.Groups != 2 || after.Changes-before.Changes != 3 || after.Undone != before.Undone ||
		after.LongestHold <= 0 {
		t.Errorf("counted were %+v, before %+v", after, before)
	}
}

func TestAnErrorOrPanicUndoesItsOwnChangeOnly(t *testing.T) {
	t.Parallel()
	db := openTable(t)
	broken := errors.New("broken")
	errs := group(t, db,
		insert(1),
		func(tx *Tx) error { return errors.Join(insert(2)(tx), broken) },
		func(tx *Tx) error { _ = insert(3)(tx); panic("oh") },
		insert(1), // a violated key
		insert(4),
	)
	var panicked *PanicError
	if errs[0] != nil || !errors.Is(errs[1], broken) || !errors.As(errs[2], &panicked) || !IsUnique(errs[3]) || errs[4] != nil {
		t.Errorf("got %v", errs)
	}
	holds(t, db, 1, 4)
}

// The transaction is broken for all: each is tried alone.
func TestAChangeThatHidesAnErrorHarmsNobodyElse(t *testing.T) {
	t.Parallel()
	db := openTable(t)
	hides := func(tx *Tx) error {
		_, _ = tx.Exec("SELECT 1/0")
		return nil
	}
	errs := group(t, db, insert(1), hides, insert(2))
	if errs[0] != nil || errs[1] == nil || errs[2] != nil {
		t.Errorf("got %v, want an error for the second alone", errs)
	}
	holds(t, db, 1, 2)
}

func TestAGroupWhoseConnectionDiesIsRepeatedWhole(t *testing.T) {
	t.Parallel()
	db := openTable(t)
	killed := false
	kill := func(tx *Tx) error {
		if !killed {
			killed = true
			var pid int
			if err := tx.QueryRow("SELECT pg_backend_pid()").Scan(&pid); err != nil {
				return err
			}
			exec(t, db, "SELECT pg_terminate_backend($1)", pid)
		}
		return insert(2)(tx)
	}
	for i, err := range group(t, db, insert(1), kill, insert(3)) {
		if err != nil {
			t.Errorf("change %d: %v", i, err)
		}
	}
	holds(t, db, 1, 2, 3)
}

func TestAGroupWhoseAnswerIsLostIsNotRepeated(t *testing.T) {
	t.Parallel()
	s := pgtest.NewServer(t)
	p := pgtest.NewProxy(t, s, "postgres")
	db := open(t, p.URL)
	exec(t, db, "CREATE TABLE t (n integer PRIMARY KEY)")
	p.LoseCommits(2) // that of the change which holds the writer, too
	for i, err := range group(t, db, insert(1), insert(2)) {
		if err != nil {
			t.Errorf("change %d: %v", i, err)
		}
	}
	if p.Lost() != 2 {
		t.Fatalf("%d answers were lost, want 2", p.Lost())
	}
	holds(t, db, 1, 2)
}

// Two processes: what is read before it is written stays true until then.
func TestWritesOfTwoNodesExcludeEachOther(t *testing.T) {
	t.Parallel()
	a := openTable(t)
	b := open(t, a.cfg.URL)
	next := func(tx *Tx) error {
		var n int
		if err := tx.QueryRow("SELECT coalesce(max(n), 0) + 1 FROM t").Scan(&n); err != nil {
			return err
		}
		return insert(n)(tx)
	}
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			if err := []*DB{a, b}[i%2].Write(context.Background(), next); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	var n int
	if err := a.Pool().QueryRow(t.Context(), "SELECT count(*) FROM t").Scan(&n); err != nil || n != 100 {
		t.Errorf("%d rows, %v; want 100", n, err)
	}
}

func TestCloseCommitsWhatWasQueued(t *testing.T) {
	t.Parallel()
	db := openTable(t)
	other := open(t, db.cfg.URL)
	answers := make(chan error, 20)
	for n := range 20 {
		go func() { answers <- db.Write(context.Background(), insert(n)) }()
	}
	await(t, "a change", func() bool { return db.writer.queue.Len() > 0 || len(answers) > 0 })
	db.Close()
	done := 0
	for range 20 {
		if err := <-answers; err == nil {
			done++
		} else if !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	}
	var n int
	if err := other.Pool().QueryRow(t.Context(), "SELECT count(*) FROM t").Scan(&n); err != nil || n != done {
		t.Errorf("%d rows, %v; %d were acknowledged", n, err, done)
	}
}
