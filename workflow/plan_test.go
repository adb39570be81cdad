package workflow_test

import (
	"context"
	"fmt"
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

// fault is a definition that is wrong, and what is said of it.
type fault struct {
	define func(wf)
	want   []string
}

type wf = *workflow.Workflow[in]

var (
	handler = func(context.Context, in, workflow.Failure) error { return nil }
	look    = func(context.Context, in) (string, bool, error) { return "", false, nil }
	foreign = workflow.Step(workflow.New[in]("other"), "foreign", returns(1))
	yes     = func(int) bool { return true }
)

func report(t *testing.T, all map[string]fault) {
	for name, c := range all {
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

func TestEveryFaultOfStepsAndNamesIsReported(t *testing.T) {
	report(t, map[string]fault{
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
		}, []string{`workflow "w", step "on-error": the name is that of a handler`,
			`workflow "w", step "on-cancel": the name is that of a handler`}},
		"two handlers": {func(w wf) {
			workflow.Step(w, "a", returns(1))
			workflow.OnError(w, handler)
			workflow.OnError(w, handler)
			workflow.OnCancel(w, func(context.Context, in, string) error { return nil })
			workflow.OnCancel(w, func(context.Context, in, string) error { return nil })
		}, []string{`workflow "w", step "on-error": two error handlers`, `workflow "w", step "on-cancel": two cancel handlers`}},
		"what is nil": {func(w wf) {
			workflow.Step(w, "a", returns(1), nil)
			var none *workflow.Event[int]
			workflow.WaitForAny(w, "b", time.Hour, []workflow.AnyEvent{nil, none})
			workflow.WaitFor(w, "c", alpha, time.Hour, workflow.Reconcile(workflow.Schedule{}, look, nil))
			workflow.FinishIf(w, new(workflow.Result[int]), "d", yes)
		}, []string{`workflow "w", step "a": the option number 1 is nil`, `workflow "w", step "b": the event number 1 of the wait is nil`,
			`workflow "w", step "b": the event number 2 of the wait is nil`, `workflow "w", step "c": the option number 1 is nil`,
			`workflow "w", step "d": condition d reads no step`}},
	})
}

func TestEveryFaultOfWaitsIsReported(t *testing.T) {
	report(t, map[string]fault{
		"a wait without a deadline":   {func(w wf) { workflow.WaitFor(w, "a", alpha, 0) }, []string{`workflow "w", step "a": a wait without a deadline: give it a positive time, or Until`}},
		"a wait for nothing":          {func(w wf) { workflow.WaitForAny(w, "a", time.Hour, nil) }, []string{`workflow "w", step "a": a wait needs an event to wait for`}},
		"a wait for a nameless event": {func(w wf) { workflow.WaitFor(w, "a", workflow.Event[int]{}, time.Hour) }, []string{`workflow "w", step "a": an event needs a name`}},
		"an event twice in a wait": {func(w wf) { workflow.WaitForAll(w, "a", time.Hour, []workflow.AnyEvent{alpha, beta, alpha}) },
			[]string{`workflow "w", step "a": the event "alpha" stands twice in one wait`}},
		"a sleep into the past": {func(w wf) { workflow.Sleep(w, "a", -time.Second) }, []string{`workflow "w", step "a": a sleep of -1s: it must be positive`}},
		"a look of another type": {func(w wf) {
			workflow.WaitFor(w, "a", beta, time.Hour, workflow.Reconcile(workflow.Schedule{}, look))
			workflow.WaitForAny(w, "b", time.Hour, []workflow.AnyEvent{alpha}, workflow.Reconcile(workflow.Schedule{}, look))
			workflow.WaitFor(w, "c", alpha, time.Hour,
				workflow.Reconcile(workflow.Schedule{}, func(context.Context, string) (string, bool, error) { return "", false, nil }))
		}, []string{`workflow "w", step "a": Reconcile yields string, the wait int`,
			`workflow "w", step "b": Reconcile yields string, the wait workflow.Arrived`,
			`workflow "w", step "c": Reconcile takes string, the run's input is workflow_test.in`}},
		"two looks": {func(w wf) {
			workflow.WaitFor(w, "a", alpha, time.Hour, workflow.Reconcile(workflow.Schedule{}, look), workflow.Reconcile(workflow.Schedule{}, look))
		}, []string{`workflow "w", step "a": two Reconciles: make them one function`}},
		"schedules that make no sense": {func(w wf) {
			workflow.WaitFor(w, "a", alpha, time.Hour, workflow.Reconcile(workflow.Schedule{Offsets: []time.Duration{0}}, look))
			workflow.WaitFor(w, "b", alpha, time.Hour, workflow.Reconcile(workflow.Schedule{Offsets: []time.Duration{2, 2, 1}}, look))
			workflow.WaitFor(w, "c", alpha, time.Hour, workflow.Reconcile(workflow.Schedule{Jitter: 2}, look))
		}, []string{`workflow "w", step "a": a schedule with 0s: offsets must be positive`,
			`workflow "w", step "b": a schedule with 2ns after 2ns: offsets must grow`,
			`workflow "w", step "c": a schedule jitter of 2: it is a fraction from 0 to 1`}},
		"a retry on a wait that does not look": {func(w wf) { workflow.WaitFor(w, "a", alpha, time.Hour, workflow.Retry{MaxAttempts: 2}) },
			[]string{`workflow "w", step "a": Retry and Timeout mean nothing on a wait that does not look by itself: give them to Reconcile`}},
	})
}

func TestEveryFaultOfRetriesAndBoundsIsReported(t *testing.T) {
	report(t, map[string]fault{
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
		}, []string{`workflow "w", step "a": a jitter of 1.5: it is a fraction from 0 to 1`,
			`workflow "w", step "b": a jitter of NaN: it is a fraction from 0 to 1`}},
		"bounds that are none": {func(w wf) {
			workflow.Step(w, "a", returns(1), workflow.Timeout(0), workflow.Within(-1))
		}, []string{`workflow "w", step "a": a timeout of 0s: it must be positive`,
			`workflow "w", step "a": a bound of -1ns for all attempts: it must be positive`}},
		"a retry without a number of attempts": {func(w wf) {
			workflow.Step(w, "a", returns(1), workflow.Retry{InitialDelay: time.Second})
			workflow.Step(w, "b", returns(1), workflow.Retry{If: func(error) bool { return true }})
			workflow.Step(w, "c", returns(1), workflow.Retry{RetryOn: []int{503}})
			workflow.Step(w, "d", returns(1), workflow.Retry{Backoff: workflow.Linear})
			workflow.Step(w, "e", returns(1), workflow.Retry{MaxDelay: time.Second})
			workflow.Step(w, "f", returns(1), workflow.Retry{Jitter: 0.5})
			workflow.Step(w, "nothing-set", returns(1), workflow.Retry{})
		}, withoutAttempts("a", "b", "c", "d", "e", "f")},
		"numbers that contradict each other": {func(w wf) {
			workflow.Step(w, "a", returns(1), workflow.Timeout(time.Hour), workflow.Within(time.Minute))
			workflow.Step(w, "b", returns(1), workflow.Within(time.Minute), workflow.Timeout(time.Hour))
			workflow.Step(w, "c", returns(1), workflow.Within(time.Second)) // below the default timeout, which nobody chose
			workflow.Step(w, "d", returns(1), workflow.Retry{MaxAttempts: 2, InitialDelay: time.Hour}, workflow.Within(time.Minute))
			workflow.OnError(w, handler, workflow.Retry{MaxAttempts: 2, InitialDelay: time.Hour, MaxDelay: time.Minute})
		}, []string{`workflow "w", step "a": a timeout of 1h for one attempt above the bound of 1m for all`,
			`workflow "w", step "b": a timeout of 1h for one attempt above the bound of 1m for all`,
			`workflow "w", step "d": a retry with an initial delay of 1h above the bound of 1m for all attempts`,
			`workflow "w", step "on-error": a retry with an initial delay of 1h above its maximal delay of 1m`}},
	})
}

