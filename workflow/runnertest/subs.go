package runnertest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/liwanag/liwanag/workflow"
)

func subScenarios() []scenario {
	return []scenario{
		{"of a map take an item each, see what stands around it, and are read in order", mapping},
		{"of a list without items are none", mappingNothing},
		{"that fail beyond what is tolerated stop the others, and a retry runs only bad ones again", tolerating},
		{"of branches, races, rounds and children yield what their step does", forking},
		{"lie in each other, and see all that is around them", nesting},
		{"of a repeat whose predicate never holds end with the last round", repeatingToTheEnd},
		{"end with the step when enough have completed", sufficing},
		{"receive events by their ids", subEvents},
		{"are canceled with their run, which ends last", subCancel},
		{"end with their run's timeout, and before it", subTimeout},
		{"end with the time of their step, which may go on", subBound},
		{"end with a run that is ended by force, at any depth", subTerminate},
		{"that are ended by force have failed", subTerminateOne},
		{"are others when what stands before their step is done anew", subGenerations},
		{"are undone when their run fails later", subUndo},
		{"are listed by their run, and not among others", subList},
	}
}

// didSorted compares all that the definitions did, in any order.
func (w *world) didSorted(want ...string) {
	w.Helper()
	w.mu.Lock()
	slices.Sort(w.log)
	w.mu.Unlock()
	slices.Sort(want)
	w.didOnly(want...)
}

// numbers is a step that returns the first n numbers.
func numbers(wf *workflow.Workflow[input], n int) *workflow.Result[[]int] {
	return workflow.Step(wf, "list", func(context.Context, input) (l []int, err error) {
		for i := range n {
			l = append(l, i)
		}
		return l, nil
	})
}

func mapping(w *world) {
	wf := workflow.New[input]("mapping")
	prefix := workflow.Step(wf, "prefix", w.does("p"))
	list := numbers(wf, 5)
	m := workflow.Map(wf, "each", workflow.Each(list), func(b *workflow.Workflow[int]) *workflow.Result[string] {
		workflow.Do(b, "never", func(context.Context, int) error { w.did("never"); return nil },
			workflow.If(prefix, "other", is("another")))
		return workflow.Step(b, "name", func(ctx context.Context, n int) (string, error) {
			i := workflow.InfoFrom(ctx)
			if want := fmt.Sprintf("%s/each[%d]/name", id, n); i.Index != n || i.IdempotencyKey != want {
				return "", workflow.Permanent(fmt.Errorf("item %d has the index %d and the key %s", n, i.Index, i.IdempotencyKey))
			}
			if n == 3 && i.Attempt == 1 {
				return "", errBroken
			}
			return fmt.Sprint(prefix.Output(ctx), n), nil
		}, workflow.Retry{MaxAttempts: 2, InitialDelay: w.s(1)})
	}, workflow.AtMost(2))
	workflow.Step(wf, "all", func(ctx context.Context, _ input) (all []string, err error) {
		for it, err := range m.All(ctx) {
			if err != nil {
				return nil, err
			}
			all = append(all, it.Output)
		}
		return all, nil
	}, workflow.If(m.Summary(), "well", func(s workflow.Summary) bool { return s == workflow.Summary{Total: 5, Completed: 5} }))
	w.begin(wf)
	run := w.ended()
	w.expect(run, workflow.StatusCompleted, "0 run.started", "0 step.completed prefix #1", "0 step.completed list #1", "0 wait.started each",
		"1 step.completed each", "1 step.completed all #1", "1 run.completed")
	w.output(run, `["p0","p1","p2","p3","p4"]`)
	w.didOnly("p")
	item := w.describe(id + "/each[3]")
	if item.Parent != id || item.Status != workflow.StatusCompleted || string(item.Input) != "3" || string(item.Output) != `"p3"` {
		w.Errorf("the item is %+v", item)
	}
	w.stepIs(item, "never", workflow.StatusSkipped)
	w.errorIs("retry of a sub-run", w.harness.Runner.Retry(w.Context(), item.ID, ""), workflow.ErrSubRun)
}

