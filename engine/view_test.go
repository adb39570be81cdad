package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/engine/store/memory"
	"github.com/liwanag/liwanag/workflow"
)

// shown is a workflow that shows every kind of step state.
func shown() *workflow.Workflow[string] {
	wf := workflow.New[string]("shown")
	a := workflow.Step(wf, "a", func(_ context.Context, in string) (string, error) { return in, nil })
	workflow.Step(wf, "maybe", func(context.Context, string) (int, error) { return 1, nil },
		workflow.If(a, "not wanted", func(in string) bool { return in == "wanted" }))
	workflow.Step(wf, "b", func(ctx context.Context, in string) (int, error) {
		if in == "fails" || workflow.InfoFrom(ctx).Attempt == 1 {
			return 0, errors.New("busy")
		}
		return 2, nil
	}, workflow.Retry{MaxAttempts: 2, InitialDelay: time.Minute})
	workflow.WaitFor(wf, "wait", done, time.Hour, workflow.Reconcile(workflow.Schedule{Offsets: []time.Duration{10 * time.Minute}},
		func(context.Context, string) (string, bool, error) { return "", false, errors.New("no answer") }))
	workflow.OnError(wf, func(context.Context, string, workflow.Failure) error { return nil })
	return wf
}

func describe(t *testing.T, e *engine.Engine, id string) workflow.Run {
	t.Helper()
	r, err := e.Describe(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	seq := int64(0)
	for i, h := range r.History {
		if seq += int64(h.Folded().Count); h.Seq != seq {
			t.Errorf("run %s: history item %d has number %d, want %d", id, i+1, h.Seq, seq)
		}
	}
	return r
}

func stepLines(r workflow.Run) (lines []string) {
	for _, s := range r.Steps {
		line := fmt.Sprintf("%s %s %s", s.Name, s.Kind, s.Status)
		if s.SkippedBecause != "" {
			line += " because " + s.SkippedBecause
		}
		for _, a := range s.Attempts {
			line += fmt.Sprintf(" #%d %s", a.N, a.Error)
		}
		lines = append(lines, line)
	}
	return lines
}

func TestARunIsDescribedAtEveryStage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wf := shown()
		e, stop := observed(t, &watcher{}, memory.New(), wf)
		defer stop()
		begun := time.Now().UTC()
		if err := wf.Start(t.Context(), e, "r", "x"); err != nil {
			t.Fatal(err)
		}
		if err := wf.Start(t.Context(), e, "f", "fails"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		r := describe(t, e, "r")
		backingOff := &workflow.WaitingFor{Step: "b", Kind: workflow.WaitRetry, Until: begun.Add(time.Minute)}
		if d := cmp.Diff(backingOff, r.WaitingFor); d != "" || r.Status != workflow.StatusWaiting {
			t.Errorf("%s %s", r.Status, d)
		}
		if d := cmp.Diff([]string{"a step completed #1 ", "maybe step skipped because not wanted", "b step waiting #1 busy",
			"wait wait pending"}, stepLines(r)); d != "" {
			t.Error(d)
		}
		time.Sleep(2 * time.Minute)
		r = describe(t, e, "r")
		waiting := &workflow.WaitingFor{Step: "wait", Kind: workflow.WaitEvent, Events: []string{"done"},
			Until: begun.Add(61 * time.Minute), NextFetchAt: begun.Add(11 * time.Minute)}
		if d := cmp.Diff(waiting, r.WaitingFor); d != "" || string(r.Output) != "2" {
			t.Errorf("output %s %s", r.Output, d)
		}
		failed := []string{"a step completed #1 ", "maybe step skipped because not wanted", "b step failed #1 busy #2 busy",
			"wait wait pending", "on-error handler completed #1 "}
		if d := cmp.Diff(failed, stepLines(describe(t, e, "f"))); d != "" {
			t.Error(d)
		}
		time.Sleep(15 * time.Minute)
		if err := e.Terminate(t.Context(), "r", "enough"); err != nil {
			t.Fatal(err)
		}
		r = describe(t, e, "r")
		if r.Status != workflow.StatusCanceled || r.Failure.Reason != workflow.ReasonCanceled || r.Failure.Message != "enough" ||
			r.WaitingFor != nil {
			t.Errorf("terminated: %s %+v", r.Status, r.Failure)
		}
		last := r.History[len(r.History)-2]
		if last.Type != workflow.HistoryReconcileChecked || string(last.Data) != `{"error":"no answer","found":false}` {
			t.Errorf("%s %s", last.Type, last.Data)
		}
		for _, again := range []error{e.Terminate(t.Context(), "r", "more"), e.Cancel(t.Context(), "r", "more")} {
			if !errors.Is(again, workflow.ErrEnded) {
				t.Error(again)
			}
		}
	})
}

