package workflow_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/liwanag/liwanag/workflow"
)

type order struct {
	ID    string    `json:"id"`
	Euros int       `json:"euros,omitempty"`
	At    time.Time `json:"at"`
	Lines []struct {
		Name string
		N    float64 `json:",string"`
	} `json:"lines"`
	*origin
	hidden int
}

type origin struct {
	Country string
	Next    *origin `json:"next"`
}

type bomb struct{ A int }

func (*bomb) UnmarshalJSON([]byte) error { panic("no such order") }

func shaped[In, Out, Payload any](change func(wf *workflow.Workflow[In], a *workflow.Result[Out])) *workflow.Plan {
	wf := workflow.New[In]("shaped")
	a := workflow.Step(wf, "a", func(context.Context, In) (out Out, err error) { return out, nil })
	workflow.WaitFor(wf, "w", workflow.Event[Payload]{Name: "e"}, time.Hour)
	if change != nil {
		change(wf, a)
	}
	return wf.Plan()
}

func TestTheShapeOfADefinitionIsWhatItsRunsStandOn(t *testing.T) {
	got := shaped[struct{ order }, map[string][]byte, any](nil).Shape()
	want := "{Country: string, at: time.Time, euros: integer, id: string, lines: [{N: string, Name: string}], next: workflow_test.origin}"
	if got.Input != want {
		t.Errorf("the input is\n%s\nwant\n%s", got.Input, want)
	}
	if got.Nodes[0].Output != "{*: bytes}" || got.Events["e"] != "any" {
		t.Errorf("the shape is %+v", got)
	}
	_ = order{hidden: 1}
}

func TestWhatDiffersBetweenTwoShapesIsToldInWords(t *testing.T) {
	type wf = *workflow.Workflow[int]
	type res = *workflow.Result[int]
	always := func(int) bool { return true }
	step := func(w wf, name string, opts ...workflow.StepOption) res {
		return workflow.Step(w, name, func(context.Context, int) (int, error) { return 0, nil }, opts...)
	}
	base := func(w wf, a res) { step(w, "b", workflow.If(a, "always", always)); step(w, "c") }
	before := shaped[int, int, int](base).Shape()
	same := shaped[int, int, int](func(w wf, a res) {
		step(w, "b", workflow.If(a, "always", func(int) bool { return false }), workflow.Retry{MaxAttempts: 3}, workflow.Timeout(time.Second))
		step(w, "c")
	})
	if words := same.Shape().Differs(before); words != nil {
		t.Errorf("functions, retries and timeouts are told: %q", words)
	}
	for want, p := range map[string]*workflow.Plan{
		`the input was integer and is string`:                 shaped[string, int, int](nil),
		`the output of "a" was integer and is {X: integer}`:   shaped[int, struct{ X int }, int](nil),
		`the output of "a" was integer and is [2 of integer]`: shaped[int, [2]int, int](nil),
		`the event "e" was integer and is string`:             shaped[int, int, string](nil),
		`step "b" is gone`:                                    shaped[int, int, int](func(w wf, _ res) { step(w, "c") }),
		`step "d" is new`:                                     shaped[int, int, int](func(w wf, a res) { base(w, a); step(w, "d") }),
		`"c" was a step and is a sleep`: shaped[int, int, int](func(w wf, _ res) {
			step(w, "b")
			workflow.Sleep(w, "c", 1)
		}),
		`the condition of "b" was "always" on "a" and is none`: shaped[int, int, int](func(w wf, _ res) { step(w, "b"); step(w, "c") }),
		`the condition of "b" was "always" on "a" and is "never" on "a"`: shaped[int, int, int](func(w wf, a res) {
			step(w, "b", workflow.If(a, "never", always))
		}),
		`the order is ["a" "w" "c" "b"] and was ["a" "w" "b" "c"]`: shaped[int, int, int](func(w wf, a res) {
			step(w, "c")
			step(w, "b", workflow.If(a, "always", always))
		}),
		`handler "on-error" is new`: shaped[int, int, int](func(w wf, a res) {
			base(w, a)
			workflow.OnError(w, func(context.Context, int, workflow.Failure) error { return nil })
		}),
	} {
		if words := strings.Join(p.Shape().Differs(before), "; "); !strings.Contains(words, want) {
			t.Errorf("told is %q, want %q", words, want)
		}
	}
}

