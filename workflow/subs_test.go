package workflow_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/liwanag/liwanag/workflow"
)

// each is a map over the input, of one step.
func each(opts ...workflow.StepOption) *workflow.Workflow[[]int] {
	wf := workflow.New[[]int]("each")
	workflow.Map(wf, "load", workflow.Each(workflow.Input(wf)), func(b *workflow.Workflow[int]) *workflow.Result[int] {
		return workflow.Step(b, "x", func(_ context.Context, n int) (int, error) { return n, nil })
	}, opts...)
	return wf
}

func startedWith(input any) workflow.History {
	raw, _ := json.Marshal(input)
	return workflow.History{workflow.Started(raw, nil)}
}

func TestNextOverTheCountersOfAMap(t *testing.T) {
	plan := each(workflow.AtMost(4), workflow.Tolerate(1)).Plan()
	history := startedWith(make([]int, 10))
	if d := plan.Next(history); d.Move != workflow.MoveOpen || d.Opening.Count != 4 || d.Opening.Total != 10 || d.Opening.Again {
		t.Errorf("at first: %+v", d)
	}
	if d := plan.Next(startedWith([]int{})); d.Move != workflow.MoveSettle || string(d.Output) != `{"total":0,"completed":0,"failed":0}` {
		t.Errorf("of nothing: %+v", d)
	}
	canceled := workflow.Fact{Kind: workflow.FactCanceled, Reason: "enough"}
	for name, c := range map[string]struct {
		g     workflow.Group
		also  []workflow.Fact
		want  workflow.Move
		count int
		stop  string
		says  string
	}{
		"all open":        {g: workflow.Group{Next: 4, Open: 4}, want: workflow.MoveJoin},
		"room":            {g: workflow.Group{Next: 4, Open: 1, Completed: 3}, want: workflow.MoveOpen, count: 3},
		"room at the end": {g: workflow.Group{Next: 9, Open: 1, Completed: 8}, want: workflow.MoveOpen, count: 1},
		"the last ones":   {g: workflow.Group{Next: 10, Open: 2, Completed: 8}, want: workflow.MoveJoin},
		"done": {g: workflow.Group{Next: 10, Completed: 9, Failed: 1}, want: workflow.MoveSettle,
			says: `{"total":10,"completed":9,"failed":1}`},
		"too many failed": {g: workflow.Group{Next: 6, Open: 2, Completed: 2, Failed: 2}, want: workflow.MoveJoin,
			stop: "too many have failed"},
		"and stopped": {g: workflow.Group{Next: 6, Completed: 2, Failed: 2, Canceled: 2, Stopped: true}, want: workflow.MoveSettle,
			says: "2 of 10 failed, 1 are tolerated"},
		"canceled": {g: workflow.Group{Next: 4, Open: 4}, also: []workflow.Fact{canceled}, want: workflow.MoveJoin,
			stop: "the run around it ends: enough"},
		"canceled and over": {g: workflow.Group{Next: 4, Canceled: 4, Stopped: true}, also: []workflow.Fact{canceled}, want: workflow.MoveSettle,
			says: "enough"},
	} {
		t.Run(name, func(t *testing.T) {
			c.g.Total = 10
			facts := append(append(workflow.History{}, history...), c.also...)
			d := plan.Next(append(facts, workflow.Fact{Kind: workflow.FactGroup, Step: "load", Group: &c.g}))
			says := string(d.Output)
			if d.Failure != nil {
				says = d.Failure.Message
			}
			if d.Move != c.want || d.Opening.Count != c.count || d.Stop != c.stop || says != c.says {
				t.Errorf("%+v %s %v", d, d.Output, d.Failure)
			}
		})
	}
}

