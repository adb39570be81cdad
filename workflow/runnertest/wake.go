package runnertest

import (
	"context"

	"github.com/liwanag/liwanag/workflow"
)

func (w *world) wake() {
	w.Helper()
	if err := w.harness.Runner.Wake(w.Context(), id); err != nil {
		w.Fatalf("wake: %v", err)
	}
}

// wakesAt begins a run and wakes it two seconds after it has paused.
func (w *world) wakesAt(wf *workflow.Workflow[input], step string, kind workflow.WaitKind) {
	w.Helper()
	w.begin(wf)
	w.parked(step, kind)
	w.pass(2)
	w.wake()
}

func wakeScenarios() []scenario {
	return []scenario{
		{"ends a snooze", wakeEndsASnooze},
		{"ends a back-off, and the next one lasts as ever", wakeEndsABackOffAndTheNextOneLastsAsEver},
		{"ends the back-off of a handler", wakeEndsTheBackOffOfAHandler},
		{"lets a wait look now, and its schedule go on", wakeLetsAWaitLookNowAndItsScheduleGoOn},
		{"lets a wait look that would look at its deadline only", wakeLetsAWaitLookThatWouldLookAtItsDeadlineOnly},
		{"ends the back-off of a last look", wakeEndsTheBackOffOfALastLook},
		{"changes nothing in a sleep", wakeChangesNothingInASleep},
		{"changes nothing in a wait that does not look", wakeChangesNothingInAWaitThatDoesNotLook},
		{"while a step runs ends the pause that this attempt asks for, once however often it came", wakeWhileAStepRunsEndsThePauseThatThisAttemptAsksForOnceHoweverOftenItCame},
		{"while a step runs does not hurry the wait after it", wakeWhileAStepRunsDoesNotHurryTheWaitAfterIt},
		{"keeps the run's deadline", wakeKeepsTheRunsDeadline},
		{"is refused of unknown and ended runs", wakeIsRefusedOfUnknownAndEndedRuns},
	}
}

func wakeEndsASnooze(w *world) {
	wf := workflow.New[input]("snoozing")
	workflow.Step(wf, "a", w.fails("a", workflow.Snooze(w.s(90)), workflow.Snooze(w.s(3))))
	w.wakesAt(wf, "a", workflow.WaitSnooze)
	w.expect(w.ended(), workflow.StatusCompleted, "0 run.started", "0 step.snoozed a #1", "2 step.snoozed a #1",
		"5 step.completed a #1", "5 run.completed")
}

func wakeEndsABackOffAndTheNextOneLastsAsEver(w *world) {
	wf := workflow.New[input]("backing-off")
	workflow.Step(wf, "a", w.fails("a", workflow.RetryAfter(errBroken, w.s(90)), errBroken),
		workflow.Retry{MaxAttempts: 3, InitialDelay: w.s(2)})
	w.wakesAt(wf, "a", workflow.WaitRetry)
	w.expect(w.ended(), workflow.StatusCompleted, "0 run.started", "0 step.retrying a #1", "2 step.retrying a #2",
		"6 step.completed a #3", "6 run.completed")
}

func wakeEndsTheBackOffOfAHandler(w *world) {
	wf := workflow.New[input]("compensating")
	workflow.Step(wf, "a", w.fails("a", errBroken))
	failed := false
	workflow.OnError(wf, func(context.Context, input, workflow.Failure) error {
		if failed {
			return nil
		}
		failed = true
		return errBroken
	}, workflow.Retry{MaxAttempts: 2, InitialDelay: w.s(90)})
	w.wakesAt(wf, workflow.OnErrorName, workflow.WaitRetry)
	w.expect(w.ended(), workflow.StatusFailed, "0 run.started", "0 step.failed a #1", "0 step.retrying on-error #1",
		"2 step.completed on-error #2", "2 run.failed")
}

func wakeLetsAWaitLookNowAndItsScheduleGoOn(w *world) {
	wf := workflow.New[input]("looking")
	workflow.WaitFor(wf, "a", alpha, w.s(60), workflow.Reconcile(workflow.Schedule{Offsets: durations(w, 6)}, w.looks(nil, nil, errFound)))
	w.wakesAt(wf, "a", workflow.WaitEvent)
	w.expect(w.ended(), workflow.StatusCompleted, "0 run.started", "0 wait.started a", "2 reconcile.checked a", "6 reconcile.checked a",
		"12 reconcile.checked a", "12 step.completed a", "12 run.completed")
}

func wakeLetsAWaitLookThatWouldLookAtItsDeadlineOnly(w *world) {
	wf := workflow.New[input]("last-look")
	workflow.WaitFor(wf, "a", alpha, w.s(6), workflow.Reconcile(workflow.Schedule{}, w.looks(errBroken, errFound)))
	w.wakesAt(wf, "a", workflow.WaitEvent)
	w.expect(w.ended(), workflow.StatusCompleted, "0 run.started", "0 wait.started a", "2 reconcile.checked a", "6 reconcile.checked a",
		"6 step.completed a", "6 run.completed")
}

