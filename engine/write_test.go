package engine_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/engine/store/sqlite"
	"github.com/liwanag/liwanag/workflow"
)

// stall is a program with a table of its own in the file of its engine.
type stall struct {
	t    *testing.T
	st   *sqlite.Store
	eng  *engine.Engine
	wf   *workflow.Workflow[string]
	stop func()
}

func openStall(t *testing.T, hold time.Duration) *stall {
	t.Helper()
	s := &stall{t: t, wf: workflow.New[string]("ship")}
	workflow.Step(s.wf, "pack", func(_ context.Context, o string) (string, error) { return "packed " + o, nil })
	workflow.WaitFor(s.wf, "paid", done, time.Hour)
	var err error
	s.st, err = sqlite.Config{Path: filepath.Join(t.TempDir(), "shop.db"), MaxHold: hold}.Open(t.Context())
	must(t, err)
	must(t, s.st.Migrate(t.Context(), fstest.MapFS{"1_orders.sql": {Data: []byte("CREATE TABLE orders (id TEXT PRIMARY KEY)")}}))
	s.restart()
	t.Cleanup(func() {
		s.stop()
		must(t, s.st.Close())
	})
	return s
}

// restart lets another engine run, with more definitions.
func (s *stall) restart(more ...workflow.Definition) {
	s.t.Helper()
	if s.stop != nil {
		s.stop()
	}
	var err error
	s.eng, err = engine.New(engine.Config{Store: s.st, Definitions: append(more, s.wf)})
	must(s.t, err)
	ctx, stop := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- s.eng.Run(ctx) }()
	s.stop = func() {
		stop()
		must(s.t, <-over)
	}
}

func (s *stall) order(tx *sqlite.Tx, id string) error {
	if _, err := tx.Exec("INSERT INTO orders VALUES (?)", id); err != nil {
		return err
	}
	return s.wf.Start(tx.Context(), tx, id, id)
}

func (s *stall) orders() (n int) {
	s.t.Helper()
	must(s.t, s.st.Read(s.t.Context(), func(tx *sql.Tx) error { return tx.QueryRow("SELECT count(*) FROM orders").Scan(&n) }))
	return n
}

func (s *stall) completed(id string) workflow.Run {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	run, err := workflow.Await(ctx, s.eng, id)
	if err != nil || run.Status != workflow.StatusCompleted {
		s.t.Fatalf("run %s: %s, %v", id, run.Status, err)
	}
	return run
}

func TestARunOfAWriteIsThereIfItCommits(t *testing.T) {
	t.Parallel()
	s := openStall(t, 0)
	ctx := t.Context()
	must(t, s.st.Write(ctx, func(tx *sqlite.Tx) error {
		must(t, s.order(tx, "order-1"))
		must(t, s.wf.Start(ctx, tx, "order-1", "order-1"))
		if err := s.wf.Start(ctx, tx, "order-1", "other"); !errors.Is(err, workflow.ErrInputDiffers) {
			t.Errorf("another input: %v", err)
		}
		if _, err := done.Send(ctx, tx, "nobody", "pay-1", "cash"); !errors.Is(err, workflow.ErrNotFound) {
			t.Errorf("an event to nobody: %v", err)
		}
		for i := range 2 {
			receipt, err := done.Send(ctx, tx, "order-1", "pay-1", "cash")
			if err != nil || receipt.Duplicate != (i == 1) {
				t.Errorf("send %d: %+v, %v", i, receipt, err)
			}
		}
		var n int
		must(t, tx.QueryRow("SELECT count(*) FROM orders").Scan(&n))
		if n != 1 {
			t.Errorf("inside there are %d orders", n)
		}
		return workflow.Ref[string]{Name: "ship"}.Start(ctx, tx, "order-2", "x")
	}))
	s.completed("order-1")
	mine := errors.New("changed my mind")
	if err := s.st.Write(ctx, func(tx *sqlite.Tx) error { return errors.Join(s.order(tx, "order-3"), mine) }); !errors.Is(err, mine) {
		t.Errorf("an error of the function: %v", err)
	}
	func() {
		defer func() {
			if r := recover(); r != "oh" {
				t.Errorf("the panic is %v", r)
			}
		}()
		_ = s.st.Write(ctx, func(tx *sqlite.Tx) error { must(t, s.order(tx, "order-3")); panic("oh") })
	}()
	if _, err := workflow.Await(ctx, s.eng, "order-3"); !errors.Is(err, workflow.ErrNotFound) || s.orders() != 1 {
		t.Errorf("of what was undone there is a run (%v) or an order (%d)", err, s.orders())
	}
}

