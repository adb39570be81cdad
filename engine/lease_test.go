package engine_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/engine/store/memory"
	"github.com/liwanag/liwanag/engine/store/postgres"
	"github.com/liwanag/liwanag/engine/store/sqlite"
	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
	"github.com/liwanag/liwanag/workflow"
)

// running runs an engine until stop is called.
func running(t *testing.T, e *engine.Engine) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	return func() {
		t.Helper()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// stuck is a store of which one operation, once it is to hang, answers nobody,
// whatever becomes of its context.
type stuck struct {
	leased
	op    string
	hangs atomic.Bool
	hung  atomic.Bool // it has
	end   chan struct{}
}

func (s *stuck) hang(op string) {
	if s.op == op && s.hangs.Load() {
		s.hung.Store(true)
		<-s.end
	}
}

func (s *stuck) Heartbeat(ctx context.Context, name string, lease time.Duration) (store.Node, error) {
	s.hang("heartbeat")
	return s.leased.Heartbeat(ctx, name, lease)
}

func (s *stuck) Claim(ctx context.Context, n store.Node, w store.Wanted, now time.Time) ([]store.Claimed, time.Time, error) {
	s.hang("claim")
	return s.Store.Claim(ctx, n, w, now)
}

func (s *stuck) Commit(ctx context.Context, l store.Lease, p store.Progress) (store.News, error) {
	s.hang("commit")
	return s.Store.Commit(ctx, l, p)
}

func (s *stuck) Resign(context.Context, store.Node) error {
	s.hang("resign")
	return nil
}

func TestAStopEndsWhateverTheStoreDoes(t *testing.T) {
	for _, op := range []string{"heartbeat", "claim", "commit", "resign"} {
		synctest.Test(t, func(t *testing.T) {
			st := &stuck{leased: leased{Store: memory.New()}, op: op, end: make(chan struct{})}
			wf := workflow.New[string]("w")
			workflow.Sleep(wf, "sleep", time.Second)
			workflow.Step(wf, "a", func(context.Context, string) (int, error) { time.Sleep(time.Second); return 1, nil })
			e, err := engine.New(engine.Config{Store: st, Definitions: []workflow.Definition{wf}, StopTimeout: 3 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			stop := running(t, e)
			synctest.Wait()
			if err := wf.Start(t.Context(), e, "r", ""); err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // it sleeps
			st.hangs.Store(true)
			time.Sleep(12 * time.Second) // a renewal, a commit and a claim are under way
			told := time.Now()
			stop()
			if took := time.Since(told); took > 8*time.Second {
				t.Errorf("%s hangs: the stop took %s", op, took)
			}
			if !st.hung.Load() {
				t.Errorf("%s was not asked for", op)
			}
			close(st.end)
		})
	}
}

func TestANodeRegistersOnceASlowStoreAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &stuck{leased: leased{Store: memory.New()}, op: "heartbeat", end: make(chan struct{})}
		st.hangs.Store(true)
		wf := nap(time.Second)
		heard := &hearing{}
		e, err := engine.New(engine.Config{Store: st, Definitions: []workflow.Definition{wf}, Observers: []workflow.Observer{heard}})
		if err != nil {
			t.Fatal(err)
		}
		stop := running(t, e)
		defer stop()
		time.Sleep(time.Minute)
		if len(heard.heard("heartbeat")) == 0 || e.Ready(t.Context()) == nil {
			t.Errorf("a store that does not answer: %v is told, Ready says %v", heard.heard("heartbeat"), e.Ready(t.Context()))
		}
		st.hangs.Store(false)
		close(st.end)
		time.Sleep(time.Minute)
		if err := e.Ready(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestOneRunOfAnEngineAndOneEngineOnAStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := memory.New()
		first, stop := run(t.Context(), t, st, nap(time.Second))
		if err := first.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "one Run at a time") {
			t.Errorf("a second Run: %v", err)
		}
		for what, same := range map[string]store.Store{"the store": st, "a wrapper of it": mute{st}} {
			second := mustNew(t, same, nap(time.Second))
			if err := second.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "another engine runs on this store") {
				t.Errorf("a second engine on %s: %v", what, err)
			}
		}
		if err := first.Ready(t.Context()); err != nil {
			t.Errorf("the first engine: %v", err)
		}
		stop()
		_, stop = run(t.Context(), t, st, nap(time.Second)) // one after the other
		stop()
	})
}

