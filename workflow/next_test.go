package workflow_test

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/liwanag/liwanag/workflow"
)

type in struct{ N int }

var (
	alpha = workflow.Event[string]{Name: "alpha"}
	beta  = workflow.Event[int]{Name: "beta"}
)

func returns[T any](v T) func(context.Context, in) (T, error) {
	return func(context.Context, in) (T, error) { return v, nil }
}

// every is a plan with every kind of node, and both handlers.
func every() *workflow.Plan {
	wf := workflow.New[in]("every", workflow.RunTimeout(time.Hour))
	step := workflow.Step(wf, "step", returns(1))
	workflow.FinishIf(wf, step, "zero", func(n int) bool { return n == 0 })
	workflow.Step(wf, "odd", returns("odd"), workflow.If(step, "is-odd", func(n int) bool {
		if n > 99 {
			panic("too large to tell")
		}
		return n%2 == 1
	}))
	workflow.WaitFor(wf, "wait", alpha, time.Minute)
	workflow.WaitFor(wf, "lenient", beta, time.Minute, workflow.ContinueOnTimeout)
	workflow.Sleep(wf, "sleep", time.Minute)
	workflow.OnError(wf, func(context.Context, in, workflow.Failure) error { return nil })
	workflow.OnCancel(wf, func(context.Context, in, string) error { return nil })
	return wf.Plan()
}

func done(step string, output any) workflow.Fact {
	raw, err := json.Marshal(output)
	if err != nil {
		panic(err)
	}
	return workflow.Fact{Kind: workflow.FactCompleted, Step: step, Output: raw}
}

func failed(step string, r workflow.Reason) workflow.Fact {
	return workflow.Fact{Kind: workflow.FactFailed, Step: step, Failure: &workflow.Failure{Step: step, Reason: r, Message: "broken"}}
}

func skipped(step string) workflow.Fact {
	return workflow.Fact{Kind: workflow.FactSkipped, Step: step}
}

func reopened(step string) workflow.Fact {
	return workflow.Fact{Kind: workflow.FactReopened, Step: step}
}

var (
	canceled = workflow.Fact{Kind: workflow.FactCanceled, Reason: "stop"}
	deadline = workflow.Fact{Kind: workflow.FactDeadline}
	handled  = workflow.Fact{Kind: workflow.FactCompleted, Step: workflow.OnErrorName}
	undone   = workflow.Fact{Kind: workflow.FactCompleted, Step: workflow.OnCancelName}
)

// say prints a decision: the move, of which node, and why.
func say(d workflow.Decision) string {
	s := string(d.Move)
	if d.Node != nil {
		s += " " + d.Node.Name
	}
	if d.Status != "" {
		s += " " + string(d.Status)
	}
	if d.Because != "" {
		s += " because " + d.Because
	}
	if d.Failure != nil {
		s += fmt.Sprintf(" for %s/%s %s", d.Failure.Reason, d.Failure.Code, d.Failure.Step)
	}
	return s
}

// Histories of every, as far as its wait and to its end.
var (
	toWait = []workflow.Fact{done("step", 1), done("odd", "odd")}
	toEnd  = append(toWait[:2:2], done("wait", "hello"), done("lenient", 2), workflow.Fact{Kind: workflow.FactCompleted, Step: "sleep"})
)

func after(more ...workflow.Fact) workflow.History { return append(toWait[:2:2], more...) }

type decision struct {
	history workflow.History
	want    string
}

func decide(t *testing.T, all map[string]decision) {
	for name, c := range all {
		t.Run(name, func(t *testing.T) {
			if got := say(every().Next(c.history)); got != c.want {
				t.Errorf("Next decides %q, want %q", got, c.want)
			}
		})
	}
}

