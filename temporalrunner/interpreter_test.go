package temporalrunner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	sdk "go.temporal.io/sdk/workflow"

	"github.com/liwanag/liwanag/workflow"
)

// The interpreter in the SDK's test environment: virtual time, no server.

var (
	answered = workflow.Event[string]{Name: "answered"}
	errAgain = errors.New("not now")
)

type order struct {
	ID int `json:"id"`
}

// virtual is an execution in virtual time.
type virtual struct {
	*testing.T
	*testsuite.TestWorkflowEnvironment
	plan  *workflow.Plan
	def   *definition
	marks int
}

func execution(t *testing.T, wf workflow.Definition, observers ...workflow.Observer) *virtual {
	t.Helper()
	if err := wf.Plan().Validate(); err != nil {
		t.Fatal(err)
	}
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	v := &virtual{T: t, TestWorkflowEnvironment: suite.NewTestWorkflowEnvironment(), plan: wf.Plan()}
	d := &definition{plan: v.plan, tell: workflow.ObserversOf(observers), lease: time.Minute, mark: func(context.Context, []byte) error {
		v.marks++
		return nil
	}}
	v.def = d
	d.register(v)
	v.SetTestTimeout(time.Minute)
	return v
}

func (v *virtual) after(d time.Duration, what message) {
	v.RegisterDelayedCallback(func() { v.SignalWorkflow(signalName, what) }, d)
}

// run executes a new run, or one that was handed on, and returns its record.
func (v *virtual) run(s start) *record {
	v.Helper()
	if s.Carried == nil {
		s.Input = json.RawMessage(`{"id":7}`)
	}
	v.ExecuteWorkflow(typeOf(v.plan.Name, v.plan.Version), s)
	if !v.IsWorkflowCompleted() {
		v.Fatal("the execution did not end")
	}
	rec := new(record)
	var failed *temporal.ApplicationError
	var canceled *temporal.CanceledError
	err := v.GetWorkflowError()
	switch {
	case err == nil:
		err = v.GetWorkflowResult(&rec)
	case errors.As(err, &failed) && failed.HasDetails():
		err = failed.Details(&rec)
	case errors.As(err, &canceled) && canceled.HasDetails():
		err = canceled.Details(&rec)
	}
	if err != nil {
		v.Fatal(err)
	}
	full, err := rec.unpacked()
	if err != nil {
		v.Fatal(err)
	}
	return full
}