func mappingNothing(w *world) {
	wf := workflow.New[input]("nothing")
	list := numbers(wf, 0)
	workflow.Map(wf, "each", workflow.Each(list), func(b *workflow.Workflow[int]) *workflow.Result[int] {
		return workflow.Step(b, "a", func(context.Context, int) (int, error) { return 1, nil })
	})
	w.begin(wf)
	run := w.ended()
	w.expect(run, workflow.StatusCompleted, "0 run.started", "0 step.completed list #1", "0 wait.started each", "0 step.completed each",
		"0 run.completed")
	w.output(run, `{"total":0,"completed":0,"failed":0}`)
}

func tolerating(w *world) {
	wf := workflow.New[input]("tolerating")
	bad := 3 // of the first
	m := workflow.Map(wf, "each", workflow.Each(numbers(wf, 30)), func(b *workflow.Workflow[int]) *workflow.Result[int] {
		workflow.Do(b, "first", func(_ context.Context, n int) error { w.did(fmt.Sprint("first ", n)); return nil })
		return workflow.Step(b, "second", func(_ context.Context, n int) (int, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if n < bad {
				return 0, workflow.Permanent(errors.New("no such file"))
			}
			return 1, nil
		})
	}, workflow.AtMost(2), workflow.Tolerate(2))
	sum := func(ctx context.Context) (sum int, err error) {
		for it, err := range m.All(ctx) {
			if err != nil {
				return 0, err
			}
			sum += it.Output
		}
		return sum, nil
	}
	workflow.Step(wf, "sum", func(ctx context.Context, _ input) (int, error) { return sum(ctx) })
	partial := 0
	workflow.OnError(wf, func(ctx context.Context, _ input, _ workflow.Failure) (err error) {
		partial, err = sum(ctx)
		return err
	})
	w.begin(wf)
	run := w.ended()
	w.failure(run, workflow.Failure{Step: "each", Reason: workflow.ReasonError, Code: workflow.CodeSubRuns,
		Message: "3 of 30 failed, 2 are tolerated; each[0]/second: no such file"})
	if partial > 27 {
		w.Errorf("%d of 30 completed beside three that failed", partial)
	}
	w.mu.Lock()
	bad = 0
	w.mu.Unlock()
	w.retry("")
	run = w.until(id, "completed", func(r workflow.Run) bool { return r.Status == workflow.StatusCompleted })
	w.output(run, "30")
	var once []string
	for i := range 30 {
		once = append(once, fmt.Sprint("first ", i))
	}
	w.didSorted(once...)
}

func forking(w *world) {
	child := workflow.New[string]("child", workflow.Version(3))
	greeting := workflow.Step(child, "greet", func(ctx context.Context, who string) (string, error) {
		w.did(workflow.InfoFrom(ctx).IdempotencyKey)
		return "hello " + who, nil
	})
	workflow.Sleep(child, "rest", w.s(1))
	wf := workflow.New[input]("forking")
	fork := workflow.Parallel(wf, "both")
	left := workflow.Branch(fork, "left", func(b *workflow.Workflow[input]) *workflow.Result[int] {
		return workflow.Step(b, "a", func(_ context.Context, in input) (int, error) { return in.N + 1, nil })
	})
	right := workflow.Branch(fork, "right", func(b *workflow.Workflow[input]) *workflow.Result[string] {
		return workflow.Step(b, "a", func(context.Context, input) (string, error) { return "right", nil })
	})
	race := workflow.Race(wf, "race")
	slow := workflow.Branch(race, "slow", func(b *workflow.Workflow[input]) *workflow.Result[int] {
		workflow.Sleep(b, "s", w.s(500))
		return workflow.Step(b, "a", func(context.Context, input) (int, error) { return 0, nil })
	})
	fast := workflow.Branch(race, "fast", func(b *workflow.Workflow[input]) *workflow.Result[int] {
		return workflow.Step(b, "a", func(ctx context.Context, _ input) (int, error) { return left.Output(ctx) * 10, nil })
	})
	last := workflow.Repeat(wf, "round", 10, left, func(b *workflow.Workflow[int]) *workflow.Result[int] {
		return workflow.Step(b, "more", func(ctx context.Context, n int) (int, error) { return n * 2, nil })
	}, func(n int) bool { return n > 10 })
	said := workflow.Child(wf, "say", child, greeting, func(ctx context.Context, _ input) string { return right.Output(ctx) })
	workflow.Step(wf, "sum", func(ctx context.Context, _ input) (string, error) {
		_, lost := slow.Lookup(ctx)
		return fmt.Sprintf("%d %s %d %t %d %s", left.Output(ctx), right.Output(ctx), fast.Output(ctx), lost, last.Output(ctx),
			said.Output(ctx)), nil
	})
	w.begin(wf)
	run := w.ended()
	w.expect(run, workflow.StatusCompleted, "0 run.started", "0 wait.started both", "0 step.completed both", "0 wait.started race",
		"0 step.completed race", "0 wait.started round", "0 step.completed round", "0 wait.started say", "1 step.completed say",
		"1 step.completed sum #1", "1 run.completed")
	w.output(run, `"2 right 20 false 16 hello right"`)
	w.didOnly(id + "/say[0]/greet")
	for sub, want := range map[string]workflow.Status{"/both[1]": workflow.StatusCompleted, "/race[0]": workflow.StatusCanceled,
		"/race[1]": workflow.StatusCompleted, "/round[2]": workflow.StatusCompleted, "/say[0]": workflow.StatusCompleted} {
		if got := w.describe(id + sub); got.Status != want || got.Parent != id {
			w.Errorf("%s of %q is %s", got.ID, got.Parent, got.Status)
		}
	}
}

