package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/engine/store/memory"
	"github.com/liwanag/liwanag/workflow"
)

// deeds notes what steps did, and how often.
type deeds struct {
	mu  sync.Mutex
	log []string
}

func (d *deeds) did(what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.log = append(d.log, what)
}

func (d *deeds) counts() map[string]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := map[string]int{}
	for _, what := range d.log {
		n[what]++
	}
	return n
}

// trip books hotels for each of some cities, in two steps, after a car, and pays.
func trip(d *deeds, broken func(step string, index int) error, opts ...workflow.StepOption) *workflow.Workflow[[]string] {
	wf := workflow.New[[]string]("trip")
	workflow.Step(wf, "car", func(context.Context, []string) (string, error) { d.did("car"); return "car", nil },
		workflow.Undo(func(_ context.Context, _ []string, out string) error { d.did("undo " + out); return nil }))
	workflow.Map(wf, "hotel", workflow.Each(workflow.Input(wf)), func(b *workflow.Workflow[string]) *workflow.Result[string] {
		book := workflow.Step(b, "book", func(ctx context.Context, city string) (string, error) {
			d.did("key " + workflow.InfoFrom(ctx).IdempotencyKey)
			return city, broken("book", workflow.InfoFrom(ctx).Index)
		}, workflow.Undo(func(ctx context.Context, city string, out string) error {
			if city != out {
				return workflow.Permanent(fmt.Errorf("%s for %s", out, city))
			}
			d.did("undo " + city)
			return broken("undo", workflow.InfoFrom(ctx).Index)
		}))
		workflow.Do(b, "confirm", func(ctx context.Context, city string) error { return broken("confirm", workflow.InfoFrom(ctx).Index) })
		return book
	}, opts...)
	workflow.Do(wf, "pay", func(context.Context, []string) error { return broken("pay", 0) })
	workflow.OnError(wf, func(context.Context, []string, workflow.Failure) error { d.did("on-error"); return nil })
	return wf
}

var cities = []string{"Rome", "Oslo", "Bern", "Riga", "Lyon"}

func TestCompletedSubRunsAreUndoneWithTheirRun(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		d, sound := &deeds{}, false
		wf := trip(d, func(step string, _ int) error {
			if step == "pay" && !sound {
				return workflow.Permanent(errors.New("no money"))
			}
			return nil
		}, workflow.AtMost(2))
		e, _ := serving(t, engine.Config{Store: st, Definitions: []workflow.Definition{wf}})
		_ = wf.Start(t.Context(), e, "t", cities)
		run := endOf(t, e, "t")
		if run.Status != workflow.StatusFailed || run.Failure.Message != "no money" {
			t.Fatalf("%s %v", run.Status, run.Failure)
		}
		got := d.counts()
		for _, what := range append([]string{"car"}, cities...) {
			if got["undo "+what] != 1 {
				t.Errorf("%s was undone %d times: %v", what, got["undo "+what], d.log)
			}
		}
		if d.log[len(d.log)-1] != "on-error" || d.log[len(d.log)-2] != "undo car" {
			t.Errorf("%v", d.log)
		}
		if got := agree(t, st, "t", 0, "hotel"); got[store.Canceled] != 5 {
			t.Error(got)
		}
		item, err := e.Describe(t.Context(), "t/hotel[3]")
		if err != nil || item.Status != workflow.StatusCanceled || item.Steps[2].Name != "undo~book" ||
			item.Steps[2].Status != workflow.StatusCompleted {
			t.Errorf("%+v %v", item, err)
		}
		for i, h := range run.History {
			if h.Seq != int64(i+1) {
				t.Errorf("the history has a gap at %d: %+v", i+1, run.History)
			}
		}
		sound = true
		if err := e.Retry(t.Context(), "t", "hotel"); !errors.Is(err, workflow.ErrUnknownStep) {
			t.Errorf("a retry behind what was undone: %v", err)
		}
		if err := e.Retry(t.Context(), "t", ""); err != nil {
			t.Fatal(err)
		}
		if run = endOf(t, e, "t"); run.Status != workflow.StatusCompleted {
			t.Fatalf("%s %v", run.Status, run.Failure)
		}
		got = d.counts()
		if got["car"] != 2 || got["key t/hotel[3]/book"] != 1 || got["key t/hotel[3]//1/book"] != 1 {
			t.Errorf("%v", got)
		}
		if got := agree(t, st, "t", 1, "hotel"); got[store.Completed] != 5 {
			t.Error(got)
		}
	})
}

