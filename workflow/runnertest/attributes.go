package runnertest

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/liwanag/liwanag/workflow"
)

func attributeScenarios() []scenario {
	return []scenario{
		{"are given at the start and set by steps that complete", attributesAreSet},
		{"find runs, newest first, page by page", attributesFindRuns},
		{"stay when a run is retried, and when its start is repeated", attributesStay},
		{"that are too many fail the step", tooManyAttributes},
		{"that no runner takes are refused", attributesAreRefused},
	}
}

// sets is a step that sets attributes, fails as often as told, and then ends.
func (w *world) sets(name string, a workflow.Attributes, failures int) stepFunc {
	return func(ctx context.Context, _ input) (string, error) {
		if err := workflow.SetAttributes(ctx, a); err != nil {
			return "", workflow.Permanent(err)
		}
		if workflow.InfoFrom(ctx).Attempt <= failures {
			if err := workflow.SetAttributes(ctx, workflow.Attributes{"failed": "attempt"}); err != nil {
				return "", workflow.Permanent(err)
			}
			return "", errBroken
		}
		w.did(name)
		return name, nil
	}
}

func (w *world) startWith(wf *workflow.Workflow[input], runID string, opts ...workflow.StartOption) {
	w.Helper()
	if err := wf.Start(w.Context(), w.harness.Runner, runID, input{1}, opts...); err != nil {
		w.Fatalf("start of %s: %v", runID, err)
	}
}

func (w *world) attributes(run workflow.Run, want workflow.Attributes) {
	w.Helper()
	if !maps.Equal(run.Attributes, want) {
		w.Errorf("the attributes of %s are %v, want %v", run.ID, run.Attributes, want)
	}
}

func attributesAreSet(w *world) {
	wf := workflow.New[input]("tagged")
	workflow.Step(wf, "a", w.sets("a", workflow.Attributes{"customer": "7"}, 1), workflow.Retry{MaxAttempts: 2, InitialDelay: w.s(1)})
	workflow.WaitFor(wf, "b", alpha, w.s(9), workflow.Reconcile(workflow.Schedule{Offsets: durations(w, 2)},
		func(ctx context.Context, _ input) (string, bool, error) {
			return "found", true, workflow.SetAttributes(ctx, workflow.Attributes{"found": "by a look = yes"})
		}))
	workflow.Step(wf, "c", w.sets("c", workflow.Attributes{"stage": "paid"}, 0))
	workflow.Step(wf, "d", w.sets("d", workflow.Attributes{"lost": "yes"}, 9), workflow.Retry{MaxAttempts: 2, InitialDelay: w.s(1)})
	workflow.OnError(wf, func(ctx context.Context, _ input, _ workflow.Failure) error {
		return workflow.SetAttributes(ctx, workflow.Attributes{"handled": "yes"})
	})
	w.hold(wf)
	w.startWith(wf, id, workflow.Attributes{"stage": "new"}, workflow.Attributes{"source": "a list", "städte": "Zürich"})
	w.attributes(w.parked("a", workflow.WaitRetry), workflow.Attributes{"source": "a list", "stage": "new", "städte": "Zürich"})
	w.attributes(w.parked("b", workflow.WaitEvent),
		workflow.Attributes{"source": "a list", "stage": "new", "städte": "Zürich", "customer": "7"})
	w.attributes(w.ended(), workflow.Attributes{"source": "a list", "stage": "paid", "städte": "Zürich", "customer": "7",
		"found": "by a look = yes", "handled": "yes"})
}

