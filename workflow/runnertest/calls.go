package runnertest

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/liwanag/liwanag/workflow"
)

func reopenScenarios() []scenario {
	return []scenario{
		{"repeats the failed step, and none before it", retryRepeatsTheFailedStepAndNoneBeforeIt},
		{"forgets outputs from the step on", forgetting},
		{"handles a second failure, too", retryHandlesASecondFailureToo},
		{"gives consumed events back", retryGivesConsumedEventsBack},
		{"keeps what earlier waits consumed", retryKeepsWhatEarlierWaitsConsumed},
		{"consumes what came too late", retryConsumesWhatCameTooLate},
		{"takes up a canceled run, which can be canceled again", retryTakesUpACanceledRunWhichCanBeCanceledAgain},
		{"of a run canceled in a wait goes on with that wait", retryOfARunCanceledInAWaitGoesOnWithThatWait},
		{"of a run canceled in its last step repeats that one only", retryOfARunCanceledInItsLastStepRepeatsThatOneOnly},
		{"is refused where there is nothing to repeat", retryIsRefusedWhereThereIsNothingToRepeat},
	}
}

func retryRepeatsTheFailedStepAndNoneBeforeIt(w *world) {
	wf := workflow.New[input]("again")
	a := workflow.Step(wf, "a", w.does("a"))
	workflow.Step(wf, "b", w.fails("b", times(2, errBroken)...), workflow.Retry{MaxAttempts: 2, InitialDelay: w.s(1)})
	workflow.Step(wf, "c", func(ctx context.Context, _ input) (string, error) { return a.Output(ctx) + "c", nil })
	workflow.OnError(wf, w.handles)
	w.begin(wf)
	w.ended()
	w.retry("")
	run := w.ended()
	w.expect(run, workflow.StatusCompleted, "0 run.started", "0 step.completed a #1", "0 step.retrying b #1", "1 step.failed b #2",
		"1 step.completed on-error #1", "1 run.failed", "1 run.reopened b", "1 step.completed b #1", "1 step.completed c #1", "1 run.completed")
	w.output(run, `"ac"`)
	w.didOnly("a", "b", "b", "b")
	if run.Failure != nil {
		w.Errorf("the completed run still has the failure %+v", run.Failure)
	}
}

func retryHandlesASecondFailureToo(w *world) {
	wf := workflow.New[input]("twice")
	workflow.Step(wf, "a", w.fails("a", errBroken, workflow.Permanent(codedError{})))
	workflow.OnError(wf, w.handles)
	w.begin(wf)
	w.ended()
	w.retry("a")
	run := w.until(id, "ended again", func(r workflow.Run) bool { return r.Status.Ended() && len(r.History) > 5 })
	w.expect(run, workflow.StatusFailed, "0 run.started", "0 step.failed a #1", "0 step.completed on-error #1",
		"0 run.failed", "0 run.reopened a",
		"0 step.failed a #1", "0 step.completed on-error #1", "0 run.failed")
	w.told(run)
}

func retryGivesConsumedEventsBack(w *world) {
	wf := workflow.New[input]("given-back")
	a := workflow.WaitFor(wf, "a", alpha, w.s(9))
	workflow.Step(wf, "b", w.fails("b", errBroken))
	workflow.Step(wf, "c", func(ctx context.Context, _ input) (string, error) { return a.Output(ctx), nil })
	w.begin(wf)
	w.parked("a", workflow.WaitEvent)
	w.send(alpha, "s1", "hello")
	w.ended()
	w.pass(1)
	w.retry("a")
	run := w.ended()
	w.expect(run, workflow.StatusCompleted, "0 run.started", "0 wait.started a", "0 event.received",
		"0 event.consumed a", "0 step.completed a",
		"0 step.failed b #1", "0 run.failed", "1 run.reopened a", "1 wait.started a", "1 event.consumed a", "1 step.completed a",
		"1 step.completed b #1", "1 step.completed c #1", "1 run.completed")
	w.output(run, `"hello"`)
	w.consumedBy(run, map[string]string{"s1": "a"})
	if got := w.send(alpha, "s1", "again"); !got.Duplicate {
		w.Errorf("the id of an event that was given back is free again: %+v", got)
	}
}