func TestARunTerminatedInAWaitIsReopenedTwiceWithoutAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wf := shown()
		e, stop := observed(t, &watcher{}, memory.New(), wf)
		defer stop()
		if err := wf.Start(t.Context(), e, "r", "x"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		for range 2 {
			before := describe(t, e, "r").History
			if err := e.Terminate(t.Context(), "r", "enough"); err != nil {
				t.Fatal(err)
			}
			if _, err := done.Send(t.Context(), e, "r", fmt.Sprint("late", len(before)), "x"); err != nil {
				t.Fatal(err)
			}
			if err := e.Retry(t.Context(), "r", "b"); err != nil {
				t.Fatal(err)
			}
			after := describe(t, e, "r").History
			if d := cmp.Diff(before, after[:len(before)]); d != "" {
				t.Errorf("a prefix changed: %s", d)
			}
		}
		time.Sleep(5 * time.Minute)
		if r := describe(t, e, "r"); r.Status != workflow.StatusCompleted {
			t.Errorf("%s", r.Status)
		}
	})
}

// lateAtReopen delivers an event when a run is about to be reopened.
type lateAtReopen struct {
	store.Store
	once bool
}

func (l *lateAtReopen) Reopen(ctx context.Context, id string, r store.Reopening, now time.Time) error {
	if !l.once {
		l.once = true
		if _, err := l.Deliver(ctx, id, workflow.Signal{ID: "late", Event: "done", Payload: json.RawMessage(`"x"`)}, now); err != nil {
			return err
		}
	}
	return l.Store.Reopen(ctx, id, r, now)
}

func TestARetryGoesOnWhenAnEventComesLateMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wf := shown()
		e, stop := observed(t, &watcher{}, &lateAtReopen{Store: memory.New()}, wf)
		defer stop()
		if err := wf.Start(t.Context(), e, "r", "x"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		if err := e.Terminate(t.Context(), "r", ""); err != nil {
			t.Fatal(err)
		}
		if err := e.Retry(t.Context(), "r", ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if r := describe(t, e, "r"); r.Status != workflow.StatusCompleted {
			t.Errorf("%s", r.Status)
		}
		if err := e.Retry(t.Context(), "r", ""); !errors.Is(err, workflow.ErrNotEnded) {
			t.Errorf("Retry of a completed run: %v", err)
		}
	})
}

// reopenedAtRead terminates and reopens a run when its canceled owner reads it.
type reopenedAtRead struct {
	store.Store
	armed atomic.Bool
}

func (s *reopenedAtRead) Get(ctx context.Context, id string) (store.Claimed, error) {
	c, err := s.Store.Get(ctx, id)
	if err != nil || !s.armed.Swap(false) {
		return c, err
	}
	err = errors.Join(s.Terminate(ctx, id, workflow.Failure{Reason: workflow.ReasonCanceled}, time.Now()),
		s.Reopen(ctx, id, store.Reopening{From: "a", Seq: c.Run.Seq + 1}, time.Now()))
	if err != nil {
		return c, err
	}
	return s.Store.Get(ctx, id)
}