// clocked is a store with a clock of its own.
type clocked struct{ leased }

func (c *clocked) Heartbeat(ctx context.Context, name string, lease time.Duration) (store.Node, error) {
	node, err := c.leased.Heartbeat(ctx, name, lease)
	node.Clock = time.Now()
	return node, err
}

// hearing keeps the faults that it is told of.
type hearing struct {
	mu     sync.Mutex
	faults []string
}

func (*hearing) RunEnded(workflow.RunRef, workflow.Status, *workflow.Failure, time.Duration) {}

func (*hearing) AttemptStarted(ctx context.Context, _ workflow.RunRef, _ string, _ int) context.Context {
	return ctx
}

func (*hearing) AttemptEnded(context.Context, workflow.RunRef, string, int, string, error, time.Duration) {
}

func (*hearing) WaitStarted(workflow.RunRef, string) {}

func (*hearing) WaitEnded(workflow.RunRef, string, string, time.Duration) {}

func (h *hearing) RunnerFault(op string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.faults = append(h.faults, op+": "+err.Error())
}

func (h *hearing) heard(op string) (texts []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range h.faults {
		if strings.HasPrefix(f, op+": ") {
			texts = append(texts, f)
		}
	}
	return texts
}

func TestAClockFarFromTheStoresIsToldAndNotBelieved(t *testing.T) {
	for off, want := range map[time.Duration]string{
		0: "", time.Second: "", 5 * time.Second: "5s ahead of the store's. Try",
		25 * time.Hour: "25h0m0s ahead of the store's, which is followed", -25 * time.Hour: "25h0m0s behind the store's, which is followed",
	} {
		synctest.Test(t, func(t *testing.T) {
			var wrong atomic.Int64
			wrong.Store(int64(off))
			heard := &hearing{}
			wf := workflow.New[string]("w")
			workflow.WaitFor(wf, "wait", done, 24*time.Hour)
			e, err := engine.New(engine.Config{Store: &clocked{leased{Store: memory.New()}},
				Definitions: []workflow.Definition{wf}, Observers: []workflow.Observer{heard},
				Now: func() time.Time { return time.Now().Add(time.Duration(wrong.Load())) }})
			if err != nil {
				t.Fatal(err)
			}
			ctx := t.Context()
			stop := running(t, e)
			synctest.Wait()
			began := time.Now()
			if err := wf.Start(ctx, e, "r", ""); err != nil {
				t.Fatal(err)
			}
			time.Sleep(23 * time.Hour)
			if err := e.Ready(ctx); err != nil {
				t.Errorf("off by %s: %v", off, err)
			}
			told := heard.heard("clock")
			if want == "" && len(told) > 0 || want != "" && (len(told) != 1 || !strings.Contains(told[0], want)) {
				t.Errorf("off by %s: told %q", off, told)
			}
			if r := describe(t, e, "r"); r.Status != workflow.StatusWaiting || r.CreatedAt.Sub(began).Abs() > 15*time.Second {
				t.Errorf("off by %s: %s, created at %s", off, r.Status, r.CreatedAt)
			}
			wrong.Store(0)
			time.Sleep(2 * time.Hour)
			if r := describe(t, e, "r"); r.Status != workflow.StatusTimedOut {
				t.Errorf("off by %s: %s after 25 hours", off, r.Status)
			}
			stop()
		})
	}
}

