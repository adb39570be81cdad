package engine_test

import (
	"context"
	"errors"
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
	"github.com/liwanag/liwanag/engine/store/sqlite"
	"github.com/liwanag/liwanag/internal/opened"
	"github.com/liwanag/liwanag/internal/sqlitedb"
	"github.com/liwanag/liwanag/workflow"
)

// watcher notes what it is told, and panics when it is told to.
type watcher struct {
	mu     sync.Mutex
	told   []string
	faults []string
	panics bool
}

func (w *watcher) note(s string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = append(w.told, s)
	if w.panics {
		panic("the observer broke")
	}
}

type watched struct{}

func (w *watcher) RunEnded(run workflow.RunRef, s workflow.Status, f *workflow.Failure, _ time.Duration) {
	w.note("run " + run.ID + " " + string(s))
}

func (w *watcher) AttemptStarted(ctx context.Context, _ workflow.RunRef, step string, _ int) context.Context {
	w.note("started " + step)
	return context.WithValue(ctx, watched{}, step)
}

func (w *watcher) AttemptEnded(ctx context.Context, _ workflow.RunRef, step string, _ int, then string, _ error, took time.Duration) {
	w.note("ended " + step + " " + then + " " + took.String())
}

func (w *watcher) WaitStarted(_ workflow.RunRef, step string) { w.note("waits " + step) }

func (w *watcher) WaitEnded(_ workflow.RunRef, step, how string, lag time.Duration) {
	w.note("waited " + step + " " + how + " " + lag.String())
}

func (w *watcher) RunnerFault(op string, err error) {
	w.mu.Lock()
	w.faults = append(w.faults, op+": "+err.Error())
	w.mu.Unlock()
	if w.panics {
		panic("so did this")
	}
}

func (w *watcher) heard(t *testing.T, fault string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.ContainsFunc(w.faults, func(s string) bool { return strings.Contains(s, fault) }) {
		t.Errorf("no fault says %q: %q", fault, w.faults)
	}
}

func observed(t *testing.T, w *watcher, st store.Store, defs ...workflow.Definition) (*engine.Engine, func()) {
	t.Helper()
	e, err := engine.New(engine.Config{Store: st, Definitions: defs, Observers: []workflow.Observer{w}, Name: "here"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	synctest.Wait()
	return e, func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func watchedWorkflow() *workflow.Workflow[string] {
	wf := workflow.New[string]("watched")
	workflow.Step(wf, "a", func(ctx context.Context, _ string) (bool, error) {
		time.Sleep(time.Second)
		if workflow.InfoFrom(ctx).Attempt == 1 {
			return false, errors.New("busy")
		}
		return ctx.Value(watched{}) == "a", nil
	}, workflow.Retry{MaxAttempts: 2})
	workflow.WaitFor(wf, "wait", done, time.Hour)
	return wf
}

func TestObserversAreToldWhatHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watcher{}
		wf := watchedWorkflow()
		e, stop := observed(t, w, memory.New(), wf)
		defer stop()
		if err := wf.Start(t.Context(), e, "r", ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if _, err := done.Send(t.Context(), e, "r", "s", "x"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		want := []string{"started a", "ended a retry 1s", "started a", "ended a completed 1s", "waits wait",
			"waited wait event 0s", "run r completed"}
		if !slices.Equal(w.told, want) {
			t.Errorf("told %q", w.told)
		}
		if r := checkCompleted(t, e, "r"); string(r.Steps[0].Output) != "true" {
			t.Error("the attempt did not get the observer's context")
		}
	})
}

func TestAnObserverThatPanicsHarmsNoRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watcher{panics: true}
		wf := watchedWorkflow()
		e, stop := observed(t, w, memory.New(), wf)
		defer stop()
		if err := wf.Start(t.Context(), e, "r", ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if _, err := done.Send(t.Context(), e, "r", "s", "x"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		checkCompleted(t, e, "r")
		w.heard(t, "observer: an observer panicked: the observer broke")
	})
}

func TestAnAttemptThatIgnoresItsContextIsReportedOverdue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watcher{}
		wf := workflow.New[string]("w")
		workflow.Step(wf, "a", func(context.Context, string) (int, error) {
			time.Sleep(time.Minute)
			return 1, nil
		}, workflow.Timeout(time.Second))
		e, stop := observed(t, w, memory.New(), wf)
		defer stop()
		if err := wf.Start(t.Context(), e, "r", ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(12 * time.Second)
		w.heard(t, "overdue: run r, step a: attempt 1 runs longer")
		time.Sleep(time.Minute)
		checkCompleted(t, e, "r")
	})
}

