package engine_test

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/store/postgres"
	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
	"github.com/liwanag/liwanag/workflow"
)

// shop is a program with tables of its own beside a node's store.
type shop struct {
	t    *testing.T
	url  string
	pool *pgxpool.Pool
	st   *postgres.Store
	node *node
	wf   *workflow.Workflow[string]

	mu     sync.Mutex
	faults []error
}

func (s *shop) RunEnded(workflow.RunRef, workflow.Status, *workflow.Failure, time.Duration) {}

func (s *shop) RunnerFault(_ string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, err)
}

// told waits for a fault.
func (s *shop) told(want error) {
	s.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		s.mu.Lock()
		found := slices.ContainsFunc(s.faults, func(err error) bool { return errors.Is(err, want) })
		s.mu.Unlock()
		if found {
			return
		}
	}
	s.t.Fatalf("nobody was told %v: %v", want, s.faults)
}

func openShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{t: t, url: pgtest.Database(t), wf: workflow.New[string]("ship")}
	workflow.Step(s.wf, "pack", func(_ context.Context, o string) (string, error) { return "packed " + o, nil })
	workflow.WaitFor(s.wf, "paid", done, time.Hour)
	var err error
	if s.st, err = postgres.Open(t.Context(), s.url); err != nil {
		t.Fatal(err)
	}
	s.node = nodeOn(t, s.st, engine.Config{Definitions: []workflow.Definition{s.wf}, Observers: []workflow.Observer{s}})
	t.Cleanup(s.node.stop)
	if s.pool, err = pgxpool.New(t.Context(), s.url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.pool.Close)
	if _, err := s.pool.Exec(t.Context(), "CREATE SCHEMA app; CREATE TABLE app.orders (id text PRIMARY KEY)"); err != nil {
		t.Fatal(err)
	}
	return s
}

// order inserts an order and starts its run in one transaction.
func (s *shop) order(ctx context.Context, tx pgx.Tx, id string) error {
	if _, err := tx.Exec(ctx, "INSERT INTO app.orders VALUES ($1)", id); err != nil {
		return err
	}
	return s.wf.Start(ctx, s.st.In(tx), id, id)
}

// completed waits until a run has ended well.
func (s *shop) completed(id string) workflow.Run {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	run, err := workflow.Await(ctx, s.node.Engine, id)
	if err != nil || run.Status != workflow.StatusCompleted {
		s.t.Fatalf("run %s: %s, %v", id, run.Status, err)
	}
	return run
}

func TestARunOfATransactionIsThereIfItCommits(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	ctx := t.Context()
	for i, options := range []pgx.TxOptions{{}, {IsoLevel: pgx.RepeatableRead}, {IsoLevel: pgx.Serializable}} {
		kept, undone := fmt.Sprint("kept-", i), fmt.Sprint("undone-", i)
		tx, err := s.pool.BeginTx(ctx, options)
		must(t, err)
		_, err = tx.Exec(ctx, "SET LOCAL search_path = app") // where there is no table of the store
		must(t, err)
		must(t, s.order(ctx, tx, kept))
		must(t, s.wf.Start(ctx, s.st.In(tx), kept, kept)) // once more is once
		_, err = done.Send(ctx, s.st.In(tx), kept, "pay-1", "cash")
		must(t, err)
		must(t, tx.Commit(ctx))
		s.st.Posted()

		tx, err = s.pool.BeginTx(ctx, options)
		must(t, err)
		must(t, s.order(ctx, tx, undone))
		must(t, tx.Rollback(ctx))
		run := s.completed(kept)
		if got := run.Events; len(got) != 1 || got[0].ID != "pay-1" || got[0].ConsumedBy != "paid" {
			t.Errorf("the events of %s are %+v", kept, got)
		}
		if _, err := workflow.Await(ctx, s.node.Engine, undone); !errors.Is(err, workflow.ErrNotFound) {
			t.Errorf("the run of a transaction that was rolled back: %v", err)
		}
	}
}

func TestTransactionsOfDatabaseSQLAndClientsStartRunsToo(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	ctx := t.Context()
	db, err := sql.Open("pgx", s.url)
	must(t, err)
	t.Cleanup(func() { _ = db.Close() })
	tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelSerializable})
	must(t, err)
	must(t, s.wf.Start(ctx, s.st.InSQL(tx), "by-sql", "x"))
	must(t, tx.Commit())
	s.st.Posted()

	ref := workflow.Ref[string]{Name: "ship"} // whichever version is held
	for i, c := range []postgres.Config{{URL: s.url}, {Schema: "public"}} {
		id := fmt.Sprint("by-client-", i)
		client, err := postgres.NewClient(c)
		must(t, err)
		t.Cleanup(client.Close)
		must(t, pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return ref.Start(ctx, client.In(tx), id, "x") }))
		client.Posted()
		_, err = db.ExecContext(ctx, "SELECT 1")
		must(t, err)
	}
	for _, id := range []string{"by-sql", "by-client-0", "by-client-1"} {
		must(t, pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
			_, err := done.Send(ctx, s.st.In(tx), id, "pay-1", "cash")
			return err
		}))
		if run := s.completed(id); run.Version != 1 {
			t.Errorf("%s is of version %d", id, run.Version)
		}
	}
	if _, err := postgres.NewClient(postgres.Config{}); err == nil || !strings.Contains(err.Error(), "URL") {
		t.Errorf("a client of nothing: %v", err)
	}
}

