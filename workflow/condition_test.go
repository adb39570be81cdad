package workflow_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/workflowtest"
)

func timedOut(step string) workflow.Fact { return failed(step, workflow.ReasonTimeout) }

func started(n int) workflow.Fact {
	raw, _ := json.Marshal(in{n})
	return workflow.Fact{Kind: workflow.FactStarted, Output: raw}
}

func nothing(context.Context, in) error { return nil }

// The move that a node asks for, by what stands before it.
func TestAConditionSeesOneThingAndNoMore(t *testing.T) {
	one := func(n int) bool { return n == 1 }
	cases := map[string]struct {
		when func(step *workflow.Result[int], wait *workflow.Result[string], input *workflow.Result[in]) workflow.When
		// The decision, by the facts about step and wait.
		one, two, skipped, late string
	}{
		"If": {func(s *workflow.Result[int], _ *workflow.Result[string], _ *workflow.Result[in]) workflow.When {
			return workflow.If(s, "one", one)
		}, "act x", "skip x because one", "skip x because one", "act x"},
		"Unless": {func(s *workflow.Result[int], _ *workflow.Result[string], _ *workflow.Result[in]) workflow.When {
			return workflow.Unless(s, "one", one)
		}, "skip x because one", "act x", "act x", "skip x because one"},
		"IfSkipped": {func(s *workflow.Result[int], _ *workflow.Result[string], _ *workflow.Result[in]) workflow.When {
			return workflow.IfSkipped(s)
		}, "skip x because step was skipped", "skip x because step was skipped", "act x", "skip x because step was skipped"},
		"IfTimedOut": {func(_ *workflow.Result[int], w *workflow.Result[string], _ *workflow.Result[in]) workflow.When {
			return workflow.IfTimedOut(w)
		}, "skip x because wait timed out", "skip x because wait timed out", "skip x because wait timed out", "act x"},
		"IfAbsent of two": {func(s *workflow.Result[int], _ *workflow.Result[string], _ *workflow.Result[in]) workflow.When {
			return workflow.IfAbsent(workflow.FirstOf(s, s))
		}, "skip x because step has no output", "skip x because step has no output", "act x", "skip x because step has no output"},
		"IfBoth": {func(s *workflow.Result[int], w *workflow.Result[string], _ *workflow.Result[in]) workflow.When {
			return workflow.IfBoth(s, w, "both", func(n int, word string) bool { return n == 1 && word == "came" })
		}, "act x", "skip x because both", "skip x because both", "skip x because both"},
		"If of the input": {func(_ *workflow.Result[int], _ *workflow.Result[string], i *workflow.Result[in]) workflow.When {
			return workflow.If(i, "seven", func(i in) bool { return i.N == 7 })
		}, "act x", "act x", "act x", "act x"},
		"If of the first that came": {func(s *workflow.Result[int], w *workflow.Result[string], _ *workflow.Result[in]) workflow.When {
			return workflow.If(workflow.FirstOf(w, workflow.FirstOf(w)), "came", func(word string) bool { return word == "came" })
		}, "act x", "act x", "act x", "skip x because came"},
	}
	for name, c := range cases {
		wf := workflow.New[in]("w")
		input := workflow.Input(wf)
		step := workflow.Step(wf, "step", returns(1), workflow.If(input, "always", func(in) bool { return true }))
		wait := workflow.WaitFor(wf, "wait", alpha, time.Minute, workflow.ContinueOnTimeout)
		workflow.Do(wf, "x", nothing, c.when(step, wait, input))
		if err := wf.Plan().Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for what, h := range map[string]struct {
			want    string
			history workflow.History
		}{
			"one":     {c.one, workflow.History{started(7), done("step", 1), done("wait", "came")}},
			"two":     {c.two, workflow.History{started(7), done("step", 2), done("wait", "came")}},
			"skipped": {c.skipped, workflow.History{started(7), skipped("step"), done("wait", "came")}},
			"late":    {c.late, workflow.History{started(7), done("step", 1), timedOut("wait")}},
		} {
			if got := say(wf.Plan().Next(h.history)); got != h.want {
				t.Errorf("%s, %s: %s, want %s", name, what, got, h.want)
			}
		}
	}
}