func retryKeepsWhatEarlierWaitsConsumed(w *world) {
	wf := workflow.New[input]("kept")
	workflow.WaitFor(wf, "a", alpha, w.s(9))
	workflow.WaitFor(wf, "b", alpha, w.s(1))
	w.begin(wf)
	w.parked("a", workflow.WaitEvent)
	w.send(alpha, "s1", "hello")
	w.ended()
	w.retry("")
	run := w.until(id, "ended again", func(r workflow.Run) bool { return r.Status.Ended() && len(r.History) > 9 })
	w.expect(run, workflow.StatusTimedOut, "0 run.started", "0 wait.started a", "0 event.received",
		"0 event.consumed a", "0 step.completed a",
		"0 wait.started b", "1 wait.timed_out b", "1 run.timed_out", "1 run.reopened b", "1 wait.started b", "2 wait.timed_out b",
		"2 run.timed_out")
}

func retryConsumesWhatCameTooLate(w *world) {
	wf := workflow.New[input]("belated")
	workflow.WaitFor(wf, "a", alpha, w.s(1))
	w.begin(wf)
	w.ended()
	w.send(alpha, "s1", "hello")
	w.retry("")
	run := w.ended()
	w.expect(run, workflow.StatusCompleted, "0 run.started", "0 wait.started a", "1 wait.timed_out a", "1 run.timed_out", "1 event.late",
		"1 run.reopened a", "1 wait.started a", "1 event.consumed a", "1 step.completed a", "1 run.completed")
	w.consumedBy(run, map[string]string{"s1": "a"})
}

func retryTakesUpACanceledRunWhichCanBeCanceledAgain(w *world) {
	wf := w.cancelable("taken-up")
	workflow.Step(wf, "a", w.does("a"))
	workflow.WaitFor(wf, "b", alpha, w.s(9))
	w.begin(wf)
	w.parked("b", workflow.WaitEvent)
	w.cancel("first")
	w.ended()
	w.retry("")
	w.parked("b", workflow.WaitEvent)
	w.cancel("second")
	run := w.ended()
	w.expect(run, workflow.StatusCanceled, "0 run.started", "0 step.completed a #1", "0 wait.started b", "0 run.cancel_requested",
		"0 step.failed b", "0 step.completed on-cancel #1", "0 run.canceled", "0 run.reopened b", "0 wait.started b", "0 run.cancel_requested",
		"0 step.failed b", "0 step.completed on-cancel #1", "0 run.canceled")
	w.failure(run, workflow.Failure{Reason: workflow.ReasonCanceled, Message: "second"})
	w.didOnly("a", "canceled: first", "canceled: second")
}

func retryOfARunCanceledInAWaitGoesOnWithThatWait(w *world) {
	wf := w.cancelable("waiting-again")
	a := workflow.WaitFor(wf, "a", alpha, w.s(9))
	workflow.Step(wf, "b", func(ctx context.Context, _ input) (string, error) { return a.Output(ctx), nil })
	w.begin(wf)
	w.parked("a", workflow.WaitEvent)
	w.cancel("stop")
	w.ended()
	w.retry("")
	w.parked("a", workflow.WaitEvent)
	w.send(alpha, "s1", "hello")
	w.output(w.ended(), `"hello"`)
}

func retryOfARunCanceledInItsLastStepRepeatsThatOneOnly(w *world) {
	g := w.gate()
	wf := workflow.New[input]("last")
	workflow.Step(wf, "a", w.does("a"))
	workflow.Step(wf, "b", w.holds("b", g, nil))
	w.begin(wf)
	g.awaitEntered()
	w.cancel("stop")
	g.release()
	w.ended()
	g.release()
	w.retry("")
	w.expect(w.ended(), workflow.StatusCompleted, "0 run.started", "0 step.completed a #1", "0 run.cancel_requested",
		"0 step.completed b #1",
		"0 run.canceled", "0 run.reopened b", "0 step.completed b #1", "0 run.completed")
}