// badError is an error whose methods need what it lacks.
type badError struct{ code *string }

func (e *badError) Error() string     { return "bad" }
func (e *badError) ErrorCode() string { return *e.code }

func TestAnErrorWhoseMethodsPanicFailsItsRunAndNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watcher{}
		bad, good := workflow.New[string]("bad"), nap(time.Second)
		workflow.Step(bad, "a", func(context.Context, string) (int, error) { return 0, &badError{} })
		st := memory.New()
		e, stop := observed(t, w, st, bad, good)
		defer stop()
		for _, err := range []error{bad.Start(t.Context(), e, "bad", ""), good.Start(t.Context(), e, "good", "")} {
			if err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		checkCompleted(t, e, "good")
		r, err := e.Describe(t.Context(), "bad")
		if err != nil || r.Status != workflow.StatusFailed || r.Failure.Code != workflow.CodePanic {
			t.Errorf("%s %+v, %v", r.Status, r.Failure, err)
		}
		w.heard(t, "panic: run bad: ")
		if !slices.Contains(w.told, "run bad failed") {
			t.Errorf("told %q", w.told)
		}
	})
}

func TestALookThatKillsTenWorkersIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		durable := memory.New()
		wf := workflow.New[string]("poison")
		var looks atomic.Int64
		workflow.WaitFor(wf, "wait", done, 1000*time.Hour, workflow.Reconcile(workflow.Schedule{Offsets: []time.Duration{time.Minute}},
			func(ctx context.Context, _ string) (string, bool, error) {
				if looks.Add(1) < 5 {
					return "", false, nil
				}
				time.Sleep(time.Hour)
				return "", false, nil
			}, workflow.Timeout(2*time.Hour)))
		if err := wf.Start(t.Context(), mustNew(t, durable, wf), "r", ""); err != nil {
			t.Fatal(err)
		}
		for range 11 {
			f := &faulty{Store: durable}
			_, stop := run(t.Context(), t, f, wf)
			time.Sleep(10 * time.Minute)
			f.mu.Lock()
			f.cut = true
			f.mu.Unlock()
			stop()
		}
		e, stop := run(t.Context(), t, durable, wf)
		time.Sleep(time.Minute)
		r, err := e.Describe(t.Context(), "r")
		if err != nil || r.Status != workflow.StatusFailed || r.Failure.Code != workflow.CodeCrashLoop {
			t.Errorf("%s %+v, %v", r.Status, r.Failure, err)
		}
		stop()
		time.Sleep(3 * time.Hour) // the abandoned looks end
	})
}

func TestALookThatComesToAnEndIsProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		durable := memory.New()
		wf := workflow.New[string]("frail")
		var looks atomic.Int64
		workflow.WaitFor(wf, "wait", done, 1000*time.Hour, workflow.Reconcile(workflow.Schedule{Offsets: []time.Duration{time.Minute}},
			func(context.Context, string) (string, bool, error) {
				if looks.Add(1)%2 == 1 {
					time.Sleep(time.Hour)
				}
				return "", false, nil
			}, workflow.Timeout(2*time.Hour)))
		if err := wf.Start(t.Context(), mustNew(t, durable, wf), "r", ""); err != nil {
			t.Fatal(err)
		}
		for range 13 {
			f := &faulty{Store: durable}
			_, stop := run(t.Context(), t, f, wf)
			time.Sleep(3 * time.Minute)
			f.mu.Lock()
			f.cut = true
			f.mu.Unlock()
			stop()
		}
		if r := describe(t, mustNew(t, durable, wf), "r"); r.Status.Ended() || looks.Load() < 20 {
			t.Errorf("%s after %d looks: %+v", r.Status, looks.Load(), r.Failure)
		}
		time.Sleep(3 * time.Hour) // the abandoned looks end
	})
}

