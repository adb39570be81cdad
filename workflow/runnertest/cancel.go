package runnertest

import (
	"context"
	"errors"
	"time"

	"github.com/liwanag/liwanag/workflow"
)

func cancelScenarios() []scenario {
	return []scenario{
		{"lets a running step end, and no other begin", cancelLetsARunningStepEndAndNoOtherBegin},
		{"is seen after the last step", cancelIsSeenAfterTheLastStep},
		{"is seen before an early finish", cancelIsSeenBeforeAnEarlyFinish},
		{"came before the failure of the step it waited for", cancelCameBeforeTheFailureOfTheStepItWaitedFor},
		{"ends a wait", cancelEndsAWait},
		{"ends a sleep", cancelEndsASleep},
		{"ends a back-off", cancelEndsABackOff},
		{"ends a snooze", cancelEndsASnooze},
		{"wins over an event of the same turn", cancelWinsOverAnEventOfTheSameTurn},
		{"wins over an event that came before the step it waited for", cancelWinsOverAnEventThatCameBeforeTheStepItWaitedFor},
		{"during an attempt that would be tried again leaves the handler its own attempts", cancelDuringAnAttemptThatWouldBeTriedAgainLeavesTheHandlerItsOwnAttempts},
		{"changes nothing while a time-out is handled", cancelChangesNothingWhileATimeOutIsHandled},
		{"wins over a look that finds nothing, and over the deadline", cancelWinsOverALookThatFindsNothingAndOverTheDeadline},
		{"lets a look that finds its answer end", cancelLetsALookThatFindsItsAnswerEnd},
		{"changes nothing once a failure is handled", cancelChangesNothingOnceAFailureIsHandled},
		{"changes nothing while a handler backs off", cancelChangesNothingWhileAHandlerBacksOff},
		{"changes nothing once a time-out is handled", cancelChangesNothingOnceATimeOutIsHandled},
		{"changes nothing once a predicate's panic is handled", cancelChangesNothingOnceAPredicatesPanicIsHandled},
		{"twice is once", cancelTwiceIsOnce},
		{"has a handler with retries that hides nothing", cancelHasAHandlerWithRetriesThatHidesNothing},
		{"by force ends a run at once", cancelByForceEndsARunAtOnce},
		{"by force forgets what a running step returns", cancelByForceForgetsWhatARunningStepReturns},
	}
}

func cancelLetsARunningStepEndAndNoOtherBegin(w *world) {
	g := w.gate()
	wf := w.cancelable("in-step")
	workflow.Step(wf, "a", w.holds("a", g, nil))
	workflow.Step(wf, "b", w.does("b"))
	w.begin(wf)
	g.awaitEntered()
	w.cancel("changed my mind")
	w.pass(1)
	if run := w.describe(id); run.Status.Ended() || !run.CancelRequested {
		w.Errorf("while the step runs the run is %s, cancel requested: %t", run.Status, run.CancelRequested)
	}
	g.release()
	run := w.ended()
	w.expect(run, workflow.StatusCanceled, "0 run.started", "0 run.cancel_requested", "1 step.completed a #1",
		"1 step.completed on-cancel #1", "1 run.canceled")
	w.failure(run, workflow.Failure{Reason: workflow.ReasonCanceled, Message: "changed my mind"})
	w.didOnly("a", "canceled: changed my mind")
}

func cancelIsSeenAfterTheLastStep(w *world) {
	g := w.gate()
	wf := w.cancelable("in-last-step")
	workflow.Step(wf, "a", w.holds("a", g, nil))
	w.begin(wf)
	g.awaitEntered()
	w.cancel("too late?")
	g.release()
	run := w.ended()
	w.expect(run, workflow.StatusCanceled, "0 run.started", "0 run.cancel_requested", "0 step.completed a #1",
		"0 step.completed on-cancel #1", "0 run.canceled")
	w.output(run, `"a"`)
}

