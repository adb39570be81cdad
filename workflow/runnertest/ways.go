package runnertest

import (
	"context"
	"time"

	"github.com/liwanag/liwanag/workflow"
)

func wayScenarios() []scenario {
	return []scenario{
		{"see the input, two outputs and what became of steps", conditionsSeeWhatHappened},
		{"lead along one way of a choice", aChoiceLeadsAlongOneWay},
		{"fail the run, and its retry judges anew", aFailIfIsJudgedAnewByARetry},
		{"set the end of waits and sleeps", outputsSetTheEndOfWaitsAndSleeps},
	}
}

func is(want string) func(string) bool { return func(s string) bool { return s == want } }

func (w *world) notes(name string) func(context.Context, input) error {
	return func(context.Context, input) error {
		w.did(name)
		return nil
	}
}

func conditionsSeeWhatHappened(w *world) {
	wf := workflow.New[input]("conditions")
	first := workflow.Input(wf)
	one := workflow.If(first, "one", func(in input) bool { return in.N == 1 })
	two := workflow.If(first, "two", func(in input) bool { return in.N == 2 })
	a := workflow.Step(wf, "a", w.does("a"), one)
	b := workflow.Step(wf, "b", w.does("b"), two)
	workflow.Do(wf, "for-b", w.notes("for-b"), workflow.IfSkipped(b))
	workflow.Do(wf, "not-for-a", w.notes("not-for-a"), workflow.Unless(a, "a came", is("a")))
	late := workflow.WaitFor(wf, "late", alpha, w.s(2), workflow.ContinueOnTimeout)
	workflow.Do(wf, "remind", w.notes("remind"), workflow.IfTimedOut(late))
	workflow.Do(wf, "no-answer", w.notes("no-answer"), workflow.IfAbsent(late))
	either := workflow.FirstOf(b, late, a)
	workflow.Step(wf, "both", func(ctx context.Context, in input) (string, error) {
		w.did("both")
		return either.Output(ctx) + "!", nil
	}, workflow.IfBoth(a, either, "same", func(x, y string) bool { return x == y }))
	w.begin(wf)
	run := w.ended()
	w.expect(run, workflow.StatusCompleted, "0 run.started", "0 step.completed a #1", "0 step.skipped b", "0 step.completed for-b #1",
		"0 step.skipped not-for-a", "0 wait.started late", "2 wait.timed_out late", "2 step.completed remind #1",
		"2 step.completed no-answer #1", "2 step.completed both #1", "2 run.completed")
	w.didOnly("a", "for-b", "remind", "no-answer", "both")
	w.output(run, `"a!"`)
}

func aChoiceLeadsAlongOneWay(w *world) {
	wf := workflow.New[input]("choice")
	a := workflow.Step(wf, "a", w.does("a"))
	route := workflow.Choose(wf, "route",
		workflow.Case(workflow.If(a, "b", is("b")), func(wf *workflow.Workflow[input]) *workflow.Result[string] {
			return workflow.Step(wf, "left", w.does("left"))
		}),
		workflow.Case(workflow.If(a, "a", is("a")), func(wf *workflow.Workflow[input]) *workflow.Result[string] {
			workflow.Sleep(wf, "nap", w.s(3))
			workflow.Do(wf, "never", w.notes("never"), workflow.If(a, "b", is("b")))
			return workflow.Step(wf, "middle", w.does("middle"))
		}),
		workflow.Else(func(wf *workflow.Workflow[input]) *workflow.Result[string] {
			return workflow.Step(wf, "right", w.does("right"))
		}))
	workflow.Step(wf, "join", func(ctx context.Context, in input) (string, error) { return "by " + route.Output(ctx), nil })
	w.begin(wf)
	run := w.ended()
	w.expect(run, workflow.StatusCompleted, "0 run.started", "0 step.completed a #1", "0 step.skipped route/b/left",
		"0 wait.started route/a/nap", "3 step.completed route/a/nap", "3 step.skipped route/a/never", "3 step.completed route/a/middle #1",
		"3 step.skipped route/otherwise/right", "3 step.completed join #1", "3 run.completed")
	w.didOnly("a", "middle")
	w.output(run, `"by middle"`)
	for step, because := range map[string]string{"route/b/left": "b", "route/a/never": "b", "route/otherwise/right": "otherwise"} {
		for _, s := range run.Steps {
			if s.Name == step && s.SkippedBecause != because {
				w.Errorf("%s was skipped because of %q, want %q", step, s.SkippedBecause, because)
			}
		}
	}
}

func aFailIfIsJudgedAnewByARetry(w *world) {
	wf := workflow.New[input]("judged")
	n := 0
	count := workflow.Step(wf, "count", func(context.Context, input) (int, error) {
		n++
		return n, nil
	})
	workflow.Step(wf, "between", w.does("between"))
	workflow.FailIf(wf, count, "too few", func(n int) bool { return n < 2 }, "count_low")
	workflow.Step(wf, "after", w.does("after"))
	workflow.OnError(wf, w.handles)
	w.begin(wf)
	run := w.ended()
	w.expect(run, workflow.StatusFailed, "0 run.started", "0 step.completed count #1", "0 step.completed between #1",
		"0 step.completed on-error #1", "0 run.failed")
	w.failure(run, workflow.Failure{Step: "count", Reason: workflow.ReasonError, Code: "count_low", Message: "too few"})
	w.told(run)
	w.stepIs(run, "after", workflow.StatusPending)
	w.retry("")
	run = w.ended()
	if run.Status != workflow.StatusCompleted {
		w.Errorf("after the retry the run is %s: %+v", run.Status, run.Failure)
	}
	w.didOnly("between", "between", "after")
}

func outputsSetTheEndOfWaitsAndSleeps(w *world) {
	wf := workflow.New[input]("ends")
	from := workflow.Step(wf, "from", func(context.Context, input) (time.Time, error) { return time.Now(), nil })
	after := func(seconds float64) func(time.Time) time.Time {
		return func(t time.Time) time.Time { return t.Add(w.s(seconds)) }
	}
	workflow.SleepUntil(wf, "nap", from, after(3))
	workflow.SleepUntil(wf, "over", from, after(1))
	workflow.WaitFor(wf, "bounded", alpha, w.s(60), workflow.ContinueOnTimeout, workflow.Until(from, after(5)))
	workflow.WaitFor(wf, "short", alpha, w.s(2), workflow.ContinueOnTimeout, workflow.Until(from, after(60)))
	workflow.WaitFor(wf, "alone", alpha, 0, workflow.ContinueOnTimeout, workflow.Until(from, after(9)))
	w.begin(wf)
	parked := w.parked("bounded", workflow.WaitEvent)
	if want := parked.CreatedAt.Add(w.s(5)); w.virtual() && !parked.WaitingFor.Until.Equal(want) {
		w.Errorf("waits until %s, want %s", parked.WaitingFor.Until, want)
	}
	w.expect(w.ended(), workflow.StatusCompleted, "0 run.started", "0 step.completed from #1", "0 wait.started nap",
		"3 step.completed nap", "3 wait.started over", "3 step.completed over", "3 wait.started bounded", "5 wait.timed_out bounded",
		"5 wait.started short", "7 wait.timed_out short", "7 wait.started alone", "9 wait.timed_out alone", "9 run.completed")
}