// chosen is a plan whose ways lie inside of each other, with everything that a drawing
// shows of them.
func chosen() *workflow.Plan {
	wf := workflow.New[in]("chosen")
	size := workflow.Step(wf, "size", returns(1))
	workflow.FailIf(wf, size, "negative", func(n int) bool { return n < 0 }, "bad_size")
	above := func(min int) func(int) bool { return func(n int) bool { return n > min } }
	type flow = *workflow.Workflow[in]
	type text = *workflow.Result[string]
	workflow.Choose(wf, "route",
		workflow.Case(workflow.If(size, "large", above(100)), func(wf flow) text {
			workflow.Do(wf, "ask", nothing)
			return workflow.Choose(wf, "how",
				workflow.Case(workflow.Unless(size, "huge", above(1000)), func(wf flow) text {
					return workflow.Step(wf, "truck", returns("truck"), workflow.If(size, "odd", func(n int) bool { return n%2 == 1 }))
				}))
		}),
		workflow.Case(workflow.If(size, "medium", above(10)), func(wf flow) text {
			workflow.SleepUntil(wf, "rest", size, func(n int) time.Time { return time.Unix(int64(n), 0) })
			return nil
		}),
		workflow.Else(func(wf flow) text { return workflow.Step(wf, "post", returns("post")) }))
	workflow.WaitFor(wf, "arrival", alpha, 0, workflow.Until(size, func(n int) time.Time { return time.Unix(int64(n), 0) }))
	return wf.Plan()
}

func TestAChoiceTakesTheFirstWayThatIsOpen(t *testing.T) {
	p := chosen()
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	for size, want := range map[int][]string{
		-1:   {"end failed"},
		1:    {"skip route/large/ask", "skip route/large/how/huge/truck", "skip route/medium/rest", "act route/otherwise/post", "wait arrival"},
		50:   {"skip route/large/ask", "skip route/large/how/huge/truck", "sleep route/medium/rest", "skip route/otherwise/post", "wait arrival"},
		101:  {"act route/large/ask", "act route/large/how/huge/truck", "skip route/medium/rest", "skip route/otherwise/post", "wait arrival"},
		1001: {"act route/large/ask", "skip route/large/how/huge/truck", "skip route/medium/rest", "skip route/otherwise/post", "wait arrival"},
	} {
		history := workflow.History{started(0), done("size", size)}
		var got []string
		for range want {
			d := p.Next(history)
			if d.Move == workflow.MoveEnd {
				got = append(got, "end "+string(d.Status))
				break
			}
			got = append(got, string(d.Move)+" "+d.Node.Name)
			fact := done(d.Node.Name, "done")
			if d.Move == workflow.MoveSkip {
				fact = skipped(d.Node.Name)
			}
			history = append(history, fact)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("size %d (-want +got):\n%s", size, diff)
		}
		if err := p.Fits(history); err != nil {
			t.Errorf("size %d: %v", size, err)
		}
	}
	workflowtest.Golden(t, "testdata/chosen.mmd", p.Mermaid())
}

func TestARetryGoesOnFromWhatAFailIfJudges(t *testing.T) {
	p := chosen()
	h := workflow.History{started(0), done("size", -1)}
	d := p.Next(h)
	if want := (workflow.Failure{Step: "size", Reason: workflow.ReasonError, Code: "bad_size", Message: "negative"}); *d.Failure != want {
		t.Errorf("failed with %+v, want %+v", *d.Failure, want)
	}
	if got := p.ReopenFrom(h); got != "size" {
		t.Errorf("goes on from %q, want size", got)
	}
	byInput := workflow.New[in]("input")
	workflow.Do(byInput, "first", nothing)
	workflow.FailIf(byInput, workflow.Input(byInput), "zero", func(i in) bool { return i.N == 0 }, "zero")
	if got := byInput.Plan().ReopenFrom(workflow.History{started(0), done("first", nil)}); got != "first" {
		t.Errorf("goes on from %q, want first", got)
	}
}