// happened compares what a history says: "3 step.completed a #2", behind the
// seconds since the creation.
func happened(t *testing.T, rec *record, status workflow.Status, want ...string) {
	t.Helper()
	if rec.Run.Status != status {
		t.Errorf("the run is %s, want %s; failure: %+v", rec.Run.Status, status, rec.Run.Failure)
	}
	var got []string
	for i, item := range rec.History {
		if item.Seq != int64(i+1) {
			t.Errorf("item %d has the number %d", i+1, item.Seq)
		}
		line := fmt.Sprintf("%.0f %s", item.At.Sub(rec.Run.CreatedAt).Seconds(), item.Type)
		if item.Step != "" {
			line += " " + item.Step
		}
		if item.Attempt > 0 {
			line += fmt.Sprintf(" #%d", item.Attempt)
		}
		got = append(got, line)
	}
	if !slices.Equal(got, want) {
		t.Errorf("history:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// story has a bit of everything: a retry, an early finish, a wait that looks for
// its answer, a sleep, and handlers.
func story(name string, opts ...workflow.Option) *workflow.Workflow[order] {
	wf := workflow.New[order](name, opts...)
	batch := workflow.Step(wf, "batch", func(_ context.Context, in order) (int, error) { return in.ID, nil })
	workflow.FinishIf(wf, batch, "nothing-to-do", func(n int) bool { return n == 0 })
	workflow.Step(wf, "submit", func(ctx context.Context, _ order) (string, error) {
		if workflow.InfoFrom(ctx).Attempt < 3 {
			return "", errAgain
		}
		return fmt.Sprint("submitted ", batch.Output(ctx)), nil
	}, workflow.Retry{MaxAttempts: 5, InitialDelay: time.Second})
	answer := workflow.WaitFor(wf, "wait", answered, 20*time.Second,
		workflow.Reconcile(workflow.Schedule{Offsets: []time.Duration{5 * time.Second}},
			func(context.Context, order) (string, bool, error) { return "", false, nil }))
	workflow.Sleep(wf, "rest", 2*time.Second)
	workflow.Step(wf, "process", func(ctx context.Context, _ order) (string, error) { return answer.Output(ctx) + "!", nil })
	workflow.OnError(wf, func(context.Context, order, workflow.Failure) error { return nil })
	workflow.OnCancel(wf, func(context.Context, order, string) error { return nil })
	return wf
}

func event(id, payload string) message {
	return message{Event: answered.Name, ID: id, Payload: json.RawMessage(fmt.Sprintf("%q", payload)), Token: "token-of-" + id}
}

func TestARunGoesItsWayInVirtualTime(t *testing.T) {
	v := execution(t, story("story"))
	v.after(time.Second, event("e1", "early"))
	rec := v.run(start{})
	happened(t, rec, workflow.StatusCompleted, "0 run.started", "0 step.completed batch #1", "0 step.retrying submit #1", "1 event.received",
		"1 step.retrying submit #2", "3 step.completed submit #3", "3 wait.started wait", "3 event.consumed wait", "3 step.completed wait",
		"3 wait.started rest", "5 step.completed rest", "5 step.completed process #1", "5 run.completed")
	if string(rec.Run.Output) != `"early!"` {
		t.Errorf("the output is %s", rec.Run.Output)
	}
	v = execution(t, story("story"))
	happened(t, v.run(start{}), workflow.StatusTimedOut, "0 run.started", "0 step.completed batch #1", "0 step.retrying submit #1",
		"1 step.retrying submit #2", "3 step.completed submit #3", "3 wait.started wait", "8 reconcile.checked wait #1", "13 reconcile.checked wait #1",
		"18 reconcile.checked wait #1", "23 reconcile.checked wait #1", "23 wait.timed_out wait", "23 step.completed on-error #1",
		"23 run.timed_out")
}

func TestACancelOfTemporalsOwnIsOne(t *testing.T) {
	v := execution(t, story("canceled"))
	v.RegisterDelayedCallback(v.CancelWorkflow, 4*time.Second)
	rec := v.run(start{})
	happened(t, rec, workflow.StatusCanceled, "0 run.started", "0 step.completed batch #1", "0 step.retrying submit #1",
		"1 step.retrying submit #2",
		"3 step.completed submit #3", "3 wait.started wait", "4 run.cancel_requested", "4 step.failed wait", "4 step.completed on-cancel #1",
		"4 run.canceled")
	if f := rec.Run.Failure; f == nil || f.Message != "canceled in Temporal" {
		t.Errorf("the failure is %+v", f)
	}
}

func TestARunContinuesAsNewWithAllItKnows(t *testing.T) {
	wf := story("long", workflow.RunTimeout(time.Hour))
	v := execution(t, wf)
	v.after(time.Second, event("e0", "kept"))
	v.after(6*time.Second, message{Event: "nobody waits for it", ID: "e2", Payload: json.RawMessage("1"), Token: "t"})
	v.RegisterDelayedCallback(func() { v.SetContinueAsNewSuggested(true) }, 2*time.Second)
	v.ExecuteWorkflow("long/v1", start{Input: json.RawMessage(`{"id":7}`)})
	var next *sdk.ContinueAsNewError
	if !errors.As(v.GetWorkflowError(), &next) {
		t.Fatalf("the execution ended with %v, want that it continues as new", v.GetWorkflowError())
	}
	var s start
	if err := converter.GetDefaultDataConverter().FromPayloads(next.Input, &s); err != nil {
		t.Fatal(err)
	}
	if next.WorkflowType.Name != "long/v1" || s.Carried == nil {
		t.Fatalf("it goes on as %s with %+v", next.WorkflowType.Name, s)
	}
	began := s.Carried.Run.CreatedAt
	v = execution(t, wf)
	v.SetStartTime(began.Add(3 * time.Second))
	v.after(time.Second, event("e0", "again"))
	v.after(time.Second, event("e1", "second"))
	rec := v.run(s)
	happened(t, rec, workflow.StatusCompleted, "0 run.started", "0 step.completed batch #1", "0 step.retrying submit #1", "1 event.received",
		"1 step.retrying submit #2", "3 step.completed submit #3", "3 wait.started wait", "3 event.consumed wait", "3 step.completed wait",
		"3 wait.started rest", "4 event.received", "5 step.completed rest", "5 step.completed process #1", "5 run.completed")
	if rec.Run.CreatedAt != began || string(rec.Run.Output) != `"kept!"` || rec.Run.Events[0].ConsumedBy != "wait" || !rec.Run.Events[1].Late {
		t.Errorf("the run is %+v", rec.Run)
	}
}

func TestARunIsReopenedFromTheRecordThatItLeft(t *testing.T) {
	wf := workflow.New[order]("reopened")
	answer := workflow.WaitFor(wf, "wait", answered, time.Minute)
	workflow.Step(wf, "fail-once", func(ctx context.Context, _ order) (string, error) {
		if answer.Output(ctx) == "bad" {
			return "", workflow.Permanent(errAgain)
		}
		return "done", nil
	})
	v := execution(t, wf)
	v.after(0, event("e1", "bad"))
	rec := v.run(start{})
	if rec.Run.Status != workflow.StatusFailed {
		t.Fatalf("the run is %s", rec.Run.Status)
	}
	carried, err := rec.packed()
	if err != nil {
		t.Fatal(err)
	}
	v = execution(t, wf)
	v.SetStartTime(rec.Run.EndedAt.Add(time.Second))
	again := v.run(start{Carried: carried, From: "wait"})
	happened(t, again, workflow.StatusFailed, "0 run.started", "0 event.received", "0 wait.started wait",
		"0 event.consumed wait", "0 step.completed wait",
		"0 step.failed fail-once #1", "0 run.failed", "1 run.reopened wait", "1 wait.started wait", "1 event.consumed wait", "1 step.completed wait",
		"1 step.failed fail-once #1", "1 run.failed")
	if again.Run.Events[0].ConsumedBy != "wait" || len(again.Run.Steps) != 2 {
		t.Errorf("the run is %+v", again.Run)
	}
}

func TestARunThatAnotherDefinitionBeganIsLeftAlone(t *testing.T) {
	build := func(step string) workflow.Definition {
		wf := workflow.New[order]("begun")
		workflow.Step(wf, step, func(context.Context, order) (int, error) { return 1, nil })
		return wf
	}
	mine, other := build("a").Plan().Shape(), build("b").Plan().Shape()
	if rec := execution(t, build("a")).run(start{Shape: &mine}); rec.Run.Status != workflow.StatusCompleted {
		t.Errorf("the run of this definition is %s", rec.Run.Status)
	}
	faults := &faultLog{}
	v := execution(t, build("a"), faults)
	v.ExecuteWorkflow("begun/v1", start{Shape: &other})
	var panicked *temporal.PanicError
	if err := v.GetWorkflowError(); !errors.As(err, &panicked) || !strings.Contains(err.Error(), `step "b" is gone; step "a" is new`) {
		t.Errorf("the workflow task ends with %v", err)
	}
	if len(faults.said) != 1 || !strings.Contains(faults.said[0], "another definition of begun version 1") {
		t.Errorf("told is %q", faults.said)
	}
}

// faultLog notes the faults that a runner tells of.
type faultLog struct {
	mu   sync.Mutex
	said []string
}

func (f *faultLog) RunEnded(workflow.RunRef, workflow.Status, *workflow.Failure, time.Duration) {}
func (f *faultLog) RunnerFault(op string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.said = append(f.said, op+": "+err.Error())
}

func TestARunKeepsTheKeysThatItWasStartedWith(t *testing.T) {
	for want, begun := range map[string]*keys{
		"a/b%/charge/card":           nil, // by an earlier release
		"a%2Fb%25/charge%2Fcard":     {},
		"/eu/a%2Fb%25/charge%2Fcard": {Namespace: "eu"},
	} {
		var seen []string
		wf := workflow.New[order]("charging")
		workflow.Step(wf, "charge/card", func(ctx context.Context, _ order) (string, error) {
			seen = append(seen, workflow.InfoFrom(ctx).IdempotencyKey)
			return "", errAgain
		}, workflow.Retry{MaxAttempts: 2, InitialDelay: time.Second})
		v := execution(t, wf)
		v.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: "a/b%"})
		carried, err := v.run(start{Keys: begun}).packed()
		if err != nil {
			t.Fatal(err)
		}
		v = execution(t, wf)
		v.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: "a/b%"})
		v.run(start{Carried: carried, From: "charge/card"})
		if !slices.Equal(seen, []string{want, want, want, want}) {
			t.Errorf("the keys are %q, want %q", seen, want)
		}
	}
}

