package workflow_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/liwanag/liwanag/workflow"
)

// one is a body of a step that hands its input on.
func one(b *workflow.Workflow[int]) *workflow.Result[int] {
	return workflow.Step(b, "x", func(_ context.Context, n int) (int, error) { return n, nil })
}

// nextOf is the move at some counters of the step, said shortly.
func nextOf(wf workflow.Definition, step string, input any, g *workflow.Group) string {
	facts := startedWith(input)
	if g != nil {
		facts = append(facts, workflow.Fact{Kind: workflow.FactGroup, Step: step, Group: g})
	}
	d := wf.Plan().Next(facts)
	switch {
	case d.Failure != nil:
		return fmt.Sprint(d.Move, " ", d.Failure.Code, " ", d.Failure.Message)
	case d.Move == workflow.MoveOpen:
		return fmt.Sprintf("%v %d of %d", d.Move, d.Opening.Count, d.Opening.Total)
	case d.Move == workflow.MoveJoin:
		return fmt.Sprint(d.Move, " ", d.Stop)
	}
	return fmt.Sprint(d.Move, " ", string(d.Output))
}

func raws(texts ...string) (out []json.RawMessage) {
	for _, text := range texts {
		out = append(out, nil)
		if text != "" {
			out[len(out)-1] = json.RawMessage(text)
		}
	}
	return out
}