func TestAnOutputSetsWhenAWaitEnds(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	define := func(within time.Duration) *workflow.Plan {
		wf := workflow.New[in]("w")
		at := workflow.Step(wf, "at", returns(start))
		workflow.WaitFor(wf, "wait", alpha, within, workflow.Until(at, func(t time.Time) time.Time { return t }))
		if err := wf.Plan().Validate(); err != nil {
			t.Fatal(err)
		}
		return wf.Plan()
	}
	for name, c := range map[string]struct {
		within time.Duration
		facts  workflow.History
		want   time.Duration
	}{
		"the output's":               {0, workflow.History{done("at", start.Add(time.Hour))}, time.Hour},
		"the earlier of both":        {time.Minute, workflow.History{done("at", start.Add(time.Hour))}, time.Minute},
		"the earlier, by the output": {2 * time.Hour, workflow.History{done("at", start.Add(time.Hour))}, time.Hour},
		"past":                       {time.Hour, workflow.History{done("at", start.Add(-time.Hour))}, 0},
		"no output":                  {time.Hour, workflow.History{skipped("at")}, time.Hour},
		"no output, no time":         {0, workflow.History{skipped("at")}, 0},
	} {
		if got := define(c.within).Nodes[1].Ends(c.facts, start).Sub(start); got != c.want {
			t.Errorf("%s: ends after %s, want %s", name, got, c.want)
		}
	}
	far := workflow.New[in]("far")
	workflow.SleepUntil(far, "sleep", workflow.Input(far), func(in) time.Time { return start.AddDate(8000, 0, 0) })
	late := far.Plan().Next(workflow.History{started(1)})
	if late.Failure == nil || late.Failure.Code != workflow.CodeDefinition || !strings.Contains(late.Failure.Message, "9999") {
		t.Errorf("a deadline that no clock shows: %+v", late)
	}
}

func TestFaultsOfConditionsAreReported(t *testing.T) {
	yes := func(int) bool { return true }
	wf := workflow.New[in]("w")
	a := workflow.Step(wf, "a", returns(1))
	wait := workflow.WaitFor(wf, "wait", alpha, time.Minute)
	workflow.Do(wf, "b", nothing, workflow.IfTimedOut(wait))
	workflow.Do(wf, "c", nothing, workflow.IfSkipped(a))
	workflow.Do(wf, "d", nothing, workflow.If(a, "x", yes), workflow.Unless(a, "y", yes))
	workflow.Do(wf, "e", nothing, workflow.IfBoth(a, (*workflow.Result[int])(nil), "x", func(int, int) bool { return true }))
	workflow.Do(wf, "f", nothing, workflow.If(workflow.FirstOf[int](), "x", yes))
	workflow.Do(wf, "g", nothing, workflow.When{})
	workflow.Do(wf, "h", nil)
	workflow.FailIf(wf, a, "i", yes, "")
	workflow.SleepUntil(wf, "j", a, nil)
	workflow.Do(wf, "k", nothing, workflow.Until(a, func(int) time.Time { return time.Time{} }))
	workflow.Choose[in, int](wf, "")
	body := func(*workflow.Workflow[in]) *workflow.Result[int] { return nil }
	workflow.Choose(wf, "l", workflow.Else(body), workflow.Case(workflow.If(a, "x", yes), body))
	workflow.Choose(wf, "m", workflow.Case[in, int](workflow.If(a, "x", yes), nil))
	want := []string{
		`step "b": condition wait timed out never holds: wait is nothing that continues when it times out`,
		`step "c": condition a was skipped never holds: a has no condition`,
		`step "d": two conditions: make them one predicate`,
		`step "e": condition x reads no step`,
		`step "f": condition x reads no step`,
		`step "g": condition  reads no step`,
		`step "h": a step needs a function`,
		`step "i": the code "": up to 200 bytes of UTF-8 without control characters are needed`,
		`step "j": a deadline from an output needs a function`,
		`step "k": Until means nothing on a step`,
		`: a choice needs a name and at least one way`,
		`step "l": Else stands before other ways, which are never taken`,
		`step "m": the way "x" needs a body`,
	}
	for i := range want {
		want[i] = strings.Replace(`workflow "w", `+want[i], ", :", ":", 1)
	}
	if diff := cmp.Diff(want, faults(wf.Plan())); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
}