func TestReadyDoesNotBelieveInALeaseBecauseTheClockWentBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var off atomic.Int64
		st := &leased{Store: memory.New()}
		e, err := engine.New(engine.Config{Store: st, Definitions: []workflow.Definition{nap(time.Second)},
			Now: func() time.Time { return time.Now().Add(time.Duration(off.Load())).Round(0) }})
		if err != nil {
			t.Fatal(err)
		}
		stop := running(t, e)
		synctest.Wait()
		off.Store(-int64(time.Hour))
		st.set(true)
		time.Sleep(16 * time.Second)
		if e.Ready(t.Context()) == nil {
			t.Error("ready, 16 s after the last renewal of a lease of 15 s")
		}
		stop()
	})
}

// picky takes no outcome of the step "odd".
type picky struct{ store.Store }

func (p picky) Commit(ctx context.Context, l store.Lease, progress store.Progress) (store.News, error) {
	if slices.ContainsFunc(progress.Append, func(en store.Entry) bool { return en.Step == "odd" }) {
		return store.News{}, fmt.Errorf("%w: value out of range", store.ErrRefused)
	}
	return p.Store.Commit(ctx, l, progress)
}

func TestACommitThatTheDatabaseWillNeverTakeEndsItsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ran atomic.Int64
		wf := workflow.New[string]("w")
		workflow.Step(wf, "odd", func(context.Context, string) (int, error) { return int(ran.Add(1)), nil })
		workflow.WaitFor(wf, "wait", done, time.Hour)
		e, stop := run(t.Context(), t, &picky{memory.New()}, wf)
		defer stop()
		for _, id := range []string{"r", "canceled"} {
			if err := wf.Start(t.Context(), e, id, ""); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		r := describe(t, e, "r")
		if r.Status != workflow.StatusFailed || r.Failure.Code != workflow.CodeStore || r.Failure.Step != "odd" ||
			!strings.Contains(r.Failure.Message, "value out of range") || ran.Load() != 2 {
			t.Errorf("%s %+v after %d executions", r.Status, r.Failure, ran.Load())
		}
	})
}

// mixed claims a run of a version that was not asked for, once.
type mixed struct {
	store.Store
	claims atomic.Int64
}

func (m *mixed) Claim(ctx context.Context, n store.Node, w store.Wanted, now time.Time) ([]store.Claimed, time.Time, error) {
	w.Definitions = append(slices.Clone(w.Definitions), store.Definition{Workflow: "w", Version: 7})
	claimed, next, err := m.Store.Claim(ctx, n, w, now)
	m.claims.Add(int64(len(claimed)))
	return claimed, next, err
}

func TestAClaimedRunWhosePlanIsNotHeldIsToldAndGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &mixed{Store: memory.New()}
		if err := st.Create(t.Context(),
			store.Run{ID: "r", Workflow: "w", Version: 7, CreatedAt: time.Now(), Status: store.Open, Seq: 1}); err != nil {
			t.Fatal(err)
		}
		heard := &hearing{}
		e, err := engine.New(engine.Config{Store: st, Definitions: []workflow.Definition{nap(time.Second)},
			Observers: []workflow.Observer{heard}})
		if err != nil {
			t.Fatal(err)
		}
		stop := running(t, e)
		time.Sleep(1500 * time.Millisecond)
		stop()
		c, err := st.Get(t.Context(), "r")
		if err != nil || c.Run.Owner != 0 || c.Run.Status != store.Open || st.claims.Load() == 0 {
			t.Errorf("%+v, %v, claimed %d times", c.Run, err, st.claims.Load())
		}
		if told := heard.heard("claim"); len(told) == 0 || !strings.Contains(told[0], "version 7 of workflow w") {
			t.Errorf("told %q", told)
		}
	})
}