func cancelIsSeenBeforeAnEarlyFinish(w *world) {
	g := w.gate()
	wf := w.cancelable("before-finish")
	a := workflow.Step(wf, "a", w.holds("a", g, nil))
	workflow.FinishIf(wf, a, "enough", func(string) bool { return true })
	w.begin(wf)
	g.awaitEntered()
	w.cancel("stop")
	g.release()
	w.expect(w.ended(), workflow.StatusCanceled, "0 run.started", "0 run.cancel_requested", "0 step.completed a #1",
		"0 step.completed on-cancel #1", "0 run.canceled")
}

func cancelCameBeforeTheFailureOfTheStepItWaitedFor(w *world) {
	g := w.gate()
	wf := w.cancelable("failing")
	workflow.Step(wf, "a", w.holds("a", g, errBroken))
	workflow.OnError(wf, w.handles)
	w.begin(wf)
	g.awaitEntered()
	w.cancel("stop")
	g.release()
	w.expect(w.ended(), workflow.StatusCanceled, "0 run.started", "0 run.cancel_requested", "0 step.failed a #1",
		"0 step.completed on-cancel #1", "0 run.canceled")
}

func cancelEndsAWait(w *world) {
	wf := w.cancelable("in-wait")
	workflow.WaitFor(wf, "a", alpha, w.s(9))
	w.cancelsAt(wf, "a", workflow.WaitEvent, "0 wait.started a")
}

func cancelEndsASleep(w *world) {
	wf := w.cancelable("in-sleep")
	workflow.Sleep(wf, "a", w.s(9))
	w.cancelsAt(wf, "a", workflow.WaitSleep, "0 wait.started a")
}

func cancelEndsABackOff(w *world) {
	wf := w.cancelable("in-back-off")
	workflow.Step(wf, "a", func(context.Context, input) (string, error) { return "", errBroken },
		workflow.Retry{MaxAttempts: 9, InitialDelay: w.s(9)})
	w.cancelsAt(wf, "a", workflow.WaitRetry, "0 step.retrying a #1")
}

func cancelEndsASnooze(w *world) {
	wf := w.cancelable("in-snooze")
	workflow.Step(wf, "a", func(context.Context, input) (string, error) { return "", workflow.Snooze(w.s(9)) })
	w.cancelsAt(wf, "a", workflow.WaitSnooze, "0 step.snoozed a #1")
}

func cancelWinsOverAnEventOfTheSameTurn(w *world) {
	g := w.gate()
	wf := w.cancelable("both")
	workflow.Step(wf, "a", w.holds("a", g, nil))
	workflow.WaitFor(wf, "b", alpha, w.s(9))
	w.begin(wf)
	g.awaitEntered()
	w.send(alpha, "s1", "hello")
	w.cancel("stop")
	g.release()
	run := w.ended()
	w.canceledWithin(run, 0, "a")
	w.consumedBy(run, map[string]string{"s1": "late"})
}

func cancelWinsOverAnEventThatCameBeforeTheStepItWaitedFor(w *world) {
	g := w.gate()
	wf := w.cancelable("known-event")
	workflow.Step(wf, "first", w.does("first"))
	workflow.WaitFor(wf, "wait", beta, w.s(9))
	workflow.Step(wf, "a", w.holds("a", g, nil))
	workflow.WaitFor(wf, "b", alpha, w.s(9))
	w.begin(wf)
	w.parked("wait", workflow.WaitEvent)
	w.send(alpha, "s1", "hello")
	w.send(beta, "s2", "go on")
	g.awaitEntered()
	w.cancel("stop")
	g.release()
	run := w.ended()
	if run.Status != workflow.StatusCanceled {
		w.Errorf("the run is %s, want canceled", run.Status)
	}
	w.consumedBy(run, map[string]string{"s1": "late", "s2": "wait"})
}

