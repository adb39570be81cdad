package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/engine/store/memory"
	"github.com/liwanag/liwanag/workflow"
)

// begunAndLost puts a run of a workflow into a store whose worker was lost inside of its
// first step.
func begunAndLost(t *testing.T, st store.Store, wf workflow.Definition, id string) {
	t.Helper()
	dead, err := st.Heartbeat(t.Context(), "dead", time.Minute)
	must(t, err)
	now := time.Now().UTC()
	must(t, st.Create(t.Context(), store.Run{ID: id, Workflow: wf.Plan().Name, Version: wf.Plan().Version, Input: json.RawMessage(`"x"`),
		CreatedAt: now, StartedAt: now, Status: store.Open, Owner: dead.Epoch, Seq: 1, Park: store.Park{Until: now}}))
	_, err = st.Commit(t.Context(), store.Lease{RunID: id, Epoch: dead.Epoch, Token: 1}, store.Progress{Begun: true, StartedAt: now, Now: now})
	must(t, err)
}

func runningOver(t *testing.T, st store.Store, c engine.Config, wf workflow.Definition) *engine.Engine {
	t.Helper()
	c.Store, c.Definitions = st, []workflow.Definition{wf}
	eng, err := engine.New(c)
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- eng.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		must(t, <-over)
	})
	return eng
}

func awaited(t *testing.T, eng *engine.Engine, id string) workflow.Run {
	t.Helper()
	run, err := workflow.Await(t.Context(), eng, id)
	must(t, err)
	return run
}

// payout is a workflow whose first step runs at most once.
func payout(paid func() (string, error), opts ...workflow.StepOption) (*workflow.Workflow[string], *workflow.Result[string]) {
	wf := workflow.New[string]("payout")
	pay := workflow.Step(wf, "pay", func(context.Context, string) (string, error) { return paid() }, append(opts, workflow.AtMostOnce)...)
	workflow.Step(wf, "book", func(ctx context.Context, _ string) (string, error) { return "booked " + pay.Output(ctx), nil })
	return wf, pay
}

func TestAStepOfWhichNobodyKnowsIsResolvedByAPerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		wf, pay := payout(func() (string, error) { calls++; return "again", nil })
		st := memory.New()
		begunAndLost(t, st, wf, "r")
		eng := runningOver(t, st, engine.Config{}, wf)
		if run := awaited(t, eng, "r"); run.Failure == nil || run.Failure.Reason != workflow.ReasonUnknown || calls != 0 {
			t.Fatalf("the run ended with %+v after %d calls", run.Failure, calls)
		}
		ctx := t.Context()
		paid := workflow.Resolution{Output: json.RawMessage(`"T-1"`), Who: "ann", Why: "the bank's list"}
		for want, err := range map[error]error{
			workflow.ErrUnknown:     eng.Retry(ctx, "r", ""),
			workflow.ErrNotFound:    eng.Resolve(ctx, "nobody", "pay", paid),
			workflow.ErrUnknownStep: eng.Resolve(ctx, "r", "nothing", paid),
			workflow.ErrNotUnknown:  eng.Resolve(ctx, "r", "book", paid),
			workflow.ErrPayload:     eng.Resolve(ctx, "r", "pay", workflow.Resolution{Output: json.RawMessage(`7`)}),
		} {
			if !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
		}
		must(t, eng.Resolve(ctx, "r", "pay", workflow.Resolution{Failure: "the bank knows nothing", Who: "ann"}))
		if run := awaited(t, eng, "r"); run.Failure == nil || run.Failure.Reason != workflow.ReasonError ||
			run.Failure.Message != "the bank knows nothing" {
			t.Errorf("resolved as failed, the run ended with %+v", run.Failure)
		}
		if err := eng.Resolve(ctx, "r", "pay", paid); !errors.Is(err, workflow.ErrNotUnknown) {
			t.Errorf("resolved twice: %v", err)
		}
		must(t, eng.Retry(ctx, "r", "")) // which is known by now
		if run := awaited(t, eng, "r"); string(run.Output) != `"booked again"` || calls != 1 {
			t.Errorf("the run's output is %s after %d calls", run.Output, calls)
		}

		begunAndLost(t, st, wf, "s")
		second := runningOver(t, anew{st}, engine.Config{}, wf)
		awaited(t, second, "s")
		must(t, second.Resolve(ctx, "s", "pay", paid))
		run := awaited(t, second, "s")
		if got, err := pay.Of(run); got != "T-1" || err != nil || string(run.Output) != `"booked T-1"` || calls != 1 {
			t.Errorf("the step left %q (%v), the run %s, after %d calls", got, err, run.Output, calls)
		}
		var found bool
		for _, item := range run.History {
			found = found || item.Type == workflow.HistoryStepResolved && item.Step == "pay" &&
				strings.Contains(string(item.Data), "the bank's list")
		}
		if !found {
			t.Errorf("the history does not say who resolved it: %+v", run.History)
		}
	})
}

func TestAStepOfWhichNobodyKnowsIsRepeatedWhenItIsAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		wf, _ := payout(func() (string, error) { calls++; return "again", nil })
		st := memory.New()
		begunAndLost(t, st, wf, "u")
		eng := runningOver(t, st, engine.Config{}, wf)
		awaited(t, eng, "u")
		must(t, eng.RetryAgain(t.Context(), "u", ""))
		if run := awaited(t, eng, "u"); run.Status != workflow.StatusCompleted || calls != 1 {
			t.Errorf("asked for again, the run is %s after %d calls", run.Status, calls)
		}
	})
}