func attributesFindRuns(w *world) {
	g := w.gate()
	wf, other := workflow.New[input]("sought"), workflow.New[input]("sought-too")
	workflow.Step(wf, "a", w.sets("a", workflow.Attributes{"stage": "b"}, 0))
	workflow.Step(other, "a", w.holds("a", g, nil))
	w.hold(wf, other)
	const n = 6
	for i := range n {
		w.startWith(wf, fmt.Sprintf("run-%d", i),
			workflow.Attributes{"stage": "a", "upload": fmt.Sprint(i % 2), "of": "all", "o'f": `it's\`})
		w.pass(0.5)
	}
	w.startWith(other, "run-6", workflow.Attributes{"of": "all"})
	w.startWith(other, "run-7")
	g.awaitEntered()
	g.awaitEntered()
	for i := range n {
		w.until(fmt.Sprintf("run-%d", i), "ended", func(r workflow.Run) bool { return r.Status.Ended() })
	}
	type attributes = workflow.Attributes
	queries := map[string]struct {
		query workflow.Query
		want  string
	}{
		"one":                    {workflow.Query{Attributes: attributes{"upload": "1"}}, "run-5 run-3 run-1"},
		"two":                    {workflow.Query{Attributes: attributes{"upload": "1", "of": "all"}}, "run-5 run-3 run-1"},
		"three":                  {workflow.Query{Attributes: attributes{"upload": "0", "of": "all", "stage": "b"}}, "run-4 run-2 run-0"},
		"quotes":                 {workflow.Query{Attributes: attributes{"o'f": `it's\`}}, "run-5 run-4 run-3 run-2 run-1 run-0"},
		"an old value":           {workflow.Query{Attributes: attributes{"stage": "a"}}, ""},
		"a part of a value":      {workflow.Query{Attributes: attributes{"of": "al"}}, ""},
		"another case":           {workflow.Query{Attributes: attributes{"Of": "all"}}, ""},
		"a key of none":          {workflow.Query{Attributes: attributes{"none": "all"}}, ""},
		"two that exclude":       {workflow.Query{Attributes: attributes{"upload": "1", "none": "all"}}, ""},
		"one and a workflow":     {workflow.Query{Attributes: attributes{"of": "all"}, Workflow: "sought-too"}, "run-6"},
		"one and a status":       {workflow.Query{Attributes: attributes{"of": "all"}, Status: workflow.StatusRunning}, "run-6"},
		"one and an ended one":   {workflow.Query{Attributes: attributes{"upload": "0"}, Status: workflow.StatusCompleted}, "run-4 run-2 run-0"},
		"one and ids":            {workflow.Query{Attributes: attributes{"upload": "0"}, IDs: []string{"run-0", "run-1"}}, "run-0"},
		"one and a time that is": {workflow.Query{Attributes: attributes{"upload": "1"}, Since: w.describe("run-3").CreatedAt}, "run-5 run-3"},
	}
	w.listed(func() (faults []string) {
		for what, c := range queries {
			ids, wrong := w.pagesOf(c.query)
			if got := strings.Join(ids, " "); got != c.want {
				wrong = append(wrong, fmt.Sprintf("%q, want %q", got, c.want))
			}
			for _, fault := range wrong {
				faults = append(faults, "by "+what+": "+fault)
			}
		}
		return faults
	})
	g.release()
	g.release()
}

// pagesOf lists runs two a page, and says which of them are shown without what they were
// found by.
func (w *world) pagesOf(q workflow.Query) (ids, faults []string) {
	w.Helper()
	for q.Limit = 2; ; {
		page, err := w.harness.Runner.List(w.Context(), q)
		if err != nil {
			w.Fatal(err)
		}
		for _, r := range page.Runs {
			ids = append(ids, r.ID)
			for key, value := range q.Attributes {
				if r.Attributes[key] != value {
					faults = append(faults, fmt.Sprintf("%s is shown with %v", r.ID, r.Attributes))
				}
			}
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return ids, faults
		}
	}
}

func attributesStay(w *world) {
	wf := workflow.New[input]("kept-tags")
	workflow.Step(wf, "a", w.sets("a", workflow.Attributes{"stage": "a"}, 0))
	workflow.Step(wf, "b", w.fails("b", errBroken, nil))
	w.hold(wf)
	w.startWith(wf, id, workflow.Attributes{"source": "one"})
	w.ended()
	w.startWith(wf, id, workflow.Attributes{"source": "two", "more": "of it"})
	w.retry("b")
	w.attributes(w.until(id, "completed", func(r workflow.Run) bool { return r.Status == workflow.StatusCompleted }),
		workflow.Attributes{"source": "one", "stage": "a"})
}

func many(n int, of string) workflow.Attributes {
	a := workflow.Attributes{}
	for i := range n {
		a[fmt.Sprintf("%s-%d", of, i)] = "x"
	}
	return a
}

func tooManyAttributes(w *world) {
	wf := workflow.New[input]("crowded")
	workflow.Step(wf, "a", w.sets("a", many(workflow.MaxAttributes-4, "a"), 0))
	workflow.Step(wf, "b", w.sets("b", many(5, "b"), 0), workflow.Retry{MaxAttempts: 3})
	w.hold(wf)
	w.startWith(wf, id)
	run := w.ended()
	w.failure(run, workflow.Failure{Step: "b", Reason: workflow.ReasonError, Code: workflow.CodeTooLarge, Attempts: 1,
		Message: "the run would have 17 attributes, 16 are allowed"})
	w.attributes(run, many(workflow.MaxAttributes-4, "a"))
}

func attributesAreRefused(w *world) {
	wf := workflow.New[input]("picky")
	workflow.WaitFor(wf, "a", alpha, w.s(9))
	w.hold(wf)
	long := strings.Repeat("x", workflow.MaxAttributeValue+1)
	start := func(a workflow.Attributes) error {
		return wf.Start(w.Context(), w.harness.Runner, "refused", input{1}, a)
	}
	for _, a := range []workflow.Attributes{{"": "x"}, {"x": ""}, {"a=b": "x"}, {"a\n": "x"}, {"x": "\x00"}, {"x": "\xff"},
		{strings.Repeat("x", workflow.MaxAttributeKey+1): "x"}, {"x": long}} {
		w.errorIs(fmt.Sprintf("a start with %q", a), start(a), workflow.ErrAttribute)
		_, err := w.harness.Runner.List(w.Context(), workflow.Query{Attributes: a})
		w.errorIs(fmt.Sprintf("a listing by %q", a), err, workflow.ErrAttribute)
	}
	w.errorIs("a start with too many", start(many(workflow.MaxAttributes+1, "a")), workflow.ErrTooLarge)
	_, err := w.harness.Runner.List(w.Context(), workflow.Query{Attributes: many(workflow.MaxAttributeFilters+1, "a")})
	w.errorIs("a listing by too many", err, workflow.ErrAttribute)
	if err := workflow.SetAttributes(w.Context(), workflow.Attributes{"a": "b"}); err == nil {
		w.Error("attributes were set outside of a step")
	}
	_, err = w.harness.Runner.Describe(w.Context(), "refused")
	w.errorIs("what was refused", err, workflow.ErrNotFound)
}
