package engine_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/engine/store/memory"
	"github.com/liwanag/liwanag/engine/store/postgres"
	"github.com/liwanag/liwanag/engine/store/sqlite"
	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
	"github.com/liwanag/liwanag/workflow"
)

// onEveryStore runs a test on each of the stores.
func onEveryStore(t *testing.T, do func(t *testing.T, st store.Store)) {
	t.Run("memory", func(t *testing.T) { do(t, memory.New()) })
	t.Run("sqlite", func(t *testing.T) {
		st, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "t.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = st.Close() })
		do(t, st)
	})
	t.Run("postgres", func(t *testing.T) {
		st, err := postgres.Open(t.Context(), pgtest.Database(t))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = st.Close() })
		do(t, st)
	})
}

// serving runs an engine until stop, or the end of the test.
func serving(t testing.TB, cfg engine.Config) (e *engine.Engine, stop func()) {
	t.Helper()
	e, err := engine.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	await(t, "the engine to be ready", func() bool { return e.Ready(ctx) == nil })
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return e, stop
}

// await waits for something, for as long as a hang is not certain.
func await(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// endOf waits for the end of a run.
func endOf(t testing.TB, on workflow.Runner, id string) (run workflow.Run) {
	t.Helper()
	await(t, "the end of "+id, func() bool {
		var err error
		if run, err = on.Describe(context.Background(), id); err != nil {
			t.Fatal(err)
		}
		return run.Status.Ended()
	})
	return run
}

// statusOf is a run's status; empty while there is no such run.
func statusOf(t testing.TB, on workflow.Runner, id string) workflow.Status {
	t.Helper()
	run, err := on.Describe(context.Background(), id)
	if err != nil && !errors.Is(err, workflow.ErrNotFound) {
		t.Fatal(err)
	}
	return run.Status
}

// agree checks that the counters of a run, and of its sub-runs, tell of the rows, and
// returns how many sub-runs ended how.
func agree(t testing.TB, st store.Store, id string, generation int, steps ...string) map[store.Status]int {
	t.Helper()
	c, err := st.Get(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	g, err := st.Group(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	if g != nil && c.Run.Status != store.Open {
		t.Errorf("%s has ended and counts sub-runs: %+v", id, *g)
	}
	all := map[store.Status]int{}
	for _, step := range steps {
		subs, err := st.Subs(context.Background(), store.SubQuery{Parent: id, Step: step, Generation: generation, Rows: true})
		if err != nil {
			t.Fatal(err)
		}
		here := map[store.Status]int{}
		for i, s := range subs {
			all[s.Run.Status]++
			here[s.Run.Status]++
			if s.Run.ID != workflow.SubRunID(id, step, generation, i) || !s.Run.Sub {
				t.Errorf("the sub-run number %d is %s", i, s.Run.ID)
			}
			if s.Run.Status == store.Open && c.Run.Status != store.Open {
				t.Errorf("%s is open, and %s has ended", s.Run.ID, id)
			}
		}
		if g.Is(step, generation) && (g.Next != len(subs) || g.Open != here[store.Open] || g.Completed != here[store.Completed]) {
			t.Errorf("%s counts %+v, and has %v", id, *g, here)
		}
	}
	return all
}