func cancelDuringAnAttemptThatWouldBeTriedAgainLeavesTheHandlerItsOwnAttempts(w *world) {
	g := w.gate()
	wf := w.cancelable("between-attempts")
	workflow.Step(wf, "a", w.holds("a", g, errBroken), workflow.Retry{MaxAttempts: 9, InitialDelay: w.s(9)})
	w.begin(wf)
	g.awaitEntered()
	w.cancel("stop")
	g.release()
	run := w.ended()
	w.expect(run, workflow.StatusCanceled, "0 run.started", "0 run.cancel_requested", "0 step.retrying a #1",
		"0 step.completed on-cancel #1", "0 run.canceled")
	w.stepIs(run, "a", workflow.StatusCanceled)
}

func cancelChangesNothingWhileATimeOutIsHandled(w *world) {
	g := w.gate()
	wf := w.cancelable("handled-time-out")
	workflow.WaitFor(wf, "a", alpha, w.s(1))
	workflow.OnError(wf, func(context.Context, input, workflow.Failure) error { g.pass(); return nil })
	w.begin(wf)
	g.awaitEntered()
	w.send(alpha, "s1", "too late")
	w.cancel("stop")
	g.release()
	w.expect(w.ended(), workflow.StatusTimedOut, "0 run.started", "0 wait.started a", "1 wait.timed_out a",
		"1 event.received", "1 run.cancel_requested",
		"1 step.completed on-error #1", "1 run.timed_out")
}

func cancelWinsOverALookThatFindsNothingAndOverTheDeadline(w *world) {
	g := w.gate()
	wf := w.cancelable("in-look")
	workflow.WaitFor(wf, "a", alpha, w.s(2), workflow.Reconcile(workflow.Schedule{Offsets: durations(w, 1)},
		func(context.Context, input) (string, bool, error) {
			g.pass()
			return "", false, nil
		}))
	w.begin(wf)
	g.awaitEntered()
	w.cancel("stop")
	w.pass(2)
	g.release()
	w.canceledWithin(w.ended(), 3, "")
}

func cancelLetsALookThatFindsItsAnswerEnd(w *world) {
	g := w.gate()
	wf := w.cancelable("found")
	workflow.WaitFor(wf, "a", alpha, w.s(9), workflow.Reconcile(workflow.Schedule{Offsets: durations(w, 1)},
		func(context.Context, input) (string, bool, error) {
			g.pass()
			return "found", true, nil
		}))
	w.begin(wf)
	g.awaitEntered()
	w.cancel("stop")
	g.release()
	run := w.ended()
	w.expect(run, workflow.StatusCanceled, "0 run.started", "0 wait.started a", "1 run.cancel_requested",
		"1 reconcile.checked a", "1 step.completed a",
		"1 step.completed on-cancel #1", "1 run.canceled")
	w.output(run, `"found"`)
}

func cancelChangesNothingOnceAFailureIsHandled(w *world) {
	g := w.gate()
	wf := w.cancelable("handled")
	workflow.Step(wf, "a", w.fails("a", errBroken))
	workflow.OnError(wf, func(context.Context, input, workflow.Failure) error { g.pass(); return nil })
	w.begin(wf)
	g.awaitEntered()
	w.cancel("stop")
	g.release()
	run := w.ended()
	w.expect(run, workflow.StatusFailed, "0 run.started", "0 step.failed a #1", "0 run.cancel_requested",
		"0 step.completed on-error #1", "0 run.failed")
	w.failure(run, workflow.Failure{Step: "a", Reason: workflow.ReasonError, Message: "broken", Attempts: 1})
}

func cancelChangesNothingWhileAHandlerBacksOff(w *world) {
	wf := w.cancelable("backing-off")
	workflow.Step(wf, "a", w.fails("a", errBroken))
	w.cancelsInHandler(wf, "0", workflow.StatusFailed, "0 step.failed a #1")
}

func cancelChangesNothingOnceATimeOutIsHandled(w *world) {
	wf := w.cancelable("late-cancel", workflow.RunTimeout(w.s(1)))
	workflow.Sleep(wf, "a", w.s(9))
	w.cancelsInHandler(wf, "1", workflow.StatusTimedOut, "0 wait.started a", "1 wait.timed_out a")
}