func TestNextGoesOnFromStepToStep(t *testing.T) {
	decide(t, map[string]decision{
		"nothing yet: the first step":                 {nil, "act step"},
		"a condition that holds: the step":            {workflow.History{done("step", 1)}, "act odd"},
		"a condition that does not hold: skipped":     {workflow.History{done("step", 2)}, "skip odd because is-odd"},
		"after a skip: the wait":                      {workflow.History{done("step", 2), skipped("odd")}, "wait wait"},
		"a finish that holds: the end":                {workflow.History{done("step", 0)}, "end completed because zero"},
		"a finish on a skipped step: on it goes":      {workflow.History{skipped("step")}, "skip odd because is-odd"},
		"a wait":                                      {after(), "wait wait"},
		"a wait that consumed: the next":              {after(done("wait", "x")), "wait lenient"},
		"everything: completed":                       {toEnd, "end completed"},
		"a completed wait without an output has none": {workflow.History{{Kind: workflow.FactCompleted, Step: "step"}}, "skip odd because is-odd"},
		"an output that is null is an output":         {workflow.History{done("step", nil)}, "end completed because zero"},
	})
}

func TestNextHandsAFailureToItsHandler(t *testing.T) {
	decide(t, map[string]decision{
		"a wait that timed out: the handler":                {after(failed("wait", workflow.ReasonTimeout)), "handle on-error for timeout/ wait"},
		"a wait that timed out, handled: timed out":         {after(failed("wait", workflow.ReasonTimeout), handled), "end timed_out for timeout/ wait"},
		"a wait that failed otherwise, handled: failed":     {after(failed("wait", workflow.ReasonError), handled), "end failed for error/ wait"},
		"a lenient wait that timed out: on it goes":         {after(done("wait", "x"), failed("lenient", workflow.ReasonTimeout)), "sleep sleep"},
		"a lenient wait that failed otherwise: the handler": {after(done("wait", "x"), failed("lenient", workflow.ReasonError)), "handle on-error for error/ lenient"},
		"a failure: the handler":                            {workflow.History{failed("step", workflow.ReasonError)}, "handle on-error for error/ step"},
		"a step that timed out has failed":                  {workflow.History{failed("step", workflow.ReasonTimeout), handled}, "end failed for timeout/ step"},
		"a handler that failed is over, too":                {workflow.History{failed("step", workflow.ReasonError), failed(workflow.OnErrorName, workflow.ReasonError)}, "end failed for error/ step"},
		"the deadline: the error handler":                   {after(deadline), "handle on-error for timeout/run_timeout "},
		"the deadline, handled: timed out":                  {after(deadline, handled), "end timed_out for timeout/run_timeout "},
		"the handler of the other ending does not count":    {workflow.History{failed("step", workflow.ReasonError), undone}, "handle on-error for error/ step"},
	})
}

func TestNextHandsACancelToItsHandler(t *testing.T) {
	decide(t, map[string]decision{
		"a cancel: its handler":                           {workflow.History{canceled}, "handle on-cancel for canceled/ "},
		"a cancel, handled: canceled":                     {workflow.History{canceled, undone}, "end canceled for canceled/ "},
		"a cancel after the last step: its handler":       {append(toEnd[:5:5], canceled), "handle on-cancel for canceled/ "},
		"a cancel before an early finish":                 {workflow.History{canceled, done("step", 0)}, "handle on-cancel for canceled/ "},
		"two cancels: the first counts":                   {workflow.History{canceled, {Kind: workflow.FactCanceled, Reason: "again"}, undone}, "end canceled for canceled/ "},
		"the outcome of a handler that has nothing to do": {workflow.History{handled}, "act step"},
	})
}

func TestTheFirstEndingCounts(t *testing.T) {
	decide(t, map[string]decision{
		"failure, then cancel: the failure counts":   {after(failed("wait", workflow.ReasonError), canceled, handled), "end failed for error/ wait"},
		"cancel, then failure: the cancel counts":    {workflow.History{canceled, failed("step", workflow.ReasonError)}, "handle on-cancel for canceled/ "},
		"cancel, then deadline: the cancel counts":   {workflow.History{canceled, deadline, undone}, "end canceled for canceled/ "},
		"deadline, then cancel: the deadline counts": {workflow.History{deadline, canceled, handled}, "end timed_out for timeout/run_timeout "},
		"two failures: the first counts":             {workflow.History{failed("step", workflow.ReasonUnknown), failed("odd", workflow.ReasonError), handled}, "end failed for unknown/ step"},
	})
}