func TestWhatTransactionsAskedInVainIsTold(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	ctx := t.Context()
	must(t, s.wf.Start(ctx, s.node, "order-1", "one"))
	must(t, pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		must(t, s.wf.Start(ctx, s.st.In(tx), "order-1", "another"))
		_, err := done.Send(ctx, s.st.In(tx), "nobody", "pay-1", "cash")
		return err
	}))
	s.st.Posted()
	s.told(workflow.ErrInputDiffers)
	_, err := s.pool.Exec(ctx, "UPDATE wf_post SET at = at - interval '1 minute'")
	must(t, err)
	s.told(workflow.ErrNotFound)
	var left int
	must(t, s.pool.QueryRow(ctx, "SELECT count(*) FROM wf_post").Scan(&left))
	if left != 0 {
		t.Errorf("%d posts are left", left)
	}
	must(t, pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		_, err := done.Send(ctx, s.st.In(tx), "order-1", "pay-1", strings.Repeat("x", workflow.MaxPayload))
		if !errors.Is(err, workflow.ErrTooLarge) {
			t.Errorf("an event that is too large: %v", err)
		}
		return nil
	}))
}

func TestATransactionThatIdlesHoldsUpNobody(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	ctx := t.Context()
	idle, err := s.pool.Begin(ctx)
	must(t, err)
	must(t, s.order(ctx, idle, "idle"))
	_, err = done.Send(ctx, s.st.In(idle), "order-3", "pay-0", "cash")
	must(t, err)
	for i := range 20 { // the same runs, directly and in transactions
		id := fmt.Sprint("order-", i)
		if i%2 == 0 {
			must(t, s.wf.Start(ctx, s.node, id, id))
		} else {
			must(t, pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return s.order(ctx, tx, id) }))
			s.st.Posted()
		}
		must(t, pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
			_, err := done.Send(ctx, s.st.In(tx), id, "pay-1", "cash")
			return err
		}))
	}
	s.st.Posted()
	for i := range 20 {
		s.completed(fmt.Sprint("order-", i))
	}
	must(t, s.wf.Start(ctx, s.node, "idle", "idle")) // the same, while the other has not committed
	must(t, idle.Commit(ctx))
	_, err = done.Send(ctx, s.node, "idle", "pay-1", "cash")
	must(t, err)
	s.completed("idle")
}

// Connections of everybody are killed while two nodes move what was posted: a run is
// there exactly if its order is.
func TestARunIsThereExactlyIfItsOrderIs(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	second := startNode(t, s.url, "second", s.wf)
	t.Cleanup(second.stop)
	killer, err := pgx.Connect(t.Context(), s.url)
	must(t, err)
	t.Cleanup(func() { _ = killer.Close(context.Background()) })
	kill := func() {
		_, err := killer.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid() ORDER BY random() LIMIT 2) AS victims`)
		must(t, err)
	}
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			for i := range 25 {
				id := fmt.Sprintf("order-%d-%d", w, i)
				_ = pgx.BeginFunc(t.Context(), s.pool, func(tx pgx.Tx) error { // what became of it the orders tell
					if err := s.order(t.Context(), tx, id); err != nil || i%5 == 0 {
						return cmp.Or(err, errors.New("changed my mind"))
					}
					return nil
				})
				s.st.Posted()
				if w == 0 && i%5 == 2 {
					kill()
				}
			}
		})
	}
	all.Wait()
	s.isThereExactly(killer)
}

func (s *shop) isThereExactly(conn *pgx.Conn) {
	s.t.Helper()
	ctx := s.t.Context()
	for posted := 1; posted > 0; time.Sleep(10 * time.Millisecond) {
		must(s.t, conn.QueryRow(ctx, "SELECT count(*) FROM wf_post").Scan(&posted))
	}
	ids := func(query string) []string {
		rows, err := conn.Query(ctx, query)
		must(s.t, err)
		ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
		must(s.t, err)
		slices.Sort(ids)
		return ids
	}
	orders := ids("SELECT id FROM app.orders")
	var runs []string
	page, err := s.node.List(ctx, workflow.Query{Limit: 500})
	must(s.t, err)
	for _, r := range page.Runs {
		runs = append(runs, r.ID)
	}
	slices.Sort(runs)
	if !slices.Equal(orders, runs) {
		s.t.Errorf("there are %d orders and %d runs", len(orders), len(runs))
	}
	if len(orders) < 10 {
		s.t.Errorf("only %d orders came through", len(orders))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