func wakeEndsTheBackOffOfALastLook(w *world) {
	wf := workflow.New[input]("persistent")
	workflow.WaitFor(wf, "a", alpha, w.s(2), workflow.Reconcile(workflow.Schedule{}, w.looks(errBroken, errBroken),
		workflow.Retry{MaxAttempts: 2, InitialDelay: w.s(90)}))
	w.begin(wf)
	w.pass(1)
	w.until(id, "trying again", func(r workflow.Run) bool { return len(r.History) == 3 && r.Status == workflow.StatusWaiting })
	w.pass(2)
	w.wake()
	w.expect(w.ended(), workflow.StatusTimedOut, "0 run.started", "0 wait.started a", "2 step.retrying a", "4 reconcile.checked a",
		"4 wait.timed_out a", "4 run.timed_out")
}

func wakeChangesNothingInASleep(w *world) {
	wf := workflow.New[input]("sleeping")
	workflow.Sleep(wf, "a", w.s(5))
	workflow.Step(wf, "b", w.fails("b", workflow.Snooze(w.s(3))))
	w.wakesAt(wf, "a", workflow.WaitSleep)
	w.expect(w.ended(), workflow.StatusCompleted, "0 run.started", "0 wait.started a", "5 step.completed a", "5 step.snoozed b #1",
		"8 step.completed b #1", "8 run.completed")
}

func wakeChangesNothingInAWaitThatDoesNotLook(w *world) {
	wf := workflow.New[input]("waiting")
	workflow.WaitForAll(wf, "a", w.s(8), []workflow.AnyEvent{alpha, beta})
	w.wakesAt(wf, "a", workflow.WaitEvent)
	w.send(alpha, "s1", "hello")
	w.pass(3)
	w.parked("a", workflow.WaitEvent)
	w.send(beta, "s2", "hello")
	w.expect(w.ended(), workflow.StatusCompleted, "0 run.started", "0 wait.started a", "2 event.received", "5 event.received",
		"5 event.consumed a", "5 event.consumed a", "5 step.completed a", "5 run.completed")
}

func wakeWhileAStepRunsEndsThePauseThatThisAttemptAsksForOnceHoweverOftenItCame(w *world) {
	g := w.gate()
	snoozes := w.fails("a", workflow.Snooze(w.s(90)), workflow.Snooze(w.s(3)))
	wf := workflow.New[input]("concurrent")
	workflow.Step(wf, "a", func(ctx context.Context, in input) (string, error) {
		g.pass()
		return snoozes(ctx, in)
	})
	w.begin(wf)
	g.awaitEntered()
	w.wake()
	w.wake()
	g.release()
	g.release()
	g.release()
	w.expect(w.ended(), workflow.StatusCompleted, "0 run.started", "0 step.snoozed a #1", "0 step.snoozed a #1",
		"3 step.completed a #1", "3 run.completed")
}

func wakeWhileAStepRunsDoesNotHurryTheWaitAfterIt(w *world) {
	g := w.gate()
	wf := workflow.New[input]("unhurried")
	workflow.Step(wf, "a", w.holds("a", g, nil))
	workflow.WaitFor(wf, "b", alpha, w.s(60), workflow.Reconcile(workflow.Schedule{Offsets: durations(w, 4)}, w.looks(errFound)))
	w.begin(wf)
	g.awaitEntered()
	w.wake()
	g.release()
	w.expect(w.ended(), workflow.StatusCompleted, "0 run.started", "0 step.completed a #1", "0 wait.started b", "4 reconcile.checked b",
		"4 step.completed b", "4 run.completed")
}

func wakeKeepsTheRunsDeadline(w *world) {
	wf := workflow.New[input]("limited", workflow.RunTimeout(w.s(5)))
	workflow.Step(wf, "a", w.fails("a", workflow.Snooze(w.s(90)), workflow.Snooze(w.s(90))))
	w.wakesAt(wf, "a", workflow.WaitSnooze)
	w.expect(w.ended(), workflow.StatusTimedOut, "0 run.started", "0 step.snoozed a #1", "2 step.snoozed a #1",
		"5 step.failed a", "5 run.timed_out")
}

func wakeIsRefusedOfUnknownAndEndedRuns(w *world) {
	wf := workflow.New[input]("over")
	workflow.Step(wf, "a", w.does("a"))
	w.begin(wf)
	before := w.ended()
	w.errorIs("wake of an ended run", w.harness.Runner.Wake(w.Context(), id), workflow.ErrEnded)
	w.errorIs("wake of an unknown run", w.harness.Runner.Wake(w.Context(), "nobody"), workflow.ErrNotFound)
	if after := w.describe(id); len(after.History) != len(before.History) {
		w.Errorf("the wake is in the history: %v", w.lines(after))
	}
}