func TestAReopenedRunForgetsWhatCameAfter(t *testing.T) {
	decide(t, map[string]decision{
		"reopened from the failed step":                       {workflow.History{done("step", 1), failed("odd", workflow.ReasonError), handled, reopened("odd")}, "act odd"},
		"reopened from an earlier step":                       {after(failed("wait", workflow.ReasonTimeout), handled, reopened("step")), "act step"},
		"reopened: later outcomes are forgotten":              {append(toEnd[:5:5], canceled, undone, reopened("odd"), done("odd", "x")), "wait wait"},
		"reopened: conditions see the new outcome":            {after(canceled, undone, reopened("step"), done("step", 2)), "skip odd because is-odd"},
		"reopened: a condition on a forgotten one":            {append(toEnd[:5:5], canceled, undone, reopened("step"), skipped("step")), "skip odd because is-odd"},
		"reopened: the handler may run again":                 {workflow.History{failed("step", workflow.ReasonError), handled, reopened("step"), failed("step", workflow.ReasonUnknown)}, "handle on-error for unknown/ step"},
		"reopened: the cancel is over":                        {workflow.History{canceled, undone, reopened("step")}, "act step"},
		"a reopening that names no step begins anew":          {workflow.History{done("step", 1), canceled, reopened("gone")}, "act step"},
		"the first outcome after a reopening is the last one": {workflow.History{done("step", 1), canceled, reopened("step"), done("step", 0)}, "end completed because zero"},
	})
}

func TestAHistoryThatDoesNotFitIsAFailure(t *testing.T) {
	decide(t, map[string]decision{
		"an outcome of a step that is not there":   {workflow.History{done("gone", 1)}, "handle on-error for error/definition gone"},
		"an unknown step, handled: failed":         {workflow.History{done("gone", 1), handled}, "end failed for error/definition gone"},
		"a predicate that panics":                  {workflow.History{done("step", 100)}, "handle on-error for error/definition odd"},
		"a predicate that panics, handled: failed": {workflow.History{done("step", 100), handled}, "end failed for error/definition odd"},
		"an output that no longer decodes":         {workflow.History{done("step", "one")}, "handle on-error for error/definition zero"},
		"a failure that says nothing":              {workflow.History{{Kind: workflow.FactFailed, Step: "step"}}, "handle on-error for error/definition step"},
	})
}

func TestWithoutHandlersTheRunEndsAtOnce(t *testing.T) {
	wf := workflow.New[in]("bare")
	workflow.Step(wf, "step", returns(1))
	for want, history := range map[string]workflow.History{
		"end failed for error/ step":             {failed("step", workflow.ReasonError)},
		"end canceled for canceled/ ":            {canceled},
		"end timed_out for timeout/run_timeout ": {deadline},
	} {
		if got := say(wf.Plan().Next(history)); got != want {
			t.Errorf("Next decides %q, want %q", got, want)
		}
	}
}

func TestFailuresSayWhatHappened(t *testing.T) {
	for want, history := range map[string]workflow.History{
		"stop":                        {canceled},
		"the run took longer than 1h": {deadline},
		"a function of the definition panicked: too large to tell":                                                                {done("step", 100)},
		`the stored output of step "step" no longer fits the definition: json: cannot unmarshal string into Go value of type int`: {done("step", "one")},
		`the run has an outcome of step "gone", which version 1 does not have`:                                                    {done("gone", 1)},
		"the step failed and nothing says why":                                                                                    {{Kind: workflow.FactFailed, Step: "step"}},
	} {
		if got := every().Next(history).Failure; got == nil || got.Message != want {
			t.Errorf("the failure is %+v, want the message %q", got, want)
		}
	}
}