func TestNextOverTheCountersOfARepeat(t *testing.T) {
	wf := workflow.New[int]("rounds")
	workflow.Repeat(wf, "r", 3, nil, one, func(n int) bool { return n == 9 })
	open, join, settle := fmt.Sprint(workflow.MoveOpen), fmt.Sprint(workflow.MoveJoin), fmt.Sprint(workflow.MoveSettle)
	for name, c := range map[string]struct {
		g    *workflow.Group
		want string
	}{
		"the first":    {nil, open + " 1 of 1"},
		"one goes on":  {&workflow.Group{Total: 1, Next: 1, Open: 1}, join + " "},
		"another":      {&workflow.Group{Total: 1, Next: 1, Completed: 1, Outputs: raws("1")}, open + " 1 of 2"},
		"reached":      {&workflow.Group{Total: 1, Next: 1, Completed: 1, Outputs: raws("9")}, settle + " 9"},
		"the last one": {&workflow.Group{Total: 3, Next: 3, Completed: 3, Outputs: raws("1")}, settle + " 1"},
		"a bad one": {&workflow.Group{Total: 2, Next: 2, Completed: 1, Failed: 1, Outputs: raws("1")},
			settle + " sub_runs 1 of 2 failed, 0 are tolerated"},
		"what does not fit": {&workflow.Group{Total: 1, Next: 1, Completed: 1, Outputs: raws(`"x"`)}, settle},
	} {
		got := nextOf(wf, "r", 1, c.g)
		if got != c.want && (c.want != settle || !strings.Contains(got, "no longer fits")) {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestNextOverTheCountersOfBranches(t *testing.T) {
	fork := func(of func(*workflow.Workflow[int], string, ...workflow.StepOption) *workflow.Fork[int]) *workflow.Workflow[int] {
		wf := workflow.New[int]("fork")
		f := of(wf, "f")
		for _, name := range []string{"a", "b"} {
			workflow.Branch(f, name, one)
		}
		return wf
	}
	open, join, settle := fmt.Sprint(workflow.MoveOpen), fmt.Sprint(workflow.MoveJoin), fmt.Sprint(workflow.MoveSettle)
	half := `"` + strings.Repeat("x", workflow.MaxPayload/2) + `"`
	for name, c := range map[string]struct {
		race bool
		g    *workflow.Group
		want string
	}{
		"at first":          {false, nil, open + " 2 of 2"},
		"all":               {false, &workflow.Group{Next: 2, Completed: 2, Outputs: raws("1", "2")}, settle + ` {"a":1,"b":2}`},
		"one that is empty": {false, &workflow.Group{Next: 2, Completed: 2, Outputs: raws("", "2")}, settle + ` {"b":2}`},
		"too large together": {false, &workflow.Group{Next: 2, Completed: 2, Outputs: raws(half, half)},
			settle + fmt.Sprintf(" too_large the outputs of the branches have %d bytes together, %d are allowed: store them and return ids",
				2*len(half)+len(`{"a":,"b":}`), workflow.MaxPayload)},
		"one may fail":    {true, &workflow.Group{Next: 2, Open: 1, Failed: 1}, join + " "},
		"the first":       {true, &workflow.Group{Next: 2, Open: 1, Completed: 1}, join + " enough have completed"},
		"only one":        {true, &workflow.Group{Next: 2, Failed: 1, Completed: 1, Outputs: raws("", "2")}, settle + ` {"b":2}`},
		"none":            {true, &workflow.Group{Next: 2, Failed: 2}, settle + " sub_runs 2 of 2 failed, 1 are tolerated"},
		"none, one ended": {true, &workflow.Group{Next: 2, Failed: 1, Canceled: 1}, settle + " sub_runs 0 of 2 completed, 1 are needed"},
	} {
		if c.g != nil {
			c.g.Total = 2
		}
		wf := fork(workflow.Parallel[int])
		if c.race {
			wf = fork(workflow.Race[int])
		}
		if got := nextOf(wf, "f", 1, c.g); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestNextOfAMapThatWasStoppedOrIsTooLong(t *testing.T) {
	wf := each(workflow.AtMost(4), workflow.Tolerate(2))
	join := fmt.Sprint(workflow.MoveJoin)
	if got := nextOf(wf, "load", make([]int, 10), &workflow.Group{Total: 10, Next: 4, Open: 1, Completed: 2, Failed: 1, Stopped: true}); got !=
		join+" " {
		t.Errorf("stopped: %s", got)
	}
	long := workflow.New[int]("long")
	list := func(n int) []struct{} { return make([]struct{}, n) }
	workflow.Map(long, "m", workflow.EachOf(workflow.Input(long), list), func(b *workflow.Workflow[struct{}]) *workflow.Result[int] {
		workflow.Do(b, "x", func(context.Context, struct{}) error { return nil })
		return nil
	})
	if got := nextOf(long, "m", workflow.MaxSubRuns, nil); !strings.HasPrefix(got, fmt.Sprint(workflow.MoveOpen)) {
		t.Errorf("as many as may be: %s", got)
	}
	if got := nextOf(long, "m", workflow.MaxSubRuns+1, nil); !strings.HasSuffix(got, "the list has 1000001 items, 1000000 are allowed") {
		t.Errorf("one more: %s", got)
	}
}

func TestARoundWithoutARoundBeforeHasNoInput(t *testing.T) {
	wf := workflow.New[int]("rounds")
	workflow.Repeat(wf, "r", 3, nil, one, func(int) bool { return false })
	n, _ := wf.Plan().Node("r")
	place := &workflow.Place{Scope: wf.Plan().Scope("r", startedWith(1)), Node: n, Index: 1}
	if in, err := place.Input(nil); err == nil || !strings.Contains(err.Error(), "there is no input for r[1]") {
		t.Errorf("%s %v", in, err)
	}
	if in, err := place.Input(json.RawMessage("4")); string(in) != "4" || err != nil {
		t.Errorf("%s %v", in, err)
	}
}

func TestFaultsOfBodiesAndBranches(t *testing.T) {
	until := func(int) bool { return true }
	list := func(int) []int { return nil }
	for want, build := range map[string]func(wf *workflow.Workflow[int]){
		"the body needs a body": func(wf *workflow.Workflow[int]) {
			workflow.Map[int, int, int](wf, "m", workflow.EachOf(workflow.Input(wf), list), nil)
		},
		"yields its input": func(wf *workflow.Workflow[int]) {
			workflow.Repeat(wf, "r", 1, nil, func(b *workflow.Workflow[int]) *workflow.Result[int] {
				one(b)
				return workflow.Input(b)
			}, until)
		},
		`yields what "x" of another body`: func(wf *workflow.Workflow[int]) {
			outer := one(wf)
			workflow.Repeat(wf, "r", 1, nil, func(b *workflow.Workflow[int]) *workflow.Result[int] {
				workflow.Do(b, "y", func(context.Context, int) error { return nil })
				return outer
			}, until)
		},
		"the input of the body cannot be kept as JSON": func(wf *workflow.Workflow[int]) {
			none := func(int) []chan int { return nil }
			workflow.Map(wf, "m", workflow.EachOf(workflow.Input(wf), none), func(b *workflow.Workflow[chan int]) *workflow.Result[int] {
				workflow.Do(b, "x", func(context.Context, chan int) error { return nil })
				return nil
			})
		},
		"a repeat needs a predicate": func(wf *workflow.Workflow[int]) { workflow.Repeat(wf, "r", 1, nil, one, nil) },
		`the first round reads step "x" of workflow "other"`: func(wf *workflow.Workflow[int]) {
			workflow.Repeat(wf, "r", 1, one(workflow.New[int]("other")), one, until)
		},
		`the list reads step "x" of workflow "other"`: func(wf *workflow.Workflow[int]) {
			workflow.Map(wf, "m", workflow.EachOf(one(workflow.New[int]("other")), list), one)
		},
		`the branch "late" is declared after a later step`: func(wf *workflow.Workflow[int]) {
			f := workflow.Parallel(wf, "p")
			workflow.Branch(f, "a", one)
			one(wf)
			workflow.Branch(f, "late", one)
		},
		"a branch needs a name": func(wf *workflow.Workflow[int]) { workflow.Branch(workflow.Parallel(wf, "p"), "", one) },
		"its definition: ": func(wf *workflow.Workflow[int]) {
			workflow.Child[int, int, int](wf, "c", workflow.New[int]("empty"), nil, func(_ context.Context, n int) int { return n })
		},
		"AtMost is given twice": func(wf *workflow.Workflow[int]) {
			workflow.Map(wf, "m", workflow.EachOf(workflow.Input(wf), list), one, workflow.AtMost(2), workflow.AtMost(3))
		},
	} {
		wf := workflow.New[int]("faulty")
		build(wf)
		if err := wf.Plan().Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
}

func TestItemsAreReadBehindTheirMapOnly(t *testing.T) {
	wf := workflow.New[[]int]("items")
	var items *workflow.Mapped[int]
	read := func(ctx context.Context, _ []int) error {
		for range items.All(ctx) {
			return nil
		}
		return nil
	}
	workflow.Do(wf, "before", read)
	items = workflow.Map(wf, "m", workflow.Each(workflow.Input(wf)), one)
	workflow.Do(wf, "behind", read)
	workflow.OnError(wf, func(ctx context.Context, in []int, _ workflow.Failure) error { return read(ctx, in) })
	reader := func(context.Context, string, *workflow.Node, int, int, int) ([]workflow.SubRun, error) {
		return nil, nil
	}
	for step, want := range map[string]string{"before": "does not stand before it", "behind": "", workflow.OnErrorName: ""} {
		n, _ := wf.Plan().Node(step)
		call := workflow.Call{RunID: "r", Attempt: 1, Input: json.RawMessage("[1]"), History: startedWith([]int{1}), Subs: reader}
		_, err := n.Invoke(t.Context(), call)
		if n.Kind == workflow.KindHandler {
			err = n.Handle(t.Context(), call, workflow.Failure{})
		}
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", step, err)
		}
	}
	defer func() {
		if p := recover(); p == nil || !strings.Contains(fmt.Sprint(p), "outside of a run") {
			t.Errorf("outside of a run: %v", p)
		}
	}()
	_ = read(t.Context(), nil)
}