func TestEveryFaultOfConditionsAndFunctionsIsReported(t *testing.T) {
	report(t, map[string]fault{
		"two conditions": {func(w wf) {
			a := workflow.Step(w, "a", returns(1))
			workflow.Step(w, "b", returns(1), workflow.If(a, "x", yes), workflow.If(a, "y", yes))
		}, []string{`workflow "w", step "b": two conditions: make them one predicate`}},
		"conditions on what is not there": {func(w wf) {
			workflow.Step(w, "a", returns(1), workflow.If(foreign, "x", yes))
			workflow.FinishIf(w, nil, "early", yes)
			workflow.WaitFor(w, "b", alpha, time.Hour,
				workflow.Reconcile(workflow.ScheduleFrom(foreign, func(int) workflow.Schedule { return workflow.Schedule{} }), look))
		}, []string{`workflow "w", step "a": condition x reads step "foreign" of workflow "other"`,
			`workflow "w", step "early": condition early reads no step`,
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
	})
}

func TestEveryFaultOfOptionsIsReported(t *testing.T) {
	report(t, map[string]fault{
		"options on the wrong kind": {func(w wf) {
			workflow.Sleep(w, "a", time.Hour, workflow.Retry{MaxAttempts: 2}, workflow.Timeout(1), workflow.Within(1),
				workflow.AtMostOnce, workflow.ContinueOnTimeout,
				workflow.Reconcile(workflow.Schedule{}, look))
			workflow.Step(w, "b", returns(1), workflow.ContinueOnTimeout)
			workflow.WaitFor(w, "c", alpha, time.Hour, workflow.Within(1), workflow.AtMostOnce)
			workflow.OnError(w, handler, workflow.AtMostOnce, workflow.If(foreign, "x", yes))
		}, []string{`workflow "w", step "a": Retry means nothing on a sleep`, `workflow "w", step "a": Timeout means nothing on a sleep`,
			`workflow "w", step "a": Within means nothing on a sleep`, `workflow "w", step "a": AtMostOnce means nothing on a sleep`,
			`workflow "w", step "a": ContinueOnTimeout means nothing on a sleep`, `workflow "w", step "a": Reconcile means nothing on a sleep`,
			`workflow "w", step "b": ContinueOnTimeout means nothing on a step`, `workflow "w", step "c": Within means nothing on a wait`,
			`workflow "w", step "c": AtMostOnce means nothing on a wait`, `workflow "w", step "on-error": AtMostOnce means nothing on a handler`,
			`workflow "w", step "on-error": a handler takes no condition x`,
			`workflow "w", step "on-error": condition x reads step "foreign" of workflow "other"`}},
		"options given twice": {func(w wf) {
			twice := workflow.Retry{MaxAttempts: 2}
			workflow.Step(w, "a", returns(1), twice, workflow.Timeout(1), workflow.Within(2), workflow.AtMostOnce, twice,
				workflow.Timeout(1), workflow.Within(2), workflow.AtMostOnce)
			workflow.WaitFor(w, "b", alpha, time.Hour, workflow.ContinueOnTimeout, workflow.ContinueOnTimeout, twice,
				workflow.Reconcile(workflow.Schedule{}, look, twice))
		}, []string{`workflow "w", step "a": Retry is given twice: which one counts?`,
			`workflow "w", step "a": Timeout is given twice: which one counts?`,
			`workflow "w", step "a": Within is given twice: which one counts?`,
			`workflow "w", step "a": AtMostOnce is given twice: which one counts?`,
			`workflow "w", step "b": ContinueOnTimeout is given twice: which one counts?`,
			`workflow "w", step "b": Retry is given twice: which one counts?`}},
	})
}

func withoutAttempts(steps ...string) (faults []string) {
	for _, s := range steps {
		faults = append(faults, fmt.Sprintf("workflow \"w\", step %q: a retry without MaxAttempts never tries "+
			"again: say how many attempts there are", s))
	}
	return faults
}

func TestOptionsOfAWholeWorkflowAreGivenOnce(t *testing.T) {
	p := workflow.New[in]("w", workflow.Version(1), nil, workflow.Version(2), workflow.RunTimeout(1), workflow.RunTimeout(1)).Plan()
	want := []string{`workflow "w": the option number 2 is nil`, `workflow "w": Version is given twice: which one counts?`,
		`workflow "w": RunTimeout is given twice: which one counts?`, `workflow "w" has no steps`}
	if diff := cmp.Diff(want, faults(p)); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
}

func TestDefinitionsThatAreNoneAreFaults(t *testing.T) {
	var none *workflow.Workflow[in]
	plans, err := workflow.PlansOf([]workflow.Definition{nil, none, &workflow.Workflow[in]{}, (*workflow.Plan)(nil),
		&workflow.Plan{}, every(), every()})
	const each = "workflow: definition number %d is nil or zero: make it with New"
	want := []string{fmt.Sprintf(each, 1), fmt.Sprintf(each, 2), fmt.Sprintf(each, 3), fmt.Sprintf(each, 4),
		"workflow: a zero definition: make it with New", `workflow "every": version 1 is defined twice`}
	if err == nil || len(plans) != 3 {
		t.Fatalf("%d plans, %v", len(plans), err)
	}
	if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
}

func TestASealedDefinitionTakesNothingMore(t *testing.T) {
	wf := workflow.New[in]("w")
	workflow.Step(wf, "a", returns(1))
	wf.Plan().Seal()
	for what, add := range map[string]func(){
		"a step":    func() { workflow.Step(wf, "b", returns(1)) },
		"a wait":    func() { workflow.WaitFor(wf, "b", alpha, time.Hour) },
		"a sleep":   func() { workflow.Sleep(wf, "b", time.Hour) },
		"a finish":  func() { workflow.FinishIf[in, int](wf, nil, "b", nil) },
		"a handler": func() { workflow.OnError(wf, func(context.Context, in, workflow.Failure) error { return nil }) },
		"another":   func() { workflow.OnCancel(wf, func(context.Context, in, string) error { return nil }) },
		"any of":    func() { workflow.WaitForAny(wf, "b", time.Hour, []workflow.AnyEvent{alpha}) },
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, `workflow "w": a runner has taken the definition`) {
					t.Errorf("%s: %s", what, got)
				}
			}()
			add()
		}()
	}
	if len(wf.Plan().Nodes) != 1 || wf.Plan().ErrorNode != nil || wf.Plan().CancelNode != nil {
		t.Error("something was added")
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