func TestARetriedRunGoesOnWhereItStood(t *testing.T) {
	all := workflow.History{done("step", 1), done("odd", ""), done("wait", ""), done("lenient", 1),
		{Kind: workflow.FactCompleted, Step: "sleep"}}
	for name, c := range map[string]struct {
		history workflow.History
		want    string
	}{
		"failed":                        {workflow.History{done("step", 1), failed("odd", workflow.ReasonError)}, "odd"},
		"timed out at a wait":           {append(all[:2:2], failed("wait", workflow.ReasonTimeout)), "wait"},
		"canceled":                      {append(all[:3:3], canceled), "lenient"},
		"past its deadline":             {append(all[:1:1], deadline), "odd"},
		"not begun":                     {workflow.History{canceled}, "step"},
		"canceled after the last step":  {append(all[:5:5], canceled), "sleep"},
		"canceled in a wait":            {append(all[:2:2], canceled, failed("wait", workflow.ReasonCanceled)), "wait"},
		"canceled after a lenient wait": {append(all[:3:3], failed("lenient", workflow.ReasonTimeout), canceled), "sleep"},
		"failed at a predicate":         {workflow.History{done("step", 100), handled}, "odd"},
		"of a step that is gone":        {append(all[:1:1], done("gone", 1)), "odd"},
	} {
		if got := every().ReopenFrom(c.history); got != c.want {
			t.Errorf("%s: the run goes on from %q, want %q", name, got, c.want)
		}
	}
}

func TestTheOutputOfARunIsThatOfTheLastCompletedStep(t *testing.T) {
	p := every()
	for want, history := range map[string]workflow.History{
		"":        {},
		"1":       {done("step", 1), skipped("odd")},
		`"hello"`: {done("step", 1), skipped("odd"), done("wait", "hello"), failed("lenient", workflow.ReasonTimeout)},
		"2":       {done("step", 1), done("odd", "x"), canceled, reopened("step"), done("step", 2)},
	} {
		if got := string(p.Output(history)); got != want {
			t.Errorf("the output is %s, want %s", got, want)
		}
	}
}

// randomPlan draws a definition of up to eight nodes whose conditions hold,
// fail or panic by what they see.
func randomPlan(t *rapid.T) *workflow.Plan {
	wf := workflow.New[in]("random")
	results := []*workflow.Result[int]{workflow.Step(wf, "n0", returns(0))}
	for i := 1; i < rapid.IntRange(1, 8).Draw(t, "nodes"); i++ {
		name := fmt.Sprintf("n%d", i)
		on := results[rapid.IntRange(0, len(results)-1).Draw(t, "on")]
		modulus := rapid.IntRange(1, 3).Draw(t, "modulus")
		holds := func(n int) bool {
			if n == 13 {
				panic(n)
			}
			return n%modulus == 0
		}
		var opts []workflow.StepOption
		if rapid.Bool().Draw(t, "conditional") {
			opts = append(opts, workflow.If(on, "sometimes", holds))
		}
		switch rapid.IntRange(0, 4).Draw(t, "kind") {
		case 0:
			results = append(results, workflow.Step(wf, name, returns(0), opts...))
		case 1:
			results = append(results, workflow.WaitFor(wf, name, beta, time.Minute, opts...))
		case 2:
			results = append(results, workflow.WaitFor(wf, name, beta, time.Minute, append(opts, workflow.ContinueOnTimeout)...))
		case 3:
			workflow.Sleep(wf, name, time.Minute, opts...)
		default:
			workflow.FinishIf(wf, on, name, holds)
		}
	}
	if rapid.Bool().Draw(t, "onError") {
		workflow.OnError(wf, func(context.Context, in, workflow.Failure) error { return nil })
	}
	if rapid.Bool().Draw(t, "onCancel") {
		workflow.OnCancel(wf, func(context.Context, in, string) error { return nil })
	}
	return wf.Plan()
}

// answer draws the outcome of a move.
func answer(t *rapid.T, d workflow.Decision) workflow.Fact {
	if d.Move == workflow.MoveSkip {
		return skipped(d.Node.Name)
	}
	switch rapid.IntRange(0, 9).Draw(t, "outcome") {
	case 0:
		return failed(d.Node.Name, workflow.ReasonError)
	case 1:
		return failed(d.Node.Name, workflow.ReasonTimeout)
	case 2:
		return workflow.Fact{Kind: workflow.FactCompleted, Step: d.Node.Name}
	case 3:
		return done(d.Node.Name, "not a number")
	}
	return done(d.Node.Name, rapid.IntRange(0, 14).Draw(t, "output"))
}

