package runnertest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/liwanag/liwanag/workflow"
)

// waiting is a map of items that wait for an event each.
func (w *world) waiting(opts ...workflow.Option) (*workflow.Workflow[input], *workflow.Mapped[string]) {
	wf := workflow.New[input]("waiting", opts...)
	return wf, workflow.Map(wf, "each", workflow.Each(numbers(wf, 3)), func(b *workflow.Workflow[int]) *workflow.Result[string] {
		got := workflow.WaitFor(b, "w", alpha, w.s(500))
		workflow.OnCancel(b, func(_ context.Context, n int, _ string) error { w.did(fmt.Sprint("canceled ", n)); return nil })
		return got
	})
}

// allWait waits until all items of waiting do.
func (w *world) allWait() {
	w.Helper()
	w.parked("each", workflow.WaitRuns)
	for i := range 3 {
		w.until(fmt.Sprintf("%s/each[%d]", id, i), "waiting", func(r workflow.Run) bool { return r.Status == workflow.StatusWaiting })
	}
}

func (w *world) sendTo(run, signal, payload string) {
	w.Helper()
	if _, err := alpha.Send(w.Context(), w.harness.Runner, run, signal, payload); err != nil {
		w.Fatal(err)
	}
}

func subEvents(w *world) {
	wf, m := w.waiting()
	workflow.Step(wf, "all", func(ctx context.Context, _ input) (all []string, err error) {
		for it, err := range m.All(ctx) {
			if err != nil {
				return nil, err
			}
			all = append(all, it.Output)
		}
		return all, nil
	})
	w.begin(wf)
	w.allWait()
	run := w.describe(id)
	if run.Children == nil || *run.Children != (workflow.Children{Step: "each", Total: 3, Open: 3}) {
		w.Errorf("the run says of its sub-runs: %+v", run.Children)
	}
	for i := range 3 {
		w.sendTo(fmt.Sprintf("%s/each[%d]", id, i), "s", fmt.Sprint("for ", i))
	}
	w.output(w.ended(), `["for 0","for 1","for 2"]`)
	_, err := beta.Send(w.Context(), w.harness.Runner, id+"/each[0]", "b", "x")
	w.errorIs("an event that no wait of the body takes", err, workflow.ErrUnknownEvent)
}

func subCancel(w *world) {
	wf, m := w.waiting()
	workflow.OnCancel(wf, func(ctx context.Context, _ input, _ string) error {
		for it, err := range m.All(ctx) {
			if err != nil {
				return err
			}
			w.did(fmt.Sprint("found ", it.Index, " ", it.Status))
		}
		return nil
	})
	w.begin(wf)
	w.allWait()
	w.sendTo(id+"/each[1]", "s", "x")
	w.until(id+"/each[1]", "completed", func(r workflow.Run) bool { return r.Status == workflow.StatusCompleted })
	w.cancel("stop")
	run := w.ended()
	w.failure(run, workflow.Failure{Reason: workflow.ReasonCanceled, Message: "stop"})
	w.stepIs(run, "each", workflow.StatusCanceled)
	w.didSorted("canceled 0", "canceled 2", "found 0 canceled", "found 1 completed", "found 2 canceled")
}

func subTimeout(w *world) {
	wf, _ := w.waiting(workflow.RunTimeout(w.s(8)))
	workflow.OnError(wf, w.handles)
	w.begin(wf)
	w.allWait()
	run := w.ended()
	if run.Status != workflow.StatusTimedOut || run.Failure.Code != workflow.CodeRunTimeout {
		w.Errorf("%s: %+v", run.Status, run.Failure)
	}
	w.told(run)
	w.stepIs(run, "each", workflow.StatusTimedOut)
	w.didSorted("canceled 0", "canceled 1", "canceled 2")
}

func subBound(w *world) {
	wf := workflow.New[input]("bound")
	workflow.Map(wf, "each", workflow.Each(numbers(wf, 3)), func(b *workflow.Workflow[int]) *workflow.Result[int] {
		workflow.Sleep(b, "wait", w.s(500), workflow.If(workflow.Input(b), "slow", func(n int) bool { return n > 0 }))
		return workflow.Step(b, "x", func(context.Context, int) (int, error) { return 1, nil })
	}, workflow.Within(w.s(6)), workflow.ContinueOnTimeout)
	workflow.Step(wf, "after", w.does("after"))
	w.begin(wf)
	run := w.ended()
	w.stepIs(run, "each", workflow.StatusTimedOut)
	w.expect(run, workflow.StatusCompleted, "0 run.started", "0 step.completed list #1", "0 wait.started each", "6 wait.timed_out each",
		"6 step.completed after #1", "6 run.completed")
	for _, s := range run.Steps {
		if s.Name == "each" && string(s.Output) != `{"total":3,"completed":1,"failed":0}` {
			w.Errorf("the step leaves %s", s.Output)
		}
	}
}

func subTerminate(w *world) {
	wf := workflow.New[input]("forced")
	list := numbers(wf, 2)
	workflow.Map(wf, "each", workflow.Each(list), func(b *workflow.Workflow[int]) *workflow.Result[workflow.Summary] {
		return workflow.Map(b, "inner", workflow.Each(list), func(b *workflow.Workflow[int]) *workflow.Result[string] {
			return workflow.WaitFor(b, "w", alpha, w.s(500))
		}).Summary()
	})
	w.begin(wf)
	var all []string
	for i := range 2 {
		for j := range 2 {
			all = append(all, fmt.Sprintf("%s/each[%d]/inner[%d]", id, i, j))
		}
	}
	for _, sub := range all {
		w.untilThere(sub, workflow.StatusWaiting)
	}
	if err := w.harness.Runner.Terminate(w.Context(), id, "at once"); err != nil {
		w.Fatal(err)
	}
	for _, sub := range append(all, id, id+"/each[0]", id+"/each[1]") {
		w.untilThere(sub, workflow.StatusCanceled)
	}
}