func cancelChangesNothingOnceAPredicatesPanicIsHandled(w *world) {
	wf := w.cancelable("late-cancel")
	a := workflow.Step(wf, "a", w.does("a"))
	workflow.Step(wf, "b", w.does("b"), workflow.If(a, "broken", func(string) bool { panic("oh no") }))
	w.cancelsInHandler(wf, "0", workflow.StatusFailed, "0 step.completed a #1", "0 step.failed b")
}

func cancelTwiceIsOnce(w *world) {
	g := w.gate()
	wf := w.cancelable("twice")
	workflow.Step(wf, "a", w.holds("a", g, nil))
	w.begin(wf)
	g.awaitEntered()
	w.cancel("first")
	w.cancel("second")
	g.release()
	run := w.ended()
	w.expect(run, workflow.StatusCanceled, "0 run.started", "0 run.cancel_requested", "0 step.completed a #1",
		"0 step.completed on-cancel #1", "0 run.canceled")
	w.failure(run, workflow.Failure{Reason: workflow.ReasonCanceled, Message: "first"})
}

func cancelHasAHandlerWithRetriesThatHidesNothing(w *world) {
	wf := workflow.New[input]("helpless")
	workflow.WaitFor(wf, "a", alpha, w.s(9))
	workflow.OnCancel(wf, func(context.Context, input, string) error { return errors.New("cannot undo") },
		workflow.Retry{MaxAttempts: 2, InitialDelay: w.s(1)})
	w.begin(wf)
	w.parked("a", workflow.WaitEvent)
	w.cancel("stop")
	run := w.ended()
	w.expect(run, workflow.StatusCanceled, "0 run.started", "0 wait.started a", "0 run.cancel_requested",
		"0 step.failed a", "0 step.retrying on-cancel #1", "1 step.failed on-cancel #2", "1 run.canceled")
	w.failure(run, workflow.Failure{Reason: workflow.ReasonCanceled, Message: "stop"})
}

func cancelByForceEndsARunAtOnce(w *world) {
	wf := w.cancelable("forced")
	workflow.WaitFor(wf, "a", alpha, w.s(9))
	w.begin(wf)
	w.parked("a", workflow.WaitEvent)
	if err := w.harness.Runner.Terminate(w.Context(), id, "gone"); err != nil {
		w.Fatal(err)
	}
	run := w.describe(id)
	w.expect(run, workflow.StatusCanceled, "0 run.started", "0 wait.started a", "0 run.canceled")
	w.failure(run, workflow.Failure{Reason: workflow.ReasonCanceled, Message: "gone"})
	w.errorIs("a second time", w.harness.Runner.Terminate(w.Context(), id, "gone"), workflow.ErrEnded)
	w.didOnly()
}

func cancelByForceForgetsWhatARunningStepReturns(w *world) {
	g := w.gate()
	wf := w.cancelable("forced-in-step")
	workflow.Step(wf, "a", w.holds("a", g, nil))
	workflow.Step(wf, "b", w.does("b"))
	w.begin(wf)
	g.awaitEntered()
	if err := w.harness.Runner.Terminate(w.Context(), id, "gone"); err != nil {
		w.Fatal(err)
	}
	g.release()
	w.pass(1)
	w.expect(w.describe(id), workflow.StatusCanceled, "0 run.started", "0 run.canceled")
	w.didOnly("a")
}

// cancelable begins a definition whose cancel handler notes the reason.
func (w *world) cancelable(name string, opts ...workflow.Option) *workflow.Workflow[input] {
	wf := workflow.New[input](name, opts...)
	workflow.OnCancel(wf, func(_ context.Context, _ input, reason string) error {
		w.did("canceled: " + reason)
		return nil
	})
	return wf
}