// anyRunEnds walks a random run of a random plan, with cancels, deadlines and
// reopenings, and checks what holds for each.
func anyRunEnds(t *rapid.T) {
	p := randomPlan(t)
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	var history workflow.History
	reopenings, asked := 0, map[string]int{}
	for {
		if err := p.Fits(history); err != nil {
			t.Fatalf("what the plan asked for does not fit it: %v; %+v", err, history)
		}
		d := p.Next(history)
		if again := p.Next(history); !reflect.DeepEqual(say(d), say(again)) || d.Node != again.Node {
			t.Fatalf("Next is not a function: %s, then %s", say(d), say(again))
		}
		if d.Move == workflow.MoveEnd {
			if !d.Status.Ended() || (d.Status == workflow.StatusCompleted) != (d.Failure == nil) {
				t.Fatalf("a run ends as %s", say(d))
			}
			if d.Status == workflow.StatusCompleted || reopenings == 3 || !rapid.Bool().Draw(t, "reopen") {
				return
			}
			reopenings++
			from := p.ReopenFrom(history)
			if rapid.Bool().Draw(t, "from the start") {
				from = "n0"
			}
			history, asked = append(history, reopened(from)), map[string]int{}
			continue
		}
		if asked[d.Node.Name]++; asked[d.Node.Name] > 1 {
			t.Fatalf("%s was asked for again although it has an outcome; history %+v", d.Node.Name, history)
		}
		if d.Move == workflow.MoveHandle && d.Failure == nil {
			t.Fatal("a handler without a failure")
		}
		switch rapid.IntRange(0, 19).Draw(t, "from outside") {
		case 0:
			history = append(history, canceled)
		case 1:
			history = append(history, deadline)
		}
		history = append(history, answer(t, d))
		if last := history[len(history)-1]; last.Kind != workflow.FactCompleted || string(last.Output) != `"not a number"` {
			continue
		}
		return // what no step of the definition would return
	}
}

func TestAnyRunEnds(t *testing.T) { rapid.Check(t, anyRunEnds) }
func FuzzAnyRunEnds(f *testing.F) { f.Fuzz(rapid.MakeFuzz(anyRunEnds)) }

// anyHistoryIsDecided checks that Next has an answer to nonsense, too.
func anyHistoryIsDecided(t *rapid.T) {
	p := randomPlan(t)
	steps := rapid.SampledFrom([]string{"n0", "n1", "n2", "n5", "gone", "", workflow.OnErrorName, workflow.OnCancelName})
	fact := rapid.Custom(func(t *rapid.T) workflow.Fact {
		f := workflow.Fact{
			Kind: rapid.SampledFrom([]workflow.FactKind{workflow.FactCompleted, workflow.FactSkipped, workflow.FactFailed, workflow.FactCanceled,
				workflow.FactDeadline, workflow.FactReopened, "nonsense"}).Draw(t, "kind"),
			Step: steps.Draw(t, "step"),
			Output: rapid.SampledFrom([]json.RawMessage{nil, {}, []byte("1"), []byte("13"), []byte("{"), []byte(`"x"`),
				[]byte("null")}).Draw(t, "output"),
		}
		if rapid.Bool().Draw(t, "failure") {
			f.Failure = &workflow.Failure{Step: f.Step,
				Reason: rapid.SampledFrom([]workflow.Reason{workflow.ReasonError, workflow.ReasonTimeout, ""}).Draw(t, "reason")}
		}
		return f
	})
	history := workflow.History(rapid.SliceOfN(fact, 0, 12).Draw(t, "history"))
	d := p.Next(history)
	if d.Move == "" || d.Move == workflow.MoveEnd && d.Status == "" || d.Move != workflow.MoveEnd && d.Node == nil {
		t.Fatalf("Next has no answer: %+v", d)
	}
	if diff := cmp.Diff(say(d), say(p.Next(history))); diff != "" {
		t.Fatalf("Next is not a function: %s", diff)
	}
	if _, ok := p.Node(p.ReopenFrom(history)); !ok {
		t.Fatalf("the run would go on from %q, which is no step", p.ReopenFrom(history))
	}
	p.Output(history)
}

func TestAnyHistoryIsDecided(t *testing.T) { rapid.Check(t, anyHistoryIsDecided) }
func FuzzAnyHistoryIsDecided(f *testing.F) { f.Fuzz(rapid.MakeFuzz(anyHistoryIsDecided)) }