// loses lets the first workers that take the step fall silent.
func (v *virtual) loses(workers int, details ...any) {
	v.RegisterActivityWithOptions(func(context.Context, call) (outcome, error) {
		if workers--; workers >= 0 {
			return outcome{}, temporal.NewTimeoutError(enums.TIMEOUT_TYPE_HEARTBEAT, nil, details...)
		}
		return outcome{Output: json.RawMessage(`"done"`)}, nil
	}, activity.RegisterOptions{Name: "step", DisableAlreadyRegisteredCheck: true})
}

func TestALostWorkerCountsAsAnAttempt(t *testing.T) {
	wf := workflow.New[order]("lost")
	workflow.Step(wf, "step", func(context.Context, order) (string, error) { return "done", nil })
	v := execution(t, wf)
	v.loses(2, alive)
	happened(t, v.run(start{}), workflow.StatusCompleted, "0 run.started", "0 step.completed step #3", "0 run.completed")

	v = execution(t, wf)
	v.loses(99)
	rec := v.run(start{})
	if f := rec.Run.Failure; f == nil || f.Code != workflow.CodeCrashLoop || f.Reason != workflow.ReasonUnknown || f.Attempts != 10 {
		t.Errorf("after ten lost workers the run failed with %+v", f)
	}
}

func TestAStepThatRunsAtMostOnceIsGivenUpWithItsWorker(t *testing.T) {
	wf := workflow.New[order]("once")
	workflow.Step(wf, "step", func(context.Context, order) (string, error) { return "done", nil }, workflow.AtMostOnce,
		workflow.Retry{MaxAttempts: 5})
	v := execution(t, wf)
	v.loses(1, alive)
	rec := v.run(start{})
	happened(t, rec, workflow.StatusFailed, "0 run.started", "0 step.failed step #1", "0 run.failed")
	if f := rec.Run.Failure; f.Code != workflow.CodeWorkerLost || f.Reason != workflow.ReasonUnknown {
		t.Errorf("the failure is %+v", f)
	}
	// A task that was lost on its way never began.
	v = execution(t, wf)
	v.loses(1)
	happened(t, v.run(start{}), workflow.StatusCompleted, "0 run.started", "0 step.completed step #1", "0 run.completed")
	// And the step says that it begins before it does.
	v = execution(t, wf)
	if v.run(start{}); v.marks != 1 {
		t.Errorf("the attempt was marked %d times", v.marks)
	}
}