func retryIsRefusedWhereThereIsNothingToRepeat(w *world) {
	g := w.gate()
	wf := workflow.New[input]("refusing")
	a := workflow.Step(wf, "a", w.holds("a", g, nil))
	workflow.FinishIf(wf, a, "never", func(string) bool { return false })
	workflow.Step(wf, "b", w.fails("b", errBroken))
	workflow.Step(wf, "c", w.does("c"))
	workflow.OnError(wf, w.handles)
	w.begin(wf)
	g.awaitEntered()
	ctx, r := w.Context(), w.harness.Runner
	w.errorIs("retry of an open run", r.Retry(ctx, id, ""), workflow.ErrNotEnded)
	g.release()
	w.ended()
	for _, from := range []string{"nonsense", "never", workflow.OnErrorName, "c"} {
		w.errorIs("retry from "+from, r.Retry(ctx, id, from), workflow.ErrUnknownStep)
	}
	w.retry("b")
	w.ended()
	w.errorIs("retry of a completed run", r.Retry(ctx, id, ""), workflow.ErrNotEnded)
	w.errorIs("retry of no run", r.Retry(ctx, "nobody", ""), workflow.ErrNotFound)
}

func forgetting(w *world) {
	wf := workflow.New[input]("forgetful")
	workflow.Step(wf, "a", w.fails("a", nil, errBroken))
	b := workflow.Step(wf, "b", w.does("b"))
	workflow.Step(wf, "c", w.fails("c", errBroken))
	workflow.OnError(wf, func(ctx context.Context, _ input, f workflow.Failure) error {
		_, there := b.Lookup(ctx)
		w.did(fmt.Sprintf("%s failed, b there: %t", f.Step, there))
		return nil
	})
	w.begin(wf)
	w.ended()
	w.retry("a")
	run := w.until(id, "ended again", func(r workflow.Run) bool { return r.Status.Ended() && len(r.History) > 8 })
	w.didOnly("a", "b", "c", "c failed, b there: true", "a", "a failed, b there: false")
	w.stepIs(run, "a", workflow.StatusFailed)
	w.stepIs(run, "b", workflow.StatusPending)
	w.output(run, "")
}

func callScenarios() []scenario {
	return []scenario{
		{"to start are idempotent by run id", callsToStartAreIdempotentByRunId},
		{"to start, many at once, are one run", callsToStartManyAtOnceAreOneRun},
		{"to start pick a version, which the run keeps", callsToStartPickAVersionWhichTheRunKeeps},
		{"with data that no runner takes are refused", refusing},
		{"about unknown and ended runs say so", callsAboutUnknownAndEndedRunsSaySo},
	}
}

func callsToStartAreIdempotentByRunId(w *world) {
	wf, other := workflow.New[input]("one"), workflow.New[input]("other")
	g := w.gate()
	workflow.Step(wf, "a", w.holds("a", g, nil))
	workflow.Step(other, "a", w.does("other"))
	w.begin(wf, other)
	g.awaitEntered()
	ctx, r := w.Context(), w.harness.Runner
	start := func(name, text string) error {
		return r.Start(ctx, workflow.StartRequest{Workflow: name, RunID: id, Input: raw(text)})
	}
	for _, again := range []string{`{"n":1}`, ` { "n" : 1 } `} {
		if err := start("one", again); err != nil {
			w.Errorf("the same start again, as %s: %v", again, err)
		}
	}
	w.errorIs("another input", start("one", `{"n":2}`), workflow.ErrInputDiffers)
	w.errorIs("another workflow", start("other", `{"n":1}`), workflow.ErrInputDiffers)
	g.release()
	w.ended()
	if err := start("one", `{"n":1}`); err != nil {
		w.Errorf("the same start after the end: %v", err)
	}
	w.expect(w.describe(id), workflow.StatusCompleted, "0 run.started", "0 step.completed a #1", "0 run.completed")
	w.didOnly("a")
}

func callsToStartManyAtOnceAreOneRun(w *world) {
	wf := workflow.New[input]("crowd")
	workflow.Step(wf, "a", w.does("a"))
	w.hold(wf)
	var crowd sync.WaitGroup
	for range 20 {
		crowd.Go(func() {
			if err := wf.Start(w.Context(), w.harness.Runner, id, input{1}); err != nil {
				w.Error(err)
			}
		})
	}
	crowd.Wait()
	w.ended()
	w.didOnly("a")
}