func TestAWriteThatTakesTooLongIsUndoneAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	s := openStall(t, 50*time.Millisecond)
	ctx := t.Context()
	forever := "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
	for what, hold := range map[string]func(tx *sqlite.Tx) error{
		"a statement without end": func(tx *sqlite.Tx) error { var n int; return tx.QueryRow(forever).Scan(&n) },
		"a function that waits for others": func(tx *sqlite.Tx) error {
			over := make(chan error)
			go func() { over <- s.wf.Start(ctx, s.eng, "waited-for", "x") }()
			must(t, <-over)
			_, err := tx.Exec("INSERT INTO orders VALUES ('late')")
			if !errors.Is(err, sqlite.ErrHeld) {
				t.Errorf("a statement behind the end: %v", err)
			}
			return nil
		},
	} {
		calls := 0
		err := s.st.Write(ctx, func(tx *sqlite.Tx) error {
			calls++
			return errors.Join(s.order(tx, "held"), hold(tx))
		})
		if !errors.Is(err, sqlite.ErrHeld) || calls != 1 || s.orders() != 0 {
			t.Errorf("%s: %v, called %d times, %d orders", what, err, calls, s.orders())
		}
	}
	must(t, s.st.Write(ctx, func(tx *sqlite.Tx) error { return s.order(tx, "after") }))
}

func TestWhatWouldWaitForAWriteInsideOfItIsRefused(t *testing.T) {
	t.Parallel()
	s := openStall(t, 0)
	ctx := t.Context()
	for i := range 100 { // others, meanwhile
		must(t, s.wf.Start(ctx, s.eng, fmt.Sprint("other-", i), "x"))
	}
	must(t, s.st.Write(ctx, func(tx *sqlite.Tx) error {
		elsewhere := make(chan error)
		go func() { elsewhere <- s.wf.Start(tx.Context(), s.eng, "nested", "x") }()
		for what, err := range map[string]error{
			"a start":               s.wf.Start(ctx, s.eng, "nested", "x"),
			"a start of another":    <-elsewhere,
			"a write":               s.st.Write(ctx, func(*sqlite.Tx) error { return nil }),
			"a cancel":              s.eng.Cancel(ctx, "other-1", ""),
			"a note of the store's": s.st.Note(ctx, store.Definition{Workflow: "ship"}, nil),
		} {
			if !errors.Is(err, sqlite.ErrInside) {
				t.Errorf("%s inside of a write: %v", what, err)
			}
		}
		if _, err := s.eng.Describe(ctx, "other-1"); err != nil {
			t.Errorf("a read inside of a write: %v", err)
		}
		return s.order(tx, "order-1")
	}))
	for i := range 100 {
		id := fmt.Sprint("other-", i)
		_, err := done.Send(ctx, s.eng, id, "pay-1", "cash")
		must(t, err)
		s.completed(id)
	}
}

func TestStatementsThatReachBeyondAWriteAreRefused(t *testing.T) {
	t.Parallel()
	s := openStall(t, 0)
	refused := []string{"COMMIT", "begin immediate", " /* x */ END", "-- x\nROLLBACK", "SAVEPOINT a", "release a", "ATTACH 'x' AS y",
		"DETACH y", "VACUUM", "PRAGMA synchronous = OFF", ";COMMIT", "SELECT 1; COMMIT", "SELECT ';'; -- ;\n;;commit",
		"INSERT INTO orders VALUES ('a;''b'); END", "SELECT \"a;\" ; [x;] ; COMMIT", "\ufeffCOMMIT",
		"CREATE TRIGGER t AFTER INSERT ON orders BEGIN SELECT 1; END; COMMIT"}
	taken := []string{"INSERT INTO orders VALUES ('COMMIT; END')", "CREATE TABLE commits (\"end\" TEXT)",
		"CREATE TEMP TRIGGER t AFTER INSERT ON orders BEGIN SELECT CASE WHEN 1 THEN 2 END; END",
		"CREATE TABLE a (x); CREATE TABLE b (y)", "EXPLAIN COMMIT"}
	must(t, s.st.Write(t.Context(), func(tx *sqlite.Tx) error {
		for _, text := range refused {
			if _, err := tx.Exec(text); !errors.Is(err, sqlite.ErrStatement) {
				t.Errorf("%q is let pass: %v", text, err)
			}
			if _, err := tx.Query(text); !errors.Is(err, sqlite.ErrStatement) {
				t.Errorf("%q is let pass as a query: %v", text, err)
			}
		}
		for _, text := range taken {
			if _, err := tx.Exec(text); err != nil {
				t.Errorf("%q: %v", text, err)
			}
		}
		return s.order(tx, "order-1")
	}))
	if n := s.orders(); n != 2 {
		t.Errorf("there are %d orders", n)
	}
	err := s.st.Read(t.Context(), func(tx *sql.Tx) error { _, err := tx.Exec("DELETE FROM orders"); return err })
	if err == nil || !strings.Contains(err.Error(), "readonly") {
		t.Errorf("a write in a read: %v", err)
	}
}