func TestAnOwnerThatReadsThatItsRunWasTakenAwayLetsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &reopenedAtRead{Store: memory.New()}
		var ran atomic.Int64
		wf := workflow.New[string]("w")
		workflow.Step(wf, "a", func(context.Context, string) (int, error) { ran.Add(1); time.Sleep(time.Minute); return 1, nil })
		workflow.Step(wf, "b", func(context.Context, string) (int, error) { return 1, nil })
		e, stop := observed(t, &watcher{}, st, wf)
		defer stop()
		if err := wf.Start(t.Context(), e, "r", ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if err := e.Cancel(t.Context(), "r", ""); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		st.armed.Store(true)
		time.Sleep(90 * time.Second)
		if n := ran.Load(); n != 1 {
			t.Errorf("the step began %d times before anybody claimed the run", n)
		}
		if err := e.Cancel(t.Context(), "r", ""); err != nil { // announces it
			t.Fatal(err)
		}
		synctest.Wait()
		if r := describe(t, e, "r"); r.Status != workflow.StatusCanceled {
			t.Errorf("%s", r.Status)
		}
	})
}

func TestARunOfADefinitionThatIsGoneIsAnOrphan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := memory.New()
		wf, other := shown(), nap(time.Second)
		e, stop := observed(t, &watcher{}, st, wf)
		if err := wf.Start(t.Context(), e, "r", "x"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		stop()
		w := &watcher{}
		next, stopNext := observed(t, w, st, other)
		defer stopNext()
		if _, err := done.Send(t.Context(), next, "r", "s", "x"); err != nil {
			t.Fatal(err)
		}
		if err := other.Start(t.Context(), next, "o", ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		checkCompleted(t, next, "o")
		orphans, err := next.Orphans(t.Context())
		if d := cmp.Diff([]store.Count{{Workflow: "shown", Version: 1, Status: store.Open, Step: "wait", Runs: 1}}, orphans); err != nil ||
			d != "" {
			t.Error(err, d)
		}
		if counts, err := next.Counts(t.Context()); err != nil || len(counts) != 2 {
			t.Error(counts, err)
		}
		if lines := stepLines(describe(t, next, "r")); !slices.Contains(lines, "b step completed #1 busy #2 ") {
			t.Errorf("%q", lines)
		}
		if err := next.Terminate(t.Context(), "r", "gone"); err != nil {
			t.Fatal(err)
		}
		if err := next.Retry(t.Context(), "r", ""); !errors.Is(err, workflow.ErrUnknownWorkflow) {
			t.Errorf("Retry: %v", err)
		}
		if len(w.faults) != 0 {
			t.Errorf("faults %q", w.faults)
		}
	})
}

func TestRunsAreListedByWhatTheyDoAndPruned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wf, slow := shown(), nap(time.Hour)
		e, stop := observed(t, &watcher{}, memory.New(), wf, slow)
		defer stop()
		for _, err := range []error{wf.Start(t.Context(), e, "waits", "x"), wf.Start(t.Context(), e, "fails", "fails"),
			slow.Start(t.Context(), e, "runs", "")} {
			if err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(5 * time.Minute)
		for status, want := range map[workflow.Status]string{workflow.StatusWaiting: "waits",
			workflow.StatusFailed: "fails", workflow.StatusRunning: "runs"} {
			page, err := e.List(t.Context(), workflow.Query{Status: status})
			if err != nil || len(page.Runs) != 1 || page.Runs[0].ID != want || page.Runs[0].Status != status {
				t.Errorf("%s: %+v, %v", status, page.Runs, err)
				continue
			}
			if run := page.Runs[0]; (run.Node == "here") != (want == "runs") || (run.WaitingFor != nil) != (want == "waits") {
				t.Errorf("%+v", run)
			}
		}
		if _, err := e.List(t.Context(), workflow.Query{Cursor: "?"}); !errors.Is(err, workflow.ErrInvalidCursor) {
			t.Error(err)
		}
		if n, err := e.Prune(t.Context(), time.Now(), 10); n != 1 || err != nil {
			t.Errorf("pruned %d, %v", n, err)
		}
		if _, err := e.Describe(t.Context(), "fails"); !errors.Is(err, workflow.ErrNotFound) {
			t.Error(err)
		}
	})
}