func TestNamesThatNotEveryDatabaseKeepsAreFaultsOfTheDefinition(t *testing.T) {
	for _, name := range []string{"a\x00b", "caf\xe9", "a\nb", "a\x7fb", strings.Repeat("x", 9000)} {
		for where, wf := range map[string]*workflow.Workflow[string]{
			"name": workflow.New[string](name), "step": workflow.New[string]("w"), "event": workflow.New[string]("w"), "label": workflow.New[string]("w"),
		} {
			step := "a"
			if where == "step" {
				step = name
			}
			a := workflow.Step(wf, step, func(context.Context, string) (bool, error) { return true, nil })
			if where == "event" {
				workflow.WaitFor(wf, "wait", workflow.Event[string]{Name: name}, time.Hour)
			}
			if where == "label" {
				workflow.FinishIf(wf, a, name, func(bool) bool { return true })
			}
			if _, err := engine.New(engine.Config{Store: memory.New(), Definitions: []workflow.Definition{wf}}); err == nil {
				t.Errorf("the %s %.10q is taken", where, name)
			}
		}
	}
}

func TestVersionsFitSixtyFourBits(t *testing.T) {
	t.Parallel()
	for name, st := range map[string]func() store.Store{
		"memory": func() store.Store { return memory.New() },
		"sqlite": func() store.Store {
			st, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "runs.db"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = st.Close() })
			return st
		},
		"postgres": func() store.Store {
			st, err := postgres.Open(t.Context(), pgtest.Database(t))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = st.Close() })
			return st
		},
	} {
		st := st()
		for _, version := range []int{20261129, 1 << 31, 20261129120000, 1<<63 - 1} {
			wf := workflow.New[string]("dated", workflow.Version(version))
			workflow.Step(wf, "a", func(context.Context, string) (bool, error) { return true, nil })
			idle := mustNew(t, st, wf)
			id := fmt.Sprint("r", version)
			if err := wf.Start(t.Context(), idle, id, ""); err != nil { // to be claimed
				t.Fatal(err)
			}
			e := mustNew(t, st, wf)
			stop := running(t, e)
			r := describe(t, e, id)
			for deadline := time.Now().Add(time.Minute); !r.Status.Ended() && time.Now().Before(deadline); r = describe(t, e, id) {
				time.Sleep(5 * time.Millisecond)
			}
			if r.Status != workflow.StatusCompleted || r.Version != version {
				t.Errorf("%s: version %d is %s as %d", name, version, r.Status, r.Version)
			}
			stop()
		}
	}
}

// A firewall that forgot the connections, or a primary without power, closes none.
func TestANodeWhoseConnectionsFallSilentIsBackWithinItsLease(t *testing.T) {
	t.Parallel()
	const lease = 15 * time.Second
	url := pgtest.Database(t)
	proxy := pgtest.NewProxy(t, pgtest.Shared(t), pgtest.Name(url))
	st, err := postgres.Open(t.Context(), proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	heard := &hearing{}
	wf := workflow.New[string]("w")
	workflow.Step(wf, "a", func(context.Context, string) (bool, error) { return true, nil })
	e, err := engine.New(engine.Config{Store: st, Definitions: []workflow.Definition{wf}, Lease: lease,
		StopTimeout: time.Second, Observers: []workflow.Observer{heard}})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	stop := running(t, e)
	for e.Ready(ctx) != nil {
		time.Sleep(5 * time.Millisecond)
	}
	proxy.Silence(false)
	// Whichever of them comes first, a heartbeat or a claim, tells, and empties the pool for all.
	for begun := time.Now(); len(heard.heard("heartbeat"))+len(heard.heard("claim")) == 0; time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > 2*time.Minute {
			t.Fatal("nobody is told")
		}
	}
	for begun := time.Now(); e.Ready(ctx) != nil; time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > 2*time.Minute {
			t.Fatal("the node is not back")
		}
	}
	for _, lost := range heard.heard("heartbeat") {
		if strings.Contains(lost, "was lost") {
			t.Errorf("and its lease is lost: %s", lost)
		}
	}
	proxy.Silence(true)
	told := time.Now()
	stop()
	if took := time.Since(told); took > time.Minute {
		t.Errorf("a stop in silence took %s", took)
	}
}