// untilThere waits until a sub-run exists and is as wanted.
func (w *world) untilThere(sub string, want workflow.Status) {
	w.Helper()
	for waited := 0.0; waited < 120; waited += 0.25 {
		run, err := w.harness.Runner.Describe(w.Context(), sub)
		if err == nil && run.Status == want {
			return
		}
		if err != nil && !errors.Is(err, workflow.ErrNotFound) {
			w.Fatal(err)
		}
		w.pass(0.25)
	}
	w.Fatalf("%s is not %s", sub, want)
}

func subTerminateOne(w *world) {
	wf, _ := w.waiting()
	w.begin(wf)
	w.allWait()
	if err := w.harness.Runner.Terminate(w.Context(), id+"/each[1]", "x"); err != nil {
		w.Fatal(err)
	}
	run := w.ended()
	w.failure(run, workflow.Failure{Step: "each", Reason: workflow.ReasonError, Code: workflow.CodeSubRuns,
		Message: "1 of 3 failed, 0 are tolerated"})
	w.didSorted("canceled 0", "canceled 2")
}

func subGenerations(w *world) {
	wf := workflow.New[input]("generations")
	length := 2
	list := workflow.Step(wf, "list", func(context.Context, input) ([]int, error) {
		length++
		return make([]int, length), nil
	})
	m := workflow.Map(wf, "each", workflow.Each(list), func(b *workflow.Workflow[int]) *workflow.Result[int] {
		return workflow.Step(b, "x", func(ctx context.Context, _ int) (int, error) {
			if n := len(list.Output(ctx)); n > 3 {
				return n, nil
			}
			return 0, workflow.Permanent(errBroken)
		})
	})
	workflow.Step(wf, "all", func(ctx context.Context, _ input) (all []int, err error) {
		for it, err := range m.All(ctx) {
			if err != nil {
				return nil, err
			}
			all = append(all, it.Output)
		}
		return all, nil
	})
	w.begin(wf)
	if run := w.ended(); run.Status != workflow.StatusFailed {
		w.Errorf("the run is %s", run.Status)
	}
	w.retry("list")
	run := w.until(id, "completed", func(r workflow.Run) bool { return r.Status == workflow.StatusCompleted })
	w.output(run, "[4,4,4,4]")
	for sub, well := range map[string]bool{"/each[0]": false, "/each~1[3]": true} {
		if got := w.describe(id + sub).Status; !got.Ended() || (got == workflow.StatusCompleted) != well {
			w.Errorf("%s is %s", sub, got)
		}
	}
}

func subUndo(w *world) {
	wf := workflow.New[input]("undone")
	workflow.Map(wf, "each", workflow.Each(numbers(wf, 3)), func(b *workflow.Workflow[int]) *workflow.Result[int] {
		return workflow.Step(b, "x", func(ctx context.Context, n int) (int, error) {
			w.did(workflow.InfoFrom(ctx).IdempotencyKey)
			return n, nil
		}, workflow.Undo(func(ctx context.Context, n, out int) error {
			w.did(fmt.Sprintf("undo %t %s", n == out, workflow.InfoFrom(ctx).IdempotencyKey))
			return nil
		}))
	})
	workflow.Step(wf, "bad", w.fails("bad", workflow.Permanent(errBroken)))
	workflow.OnError(wf, w.handles)
	w.begin(wf)
	run := w.ended()
	w.failure(run, workflow.Failure{Step: "bad", Reason: workflow.ReasonError, Message: "broken", Attempts: 1})
	w.told(run)
	w.retry("")
	w.until(id, "completed", func(r workflow.Run) bool { return r.Status == workflow.StatusCompleted })
	want := []string{"bad", "bad"}
	for i := range 3 {
		key := fmt.Sprintf("%s/each[%d]", id, i)
		want = append(want, key+"/x", "undo true "+key+"/x//undo", key+"//1/x")
	}
	w.didSorted(want...)
}

func subList(w *world) {
	wf, _ := w.waiting()
	w.begin(wf)
	w.allWait()
	w.sendTo(id+"/each[1]", "s", "x")
	w.until(id+"/each[1]", "completed", func(r workflow.Run) bool { return r.Status == workflow.StatusCompleted })
	lists := func(q workflow.Query, want ...string) {
		w.Helper()
		var got []string
		for more := true; more; more = q.Cursor != "" {
			page, err := w.harness.Runner.List(w.Context(), q)
			if err != nil {
				w.Fatal(err)
			}
			for _, run := range page.Runs {
				got = append(got, run.ID)
			}
			q.Cursor = page.Next
		}
		if !slices.Equal(got, want) {
			w.Errorf("%+v lists %v, want %v", q, got, want)
		}
	}
	lists(workflow.Query{Parent: id}, id+"/each[0]", id+"/each[1]", id+"/each[2]")
	lists(workflow.Query{Parent: id, Limit: 1}, id+"/each[0]", id+"/each[1]", id+"/each[2]")
	lists(workflow.Query{Parent: id, Status: workflow.StatusCompleted}, id+"/each[1]")
	for waited := 0.0; waited < 60; waited++ { // an index may lag
		if page, err := w.harness.Runner.List(w.Context(), workflow.Query{}); err != nil {
			w.Fatal(err)
		} else if len(page.Runs) > 0 {
			break
		}
		w.pass(1)
	}
	lists(workflow.Query{}, id)
}