func TestARecordIsPackedWhenItIsLarge(t *testing.T) {
	large := json.RawMessage(fmt.Sprintf("%q", strings.Repeat("x", 60<<10)))
	rec := &record{Run: workflow.Run{ID: "r", Steps: []workflow.StepState{{Name: "wait", Output: large}},
		Events: []workflow.EventState{{ID: "e", Data: large, ConsumedBy: "wait"}}}, Tokens: []string{"t"}}
	rec.note(time.Unix(1, 0).UTC(), workflow.HistoryRunStarted, "", 0, nil)
	packed, err := rec.packed()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(packed)
	if err != nil || len(raw) > 2<<10 {
		t.Errorf("120 KiB of the same are %d bytes, %v", len(raw), err)
	}
	var back record
	if err := json.Unmarshal(raw, &back); err != nil {
		t.Fatal(err)
	}
	full, err := back.unpacked()
	if err != nil || string(full.Run.Events[0].Data) != string(large) || len(full.History) != 1 || full.Tokens[0] != "t" {
		t.Errorf("unpacked: %+v, %v", full, err)
	}
	if _, err := (&record{Packed: []byte("nonsense")}).unpacked(); err == nil {
		t.Error("nonsense was unpacked")
	}
}

func TestAReopenedRunTakesWhatItLeftOver(t *testing.T) {
	broken := true
	wf := workflow.New[order]("left-over")
	workflow.WaitFor(wf, "first", answered, time.Minute)
	workflow.Step(wf, "step", func(context.Context, order) (string, error) {
		if broken {
			return "", errAgain
		}
		return "done", nil
	})
	workflow.WaitFor(wf, "second", answered, time.Minute)
	v := execution(t, wf)
	v.after(0, event("e1", "one"))
	v.after(0, event("e2", "two"))
	rec := v.run(start{})
	if rec.Run.Status != workflow.StatusFailed || !rec.Run.Events[1].Late {
		t.Fatalf("the run is %+v", rec.Run)
	}
	broken = false
	v = execution(t, wf)
	v.SetStartTime(rec.Run.EndedAt.Add(time.Second))
	again := v.run(start{Carried: rec, From: "step"})
	if again.Run.Status != workflow.StatusCompleted || again.Run.Events[0].ConsumedBy != "first" ||
		again.Run.Events[1].ConsumedBy != "second" {
		t.Errorf("the run is %+v", again.Run)
	}
}

