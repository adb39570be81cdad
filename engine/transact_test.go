package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/store/memory"
	"github.com/liwanag/liwanag/engine/store/postgres"
	"github.com/liwanag/liwanag/engine/store/sqlite"
	"github.com/liwanag/liwanag/workflow"
)

var patient = workflow.Retry{MaxAttempts: 100, InitialDelay: 5 * time.Millisecond, MaxDelay: 20 * time.Millisecond}

// books is a workflow with a step in a transaction of PostgreSQL.
func (s *shop) books(name string, fn func(ctx context.Context, tx pgx.Tx, id string) (int, error),
	opts ...workflow.StepOption) (*workflow.Workflow[string], *workflow.Result[int]) {
	wf := workflow.New[string](name)
	workflow.Step(wf, "before", func(_ context.Context, id string) (string, error) { return id, nil })
	booked := postgres.Step(wf, "book", func(ctx context.Context, tx pgx.Tx, id string) (int, error) {
		if _, err := tx.Exec(ctx, "INSERT INTO app.bookings VALUES ($1)", id); err != nil {
			return 0, err
		}
		return fn(ctx, tx, id)
	}, opts...)
	workflow.Step(wf, "after", func(ctx context.Context, _ string) (int, error) { return booked.Output(ctx) + 1, nil })
	return wf, booked
}

func openBookings(t *testing.T) *shop {
	t.Helper()
	s := openShop(t)
	_, err := s.pool.Exec(t.Context(), "CREATE TABLE app.bookings (id text, CONSTRAINT checked UNIQUE (id) DEFERRABLE INITIALLY DEFERRED)")
	must(t, err)
	return s
}

// node is one more that holds definitions.
func (s *shop) another(lease time.Duration, defs ...workflow.Definition) *node {
	s.t.Helper()
	n := startLeased(s.t, s.url, fmt.Sprint("node ", len(defs)), lease, defs...)
	s.t.Cleanup(n.stop)
	return n
}

func (s *shop) bookings(id string) (n int) {
	s.t.Helper()
	must(s.t, s.pool.QueryRow(s.t.Context(), "SELECT count(*) FROM app.bookings WHERE id = $1", id).Scan(&n))
	return n
}

func (s *shop) ends(n *node, id string) workflow.Run {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	run, err := workflow.Await(ctx, n.Engine, id)
	must(s.t, err)
	return run
}

func TestWhatAStepWritesIsCommittedWithItsOutcome(t *testing.T) {
	t.Parallel()
	s := openBookings(t)
	wf, booked := s.books("books", func(ctx context.Context, tx pgx.Tx, id string) (int, error) {
		if workflow.InfoFrom(ctx).Attempt < 3 {
			return 0, errors.New("not yet")
		}
		if err := tx.Commit(ctx); err == nil || !strings.Contains(err.Error(), "does not end its transaction") {
			t.Errorf("a commit by the step: %v", err)
		}
		return 41, s.wf.Start(ctx, s.st.In(tx), "shipped-"+id, id)
	}, patient)
	n := s.another(0, wf)
	must(t, wf.Start(t.Context(), n, "a", "a"))
	run := s.ends(n, "a")
	if got, err := booked.Of(run); got != 41 || err != nil || string(run.Output) != "42" || s.bookings("a") != 1 {
		t.Errorf("the step left %d (%v), the run %s, and %d bookings", got, err, run.Output, s.bookings("a"))
	}
	if got := len(run.Steps[1].Attempts); got != 3 {
		t.Errorf("it took %d attempts", got)
	}
	must(t, pgx.BeginFunc(t.Context(), s.pool, func(tx pgx.Tx) error { // behind the start, which is moved some time later
		_, err := done.Send(t.Context(), s.st.In(tx), "shipped-a", "pay-1", "cash")
		return err
	}))
	s.completed("shipped-a")
}

func TestWhatTheDatabaseDoesNotTakeOfAStepFailsIt(t *testing.T) {
	t.Parallel()
	s := openBookings(t)
	wf, _ := s.books("twice", func(ctx context.Context, tx pgx.Tx, id string) (int, error) {
		_, err := tx.Exec(ctx, "INSERT INTO app.bookings VALUES ($1)", id) // refused by the commit
		return 0, err
	}, workflow.Retry{MaxAttempts: 2})
	n := s.another(0, wf)
	must(t, wf.Start(t.Context(), n, "a", "a"))
	run := s.ends(n, "a")
	if run.Failure == nil || run.Failure.Step != "book" || run.Failure.Attempts != 2 || !strings.Contains(run.Failure.Message, "checked") {
		t.Errorf("the run failed with %+v", run.Failure)
	}
	if s.bookings("a") != 0 {
		t.Error("and there is a booking")
	}
}