// cancelsAt cancels a run two seconds into a pause at a step.
func (w *world) cancelsAt(wf *workflow.Workflow[input], step string, kind workflow.WaitKind, before string) {
	w.Helper()
	w.begin(wf)
	w.parked(step, kind)
	w.pass(2)
	w.cancel("stop")
	run := w.ended()
	want := []string{"0 run.started", before, "2 run.cancel_requested"}
	if kind == workflow.WaitEvent || kind == workflow.WaitSleep { // it had begun, so it ends
		want = append(want, "2 step.failed "+step)
	}
	w.expect(run, workflow.StatusCanceled, append(want, "2 step.completed on-cancel #1", "2 run.canceled")...)
	if kind == workflow.WaitEvent {
		w.stepIs(run, step, workflow.StatusCanceled)
	}
	w.failure(run, workflow.Failure{Reason: workflow.ReasonCanceled, Message: "stop"})
	w.didOnly("canceled: stop")
}

// cancelsInHandler cancels a run while its error handler backs off.
func (w *world) cancelsInHandler(wf *workflow.Workflow[input], at string, status workflow.Status, before ...string) {
	w.Helper()
	workflow.OnError(wf, func(ctx context.Context, _ input, _ workflow.Failure) error {
		if workflow.InfoFrom(ctx).Attempt == 1 {
			return errBroken
		}
		return nil
	}, workflow.Retry{MaxAttempts: 2, InitialDelay: w.s(5)})
	w.begin(wf)
	w.parked(workflow.OnErrorName, workflow.WaitRetry)
	w.cancel("stop")
	done := map[string]string{"0": "5", "1": "6"}[at]
	ending := map[workflow.Status]string{workflow.StatusFailed: " run.failed", workflow.StatusTimedOut: " run.timed_out"}[status]
	want := append([]string{"0 run.started"}, before...)
	w.expect(w.ended(), status, append(want, at+" step.retrying on-error #1", at+" run.cancel_requested",
		done+" step.completed on-error #2", done+ending)...)
}

// canceledWithin says that a run was canceled, at a time, and that no step but
// one completed. Whether a wait began before the cancel was seen is the runner's.
func (w *world) canceledWithin(run workflow.Run, seconds float64, completed string) {
	w.Helper()
	if run.Status != workflow.StatusCanceled {
		w.Errorf("the run is %s, want canceled", run.Status)
	}
	if took := run.EndedAt.Sub(run.CreatedAt); w.virtual() && took.Round(time.Millisecond) != w.s(seconds) {
		w.Errorf("the run ended after %s, want %s", took, w.s(seconds))
	}
	for _, item := range run.History {
		done := item.Type == workflow.HistoryStepCompleted && item.Step != workflow.OnCancelName && item.Step != completed
		if done || item.Type == workflow.HistoryWaitTimedOut || item.Type == workflow.HistoryEventConsumed {
			w.Errorf("after the cancel there is a %s of %s", item.Type, item.Step)
		}
	}
}

// slow takes five seconds.
func (w *world) slow(context.Context, input) (string, error) { w.pass(5); return "slow", nil }

func runTimeoutScenarios() []scenario {
	return []scenario{
		{"lets a running step end", runTimeoutLetsARunningStepEnd},
		{"does not matter after the last step", runTimeoutDoesNotMatterAfterTheLastStep},
		{"ends a wait", runTimeoutEndsAWait},
		{"ends a wait that may continue on time-out", runTimeoutEndsAWaitThatMayContinueOnTimeOut},
		{"ends a sleep", runTimeoutEndsASleep},
		{"ends a back-off", runTimeoutEndsABackOff},
		{"ends a snooze", runTimeoutEndsASnooze},
		{"does not stop a handler", runTimeoutDoesNotStopAHandler},
		{"counts anew when the run is reopened", runTimeoutCountsAnewWhenTheRunIsReopened},
	}
}

func runTimeoutLetsARunningStepEnd(w *world) {
	wf := w.limited("slow-step")
	workflow.Step(wf, "a", w.slow)
	workflow.Step(wf, "b", w.does("b"))
	w.timesOut(wf, "5", "5 step.completed a #1", "5 step.failed b")
	w.didOnly()
}