func TestAMapThatFailsIsUndoneAndItsFailedItemsUndoThemselves(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		d := &deeds{}
		wf := trip(d, func(step string, i int) error {
			if step == "confirm" && i == 4 || step == "undo" && i == 1 {
				return workflow.Permanent(errors.New("no"))
			}
			return nil
		}, workflow.AtMost(1))
		e, _ := serving(t, engine.Config{Store: st, Definitions: []workflow.Definition{wf}})
		_ = wf.Start(t.Context(), e, "t", cities)
		run := endOf(t, e, "t")
		if run.Failure == nil || run.Failure.Code != workflow.CodeSubRuns || run.Failure.Step != "hotel" {
			t.Fatalf("%s %v", run.Status, run.Failure)
		}
		got := d.counts()
		for _, what := range append([]string{"car"}, cities...) {
			if got["undo "+what] != 1 {
				t.Errorf("%s was undone %d times: %v", what, got["undo "+what], d.log)
			}
		}
		at := slices.IndexFunc(run.Steps, func(s workflow.StepState) bool { return s.Name == "undo~hotel" })
		if at < 0 || run.Steps[at].Status != workflow.StatusFailed {
			t.Errorf("%+v", run.Steps)
		}
		if got := agree(t, st, "t", 0, "hotel"); got[store.Failed] != 2 || got[store.Canceled] != 3 {
			t.Error(got)
		}
	})
}

func TestRoundsAreUndoneFromTheLastOn(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		d := &deeds{}
		wf := workflow.New[int]("rounds")
		workflow.Repeat(wf, "round", 4, nil, func(b *workflow.Workflow[int]) *workflow.Result[int] {
			return workflow.Step(b, "x", func(_ context.Context, n int) (int, error) { return n + 1, nil },
				workflow.Undo(func(_ context.Context, in, out int) error { d.did(fmt.Sprint(in, out)); return nil }))
		}, func(int) bool { return false })
		workflow.Sleep(wf, "wait", time.Hour)
		e, _ := serving(t, engine.Config{Store: st, Definitions: []workflow.Definition{wf}})
		_ = wf.Start(t.Context(), e, "r", 0)
		await(t, "the sleep", func() bool { return statusOf(t, e, "r") == workflow.StatusWaiting })
		await(t, "the sleep", func() bool {
			run, _ := e.Describe(t.Context(), "r")
			return run.WaitingFor != nil && run.WaitingFor.Step == "wait"
		})
		_ = e.Cancel(t.Context(), "r", "stop")
		if run := endOf(t, e, "r"); run.Status != workflow.StatusCanceled {
			t.Fatal(run.Status)
		}
		if want := []string{"3 4", "2 3", "1 2", "0 1"}; !slices.Equal(d.log, want) {
			t.Errorf("%v", d.log)
		}
	})
}

func TestALoserOfARaceUndoesItself(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		d, begun := &deeds{}, make(chan struct{})
		wf := workflow.New[int]("race")
		race := workflow.Race(wf, "first")
		branch := func(name string, do func(b *workflow.Workflow[int])) {
			workflow.Branch(race, name, func(b *workflow.Workflow[int]) *workflow.Result[string] {
				out := workflow.Step(b, "reserve", func(context.Context, int) (string, error) {
					if name == "slow" {
						close(begun)
					}
					return name, nil
				}, workflow.Undo(func(_ context.Context, _ int, out string) error { d.did("undo " + out); return nil }))
				do(b)
				return out
			})
		}
		branch("slow", func(b *workflow.Workflow[int]) { workflow.Sleep(b, "long", time.Hour) })
		branch("fast", func(b *workflow.Workflow[int]) {
			workflow.Do(b, "after", func(context.Context, int) error { <-begun; return nil })
		})
		e, _ := serving(t, engine.Config{Store: st, Definitions: []workflow.Definition{wf}})
		_ = wf.Start(t.Context(), e, "r", 0)
		if run := endOf(t, e, "r"); run.Status != workflow.StatusCompleted {
			t.Fatalf("%s %v", run.Status, run.Failure)
		}
		if want := []string{"undo slow"}; !slices.Equal(d.log, want) {
			t.Errorf("%v", d.log)
		}
	})
}

func TestAStepWithSubRunsStandsInTheHistoryOnceAfterARunTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &deeds{}
		wf := workflow.New[[]string]("late", workflow.RunTimeout(time.Minute))
		workflow.Map(wf, "each", workflow.Each(workflow.Input(wf)), func(b *workflow.Workflow[string]) *workflow.Result[string] {
			out := workflow.Step(b, "x", func(_ context.Context, in string) (string, error) { return in, nil },
				workflow.Undo(func(_ context.Context, in, _ string) error { d.did("undo " + in); return nil }))
			workflow.FinishIf(b, out, "first", func(s string) bool { return s == cities[0] })
			workflow.Sleep(b, "long", time.Hour)
			return out
		})
		e, stop := serving(t, engine.Config{Store: memory.New(), Definitions: []workflow.Definition{wf}})
		defer stop()
		_ = wf.Start(t.Context(), e, "l", cities[:2])
		run := endOf(t, e, "l")
		if run.Status != workflow.StatusTimedOut {
			t.Fatalf("%s %v", run.Status, run.Failure)
		}
		var about []workflow.HistoryType
		for _, h := range run.History {
			if h.Step == "each" {
				about = append(about, h.Type)
			}
		}
		if want := []workflow.HistoryType{workflow.HistoryWaitStarted, workflow.HistoryWaitTimedOut}; !slices.Equal(about, want) {
			t.Errorf("%v", about)
		}
		if got := d.counts(); got["undo Rome"] != 1 || got["undo Oslo"] != 1 {
			t.Errorf("%v", d.log)
		}
		if err := e.Retry(t.Context(), "l", ""); err != nil {
			t.Error(err)
		}
	})
}