func nesting(w *world) {
	wf := workflow.New[input]("nesting")
	top := workflow.Step(wf, "top", w.does("top"))
	list := numbers(wf, 2)
	outer := workflow.Map(wf, "outer", workflow.Each(list), func(b *workflow.Workflow[int]) *workflow.Result[string] {
		mine := workflow.Step(b, "mine", func(_ context.Context, n int) (string, error) { return fmt.Sprint("m", n), nil })
		inner := workflow.Map(b, "inner", workflow.Each(list), func(b *workflow.Workflow[int]) *workflow.Result[string] {
			return workflow.Step(b, "join", func(ctx context.Context, n int) (string, error) {
				return fmt.Sprint(top.Output(ctx), mine.Output(ctx), n), nil
			}, workflow.If(mine, "mine", func(s string) bool { return s != "" }), workflow.Retry{MaxAttempts: 1})
		})
		return workflow.Step(b, "all", func(ctx context.Context, _ int) (all string, err error) {
			for it, err := range inner.All(ctx) {
				if err != nil {
					return "", err
				}
				all += it.Output + " "
			}
			return all, nil
		})
	})
	workflow.Step(wf, "sum", func(ctx context.Context, _ input) (all string, err error) {
		for it, err := range outer.All(ctx) {
			if err != nil {
				return "", err
			}
			all += it.Output
		}
		return all, nil
	})
	w.begin(wf)
	run := w.ended()
	w.output(run, `"topm00 topm01 topm10 topm11 "`)
	if run.Status != workflow.StatusCompleted || len(run.History) != 7 {
		w.Errorf("%s with %d items of history: %v", run.Status, len(run.History), run.Failure)
	}
}

func repeatingToTheEnd(w *world) {
	wf := workflow.New[input]("rounds")
	last := workflow.Repeat(wf, "round", 3, nil, func(b *workflow.Workflow[int]) *workflow.Result[int] {
		return workflow.Step(b, "more", func(ctx context.Context, n int) (int, error) {
			w.did(fmt.Sprint(workflow.InfoFrom(ctx).Index))
			return n + 1, nil
		})
	}, func(int) bool { return false })
	workflow.Step(wf, "tell", func(ctx context.Context, _ input) (int, error) { return last.Output(ctx), nil })
	w.begin(wf)
	w.output(w.ended(), "3")
	w.didOnly("0", "1", "2")
}

func sufficing(w *world) {
	wf := workflow.New[input]("sufficing")
	workflow.Map(wf, "each", workflow.Each(numbers(wf, 4)), func(b *workflow.Workflow[int]) *workflow.Result[int] {
		workflow.Sleep(b, "wait", w.s(500), workflow.If(workflow.Input(b), "slow", func(n int) bool { return n > 1 }))
		return workflow.Step(b, "x", func(context.Context, int) (int, error) { return 1, nil })
	}, workflow.Enough(2))
	w.begin(wf)
	run := w.ended()
	w.output(run, `{"total":4,"completed":2,"failed":0}`)
	for i := range 4 {
		want := workflow.StatusCompleted
		if i > 1 {
			want = workflow.StatusCanceled
		}
		if got := w.describe(fmt.Sprintf("%s/each[%d]", id, i)).Status; got != want {
			w.Errorf("item %d is %s, want %s", i, got, want)
		}
	}
}
