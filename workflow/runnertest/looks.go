package runnertest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/liwanag/liwanag/workflow"
)

func reconcileScenarios() []scenario {
	return []scenario{
		{"looks on its schedule until the answer is there", looksLooksOnItsScheduleUntilTheAnswerIsThere},
		{"looks once more at the deadline", looksLooksOnceMoreAtTheDeadline},
		{"times out when nothing is found", looksTimesOutWhenNothingIsFound},
		{"waits for the next look after an error", looksWaitsForTheNextLookAfterAnError},
		{"fails with an error that no look will mend", looksFailsWithAnErrorThatNoLookWillMend},
		{"fails with such an error at the deadline", looksFailsWithSuchAnErrorAtTheDeadline},
		{"takes an event that comes during such a look", looksTakesAnEventThatComesDuringSuchALook},
		{"fails when what it finds cannot be encoded", looksFailsWhenWhatItFindsCannotBeEncoded},
		{"tries an error again at the deadline", looksTriesAnErrorAgainAtTheDeadline},
		{"times out after the last error", looksTimesOutAfterTheLastError},
		{"takes an event that comes between two tries at the deadline", looksTakesAnEventThatComesBetweenTwoTriesAtTheDeadline},
		{"takes an event that comes during a look", eventDuring(1, "2 event.received", "3 reconcile.checked a", "3 event.consumed a", "3 step.completed a", "3 run.completed")},
		{"takes an event that comes during the last look, although the deadline has passed",
			eventDuring(9, "10 event.received", "11 reconcile.checked a", "11 event.consumed a", "11 step.completed a", "11 run.completed")},
		{"follows a schedule that depends on an output", looksFollowsAScheduleThatDependsOnAnOutput},
		{"sees outputs, and survives a panic", looksSeesOutputsAndSurvivesAPanic},
	}
}

func looksLooksOnItsScheduleUntilTheAnswerIsThere(w *world) {
	wf := workflow.New[input]("looking")
	a := workflow.WaitFor(wf, "a", alpha, w.s(60), workflow.Reconcile(
		workflow.Schedule{Offsets: durations(w, 1, 2, 3)}, w.looks(nil, nil, nil, errFound)))
	workflow.Step(wf, "b", func(ctx context.Context, _ input) (string, error) { return a.Output(ctx), nil })
	w.begin(wf)
	run := w.ended()
	w.expect(run, workflow.StatusCompleted, "0 run.started", "0 wait.started a", "1 reconcile.checked a", "2 reconcile.checked a",
		"5 reconcile.checked a", "8 reconcile.checked a", "8 step.completed a", "8 step.completed b #1", "8 run.completed")
	w.output(run, `"found"`)
}

func looksLooksOnceMoreAtTheDeadline(w *world) {
	wf := workflow.New[input]("last-look")
	workflow.WaitFor(wf, "a", alpha, w.s(5), workflow.Reconcile(workflow.Schedule{}, w.looks(errFound)))
	w.begin(wf)
	w.expect(w.ended(), workflow.StatusCompleted, "0 run.started", "0 wait.started a", "5 reconcile.checked a",
		"5 step.completed a", "5 run.completed")
}

func looksTimesOutWhenNothingIsFound(w *world) {
	wf := workflow.New[input]("in-vain")
	workflow.WaitFor(wf, "a", alpha, w.s(5), workflow.Reconcile(workflow.Schedule{Offsets: durations(w, 3)}, w.looks()))
	w.begin(wf)
	run := w.ended()
	w.expect(run, workflow.StatusTimedOut, "0 run.started", "0 wait.started a", "3 reconcile.checked a",
		"5 reconcile.checked a", "5 wait.timed_out a", "5 run.timed_out")
	w.didOnly("look", "look")
}

func looksWaitsForTheNextLookAfterAnError(w *world) {
	wf := workflow.New[input]("undeterred")
	workflow.WaitFor(wf, "a", alpha, w.s(9), workflow.Reconcile(workflow.Schedule{Offsets: durations(w, 2)},
		w.looks(errBroken, errBroken, errFound), workflow.Retry{MaxAttempts: 2, InitialDelay: w.s(0.5)}))
	w.begin(wf)
	w.expect(w.ended(), workflow.StatusCompleted, "0 run.started", "0 wait.started a", "2 reconcile.checked a", "4 reconcile.checked a",
		"6 reconcile.checked a", "6 step.completed a", "6 run.completed")
}