// anew is a store that one more engine may use, which ends the lease of the one before.
type anew struct{ *memory.Store }

func (anew) Enter() (func(), bool) { return func() {}, true }

func TestAStepThatMayHaveRunAsksBeforeItIsGivenUp(t *testing.T) {
	for what, c := range map[string]struct {
		answers []error // nil: found
		want    workflow.Status
	}{
		"it is found":               {[]error{nil}, workflow.StatusCompleted},
		"it is found later":         {[]error{errors.New("busy"), errors.New("busy"), nil}, workflow.StatusCompleted},
		"nobody knows":              {[]error{errNobody}, workflow.StatusFailed},
		"nobody answers":            {[]error{errors.New("busy"), errors.New("busy"), errors.New("busy"), errors.New("busy")}, workflow.StatusFailed},
		"it says that nobody knows": {[]error{workflow.Permanent(errors.New("gone"))}, workflow.StatusFailed},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				wf, _ := payout(func() (string, error) { t.Error("it was run again"); return "", nil },
					workflow.Retry{MaxAttempts: 4, InitialDelay: time.Second},
					workflow.Reconcile(workflow.Schedule{}, func(ctx context.Context, _ string) (string, bool, error) {
						if key := workflow.InfoFrom(ctx).IdempotencyKey; key != "r/pay" {
							t.Errorf("the key is %s", key)
						}
						asked++
						err := c.answers[min(asked, len(c.answers))-1]
						if errors.Is(err, errNobody) {
							return "", false, nil
						}
						return "T-1", err == nil, err
					}))
				st := memory.New()
				begunAndLost(t, st, wf, "r")
				eng := runningOver(t, st, engine.Config{}, wf)
				run := awaited(t, eng, "r")
				if run.Status != c.want || run.Failure != nil && run.Failure.Reason != workflow.ReasonUnknown {
					t.Errorf("the run is %s: %+v", run.Status, run.Failure)
				}
				if asked > len(c.answers) {
					t.Errorf("it was asked %d times", asked)
				}
			})
		})
	}
	wf, _ := payout(nil)
	workflow.Step(wf, "often", func(context.Context, string) (string, error) { return "", nil },
		workflow.Reconcile(workflow.Schedule{}, func(context.Context, string) (string, bool, error) { return "", false, nil }))
	if err := wf.Plan().Validate(); err == nil || !strings.Contains(err.Error(), "give it AtMostOnce") {
		t.Errorf("a step that is repeated may ask: %v", err)
	}
}

var errNobody = errors.New("nobody knows")

func TestAPausedRunBeginsNoFurtherStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		entered, leave := make(chan struct{}), make(chan struct{})
		ran := 0
		wf := workflow.New[string]("paused")
		workflow.Step(wf, "first", func(context.Context, string) (string, error) {
			close(entered)
			<-leave
			return "x", nil
		})
		workflow.Step(wf, "second", func(context.Context, string) (string, error) { ran++; return "y", nil })
		workflow.Sleep(wf, "nap", time.Minute)
		workflow.WaitFor(wf, "wait", done, time.Hour)
		workflow.Step(wf, "third", func(context.Context, string) (string, error) { ran++; return "z", nil })
		eng := runningOver(t, memory.New(), engine.Config{}, wf)
		ctx := t.Context()
		must(t, wf.Start(ctx, eng, "r", "x"))
		<-entered
		must(t, eng.Pause(ctx, "r"))
		close(leave)
		time.Sleep(time.Hour)
		run, err := eng.Describe(ctx, "r")
		must(t, err)
		if s, err := eng.Standing(ctx, "r"); err != nil || s.Dead || s.Node != "" || s.Before != 0 {
			t.Errorf("a paused run is somebody's or in a line: %+v, %v", s, err)
		}
		if !run.Paused || ran != 0 || run.Steps[0].Status != workflow.StatusCompleted {
			t.Errorf("the run: %+v, %d further steps", run, ran)
		}
		must(t, eng.Resume(ctx, "r"))
		time.Sleep(time.Second)
		must(t, eng.Pause(ctx, "r")) // in its nap
		_, err = done.Send(ctx, eng, "r", "s", "x")
		must(t, err)
		time.Sleep(10 * time.Minute)
		if run, _ = eng.Describe(ctx, "r"); !run.Paused || run.Status.Ended() || ran != 1 {
			t.Errorf("the run is %s, %d further steps", run.Status, ran)
		}
		must(t, eng.Resume(ctx, "r"))
		if run := awaited(t, eng, "r"); run.Status != workflow.StatusCompleted || ran != 2 || run.Paused {
			t.Errorf("the resumed run: %+v", run)
		}
		if err := eng.Pause(ctx, "r"); !errors.Is(err, workflow.ErrEnded) {
			t.Errorf("a pause of an ended run: %v", err)
		}
	})
}

func TestRunsAreKeptForTheRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wf := workflow.New[string]("kept")
		workflow.Sleep(wf, "nap", time.Minute)
		eng := runningOver(t, memory.New(), engine.Config{Retention: time.Hour}, wf)
		must(t, wf.Start(t.Context(), eng, "r", "x"))
		awaited(t, eng, "r")
		time.Sleep(59 * time.Minute)
		awaited(t, eng, "r")
		time.Sleep(10 * time.Minute)
		if _, err := workflow.Await(t.Context(), eng, "r"); !errors.Is(err, workflow.ErrNotFound) {
			t.Errorf("past its retention: %v", err)
		}
	})
}