func TestASubRunIsContinuedAsWhatItIs(t *testing.T) {
	wf := workflow.New[[]int]("mapped")
	workflow.Map(wf, "each", workflow.Each(workflow.Input(wf)), func(b *workflow.Workflow[int]) *workflow.Result[int] {
		return workflow.Step(b, "x", func(_ context.Context, n int) (int, error) { return n, nil })
	})
	n, _ := wf.Plan().Node("each")
	v := execution(t, n.Body(0))
	v.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: "r/each[7]"})
	v.SetContinueAsNewSuggested(true)
	v.ExecuteWorkflow(typeOfPlan(v.plan), start{Input: json.RawMessage("7"), Sub: &substart{Key: "r/each[7]"}})
	var next *sdk.ContinueAsNewError
	if err := v.GetWorkflowError(); !errors.As(err, &next) || next.WorkflowType.Name != "mapped/v1/each[0]" {
		t.Errorf("%v %+v", err, next)
	}
}

func TestTwoStepsOfOneActivityAreRefused(t *testing.T) {
	wf := workflow.New[[]int]("mapped")
	workflow.Map(wf, "each", workflow.Each(workflow.Input(wf)), func(b *workflow.Workflow[int]) *workflow.Result[int] {
		return workflow.Step(b, "x", func(_ context.Context, n int) (int, error) { return n, nil })
	})
	workflow.Step(wf, "each[0]/x", func(context.Context, []int) (int, error) { return 0, nil })
	want := `workflow "mapped", step "x": another step has the activity "each[0]/x", too: rename it`
	if err := (Config{Definitions: []workflow.Definition{wf}}).Validate(); err == nil || !strings.Contains(err.Error(), want) {
		t.Error(err)
	}
}

func TestNamesThatNotEveryServerKeepsAreFaultsOfTheConfiguration(t *testing.T) {
	for _, name := range []string{"a\x00", "line\nline", "\xff"} {
		for what, c := range map[string]Config{"task queue": {TaskQueue: name}, "namespace": {Namespace: name}} {
			if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "the "+what+" ") {
				t.Errorf("%s %q: %v", what, name, err)
			}
		}
	}
}

func TestAroundIsCalledAroundEachAttempt(t *testing.T) {
	wf := workflow.New[order]("wrapped")
	workflow.Step(wf, "a", func(ctx context.Context, _ order) (any, error) {
		if workflow.InfoFrom(ctx).Attempt == 1 {
			return nil, errAgain
		}
		return ctx.Value(errAgain), workflow.SetAttributes(ctx, workflow.Attributes{"a": "b"})
	}, workflow.Retry{MaxAttempts: 2, InitialDelay: time.Second})
	var steps []string
	v := execution(t, wf)
	v.def.around = []workflow.Around{func(ctx context.Context, next func(context.Context) error) error {
		steps = append(steps, workflow.InfoFrom(ctx).Step)
		return next(context.WithValue(ctx, errAgain, "inside"))
	}}
	rec := v.run(start{Attributes: workflow.Attributes{"given": "yes"}})
	if string(rec.Run.Output) != `"inside"` || !slices.Equal(steps, []string{"a", "a"}) {
		t.Errorf("the run's output is %s, around were %q", rec.Run.Output, steps)
	}
	if got := rec.Run.Attributes; !got.Have(workflow.Attributes{"given": "yes", "a": "b"}) || len(got) != 2 {
		t.Errorf("the attributes are %v", got)
	}
}