func looksFailsWithAnErrorThatNoLookWillMend(w *world) {
	wf := workflow.New[input]("refused")
	workflow.WaitFor(wf, "a", alpha, w.s(90), workflow.ContinueOnTimeout, workflow.Reconcile(workflow.Schedule{Offsets: durations(w, 2)},
		w.looks(errBroken, workflow.Permanent(errors.New("no such order"))), workflow.Retry{MaxAttempts: 9}))
	workflow.OnError(wf, w.handles)
	w.begin(wf)
	run := w.ended()
	w.expect(run, workflow.StatusFailed, "0 run.started", "0 wait.started a", "2 reconcile.checked a", "4 reconcile.checked a",
		"4 step.failed a", "4 step.completed on-error #1", "4 run.failed")
	w.failure(run, workflow.Failure{Step: "a", Reason: workflow.ReasonError, Message: "no such order", Attempts: 1})
	w.told(run)
}

func looksFailsWithSuchAnErrorAtTheDeadline(w *world) {
	wf := workflow.New[input]("refused-late")
	workflow.WaitFor(wf, "a", alpha, w.s(3), workflow.Reconcile(workflow.Schedule{}, w.looks(workflow.Permanent(errBroken))))
	w.begin(wf)
	run := w.ended()
	w.expect(run, workflow.StatusFailed, "0 run.started", "0 wait.started a", "3 reconcile.checked a", "3 step.failed a", "3 run.failed")
	w.failure(run, workflow.Failure{Step: "a", Reason: workflow.ReasonError, Message: "broken", Attempts: 1})
}

func looksTakesAnEventThatComesDuringSuchALook(w *world) {
	g := w.gate()
	wf := workflow.New[input]("overruled")
	workflow.WaitFor(wf, "a", alpha, w.s(90), workflow.Reconcile(workflow.Schedule{Offsets: durations(w, 2)},
		func(context.Context, input) (string, bool, error) {
			g.pass()
			return "", false, workflow.Permanent(errBroken)
		}))
	w.begin(wf)
	g.awaitEntered()
	w.send(alpha, "s1", "hello")
	g.release()
	w.expect(w.ended(), workflow.StatusCompleted, "0 run.started", "0 wait.started a", "2 event.received", "2 reconcile.checked a",
		"2 event.consumed a", "2 step.completed a", "2 run.completed")
}

func looksFailsWhenWhatItFindsCannotBeEncoded(w *world) {
	wf := workflow.New[input]("infinite")
	workflow.WaitFor(wf, "a", workflow.Event[float64]{Name: "number"}, w.s(90),
		workflow.Reconcile(workflow.Schedule{Offsets: durations(w, 2)},
			func(context.Context, input) (float64, bool, error) { return math.Inf(1), true, nil }))
	w.begin(wf)
	run := w.ended()
	w.expect(run, workflow.StatusFailed, "0 run.started", "0 wait.started a", "2 reconcile.checked a", "2 step.failed a", "2 run.failed")
	w.failure(run, workflow.Failure{Step: "a", Reason: workflow.ReasonError, Code: workflow.CodeDefinition,
		Message: "cannot be encoded", Attempts: 1})
}

func looksTriesAnErrorAgainAtTheDeadline(w *world) {
	wf := workflow.New[input]("persistent")
	workflow.WaitFor(wf, "a", alpha, w.s(5), workflow.Reconcile(workflow.Schedule{}, w.looks(errBroken, errBroken, errFound),
		workflow.Retry{MaxAttempts: 3, InitialDelay: w.s(1)}))
	w.begin(wf)
	w.expect(w.ended(), workflow.StatusCompleted, "0 run.started", "0 wait.started a", "5 step.retrying a", "6 step.retrying a",
		"8 reconcile.checked a", "8 step.completed a", "8 run.completed")
}