// What a run keeps of types that changed: it fits when nothing of it would be lost.
func TestValuesOfAnotherShapeFitWhenNothingOfThemIsLost(t *testing.T) {
	type one struct{ A int }
	type more struct{ A, B int }
	type renamed struct{ Z int }
	type text struct{ A string }
	before := shaped[one, one, one](nil).Shape()
	raw := json.RawMessage(`{"A":1}`)
	past := workflow.Kept{Begun: &before, Input: raw, History: workflow.History{{Kind: workflow.FactCompleted, Step: "a", Output: raw}}}
	passed, waits := past, past
	passed.History = append(passed.History[:1:1], workflow.Fact{Kind: workflow.FactCompleted, Step: "w", Output: raw})
	waits.Inbox = []workflow.Signal{{ID: "s", Event: "e", Payload: raw}, {ID: "t", Event: "never", Payload: raw}}
	for name, c := range map[string]struct {
		plan *workflow.Plan
		kept workflow.Kept
		want string
	}{
		"the same":             {shaped[one, one, one](nil), waits, ""},
		"an added field":       {shaped[more, more, more](nil), waits, ""},
		"one in what is past":  {shaped[more, more, more](nil), passed, ""},
		"a number is a float":  {shaped[struct{ A float64 }, one, one](nil), past, ""},
		"another input":        {shaped[text, one, one](nil), past, "the run's input is of another type"},
		"a renamed field":      {shaped[renamed, one, one](nil), past, `unknown field "A"`},
		"another output":       {shaped[one, text, one](nil), past, `the output of step "a" is of another type`},
		"one renamed there":    {shaped[one, renamed, one](nil), past, `unknown field "A"`},
		"another event, past":  {shaped[one, one, text](nil), passed, `the output of step "w" is of another type`},
		"a renamed, past":      {shaped[one, one, renamed](nil), passed, `unknown field "A"`},
		"another event, kept":  {shaped[one, one, text](nil), waits, `holds an event "e" of another type`},
		"a renamed, kept":      {shaped[one, one, renamed](nil), waits, `holds an event "e" of another type`},
		"another event, ahead": {shaped[one, one, text](nil), past, ""},
	} {
		err := c.plan.FitsRun(c.kept)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	gone := workflow.New[one]("shaped")
	workflow.Step(gone, "a", func(context.Context, one) (one, error) { return one{}, nil })
	if err := gone.Plan().FitsRun(waits); err == nil || !strings.Contains(err.Error(), `an event "e", which no wait`) {
		t.Errorf("an event that is gone: %v", err)
	}
	if err := shaped[bomb, one, one](nil).FitsRun(waits); err == nil || !strings.Contains(err.Error(), "no such order") {
		t.Errorf("a decoder that panics: %v", err)
	}
	// An event that did not fit before is no reason: it was set aside then.
	waits.Inbox = []workflow.Signal{{ID: "s", Event: "e", Payload: json.RawMessage(`"text"`)}}
	if err := shaped[one, one, one](nil).FitsRun(waits); err != nil {
		t.Errorf("an event that was set aside: %v", err)
	}
}

// encoding/json drops the elements that an array has no room for.
func TestAShorterArrayDoesNotFitAsElementsWouldBeLost(t *testing.T) {
	four := shaped[[4]int, map[string][4]int, int](nil).Shape()
	past := workflow.Kept{Begun: &four, Input: json.RawMessage(`[1,2,3,4]`), History: workflow.History{
		{Kind: workflow.FactCompleted, Step: "a", Output: json.RawMessage(`{"k":[1,2,3,4]}`)}}}
	for want, plan := range map[string]*workflow.Plan{
		"":                                   shaped[[6]int, map[string][4]int, int](nil),
		"a list of 4 where the type holds 3": shaped[[3]int, map[string][4]int, int](nil),
		`in "k": a list of 4 where the type holds 2`: shaped[[4]int, map[string][2]int, int](nil),
	} {
		if err := plan.FitsRun(past); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("an array of another length: %v, want %q", err, want)
		}
	}
}