func TestAStartIsRepeatedWithTheSameInputOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nap, shown := workflow.New[map[string]int]("nap"), workflow.New[map[string]int]("shown")
		for _, wf := range []*workflow.Workflow[map[string]int]{nap, shown} {
			workflow.Sleep[map[string]int](wf, "nap", time.Second)
		}
		e := mustNew(t, memory.New(), nap, shown)
		start := func(name, input string) error {
			return e.Start(t.Context(), workflow.StartRequest{Workflow: name, RunID: "r", Input: json.RawMessage(input)})
		}
		for _, c := range []struct {
			name, input string
			want        error
		}{{"nap", `{"a": 1}`, nil}, {"nap", `{"a":1}`, nil}, {"nap", `{"a":2}`, workflow.ErrInputDiffers},
			{"shown", `{"a":1}`, workflow.ErrInputDiffers},
			{"none", `{}`, workflow.ErrUnknownWorkflow}} {
			if err := start(c.name, c.input); !errors.Is(err, c.want) {
				t.Errorf("%s %s: %v", c.name, c.input, err)
			}
		}
	})
}

// woken is a store that another process makes runs due in.
type woken struct {
	store.Store
	wake chan struct{}
}

func (w woken) Wake() <-chan struct{} { return w.wake }

func TestAStoreWakesTheEngineForRunsOfOtherProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := woken{memory.New(), make(chan struct{}, 1)}
		wf := nap(time.Second)
		e, stop := observed(t, &watcher{}, st, wf)
		defer stop()
		if err := wf.Start(t.Context(), mustNew(t, st, wf), "r", ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if r := describe(t, e, "r"); r.Status != workflow.StatusPending {
			t.Fatalf("nobody said that it is due: %s", r.Status)
		}
		st.wake <- struct{}{}
		time.Sleep(2 * time.Second)
		checkCompleted(t, e, "r")
	})
}

func TestAClockThatJumpsLosesNoRun(t *testing.T) {
	for _, jump := range []time.Duration{-24 * time.Hour, -time.Hour, time.Hour, 24 * time.Hour} {
		t.Run(jump.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var off atomic.Int64
				wf := workflow.New[string]("w")
				workflow.Sleep[string](wf, "sleep", 2*time.Hour)
				workflow.WaitFor(wf, "wait", done, 48*time.Hour)
				e, err := engine.New(engine.Config{Store: memory.New(), Definitions: []workflow.Definition{wf},
					Now: func() time.Time { return time.Now().Add(time.Duration(off.Load())) }})
				if err != nil {
					t.Fatal(err)
				}
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- e.Run(ctx) }()
				synctest.Wait()
				if err := wf.Start(ctx, e, "r", ""); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Hour)
				off.Store(int64(jump))
				rest := max(0, time.Hour-jump)
				time.Sleep(rest - min(rest, 20*time.Second))
				if rest > 0 && describe(t, e, "r").WaitingFor.Step != "sleep" {
					t.Error("the sleep ended early on the clock's own terms")
				}
				time.Sleep(40 * time.Second)
				if r := describe(t, e, "r"); r.WaitingFor == nil || r.WaitingFor.Step != "wait" {
					t.Errorf("the sleep did not end: %+v", r.WaitingFor)
				}
				if _, err := done.Send(ctx, e, "r", "s", "x"); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				checkCompleted(t, e, "r")
				stop()
				if err := <-ended; err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}