// From any counters, by ends in any order: never more are open than may be, nothing
// settles while one is, and it ends.
func TestNextOfSubRunsEndsWhateverEnds(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		atMost, tolerate, total := 1+r.IntN(6), r.IntN(4), r.IntN(20)
		opts := []workflow.StepOption{workflow.AtMost(atMost), workflow.Tolerate(tolerate)}
		need := 0
		if r.IntN(3) == 0 {
			need = 1 + r.IntN(5)
			opts = append(opts, workflow.Enough(need))
		}
		plan := each(opts...).Plan()
		history := startedWith(make([]int, total))
		var g *workflow.Group
		for turn := 0; ; turn++ {
			facts := append(workflow.History{}, history...)
			if g != nil {
				facts = append(facts, workflow.Fact{Kind: workflow.FactGroup, Step: "load", Group: g})
			}
			d := plan.Next(facts)
			if turn > 200 {
				t.Fatalf("seed %d goes on for ever: %+v at %+v", seed, d, g)
			}
			switch d.Move {
			case workflow.MoveOpen:
				if g == nil {
					g = &workflow.Group{Total: d.Opening.Total}
				}
				g.Next, g.Open = g.Next+d.Opening.Count, g.Open+d.Opening.Count
				if g.Open > atMost || g.Next > total || d.Opening.Count == 0 {
					t.Fatalf("seed %d: opens %+v", seed, g)
				}
				continue
			case workflow.MoveSettle:
				if g != nil && g.Open > 0 {
					t.Fatalf("seed %d settles: %+v", seed, g)
				}
				bad := g != nil && (need == 0 && g.Failed > tolerate || need > 0 && g.Completed < need)
				if (d.Failure != nil) != bad {
					t.Fatalf("seed %d settles with %v: %+v", seed, d.Failure, g)
				}
			case workflow.MoveJoin:
				g.Stopped = g.Stopped || d.Stop != ""
				switch g.Open--; {
				case g.Stopped && r.IntN(2) == 0:
					g.Canceled++
				case r.IntN(4) == 0:
					g.Failed++
				default:
					g.Completed++
				}
				continue
			}
			break
		}
	}
}

func TestAHandleIsSeenInwardsOnly(t *testing.T) {
	wf := workflow.New[int]("scopes")
	list := workflow.Step(wf, "list", func(context.Context, int) ([]int, error) { return []int{1}, nil })
	var inner *workflow.Result[int]
	workflow.Map(wf, "each", workflow.Each(list), func(b *workflow.Workflow[int]) *workflow.Result[int] {
		inner = workflow.Step(b, "x", func(ctx context.Context, _ int) (int, error) { return len(list.Output(ctx)), nil },
			workflow.If(list, "some", func(l []int) bool { return len(l) > 0 }))
		return inner
	})
	if err := wf.Plan().Validate(); err != nil {
		t.Fatal(err)
	}
	workflow.Do(wf, "out", func(context.Context, int) error { return nil }, workflow.If(inner, "inner", func(int) bool { return true }))
	if err := wf.Plan().Validate(); err == nil || !strings.Contains(err.Error(), `reads step "x", which stands in a body`) {
		t.Error(err)
	}
}

