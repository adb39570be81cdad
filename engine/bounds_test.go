package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/engine/store/memory"
	"github.com/liwanag/liwanag/engine/store/sqlite"
	"github.com/liwanag/liwanag/workflow"
)

// TestATurnCostsTheSameHoweverOftenARunPolled counts the rows and bytes that are kept
// of a run, which is what each of its turns reads.
func TestATurnCostsTheSameHoweverOftenARunPolled(t *testing.T) {
	t.Parallel()
	for name, build := range map[string]func(*workflow.Workflow[string], *atomic.Int64){
		"snoozes": func(wf *workflow.Workflow[string], polls *atomic.Int64) {
			workflow.Step(wf, "a", func(context.Context, string) (int, error) { polls.Add(1); return 0, workflow.Snooze(time.Minute) })
		},
		"looks": func(wf *workflow.Workflow[string], polls *atomic.Int64) {
			workflow.WaitFor(wf, "a", done, 10000*time.Hour, workflow.Reconcile(workflow.Schedule{Offsets: []time.Duration{time.Minute}},
				func(context.Context, string) (string, bool, error) {
					polls.Add(1)
					return "", false, errors.New("not there")
				}))
		},
	} {
		t.Run(name+" in memory", func(t *testing.T) {
			t.Parallel()
			pollsOften(t, build, 5_000, func(*testing.T) store.Store { return memory.New() })
		})
		t.Run(name+" on SQLite", func(t *testing.T) {
			t.Parallel()
			pollsOften(t, build, 200, func(t *testing.T) store.Store { // a poll is two syncs
				st, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "runs.db"))
				if err != nil {
					t.Fatal(err)
				}
				return st
			})
		})
	}
}

// pollsOften compares a run after a tenth of most polls and after most.
func pollsOften(t *testing.T, build func(*workflow.Workflow[string], *atomic.Int64), most int64, open func(*testing.T) store.Store) {
	if testing.Short() {
		most = min(most, 1000)
	}
	synctest.Test(t, func(t *testing.T) {
		var polls atomic.Int64
		wf := workflow.New[string]("w")
		build(wf, &polls)
		st := open(t)
		e, stop := run(t.Context(), t, st, wf)
		if err := wf.Start(t.Context(), e, "r", ""); err != nil {
			t.Fatal(err)
		}
		after := func(n int64) (rows, bytes int) {
			for polls.Load() < n {
				time.Sleep(time.Hour)
			}
			synctest.Wait()
			c, err := st.Get(t.Context(), "r")
			if err != nil {
				t.Fatal(err)
			}
			kept, err := json.Marshal(c.History)
			if err != nil {
				t.Fatal(err)
			}
			return len(c.History) + len(c.Signals), len(kept)
		}
		rows, bytes := after(most / 10)
		moreRows, moreBytes := after(most)
		if rows != workflow.KeptApart || moreRows != rows || moreBytes > bytes+16 { // a number has more digits
			t.Errorf("%d rows of %d bytes are read after %d polls, %d of %d after %d", rows, bytes, most/10, moreRows, moreBytes, polls.Load())
		}
		var count int64
		for _, item := range describe(t, e, "r").History {
			if f := item.Folded(); item.Type == workflow.HistoryStepSnoozed || item.Type == workflow.HistoryReconcileChecked {
				count += int64(f.Count)
			}
		}
		if count != polls.Load() {
			t.Errorf("the history tells of %d polls, there were %d", count, polls.Load())
		}
		stop()
		if c, ok := st.(io.Closer); ok {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestASnoozeOfNothingIsFloored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var polls atomic.Int64
		wf := workflow.New[string]("w")
		workflow.Step(wf, "a", func(context.Context, string) (int, error) { polls.Add(1); return 0, workflow.Snooze(0) })
		e, stop := run(t.Context(), t, memory.New(), wf)
		defer stop()
		if err := wf.Start(t.Context(), e, "r", ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if n := polls.Load(); n < 90 || n > 101 {
			t.Errorf("%d polls in a second", n)
		}
	})
}

// TestAHistoryThatGrowsWithoutEndEndsItsRun lets what cannot be folded grow.
func TestAHistoryThatGrowsWithoutEndEndsItsRun(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what takes seconds")
	}
	retrying := func(step string, n int) store.Progress {
		p := store.Progress{Attempt: n, Park: &store.Park{Kind: store.ParkRetry, Step: step, Until: time.Now(), Since: time.Now()}}
		for n := range n {
			p.Append = append(p.Append, store.Entry{Kind: store.EntryRetrying, Step: step, Attempt: n + 1, At: time.Now(),
				StartedAt: time.Now(), Failure: &workflow.Failure{Message: "not yet"}, NextAt: time.Now()})
		}
		return p
	}
	t.Run("of a step", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { grown(t, workflow.MaxHistory, retrying("a", workflow.MaxHistory-5)) })
	})
	t.Run("of a handler", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			const most = workflow.MaxHistory * 11 / 10
			p := retrying(workflow.OnErrorName, most-10)
			too := workflow.Failure{Step: "a", Reason: workflow.ReasonError, Code: workflow.CodeTooLarge, Attempts: 1}
			p.Append = append([]store.Entry{{Kind: store.EntryFailed, Step: "a", Attempt: 1, At: time.Now(), StartedAt: time.Now(),
				Failure: &too}}, p.Append...)
			grown(t, most, p)
		})
	})
}

// grown goes on with a run of which most is there already, and whose step and handler
// never succeed.
func grown(t *testing.T, most int, p store.Progress) {
	wf := workflow.New[string]("w")
	endless := workflow.Retry{MaxAttempts: 1 << 30, Backoff: workflow.Constant, InitialDelay: time.Second}
	workflow.Step(wf, "a", func(context.Context, string) (int, error) { return 0, errors.New("not yet") }, endless)
	tries := 0
	workflow.OnError(wf, func(context.Context, string, workflow.Failure) error {
		if tries++; most == workflow.MaxHistory {
			return nil
		}
		return errors.New("neither")
	}, endless)
	st := memory.New()
	if err := st.Create(t.Context(),
		store.Run{ID: "r", Workflow: "w", Version: 1, Input: []byte(`""`), CreatedAt: time.Now(), Status: store.Open, Seq: 1}); err != nil {
		t.Fatal(err)
	}
	node, err := st.Heartbeat(t.Context(), "before", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	claimed, _, err := st.Claim(t.Context(), node, store.Want(1, store.Definition{Workflow: "w", Version: 1}), time.Now())
	if err != nil || len(claimed) != 1 {
		t.Fatal(claimed, err)
	}
	if _, err := st.Commit(t.Context(), claimed[0].Lease, p); err != nil {
		t.Fatal(err)
	}
	e, stop := run(t.Context(), t, st, wf)
	defer stop()
	time.Sleep(5 * time.Minute)
	r := describe(t, e, "r")
	if r.Status != workflow.StatusFailed || r.Failure.Code != workflow.CodeTooLarge || r.Failure.Step != "a" || tries == 0 {
		t.Errorf("%s %+v after %d tries of the handler", r.Status, r.Failure, tries)
	}
	if n := len(r.History); n < most-10 || n > most+5 {
		t.Errorf("%d items", n)
	}
}