// Connections are killed at every point of the step, and a node with its lease.
func TestEffectAndOutcomeAreBothThereOrNeither(t *testing.T) {
	t.Parallel()
	s := openBookings(t)
	killer, err := pgx.Connect(t.Context(), s.url)
	must(t, err)
	t.Cleanup(func() { _ = killer.Close(context.Background()) })
	var mu sync.Mutex
	killed := map[string]int{}
	kill := func(where string) {
		_, err := killer.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "+where)
		must(t, err)
	}
	wf, _ := s.books("killed", func(ctx context.Context, tx pgx.Tx, id string) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		if killed[id]++; killed[id] > 2 {
			return 1, nil
		}
		switch id[0] {
		case 'a': // inside of the step
			kill(fmt.Sprint("pid = ", tx.Conn().PgConn().PID()))
		case 'b': // between the step and its outcome
			go kill2(t, s.url, tx.Conn().PgConn().PID())
		case 'c': // all that the nodes have
			kill("datname = current_database() AND pid <> pg_backend_pid()")
		}
		return 1, nil
	}, patient)
	first, second := s.another(time.Second, wf), s.another(time.Second, wf, s.wf)
	for _, kind := range []string{"a", "b", "c"} {
		for i := range 2 {
			id := fmt.Sprint(kind, i)
			for err := wf.Start(t.Context(), first, id, id); err != nil; err = wf.Start(t.Context(), first, id, id) {
				time.Sleep(10 * time.Millisecond)
			}
		}
	}
	for _, kind := range []string{"a", "b", "c"} {
		for i := range 2 {
			id := fmt.Sprint(kind, i)
			var run workflow.Run
			for run.ID == "" {
				run, _ = workflow.Await(t.Context(), second.Engine, id)
			}
			var n int
			must(t, killer.QueryRow(t.Context(), "SELECT count(*) FROM app.bookings WHERE id = $1", id).Scan(&n))
			if run.Status != workflow.StatusCompleted || n != 1 {
				t.Errorf("run %s is %s (%v) with %d bookings", id, run.Status, run.Failure, n)
			}
		}
	}
}

// kill2 kills a connection by another one of its own.
func kill2(t *testing.T, url string, pid uint32) {
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		return // it was killed itself
	}
	defer conn.Close(context.Background())
	_, _ = conn.Exec(context.Background(), "SELECT pg_terminate_backend($1)", pid)
}

func TestWhatAStepWritesIntoTheFileIsCommittedWithItsOutcome(t *testing.T) {
	t.Parallel()
	s := openStall(t, 200*time.Millisecond)
	wf := workflow.New[string]("books")
	booked := sqlite.Step(wf, "book", func(ctx context.Context, tx *sqlite.Tx, id string) (int, error) {
		if err := s.order(tx, "order-"+id); err != nil {
			return 0, err
		}
		if err := s.wf.Start(ctx, s.eng, "nested", "x"); !errors.Is(err, sqlite.ErrInside) {
			t.Errorf("a start inside of a step: %v", err)
		}
		switch workflow.InfoFrom(ctx).Attempt {
		case 1:
			return 0, errors.New("not yet")
		case 2:
			panic("oh")
		case 3:
			var n int
			return 0, tx.QueryRow("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n").Scan(&n)
		}
		return 7, nil
	}, patient)
	s.restart(wf)
	must(t, wf.Start(t.Context(), s.eng, "a", "a"))
	run := s.completed("a")
	if got, err := booked.Of(run); got != 7 || err != nil || s.orders() != 1 {
		t.Errorf("the step left %d (%v), and %d orders", got, err, s.orders())
	}
	if got := run.Steps[0].Attempts; len(got) != 4 || !strings.Contains(got[1].Error, "panic") || !strings.Contains(got[2].Error, "too long") {
		t.Errorf("the attempts were %+v", got)
	}
	_, err := done.Send(t.Context(), s.eng, "order-a", "pay-1", "cash")
	must(t, err)
	s.completed("order-a")
}

func TestAStepInATransactionIsRefusedWhereThereIsNone(t *testing.T) {
	t.Parallel()
	wf := workflow.New[string]("books")
	workflow.Map(wf, "each", workflow.Each(workflow.Step(wf, "list", func(context.Context, string) ([]string, error) { return nil, nil })),
		func(b *workflow.Workflow[string]) *workflow.Result[int] {
			return sqlite.Step(b, "book", func(context.Context, *sqlite.Tx, string) (int, error) { return 0, nil })
		})
	_, err := engine.New(engine.Config{Store: memory.New(), Definitions: []workflow.Definition{wf}})
	if err == nil || !strings.Contains(err.Error(), `step "book": it runs in a transaction of the SQLite store`) {
		t.Errorf("an engine in memory: %v", err)
	}
	bad := workflow.New[string]("bad")
	sqlite.Step(bad, "book", func(context.Context, *sqlite.Tx, string) (int, error) { return 0, nil }, workflow.AtMostOnce)
	sqlite.Step[string, int](bad, "none", nil)
	err = bad.Plan().Validate()
	if err == nil || !strings.Contains(err.Error(), "AtMostOnce") || !strings.Contains(err.Error(), "a function") {
		t.Errorf("the faults of the definition: %v", err)
	}
}