func callsToStartPickAVersionWhichTheRunKeeps(w *world) {
	var defs []workflow.Definition
	for v := 1; v <= 3; v++ {
		wf := workflow.New[input]("versioned", workflow.Version(v))
		workflow.Step(wf, "a", func(context.Context, input) (int, error) { return v, nil })
		defs = append(defs, wf)
	}
	w.hold(defs[1], defs[2], defs[0])
	for v, want := range map[int]string{0: "3", 1: "1", 2: "2"} {
		run := fmt.Sprintf("run-of-%d", v)
		if err := w.harness.Runner.Start(w.Context(),
			workflow.StartRequest{Workflow: "versioned", Version: v, RunID: run, Input: raw("{}")}); err != nil {
			w.Fatal(err)
		}
		done := w.until(run, "ended", func(r workflow.Run) bool { return r.Status.Ended() })
		if w.output(done, want); fmt.Sprint(done.Version) != want {
			w.Errorf("the run has version %d, want %s", done.Version, want)
		}
	}
	w.errorIs("an unknown version",
		w.harness.Runner.Start(w.Context(), workflow.StartRequest{Workflow: "versioned", Version: 9, RunID: "x", Input: raw("{}")}),
		workflow.ErrUnknownWorkflow)
	w.errorIs("an unknown workflow",
		w.harness.Runner.Start(w.Context(), workflow.StartRequest{Workflow: "nonsense", RunID: "x", Input: raw("{}")}),
		workflow.ErrUnknownWorkflow)
}

func callsAboutUnknownAndEndedRunsSaySo(w *world) {
	wf := workflow.New[input]("known")
	workflow.Step(wf, "a", w.does("a"))
	w.begin(wf)
	w.ended()
	ctx, r := w.Context(), w.harness.Runner
	w.errorIs("cancel of an ended run", r.Cancel(ctx, id, "why"), workflow.ErrEnded)
	w.errorIs("end by force of an ended run", r.Terminate(ctx, id, "why"), workflow.ErrEnded)
	for _, nobody := range []string{"nobody", "no\x00body", "\xff", ""} {
		_, err := r.Describe(ctx, nobody)
		w.errorIs("describe", err, workflow.ErrNotFound)
		_, err = alpha.Send(ctx, r, nobody, "s1", "hello")
		w.errorIs("signal", err, workflow.ErrNotFound)
		w.errorIs("cancel", r.Cancel(ctx, nobody, "why"), workflow.ErrNotFound)
		w.errorIs("end by force", r.Terminate(ctx, nobody, "why"), workflow.ErrNotFound)
		w.errorIs("wake", r.Wake(ctx, nobody), workflow.ErrNotFound)
		w.errorIs("retry", r.Retry(ctx, nobody, ""), workflow.ErrNotFound)
	}
}

func refusing(w *world) {
	wf := workflow.New[input]("strict")
	workflow.WaitFor(wf, "a", alpha, w.s(9))
	w.begin(wf)
	ctx, r := w.Context(), w.harness.Runner
	large := raw(`"` + strings.Repeat("x", workflow.MaxPayload) + `"`)
	start := func(runID string, in []byte) error {
		return r.Start(ctx, workflow.StartRequest{Workflow: "strict", RunID: runID, Input: in})
	}
	w.errorIs("a large input", start("large", large), workflow.ErrTooLarge)
	for what, err := range map[string]error{"no run id": start("", raw("{}")), "a long run id": start(strings.Repeat("x", 201), raw("{}")),
		"no input": start("x", nil), "an input that is not JSON": start("x", raw("{"))} {
		if err == nil {
			w.Errorf("a start with %s was taken", what)
		}
	}
	signal := func(signalID, event string, payload []byte) error {
		_, err := r.Signal(ctx, id, workflow.Signal{ID: signalID, Event: event, Payload: payload})
		return err
	}
	w.errorIs("a large payload", signal("s1", "alpha", large), workflow.ErrTooLarge)
	for what, err := range map[string]error{"no id": signal("", "alpha", raw("{}")), "no event": signal("s1", "", raw("{}")),
		"no payload": signal("s1", "alpha", nil), "a payload that is not JSON": signal("s1", "alpha", raw("{"))} {
		if err == nil {
			w.Errorf("a signal with %s was taken", what)
		}
	}
	w.expect(w.parked("a", workflow.WaitEvent), workflow.StatusWaiting, "0 run.started", "0 wait.started a")
}