func runTimeoutDoesNotMatterAfterTheLastStep(w *world) {
	wf := w.limited("slow-last-step")
	workflow.Step(wf, "a", w.slow)
	w.begin(wf)
	w.expect(w.ended(), workflow.StatusCompleted, "0 run.started", "5 step.completed a #1", "5 run.completed")
}

func runTimeoutEndsAWait(w *world) {
	wf := w.limited("wait")
	workflow.WaitFor(wf, "a", alpha, w.s(9))
	w.timesOut(wf, "3", "0 wait.started a", "3 wait.timed_out a")
}

func runTimeoutEndsAWaitThatMayContinueOnTimeOut(w *world) {
	wf := w.limited("lenient-wait")
	workflow.WaitFor(wf, "a", alpha, w.s(9), workflow.ContinueOnTimeout)
	w.timesOut(wf, "3", "0 wait.started a", "3 wait.timed_out a")
}

func runTimeoutEndsASleep(w *world) {
	wf := w.limited("sleep")
	workflow.Sleep(wf, "a", w.s(9))
	w.timesOut(wf, "3", "0 wait.started a", "3 wait.timed_out a")
}

func runTimeoutEndsABackOff(w *world) {
	wf := w.limited("back-off")
	workflow.Step(wf, "a", w.fails("a", times(9, errBroken)...), workflow.Retry{MaxAttempts: 9, InitialDelay: w.s(9)})
	w.timesOut(wf, "3", "0 step.retrying a #1", "3 step.failed a")
}

func runTimeoutEndsASnooze(w *world) {
	wf := w.limited("snooze")
	workflow.Step(wf, "a", w.fails("a", workflow.Snooze(w.s(9))))
	w.timesOut(wf, "3", "0 step.snoozed a #1", "3 step.failed a")
}

func runTimeoutDoesNotStopAHandler(w *world) {
	wf := workflow.New[input]("handler", workflow.RunTimeout(w.s(3)))
	workflow.Step(wf, "a", w.fails("a", times(9, errBroken)...))
	workflow.OnError(wf, func(ctx context.Context, _ input, _ workflow.Failure) error {
		if workflow.InfoFrom(ctx).Attempt < 3 {
			return errBroken
		}
		return nil
	}, workflow.Retry{MaxAttempts: 3, InitialDelay: w.s(2)})
	w.begin(wf)
	run := w.ended()
	w.expect(run, workflow.StatusFailed, "0 run.started", "0 step.failed a #1", "0 step.retrying on-error #1", "2 step.retrying on-error #2",
		"6 step.completed on-error #3", "6 run.failed")
	w.failure(run, workflow.Failure{Step: "a", Reason: workflow.ReasonError, Message: "broken", Attempts: 1})
}

func runTimeoutCountsAnewWhenTheRunIsReopened(w *world) {
	wf := w.limited("anew")
	workflow.WaitFor(wf, "a", alpha, w.s(9))
	w.begin(wf)
	w.ended()
	w.retry("")
	w.pass(1)
	w.send(alpha, "s1", "hello")
	w.expect(w.ended(), workflow.StatusCompleted, "0 run.started", "0 wait.started a", "3 wait.timed_out a",
		"3 step.completed on-error #1", "3 run.timed_out",
		"3 run.reopened a", "3 wait.started a", "4 event.received", "4 event.consumed a", "4 step.completed a", "4 run.completed")
}

// limited begins a definition whose runs may take three seconds.
func (w *world) limited(name string) *workflow.Workflow[input] {
	wf := workflow.New[input](name, workflow.RunTimeout(w.s(3)))
	workflow.OnError(wf, w.handles)
	return wf
}

func (w *world) timesOut(wf *workflow.Workflow[input], at string, before ...string) {
	w.Helper()
	w.begin(wf)
	run := w.ended()
	want := append([]string{"0 run.started"}, before...)
	w.expect(run, workflow.StatusTimedOut, append(want, at+" step.completed on-error #1", at+" run.timed_out")...)
	w.failure(run, workflow.Failure{Reason: workflow.ReasonTimeout, Code: workflow.CodeRunTimeout, Message: "the run took longer than"})
	w.told(run)
}