func looksTimesOutAfterTheLastError(w *world) {
	wf := workflow.New[input]("given-up")
	workflow.WaitFor(wf, "a", alpha, w.s(5), workflow.Reconcile(workflow.Schedule{}, w.looks(errBroken, errBroken, errFound),
		workflow.Retry{MaxAttempts: 2, InitialDelay: w.s(1)}))
	w.begin(wf)
	w.expect(w.ended(), workflow.StatusTimedOut, "0 run.started", "0 wait.started a", "5 step.retrying a",
		"6 reconcile.checked a", "6 wait.timed_out a", "6 run.timed_out")
}

func looksTakesAnEventThatComesBetweenTwoTriesAtTheDeadline(w *world) {
	wf := workflow.New[input]("relieved")
	workflow.WaitFor(wf, "a", alpha, w.s(5), workflow.Reconcile(workflow.Schedule{}, w.looks(times(9, errBroken)...),
		workflow.Retry{MaxAttempts: 9, InitialDelay: w.s(4)}))
	w.begin(wf)
	w.parked("a", workflow.WaitEvent)
	w.pass(6)
	w.send(alpha, "s1", "hello")
	w.expect(w.ended(), workflow.StatusCompleted, "0 run.started", "0 wait.started a", "5 step.retrying a", "6 event.received",
		"6 event.consumed a", "6 step.completed a", "6 run.completed")
}

func looksFollowsAScheduleThatDependsOnAnOutput(w *world) {
	wf := workflow.New[input]("depending")
	a := workflow.Step(wf, "a", w.does("a"))
	none := workflow.Step(wf, "none", w.does("none"), workflow.If(a, "never", func(string) bool { return false }))
	every := func(string) workflow.Schedule { return workflow.Schedule{Offsets: durations(w, 2)} }
	workflow.WaitFor(wf, "b", alpha, w.s(9), workflow.Reconcile(workflow.ScheduleFrom(a, every), w.looks(errFound)))
	workflow.WaitFor(wf, "c", alpha, w.s(9), workflow.Reconcile(workflow.ScheduleFrom(none, every), w.looks(errFound)))
	w.begin(wf)
	w.expect(w.ended(), workflow.StatusCompleted, "0 run.started", "0 step.completed a #1", "0 step.skipped none", "0 wait.started b",
		"2 reconcile.checked b", "2 step.completed b", "2 wait.started c", "11 reconcile.checked c", "11 step.completed c", "11 run.completed")
}

func looksSeesOutputsAndSurvivesAPanic(w *world) {
	wf := workflow.New[input]("seeing")
	a := workflow.Step(wf, "a", w.does("a"))
	workflow.WaitFor(wf, "b", alpha, w.s(9), workflow.Reconcile(workflow.Schedule{Offsets: durations(w, 1)},
		func(ctx context.Context, in input) (string, bool, error) {
			w.did("look")
			if len(w.log) == 2 {
				panic("oh no")
			}
			return fmt.Sprint(a.Output(ctx), in.N), true, nil
		}))
	w.begin(wf)
	run := w.ended()
	w.expect(run, workflow.StatusCompleted, "0 run.started", "0 step.completed a #1", "0 wait.started b", "1 reconcile.checked b",
		"2 reconcile.checked b", "2 step.completed b", "2 run.completed")
	w.output(run, `"a1"`)
}

func durations(w *world, seconds ...float64) (d []time.Duration) {
	for _, n := range seconds {
		d = append(d, w.s(n))
	}
	return d
}

// looks is a look with these results, one a look: an error, nil for nothing
// there, or errFound. After them there is nothing.
func (w *world) looks(results ...error) func(context.Context, input) (string, bool, error) {
	var mu sync.Mutex
	n := 0
	return func(context.Context, input) (string, bool, error) {
		mu.Lock()
		defer mu.Unlock()
		w.did("look")
		if n++; n > len(results) {
			return "", false, nil
		}
		if results[n-1] == errFound {
			return "found", true, nil
		}
		return "", false, results[n-1]
	}
}