func TestFaultsOfSubRuns(t *testing.T) {
	none := func(*workflow.Workflow[int]) *workflow.Result[int] { return nil }
	one := func(b *workflow.Workflow[int]) *workflow.Result[int] {
		return workflow.Step(b, "x", func(_ context.Context, n int) (int, error) { return n, nil })
	}
	for want, build := range map[string]func(wf *workflow.Workflow[int]){
		"AtMost(0): 1 to 100000 are allowed": func(wf *workflow.Workflow[int]) {
			workflow.Map(wf, "m", workflow.EachOf(workflow.Input(wf), func(int) []int { return nil }), one, workflow.AtMost(0))
		},
		"AtMost means nothing on a step": func(wf *workflow.Workflow[int]) {
			workflow.Do(wf, "s", func(context.Context, int) error { return nil }, workflow.AtMost(2))
		},
		"Timeout means nothing on a map": func(wf *workflow.Workflow[int]) {
			workflow.Map(wf, "m", workflow.EachOf(workflow.Input(wf), func(int) []int { return nil }), one, workflow.Timeout(1))
		},
		`the body: workflow "faulty" has no steps`: func(wf *workflow.Workflow[int]) {
			workflow.Map(wf, "m", workflow.EachOf(workflow.Input(wf), func(int) []int { return nil }), none)
		},
		"the list reads no step": func(wf *workflow.Workflow[int]) {
			workflow.Map(wf, "m", workflow.Each[int](nil), one)
		},
		"a repeat of 0 rounds": func(wf *workflow.Workflow[int]) {
			workflow.Repeat(wf, "r", 0, nil, one, func(int) bool { return true })
		},
		"yields nothing for the next round": func(wf *workflow.Workflow[int]) {
			workflow.Repeat(wf, "r", 3, nil, func(b *workflow.Workflow[int]) *workflow.Result[int] {
				one(b)
				return nil
			}, func(int) bool { return true })
		},
		"a parallel needs a branch": func(wf *workflow.Workflow[int]) { workflow.Parallel(wf, "p") },
		"two branches have the name": func(wf *workflow.Workflow[int]) {
			f := workflow.Race(wf, "p")
			workflow.Branch(f, "a", one)
			workflow.Branch(f, "a", one)
		},
		"a child needs a definition": func(wf *workflow.Workflow[int]) {
			workflow.Child[int, int, int](wf, "c", nil, nil, nil)
		},
		"sub-runs lie 9 deep": func(wf *workflow.Workflow[int]) {
			var deeper func(b *workflow.Workflow[int]) *workflow.Result[int]
			depth := 0
			deeper = func(b *workflow.Workflow[int]) *workflow.Result[int] {
				if depth++; depth == 12 {
					return one(b)
				}
				return workflow.Repeat(b, "r", 1, nil, deeper, func(int) bool { return true })
			}
			deeper(wf)
		},
	} {
		wf := workflow.New[int]("faulty")
		build(wf)
		if err := wf.Plan().Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
}

func TestSubRunsAreDrawnDescribedAndPartOfTheShape(t *testing.T) {
	build := func(step string, of ...workflow.StepOption) *workflow.Workflow[[]int] {
		wf := workflow.New[[]int]("etl")
		workflow.Map(wf, "load", workflow.Each(workflow.Input(wf)), func(b *workflow.Workflow[int]) *workflow.Result[int] {
			return workflow.Step(b, step, func(_ context.Context, n int) (int, error) { return n, nil })
		}, of...)
		race := workflow.Race(wf, "first")
		for _, name := range []string{"left", "right"} {
			workflow.Branch(race, name, func(b *workflow.Workflow[[]int]) *workflow.Result[int] {
				return workflow.Step(b, "x", func(context.Context, []int) (int, error) { return 0, nil })
			})
		}
		return wf
	}
	plan := build("fetch", workflow.AtMost(8), workflow.Tolerate(5)).Plan()
	raw, err := json.Marshal(plan.Describe().Steps[0])
	want := `{"name":"load","kind":"map","over":"input","atMost":8,"tolerate":5,` +
		`"bodies":[{"steps":[{"name":"fetch","kind":"step","timeout":"1m"}]}]}`
	if err != nil || string(raw) != want {
		t.Errorf("%s %v", raw, err)
	}
	drawn := plan.Mermaid()
	for _, line := range []string{`    subgraph n0["load<br>for each of input<br>8 at once<br>5 may fail"]`, `    n0b0n0["fetch"]`,
		`    subgraph n1["first<br>the first that completes"]`, `    n1b1(["right"])`, `    n1b1 --> n1b1n0`,
		`    n0 --> n1`, `    n1 --> completed`} {
		if !strings.Contains(drawn, line+"\n") {
			t.Errorf("no line %q in\n%s", line, drawn)
		}
	}
	if words := build("fetch", workflow.AtMost(1)).Plan().Shape().Differs(plan.Shape()); words != nil {
		t.Errorf("how many at once is no part of the shape: %q", words)
	}
	words := build("get").Plan().Shape().Differs(plan.Shape())
	if len(words) != 2 || !strings.HasPrefix(words[0], `in the body of "load" `) {
		t.Errorf("%q", words)
	}
}

func TestIdempotencyKeysInSubRuns(t *testing.T) {
	wf := workflow.New[[]int]("keys")
	var got []string
	workflow.Map(wf, "load", workflow.Each(workflow.Input(wf)), func(b *workflow.Workflow[int]) *workflow.Result[int] {
		return workflow.Step(b, "x", func(ctx context.Context, n int) (int, error) {
			got = append(got, fmt.Sprint(workflow.InfoFrom(ctx).IdempotencyKey, " ", n))
			return n, nil
		})
	})
	plan := wf.Plan()
	n, _ := plan.Node("load")
	scope := plan.Scope("a/b", startedWith([]int{5, 6}))
	for i := range 2 {
		place := &workflow.Place{Scope: scope, Node: n, Index: i}
		in, err := place.Input(nil)
		if err != nil {
			t.Fatal(err)
		}
		x, _ := n.Body(i).Node("x")
		if _, err := x.Invoke(t.Context(), workflow.Call{RunID: "a/b/load~1[0]", Attempt: 1, Input: in,
			History: workflow.History{workflow.Started(in, place)}}); err != nil {
			t.Fatal(err)
		}
	}
	if want := "[a%2Fb/load[0]/x 5 a%2Fb/load[1]/x 6]"; fmt.Sprint(got) != want {
		t.Errorf("%v", got)
	}
	if _, err := (&workflow.Place{Scope: scope, Node: n, Index: 2}).Input(nil); err == nil {
		t.Error("there is an input for a third item of two")
	}
}
