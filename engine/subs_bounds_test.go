package engine_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/engine/store/memory"
	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/workflowtest"
)

// bounded is a map over numbers, each of which sleeps for so many times ten seconds; one of 13 fails.
func bounded(opts ...workflow.StepOption) (*workflow.Workflow[[]int], *workflow.Mapped[int]) {
	wf := workflow.New[[]int]("bounded")
	each := workflow.Map(wf, "each", workflow.Each(workflow.Input(wf)), func(b *workflow.Workflow[int]) *workflow.Result[int] {
		workflow.SleepUntil(b, "sleep", workflow.Step(b, "now", func(_ context.Context, n int) (time.Time, error) {
			if n == 13 {
				return time.Time{}, errors.New("unlucky")
			}
			return time.Now().Add(time.Duration(n) * 10 * time.Second), nil
		}), func(at time.Time) time.Time { return at })
		return workflow.Step(b, "x", func(_ context.Context, n int) (int, error) { return n, nil })
	}, opts...)
	return wf, each
}

func TestSubRunsAreBoundedAndFailuresGoneOnFrom(t *testing.T) {
	const unit = 10 * time.Second
	for _, c := range []struct {
		name    string
		opts    []workflow.StepOption
		in      []int
		status  workflow.Status
		output  string // of the map
		took    time.Duration
		message string
	}{
		{"in time", []workflow.StepOption{workflow.Within(5 * unit)}, []int{1, 2}, "completed",
			`{"total":2,"completed":2,"failed":0}`, 2 * unit, ""},
		{"too late", []workflow.StepOption{workflow.Within(5 * unit)}, []int{1, 9, 9}, "failed", "", 5 * unit,
			"1 of 3 completed within 50s"},
		{"too late for those that have not begun", []workflow.StepOption{workflow.Within(5 * unit), workflow.AtMost(1)}, []int{3, 3, 3},
			"failed", "", 5 * unit, "1 of 3 completed within 50s"},
		{"too late, and on", []workflow.StepOption{workflow.Within(5 * unit), workflow.ContinueOnTimeout}, []int{1, 9, 2}, "completed",
			`{"total":3,"completed":2,"failed":0}`, 5 * unit, ""},
		{"each too late", []workflow.StepOption{workflow.EachWithin(3 * unit)}, []int{1, 9}, "failed", "", 3 * unit,
			"1 of 2 failed, 0 are tolerated; each[1]/the run took longer than 30s"},
		{"failures", []workflow.StepOption{workflow.ContinueOnFailure}, []int{1, 13, 2, 13}, "completed",
			`{"total":4,"completed":2,"failed":2}`, 2 * unit, ""},
		{"more failures than tolerated", []workflow.StepOption{workflow.ContinueOnFailure, workflow.Tolerate(1)}, []int{9, 13, 9, 13},
			"completed", `{"total":4,"completed":0,"failed":2}`, 0, ""},
		{"fewer than needed", []workflow.StepOption{workflow.ContinueOnFailure, workflow.Enough(2)}, []int{13, 1}, "completed",
			`{"total":2,"completed":1,"failed":1}`, unit, ""},
	} {
		check := func(t *testing.T, run workflow.Run) {
			t.Helper()
			if run.Status != c.status || run.EndedAt.Sub(run.CreatedAt).Round(time.Second) != c.took {
				t.Errorf("%s after %s, want %s after %s", run.Status, run.EndedAt.Sub(run.CreatedAt), c.status, c.took)
			}
			if run.Failure != nil && run.Failure.Message != c.message || run.Failure == nil && c.message != "" {
				t.Errorf("%v, want %s", run.Failure, c.message)
			}
			if c.output != "" && string(run.Steps[0].Output) != c.output {
				t.Errorf("%s, want %s", run.Steps[0].Output, c.output)
			}
		}
		t.Run(c.name, func(t *testing.T) {
			t.Run("engine", func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					wf, _ := bounded(c.opts...)
					e, stop := serving(t, engine.Config{Store: memory.New(), Definitions: []workflow.Definition{wf}})
					defer stop()
					_ = wf.Start(t.Context(), e, "r", c.in)
					check(t, endOf(t, e, "r"))
				})
			})
			t.Run("workflowtest", func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					wf, _ := bounded(c.opts...)
					check(t, workflowtest.Run(t, wf, c.in))
				})
			})
		})
	}
}

func TestAStepWithSubRunsGoesOnWithWhatThereIsInTime(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		wf := workflow.New[int]("partial")
		both := workflow.Parallel(wf, "both", workflow.Within(time.Second), workflow.ContinueOnTimeout)
		fast := workflow.Branch(both, "fast", func(b *workflow.Workflow[int]) *workflow.Result[int] {
			return workflow.Step(b, "x", func(_ context.Context, n int) (int, error) { return n, nil })
		})
		slow := workflow.Branch(both, "slow", func(b *workflow.Workflow[int]) *workflow.Result[int] {
			workflow.Sleep(b, "long", time.Hour)
			return workflow.Step(b, "x", func(_ context.Context, n int) (int, error) { return n, nil })
		})
		workflow.Step(wf, "sum", func(ctx context.Context, _ int) ([]bool, error) {
			_, there := fast.Lookup(ctx)
			_, late := slow.Lookup(ctx)
			return []bool{there, late}, nil
		}, workflow.IfTimedOut(slow))
		e, _ := serving(t, engine.Config{Store: st, Definitions: []workflow.Definition{wf}})
		_ = wf.Start(t.Context(), e, "r", 7)
		run := endOf(t, e, "r")
		if run.Status != workflow.StatusCompleted || run.Steps[0].Status != workflow.StatusTimedOut {
			t.Fatalf("%s %v %+v", run.Status, run.Failure, run.Steps)
		}
		if out := string(run.Output); out != "[true,false]" && out != "[false,false]" { // a busy machine may not come to the fast one
			t.Error(out)
		}
	})
}
