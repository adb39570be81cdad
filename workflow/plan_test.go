package workflow_test

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/liwanag/liwanag/workflow"
)

func TestASoundDefinitionHasNoFaults(t *testing.T) {
	if err := every().Validate(); err != nil {
		t.Error(err)
	}
}

// faults are the lines of a definition's faults.
func faults(p *workflow.Plan) []string {
	if err := p.Validate(); err != nil {
		return strings.Split(err.Error(), "\n")
	}
	return nil
}

func TestEveryFaultOfADefinitionIsReported(t *testing.T) {
	handler := func(context.Context, in, workflow.Failure) error { return nil }
	look := func(context.Context, in) (string, bool, error) { return "", false, nil }
	other := workflow.New[in]("other")
	foreign := workflow.Step(other, "foreign", returns(1))
	yes := func(int) bool { return true }
	type wf = *workflow.Workflow[in]
	for name, c := range map[string]struct {
		define func(wf)
		want   []string
	}{
		"nothing": {func(wf) {}, []string{`workflow "w" has no steps`}},
		"two steps of one name": {func(w wf) {
			workflow.Step(w, "a", returns(1))
			workflow.Sleep(w, "a", time.Hour)
		}, []string{`workflow "w", step "a": two steps have this name`}},
		"a step without a name":     {func(w wf) { workflow.Step(w, "", returns(1)) }, []string{`workflow "w": step number 1 needs a name`}},
		"a step without a function": {func(w wf) { workflow.Step[in, int](w, "a", nil) }, []string{`workflow "w", step "a": a step needs a function`}},
		"names of handlers": {func(w wf) {
			workflow.Step(w, "on-error", returns(1))
			workflow.Sleep(w, "on-cancel", time.Hour)
		}, []string{`workflow "w", step "on-error": the name is that of a handler`, `workflow "w", step "on-cancel": the name is that of a handler`}},
		"a wait without a deadline":   {func(w wf) { workflow.WaitFor(w, "a", alpha, 0) }, []string{`workflow "w", step "a": a wait without a deadline: give it a positive time`}},
		"a wait for nothing":          {func(w wf) { workflow.WaitForAny(w, "a", time.Hour, nil) }, []string{`workflow "w", step "a": a wait needs an event to wait for`}},
		"a wait for a nameless event": {func(w wf) { workflow.WaitFor(w, "a", workflow.Event[int]{}, time.Hour) }, []string{`workflow "w", step "a": an event needs a name`}},
		"an event twice in a wait": {func(w wf) { workflow.WaitForAll(w, "a", time.Hour, []workflow.AnyEvent{alpha, beta, alpha}) },
			[]string{`workflow "w", step "a": the event "alpha" stands twice in one wait`}},
		"a sleep into the past": {func(w wf) { workflow.Sleep(w, "a", -time.Second) }, []string{`workflow "w", step "a": a sleep of -1s: it must be positive`}},
		"a negative retry": {func(w wf) {
			workflow.Step(w, "a", returns(1), workflow.Retry{MaxAttempts: -1})
			workflow.Step(w, "b", returns(1), workflow.Retry{MaxDelay: -time.Second})
			workflow.OnError(w, handler, workflow.Retry{InitialDelay: -time.Second})
		}, []string{`workflow "w", step "a": a retry with a negative number: attempts -1, initial delay 0s, maximal delay 0s`,
			`workflow "w", step "b": a retry with a negative number: attempts 0, initial delay 0s, maximal delay -1s`,
			`workflow "w", step "on-error": a retry with a negative number: attempts 0, initial delay -1s, maximal delay 0s`}},
		"an unknown backoff": {func(w wf) { workflow.Step(w, "a", returns(1), workflow.Retry{Backoff: "quadratic"}) },
			[]string{`workflow "w", step "a": an unknown backoff "quadratic": it is exponential, linear or constant`}},
		"a jitter that is no fraction": {func(w wf) {
			workflow.Step(w, "a", returns(1), workflow.Retry{Jitter: 1.5})
			workflow.Step(w, "b", returns(1), workflow.Retry{Jitter: math.NaN()})
		}, []string{`workflow "w", step "a": a jitter of 1.5: it is a fraction from 0 to 1`, `workflow "w", step "b": a jitter of NaN: it is a fraction from 0 to 1`}},
		"bounds that are none": {func(w wf) {
			workflow.Step(w, "a", returns(1), workflow.Timeout(0), workflow.Within(-1))
		}, []string{`workflow "w", step "a": a timeout of 0s: it must be positive`, `workflow "w", step "a": a bound of -1ns for all attempts: it must be positive`}},
		"two conditions": {func(w wf) {
			a := workflow.Step(w, "a", returns(1))
			workflow.Step(w, "b", returns(1), workflow.If(a, "x", yes), workflow.If(a, "y", yes))
		}, []string{`workflow "w", step "b": two conditions: make them one predicate`}},
		"conditions on what is not there": {func(w wf) {
			workflow.Step(w, "a", returns(1), workflow.If(foreign, "x", yes))
			workflow.FinishIf(w, "early", nil, yes)
			workflow.WaitFor(w, "b", alpha, time.Hour, workflow.Reconcile(workflow.ScheduleFrom(foreign, func(int) workflow.Schedule { return workflow.Schedule{} }), look))
		}, []string{`workflow "w", step "a": condition x reads step "foreign" of workflow "other"`, `workflow "w", step "early": condition early reads no step`,
			`workflow "w", step "b": schedule reads step "foreign" of workflow "other"`}},
		"predicates and functions that are not there": {func(w wf) {
			a := workflow.Step(w, "a", returns(1))
			workflow.Step(w, "b", returns(1), workflow.If(a, "x", nil))
			workflow.WaitFor(w, "c", alpha, time.Hour, workflow.Reconcile[in, string](workflow.ScheduleFrom(a, nil), nil))
			workflow.WaitFor(w, "d", alpha, time.Hour, workflow.Reconcile(nil, look))
			workflow.OnError(w, nil)
			workflow.OnCancel(w, nil)
		}, []string{`workflow "w", step "b": condition x needs a predicate`, `workflow "w", step "c": Reconcile needs a function`,
			`workflow "w", step "c": ScheduleFrom needs a function`, `workflow "w", step "d": Reconcile needs a schedule`,
			`workflow "w", step "on-error": a handler needs a function`, `workflow "w", step "on-cancel": a handler needs a function`}},
		"options on the wrong kind": {func(w wf) {
			workflow.Sleep(w, "a", time.Hour, workflow.Retry{MaxAttempts: 2}, workflow.Timeout(1), workflow.Within(1), workflow.AtMostOnce, workflow.ContinueOnTimeout,
				workflow.Reconcile(workflow.Schedule{}, look))
			workflow.Step(w, "b", returns(1), workflow.ContinueOnTimeout)
			workflow.WaitFor(w, "c", alpha, time.Hour, workflow.Within(1), workflow.AtMostOnce)
			workflow.OnError(w, handler, workflow.AtMostOnce, workflow.If(foreign, "x", yes))
		}, []string{`workflow "w", step "a": Retry means nothing on a sleep`, `workflow "w", step "a": Timeout means nothing on a sleep`,
			`workflow "w", step "a": Within means nothing on a sleep`, `workflow "w", step "a": AtMostOnce means nothing on a sleep`,
			`workflow "w", step "a": ContinueOnTimeout means nothing on a sleep`, `workflow "w", step "a": Reconcile means nothing on a sleep`,
			`workflow "w", step "b": ContinueOnTimeout means nothing on a step`, `workflow "w", step "c": Within means nothing on a wait`,
			`workflow "w", step "c": AtMostOnce means nothing on a wait`, `workflow "w", step "on-error": AtMostOnce means nothing on a handler`,
			`workflow "w", step "on-error": a handler takes no condition x`, `workflow "w", step "on-error": condition x reads step "foreign" of workflow "other"`}},
		"a retry on a wait that does not look": {func(w wf) { workflow.WaitFor(w, "a", alpha, time.Hour, workflow.Retry{MaxAttempts: 2}) },
			[]string{`workflow "w", step "a": Retry and Timeout mean nothing on a wait that does not look by itself: give them to Reconcile`}},
		"a look of another type": {func(w wf) {
			workflow.WaitFor(w, "a", beta, time.Hour, workflow.Reconcile(workflow.Schedule{}, look))
			workflow.WaitForAny(w, "b", time.Hour, []workflow.AnyEvent{alpha}, workflow.Reconcile(workflow.Schedule{}, look))
			workflow.WaitFor(w, "c", alpha, time.Hour, workflow.Reconcile(workflow.Schedule{}, func(context.Context, string) (string, bool, error) { return "", false, nil }))
		}, []string{`workflow "w", step "a": Reconcile yields string, the wait int`, `workflow "w", step "b": Reconcile yields string, the wait workflow.Arrived`,
			`workflow "w", step "c": Reconcile takes string, the run's input is workflow_test.in`}},
		"two looks": {func(w wf) {
			workflow.WaitFor(w, "a", alpha, time.Hour, workflow.Reconcile(workflow.Schedule{}, look), workflow.Reconcile(workflow.Schedule{}, look))
		}, []string{`workflow "w", step "a": two Reconciles: make them one function`}},
		"schedules that make no sense": {func(w wf) {
			workflow.WaitFor(w, "a", alpha, time.Hour, workflow.Reconcile(workflow.Schedule{Offsets: []time.Duration{0}}, look))
			workflow.WaitFor(w, "b", alpha, time.Hour, workflow.Reconcile(workflow.Schedule{Offsets: []time.Duration{2, 2, 1}}, look))
			workflow.WaitFor(w, "c", alpha, time.Hour, workflow.Reconcile(workflow.Schedule{Jitter: 2}, look))
		}, []string{`workflow "w", step "a": a schedule with 0s: offsets must be positive`, `workflow "w", step "b": a schedule with 2ns after 2ns: offsets must grow`,
			`workflow "w", step "c": a schedule jitter of 2: it is a fraction from 0 to 1`}},
		"two handlers": {func(w wf) {
			workflow.Step(w, "a", returns(1))
			workflow.OnError(w, handler)
			workflow.OnError(w, handler)
			workflow.OnCancel(w, func(context.Context, in, string) error { return nil })
			workflow.OnCancel(w, func(context.Context, in, string) error { return nil })
		}, []string{`workflow "w", step "on-error": two error handlers`, `workflow "w", step "on-cancel": two cancel handlers`}},
	} {
		t.Run(name, func(t *testing.T) {
			w := workflow.New[in]("w")
			c.define(w)
			got := faults(w.Plan())
			if len(got) == 0 {
				t.Fatal("the definition is taken")
			}
			if len(w.Plan().Nodes) == 0 && name != "nothing" {
				got = got[:len(got)-1] // it has no steps, too
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFaultsOfAWholeWorkflow(t *testing.T) {
	p := workflow.New[in]("", workflow.Version(0), workflow.RunTimeout(-time.Second)).Plan()
	want := []string{`workflow "": a workflow needs a name`, `workflow "": a run timeout of -1s: it must be positive`,
		`workflow "": version 0: versions begin at 1`, `workflow "" has no steps`}
	for range 2 { // asking does not add any
		if diff := cmp.Diff(want, faults(p)); diff != "" {
			t.Errorf("faults (-want +got):\n%s", diff)
		}
	}
}

func TestPlansAreSearchedByName(t *testing.T) {
	p := every()
	for _, name := range []string{"step", "wait", "zero", workflow.OnErrorName, workflow.OnCancelName} {
		if n, ok := p.Node(name); !ok || n.Name != name {
			t.Errorf("node %s: %v, %t", name, n, ok)
		}
	}
	if e, ok := p.Event("beta"); !ok || e.EventName() != "beta" {
		t.Errorf("event beta: %v, %t", e, ok)
	}
	if _, ok := p.Node("gone"); ok {
		t.Error("there is a node gone")
	}
	if _, ok := p.Event("gamma"); ok {
		t.Error("there is an event gamma")
	}
	if _, ok := workflow.New[in]("bare").Plan().Node(workflow.OnErrorName); ok {
		t.Error("there is a handler that was not defined")
	}
	if p.Plan() != p {
		t.Error("a plan is not its own definition")
	}
}
