package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/internal/pgdb"
	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
	"github.com/liwanag/liwanag/workflow"
)

var (
	began = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	defs  = []store.Definition{{Workflow: "w", Version: 1}}
)

// proxied is a store with a live node behind a proxy.
func proxied(t *testing.T, c pgdb.Config) (*Store, store.Node, *pgtest.Proxy) {
	t.Helper()
	url := pgtest.Database(t)
	p := pgtest.NewProxy(t, pgtest.Shared(t), pgtest.Name(url))
	c.URL = p.URL
	db, err := pgdb.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	s, err := newStore(t.Context(), db, Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, register(t, s), p
}

func register(t *testing.T, s *Store) store.Node {
	t.Helper()
	node, err := s.Heartbeat(t.Context(), "node", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return node
}

func newRun(id string, owner int64) store.Run {
	return store.Run{ID: id, Workflow: "w", Version: 1, Input: json.RawMessage("1"), CreatedAt: began, Owner: owner,
		Status: store.Open, Seq: 1}
}

func outcome(step string) store.Entry {
	return store.Entry{Kind: store.EntryCompleted, Step: step, Attempt: 1, At: began, StartedAt: began, Output: json.RawMessage("1")}
}

var atWait = store.Park{Kind: store.ParkWait, Step: "wait", Events: []string{"e"}, Since: began, Until: began.Add(time.Hour)}

func TestACommitWhoseAnswerIsLostIsKnownByReading(t *testing.T) {
	t.Parallel()
	s, node, p := proxied(t, pgdb.Config{})
	ctx := t.Context()
	lost := func(what string, do func() error) {
		t.Helper()
		before := p.Lost()
		p.LoseCommits(1)
		if err := do(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if p.Lost() != before+1 {
			t.Errorf("%s: %d answers were lost", what, p.Lost()-before)
		}
	}
	lost("Create", func() error { return s.Create(ctx, newRun("r", node.Epoch)) })
	lease := store.Lease{RunID: "r", Epoch: node.Epoch, Token: 1}
	lost("Commit", func() error {
		_, err := s.Commit(ctx, lease, store.Progress{Append: []store.Entry{outcome("a")}, Park: &atWait, Now: began})
		return err
	})
	lost("Deliver", func() error {
		receipt, err := s.Deliver(ctx, "r", workflow.Signal{ID: "s", Event: "e"}, began)
		if receipt.Duplicate {
			t.Error("the event is told to be a duplicate of itself")
		}
		return err
	})
	lost("Claim", func() error {
		claimed, _, err := s.Claim(ctx, node, store.Want(10, defs...), began)
		if len(claimed) != 1 || claimed[0].Lease.Token != 4 {
			t.Errorf("claimed %+v", claimed)
		}
		return err
	})
	lost("Cancel", func() error { return s.Cancel(ctx, "r", "stop", began) })
	lost("Terminate", func() error { return s.Terminate(ctx, "r", workflow.Failure{}, began) })
	c, err := s.Get(ctx, "r")
	if err != nil || len(c.History) != 2 || len(c.Signals) != 1 || c.Run.Seq != 6 || c.Run.Status != store.Canceled {
		t.Errorf("%+v, %v", c, err)
	}
	lost("Prune", func() error {
		n, err := s.Prune(ctx, began.Add(time.Hour), 10)
		if n != 1 {
			t.Errorf("pruned %d", n)
		}
		return err
	})
}

func TestWhatCameToARunIsNotLostWithAnAnswer(t *testing.T) {
	t.Parallel()
	s, node, p := proxied(t, pgdb.Config{})
	if err := s.Create(t.Context(), newRun("r", node.Epoch)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Deliver(t.Context(), "r", workflow.Signal{ID: "s", Event: "e"}, began); err != nil {
		t.Fatal(err)
	}
	lease := store.Lease{RunID: "r", Epoch: node.Epoch, Token: 1}
	progress := store.Progress{Append: []store.Entry{outcome("a")}, Now: began}
	p.LoseCommits(1)
	if news, err := s.Commit(t.Context(), lease, progress); !errors.Is(err, pgdb.ErrAnswerLost) {
		t.Errorf("a commit whose news were lost: %+v, %v", news, err)
	}
	news, err := s.Commit(t.Context(), lease, progress)
	if err != nil || news.InboxSeq != 1 || len(news.Signals) != 1 {
		t.Errorf("its repetition: %+v, %v", news, err)
	}
	if c, err := s.Get(t.Context(), "r"); err != nil || len(c.History) != 1 {
		t.Errorf("%+v, %v", c.History, err)
	}
}

// unknown makes a change that lands, and whose outcome nobody can ask for.
func unknown(t *testing.T, p *pgtest.Proxy, do func() error) {
	t.Helper()
	p.LoseCommitAndRefuse()
	if err := do(); !errors.Is(err, pgdb.ErrOutcomeUnknown) {
		t.Errorf("a change whose outcome nobody knows: %v", err)
	}
	p.Refuse(false)
}

func TestAClaimWhoseOutcomeNobodyKnewIsFoundByTheNext(t *testing.T) {
	t.Parallel()
	s, node, p := proxied(t, pgdb.Config{Patience: 6 * time.Second})
	for _, id := range []string{"r1", "r2"} {
		if err := s.Create(t.Context(), newRun(id, 0)); err != nil {
			t.Fatal(err)
		}
	}
	unknown(t, p, func() error {
		claimed, _, err := s.Claim(t.Context(), node, store.Want(10, defs...), began)
		if len(claimed) != 0 {
			t.Errorf("claimed %d and failed", len(claimed))
		}
		return err
	})
	claimed, _, err := s.Claim(t.Context(), node, store.Want(10, defs...), began)
	if err != nil || len(claimed) != 2 {
		t.Fatalf("claimed %d, %v", len(claimed), err)
	}
	for _, c := range claimed {
		if _, err := s.Commit(t.Context(), c.Lease, store.Progress{End: &store.Ending{Status: store.Completed}, Now: began}); err != nil {
			t.Error(err)
		}
	}
	if again, _, err := s.Claim(t.Context(), node, store.Want(10, defs...), began); err != nil || len(again) != 0 {
		t.Errorf("claimed again %d, %v", len(again), err)
	}
}

func TestARunOfAClaimThatMayHaveLandedIsHandedOutOnce(t *testing.T) {
	t.Parallel()
	const lands = true
	for name, claims := range map[string][]bool{
		"not landed": {!lands}, "twice not landed": {!lands, !lands}, "landed at last": {!lands, lands},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, node, p := proxied(t, pgdb.Config{})
			if err := s.Create(t.Context(), newRun("r", 0)); err != nil {
				t.Fatal(err)
			}
			for _, landed := range claims {
				unheard(t, p, landed, func(ctx context.Context) error {
					_, _, err := s.Claim(ctx, node, store.Want(10, defs...), began)
					return err
				})
				exec(t, s, "SELECT FROM wf_run FOR UPDATE") // the server has rolled back what was cut off
			}
			claimed, _, err := s.Claim(t.Context(), node, store.Want(10, defs...), began)
			if err != nil || len(claimed) != 1 {
				t.Fatalf("handed out %d times, %v", len(claimed), err)
			}
			end := store.Progress{End: &store.Ending{Status: store.Completed}, Now: began}
			if _, err := s.Commit(t.Context(), claimed[0].Lease, end); err != nil {
				t.Error(err)
			}
		})
	}
}

// unheard makes a change whose outcome its caller does not wait for: its commit lands,
// or does not.
func unheard(t *testing.T, p *pgtest.Proxy, lands bool, do func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	before := p.Lost()
	if lands {
		p.LoseCommitAndRefuse()
	} else {
		p.DropCommitAndRefuse()
	}
	go func() {
		for ctx.Err() == nil && p.Lost() == before {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	if err := do(ctx); !errors.Is(err, pgdb.ErrOutcomeUnknown) {
		t.Errorf("a change whose outcome nobody knows: %v", err)
	}
	p.Refuse(false)
}

func TestAnUnreachableDatabaseIsNoAnswerAboutARun(t *testing.T) {
	t.Parallel()
	s, node, p := proxied(t, pgdb.Config{Patience: 12 * time.Second})
	ctx := t.Context()
	if err := s.Create(ctx, newRun("r", node.Epoch)); err != nil {
		t.Fatal(err)
	}
	calls := func() map[string]error {
		errs := map[string]error{}
		var wg sync.WaitGroup
		var mu sync.Mutex
		for what, do := range map[string]func() error{
			"Create": func() error { return s.Create(ctx, newRun("r2", node.Epoch)) },
			"Commit": func() error {
				_, err := s.Commit(ctx, store.Lease{RunID: "r", Epoch: node.Epoch, Token: 1}, store.Progress{Now: began})
				return err
			},
			"Deliver":   func() error { _, err := s.Deliver(ctx, "r", workflow.Signal{ID: "s", Event: "e"}, began); return err },
			"Cancel":    func() error { return s.Cancel(ctx, "r", "", began) },
			"Claim":     func() error { _, _, err := s.Claim(ctx, node, store.Want(1, defs...), began); return err },
			"Get":       func() error { _, err := s.Get(ctx, "r"); return err },
			"List":      func() error { _, _, err := s.List(ctx, store.Query{Limit: 1}); return err },
			"Counts":    func() error { _, err := s.Counts(ctx); return err },
			"Heartbeat": func() error { _, err := s.Heartbeat(ctx, "node", time.Hour); return err },
			"Prune":     func() error { _, err := s.Prune(ctx, began, 1); return err },
		} {
			wg.Go(func() {
				err := do()
				mu.Lock()
				errs[what] = err
				mu.Unlock()
			})
		}
		wg.Wait()
		return errs
	}
	p.Refuse(true)
	for what, err := range calls() {
		if err == nil {
			t.Errorf("%s works without a database", what)
		}
		for _, sentinel := range []error{store.ErrExists, store.ErrNotFound, store.ErrEnded, store.ErrNotEnded,
			store.ErrLeaseLost, store.ErrCanceled, store.ErrClosed} {
			if errors.Is(err, sentinel) {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	p.Refuse(false)
	for what, err := range calls() {
		if err != nil {
			t.Errorf("%s after the database came back: %v", what, err)
		}
	}
}

func TestADeadlockAndASerializationFailureAreRepeated(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t))
	node := register(t, s)
	exec(t, s, "CREATE SEQUENCE hiccup")
	exec(t, s, `
		CREATE FUNCTION hiccup() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			CASE nextval('hiccup')
			WHEN 1 THEN RAISE EXCEPTION 'deadlock' USING ERRCODE = '40P01';
			WHEN 2 THEN RAISE EXCEPTION 'serialization' USING ERRCODE = '40001';
			ELSE RETURN NEW;
			END CASE;
		END $$`)
	exec(t, s, "CREATE TRIGGER hiccup BEFORE INSERT ON wf_run FOR EACH ROW EXECUTE FUNCTION hiccup()")
	if err := s.Create(t.Context(), newRun("r", node.Epoch)); err != nil {
		t.Error(err)
	}
	var n int
	if err := s.db.Pool().QueryRow(t.Context(), "SELECT last_value FROM hiccup").Scan(&n); err != nil || n != 3 {
		t.Errorf("the row was written at try %d, %v", n, err)
	}
}

func TestAChangeWaitsForAConnection(t *testing.T) {
	t.Parallel()
	db, err := pgdb.Open(t.Context(), pgdb.Config{URL: pgtest.Database(t), MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s, err := newStore(t.Context(), db, Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var held []func()
	for range 4 {
		conn, err := db.Pool().Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, conn.Release)
	}
	created := make(chan error, 1)
	go func() { created <- s.Create(t.Context(), newRun("r", 0)) }()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Get(ctx, "r"); err == nil || errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrClosed) {
		t.Errorf("Get without a connection: %v", err)
	}
	select {
	case err := <-created:
		t.Errorf("Create without a connection: %v", err)
	default:
	}
	for _, release := range held {
		release()
	}
	if err := <-created; err != nil {
		t.Error(err)
	}
}

func TestWhatTheServerWillNeverTakeIsRefused(t *testing.T) {
	t.Parallel()
	s := open(t, pgtest.Database(t))
	node := register(t, s)
	for _, constraint := range []string{"CHECK (step <> 'odd')", "CHECK (step <> 'odd' OR length(step) / 0 = 1)"} {
		exec(t, s, "ALTER TABLE wf_history DROP CONSTRAINT IF EXISTS picky")
		exec(t, s, "ALTER TABLE wf_history ADD CONSTRAINT picky "+constraint)
		if err := s.Create(t.Context(), newRun(constraint, node.Epoch)); err != nil {
			t.Fatal(err)
		}
		lease := store.Lease{RunID: constraint, Epoch: node.Epoch, Token: 1}
		_, err := s.Commit(t.Context(), lease, store.Progress{Append: []store.Entry{outcome("odd")}, Now: began})
		if !errors.Is(err, store.ErrRefused) {
			t.Errorf("%s: %v", constraint, err)
		}
		end := store.Progress{End: &store.Ending{Status: store.Failed}, Now: began}
		if _, err := s.Commit(t.Context(), lease, end); err != nil {
			t.Errorf("%s: its ending: %v", constraint, err)
		}
	}
}