func TestARunThatCannotBeReadFailsAndNoOther(t *testing.T) {
	for name, spoil := range map[string]string{
		"failure of a retry": `UPDATE wf_history SET failure = '{"step":7' WHERE kind = 'retrying'`,
		"no failure":         `UPDATE wf_history SET failure = NULL, kind = 'failed' WHERE kind = 'retrying'`,
		"consumed signals":   `UPDATE wf_history SET signals = '["s"' WHERE signals IS NOT NULL`,
		"awaited events":     `UPDATE wf_run SET park_events = '["done"'`,
		"output":             `UPDATE wf_history SET output = x'7b' WHERE output IS NOT NULL`,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "runs.db")
			synctest.Test(t, func(t *testing.T) {
				e, stop := spoiled(t, path, spoil)
				defer stop()
				checkCompleted(t, e, "good")
				r, err := e.Describe(t.Context(), "bad")
				if err != nil || !r.Status.Ended() {
					t.Fatalf("%s, %v", r.Status, err)
				}
				if name == "awaited events" { // which a run needs no more once it wakes
					checkCompleted(t, e, "bad")
				} else if r.Status != workflow.StatusFailed || r.Failure.Code != workflow.CodeDefinition {
					t.Errorf("%s %+v", r.Status, r.Failure)
				}
				if page, err := e.List(t.Context(), workflow.Query{}); err != nil || len(page.Runs) != 2 {
					t.Errorf("%+v, %v", page, err)
				}
			})
		})
	}
}

// retriedThenWaiting is a definition whose runs have every kind of row.
func retriedThenWaiting() *workflow.Workflow[string] {
	wf := workflow.New[string]("w")
	a := workflow.Step(wf, "a", func(ctx context.Context, _ string) (string, error) {
		if workflow.InfoFrom(ctx).Attempt == 1 {
			return "", errors.New("busy")
		}
		return "x", nil
	}, workflow.Retry{MaxAttempts: 2})
	first := workflow.WaitFor(wf, "first", done, time.Hour)
	workflow.Sleep[string](wf, "sleep", time.Minute)
	second := workflow.WaitFor(wf, "second", done, time.Hour)
	workflow.Step(wf, "b", func(ctx context.Context, _ string) (string, error) {
		return a.Output(ctx) + first.Output(ctx) + second.Output(ctx), nil
	})
	return wf
}

// spoiled runs "bad", whose rows are spoiled while it waits, and "good", which comes after.
func spoiled(t *testing.T, path, spoil string) (e *engine.Engine, stop func()) {
	db, err := sqlitedb.Open(t.Context(), sqlitedb.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	st, err := sqlite.Open(opened.With(t.Context(), db), path)
	if err != nil {
		t.Fatal(err)
	}
	wf := retriedThenWaiting()
	e, stop = run(t.Context(), t, st, wf)
	start := func(id string) {
		if err := wf.Start(t.Context(), e, id, ""); err != nil {
			t.Fatal(err)
		}
		if _, err := done.Send(t.Context(), e, id, "s", "x"); err != nil {
			t.Fatal(err)
		}
	}
	start("bad")
	time.Sleep(10 * time.Minute)
	if err := db.Write(t.Context(), func(tx *sqlitedb.Tx) error {
		n, err := tx.Exec(spoil)
		if n == 0 {
			t.Error("nothing was spoiled")
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	start("good")
	time.Sleep(10 * time.Minute)
	for _, id := range []string{"bad", "good"} {
		if _, err := done.Send(t.Context(), e, id, "s2", "y"); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(2 * time.Hour)
	return e, stop
}
