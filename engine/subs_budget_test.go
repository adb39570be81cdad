package engine_test

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/engine/store/memory"
	"github.com/liwanag/liwanag/engine/store/sqlite"
	"github.com/liwanag/liwanag/workflow"
)

// spending counts the commits of all runs, and those of one of them.
type spending struct {
	store.Store
	run      string
	all, its atomic.Int64
}

func (s *spending) Commit(ctx context.Context, l store.Lease, p store.Progress) (store.News, error) {
	if s.all.Add(1); l.RunID == s.run {
		s.its.Add(1)
	}
	return s.Store.Commit(ctx, l, p)
}

func TestAnItemOfAMapIsOneCommitAndOneRowAndItsRunTwoTurns(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) store.Store{
		"memory": func(*testing.T) store.Store { return memory.New() },
		"sqlite": func(t *testing.T) store.Store {
			st, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "runs.db"))
			must(t, err)
			t.Cleanup(func() { must(t, st.Close()) })
			return st
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const n = 200
			st := &spending{Store: open(t), run: "m"}
			wf := workflow.New[[]int]("map")
			workflow.Map(wf, "each", workflow.Each(workflow.Input(wf)), func(b *workflow.Workflow[int]) *workflow.Result[int] {
				return workflow.Step(b, "one", func(_ context.Context, i int) (int, error) { return i, nil })
			}, workflow.AtMost(16))
			e, _ := serving(t, engine.Config{Store: st, Definitions: []workflow.Definition{wf}})
			must(t, wf.Start(t.Context(), e, "m", make([]int, n)))
			if run := endOf(t, e, "m"); run.Status != workflow.StatusCompleted {
				t.Fatalf("%s %v", run.Status, run.Failure)
			}
			if all, its := st.all.Load(), st.its.Load(); all > n*101/100 || its > 3 {
				t.Errorf("%d commits for %d items, %d of them of the run itself", all, n, its)
			}
			own, err := st.Get(t.Context(), "m")
			must(t, err)
			items, err := st.Subs(t.Context(), store.SubQuery{Parent: "m", Step: "each"})
			must(t, err)
			for _, item := range items {
				if len(item.History) != 1 {
					t.Errorf("%s has %d rows of history", item.Run.ID, len(item.History))
				}
			}
			if len(items) != n || len(own.History) != 1 {
				t.Errorf("%d sub-runs, and %d rows of history of the run around them", len(items), len(own.History))
			}
		})
	}
}

// A map has more items open than there are slots, for long. A run of three steps that is
// started meanwhile waits for those that were open by then, and for none that follow.
func TestASmallRunBesideAMapDoesNotWaitForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		took := func(context.Context, int) (int, error) { time.Sleep(time.Second); return 0, nil }
		wf, small := workflow.New[[]int]("map"), workflow.New[int]("small")
		workflow.Map(wf, "each", workflow.Each(workflow.Input(wf)), func(b *workflow.Workflow[int]) *workflow.Result[int] {
			return workflow.Step(b, "one", took)
		}, workflow.AtMost(24))
		for _, step := range []string{"a", "b", "c"} {
			workflow.Step(small, step, took)
		}
		ctx, stop := context.WithCancel(t.Context())
		e, err := engine.New(engine.Config{Store: memory.New(), Definitions: []workflow.Definition{wf, small}, Concurrency: 8})
		must(t, err)
		ended := make(chan error, 1)
		go func() { ended <- e.Run(ctx) }()
		synctest.Wait()
		must(t, wf.Start(t.Context(), e, "m", make([]int, 4000)))
		time.Sleep(3 * time.Second)
		must(t, small.Start(t.Context(), e, "s", 0))
		const turns = 10 // of the 24 that were open before it six at once, its own three, and what was in a slot
		time.Sleep(turns * time.Second)
		if m, s := describe(t, e, "m").Status, describe(t, e, "s").Status; m.Ended() || s != workflow.StatusCompleted {
			t.Errorf("the map is %s, the small run %s", m, s)
		}
		stop()
		must(t, <-ended)
	})
}
