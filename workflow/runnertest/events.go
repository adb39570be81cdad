package runnertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/liwanag/liwanag/workflow"
)

func eventScenarios() []scenario {
	return []scenario{
		{"resume a run that waits", eventsResumeARunThatWaits},
		{"that come early are kept for their wait", eventsThatComeEarlyAreKeptForTheirWait},
		{"that nothing waits for do not hurry a back-off or a snooze", eventsThatNothingWaitsForDoNotHurryABackOffOrASnooze},
		{"that no wait takes, or that do not fit, are refused", eventsThatNoWaitTakesOrThatDoNotFitAreRefused},
		{"that do not fit are set aside, and the right one follows", settingAside},
		{"of one id are one event", eventsOfOneIdAreOneEvent},
		{"that come after the end are late", eventsThatComeAfterTheEndAreLate},
		{"that nothing consumed are late at the end", eventsThatNothingConsumedAreLateAtTheEnd},
		{"of one type are consumed first in, first out", eventsOfOneTypeAreConsumedFirstInFirstOut},
		{"are waited for, any of several", waitingForAny},
		{"are waited for, all of several", waitingForAll},
		{"that do not come time the run out", eventsThatDoNotComeTimeTheRunOut},
		{"that do not come let a run go on that may", eventsThatDoNotComeLetARunGoOnThatMay},
		{"sent by many at once are one if their id is", eventsSentByManyAtOnceAreOneIfTheirIdIs},
	}
}

func eventsResumeARunThatWaits(w *world) {
	wf := workflow.New[input]("waiting")
	a := workflow.WaitFor(wf, "a", alpha, w.s(9))
	workflow.Step(wf, "b", func(ctx context.Context, _ input) (string, error) { return a.Output(ctx) + "!", nil })
	w.begin(wf)
	w.parked("a", workflow.WaitEvent)
	w.pass(2)
	if got := w.send(alpha, "s1", "hello"); got != (workflow.Receipt{}) {
		w.Errorf("the receipt is %+v, want neither duplicate nor late", got)
	}
	run := w.ended()
	w.expect(run, workflow.StatusCompleted, "0 run.started", "0 wait.started a", "2 event.received",
		"2 event.consumed a", "2 step.completed a",
		"2 step.completed b #1", "2 run.completed")
	w.output(run, `"hello!"`)
	w.consumedBy(run, map[string]string{"s1": "a"})
}

func eventsThatComeEarlyAreKeptForTheirWait(w *world) {
	g := w.gate()
	wf := workflow.New[input]("early-event")
	workflow.Step(wf, "a", w.holds("a", g, nil))
	workflow.WaitFor(wf, "b", alpha, w.s(9))
	w.begin(wf)
	g.awaitEntered()
	w.send(alpha, "s1", "hello")
	w.pass(1)
	g.release()
	run := w.ended()
	w.expect(run, workflow.StatusCompleted, "0 run.started", "0 event.received", "1 step.completed a #1",
		"1 wait.started b", "1 event.consumed b",
		"1 step.completed b", "1 run.completed")
	w.output(run, `"hello"`)
}

func eventsThatNothingWaitsForDoNotHurryABackOffOrASnooze(w *world) {
	g := w.gate()
	wf := workflow.New[input]("unhurried")
	a := workflow.Step(wf, "a", func(ctx context.Context, _ input) (string, error) {
		g.pass()
		w.did("a")
		switch len(w.log) {
		case 1:
			return "", errBroken
		case 2:
			return "", workflow.Snooze(w.s(2))
		}
		return "a", nil
	}, workflow.Retry{MaxAttempts: 2, InitialDelay: w.s(3)})
	w.mayTake(wf, a, alpha)
	w.begin(wf)
	for n := range 2 {
		g.awaitEntered()
		w.send(alpha, fmt.Sprint("during", n), "hello")
		g.release()
		w.until(id, "waiting", func(r workflow.Run) bool { return r.Status == workflow.StatusWaiting })
		w.send(alpha, fmt.Sprint("after", n), "hello")
	}
	g.awaitEntered()
	g.release()
	w.expect(w.ended(), workflow.StatusCompleted, "0 run.started", "0 event.received", "0 step.retrying a #1", "0 event.received",
		"3 event.received", "3 step.snoozed a #2", "3 event.received", "5 step.completed a #2", "5 run.completed")
}

func eventsThatNoWaitTakesOrThatDoNotFitAreRefused(w *world) {
	wf := workflow.New[input]("choosy")
	a := workflow.WaitFor(wf, "a", workflow.Event[int](alpha), w.s(9))
	workflow.Step(wf, "b", func(ctx context.Context, _ input) (int, error) { return a.Output(ctx), nil })
	other := workflow.New[input]("other")
	workflow.WaitFor(other, "a", beta, w.s(9))
	w.begin(wf, other)
	w.parked("a", workflow.WaitEvent)
	for _, c := range []struct {
		event, payload string
		want           error
	}{{"beta", `"hello"`, workflow.ErrUnknownEvent}, {"gamma", `1`, workflow.ErrUnknownEvent},
		{"alpha", `"a string"`, workflow.ErrPayload}} {
		_, err := w.harness.Runner.Signal(w.Context(), id, workflow.Signal{ID: c.event, Event: c.event, Payload: raw(c.payload)})
		w.errorIs("event "+c.event, err, c.want)
	}
	_, err := w.harness.Runner.Signal(w.Context(), "nobody", workflow.Signal{ID: "s1", Event: "gamma", Payload: raw("1")})
	w.errorIs("an unknown event to an unknown run", err, workflow.ErrNotFound)
	if _, err := w.harness.Runner.Signal(w.Context(), id, workflow.Signal{ID: "alpha", Event: "alpha", Payload: raw("7")}); err != nil {
		w.Errorf("the right event after the wrong one: %v", err)
	}
	run := w.ended()
	w.expect(run, workflow.StatusCompleted, "0 run.started", "0 wait.started a", "0 event.received", "0 event.consumed a",
		"0 step.completed a", "0 step.completed b #1", "0 run.completed")
	w.output(run, "7")
	bad := workflow.StartRequest{Workflow: "choosy", RunID: "run-2", Input: raw(`"no object"`)}
	w.errorIs("start with another type", w.harness.Runner.Start(w.Context(), bad), workflow.ErrPayload)
	_, err = w.harness.Runner.Describe(w.Context(), "run-2")
	w.errorIs("the run that was refused", err, workflow.ErrNotFound)
}

func eventsOfOneIdAreOneEvent(w *world) {
	wf := workflow.New[input]("repeated")
	a := workflow.WaitFor(wf, "a", alpha, w.s(9))
	workflow.WaitFor(wf, "b", alpha, w.s(9), workflow.ContinueOnTimeout)
	workflow.Step(wf, "c", func(ctx context.Context, _ input) (string, error) { return a.Output(ctx), nil })
	w.begin(wf)
	w.parked("a", workflow.WaitEvent)
	w.send(alpha, "s1", "first")
	if got := w.send(alpha, "s1", "second"); !got.Duplicate {
		w.Errorf("the receipt of a repeat is %+v, want duplicate", got)
	}
	run := w.ended()
	w.output(run, `"first"`)
	w.consumedBy(run, map[string]string{"s1": "a"})
	w.stepIs(run, "b", workflow.StatusTimedOut)
}

func eventsThatComeAfterTheEndAreLate(w *world) {
	wf := workflow.New[input]("over")
	a := workflow.Step(wf, "a", w.does("a"))
	w.mayTake(wf, a, alpha)
	w.begin(wf)
	w.ended()
	w.pass(1)
	if got := w.send(alpha, "s1", "hello"); !got.Late {
		w.Errorf("the receipt is %+v, want late", got)
	}
	if got := w.send(alpha, "s1", "hello"); !got.Duplicate {
		w.Errorf("the receipt of a repeat is %+v, want duplicate", got)
	}
	run := w.describe(id)
	w.expect(run, workflow.StatusCompleted, "0 run.started", "0 step.completed a #1", "0 run.completed", "1 event.late")
	w.consumedBy(run, map[string]string{"s1": "late"})
}

func eventsThatNothingConsumedAreLateAtTheEnd(w *world) {
	wf := workflow.New[input]("left-over")
	a := workflow.WaitFor(wf, "a", alpha, w.s(9))
	w.mayTake(wf, a, beta)
	w.begin(wf)
	w.parked("a", workflow.WaitEvent)
	w.send(beta, "s1", "for nobody")
	w.parked("a", workflow.WaitEvent)
	w.send(alpha, "s2", "hello")
	run := w.ended()
	w.expect(run, workflow.StatusCompleted, "0 run.started", "0 wait.started a", "0 event.received",
		"0 event.received", "0 event.consumed a",
		"0 step.completed a", "0 run.completed")
	w.consumedBy(run, map[string]string{"s1": "late", "s2": "a"})
}

func eventsOfOneTypeAreConsumedFirstInFirstOut(w *world) {
	g := w.gate()
	wf := workflow.New[input]("queue")
	workflow.Step(wf, "gate", w.holds("gate", g, nil))
	a := workflow.WaitFor(wf, "a", alpha, w.s(9))
	b := workflow.WaitFor(wf, "b", alpha, w.s(9))
	workflow.Step(wf, "c", func(ctx context.Context, _ input) (string, error) { return a.Output(ctx) + b.Output(ctx), nil })
	w.begin(wf)
	g.awaitEntered()
	w.send(alpha, "z", "1")
	w.send(alpha, "y", "2")
	w.send(alpha, "x", "3")
	g.release()
	run := w.ended()
	w.output(run, `"12"`)
	w.consumedBy(run, map[string]string{"z": "a", "y": "b", "x": "late"})
}

func eventsThatDoNotComeTimeTheRunOut(w *world) {
	wf := workflow.New[input]("unanswered")
	workflow.WaitFor(wf, "a", alpha, w.s(3))
	workflow.OnError(wf, w.handles)
	w.begin(wf)
	run := w.ended()
	w.expect(run, workflow.StatusTimedOut, "0 run.started", "0 wait.started a", "3 wait.timed_out a",
		"3 step.completed on-error #1", "3 run.timed_out")
	w.failure(run, workflow.Failure{Step: "a", Reason: workflow.ReasonTimeout, Code: workflow.CodeTimeout, Message: "no alpha within"})
	w.told(run)
	w.stepIs(run, "a", workflow.StatusTimedOut)
}

func eventsThatDoNotComeLetARunGoOnThatMay(w *world) {
	wf := workflow.New[input]("patient")
	a := workflow.WaitFor(wf, "a", alpha, w.s(3), workflow.ContinueOnTimeout)
	workflow.Step(wf, "b", func(ctx context.Context, _ input) (bool, error) {
		_, there := a.Lookup(ctx)
		return there, nil
	})
	w.begin(wf)
	run := w.ended()
	w.expect(run, workflow.StatusCompleted, "0 run.started", "0 wait.started a", "3 wait.timed_out a",
		"3 step.completed b #1", "3 run.completed")
	w.output(run, "false")
}

func eventsSentByManyAtOnceAreOneIfTheirIdIs(w *world) {
	wf := workflow.New[input]("crowded")
	workflow.WaitFor(wf, "a", alpha, w.s(9))
	w.begin(wf)
	w.parked("a", workflow.WaitEvent)
	var crowd sync.WaitGroup
	firsts := make(chan int, 20)
	for n := range 20 {
		crowd.Go(func() {
			r, err := alpha.Send(w.Context(), w.harness.Runner, id, "s1", fmt.Sprint(n))
			if err != nil {
				w.Error(err)
			}
			if !r.Duplicate {
				firsts <- n
			}
		})
	}
	crowd.Wait()
	run := w.ended()
	if len(firsts) != 1 {
		w.Errorf("%d of the signals were taken as the first", len(firsts))
	} else if w.output(run, fmt.Sprintf(`"%d"`, <-firsts)); len(run.Events) != 1 {
		w.Errorf("the run shows %d events, want 1", len(run.Events))
	}
}

// mayTake ends a definition behind a step and lets it know an event still.
func (w *world) mayTake(wf *workflow.Workflow[input], last *workflow.Result[string], event workflow.Event[string]) {
	workflow.FinishIf(wf, last, "done", func(string) bool { return true })
	workflow.WaitFor(wf, "never", event, w.s(9))
}

// settingAside sends what does not fit from where nobody can tell.
func settingAside(w *world) {
	wf := workflow.New[input]("lenient")
	a := workflow.WaitFor(wf, "a", workflow.Event[int](alpha), w.s(9))
	workflow.Step(wf, "b", func(ctx context.Context, _ input) (int, error) { return a.Output(ctx), nil })
	w.begin(wf)
	w.parked("a", workflow.WaitEvent)
	wrong := []workflow.Signal{{ID: "s1", Event: "alpha", Payload: raw(`"a string"`)}, {ID: "s2", Event: "gamma", Payload: raw("1")}}
	for _, s := range wrong {
		if w.harness.Elsewhere == nil { // whoever sends knows the definition
			if _, err := w.harness.Runner.Signal(w.Context(), id, s); err == nil {
				w.Errorf("event %s is taken", s.ID)
			}
		} else if got, err := w.harness.Elsewhere.Signal(w.Context(), id, s); err != nil || got != (workflow.Receipt{}) {
			w.Errorf("event %s: %+v, %v", s.ID, got, err)
		}
	}
	if w.harness.Elsewhere != nil {
		run := w.parked("a", workflow.WaitEvent)
		w.setAside(run, map[string]string{"s1": "cannot unmarshal string", "s2": `"gamma" in lenient version 1`})
	}
	if _, err := w.harness.Runner.Signal(w.Context(), id, workflow.Signal{ID: "s3", Event: "alpha", Payload: raw("7")}); err != nil {
		w.Fatal(err)
	}
	run := w.ended()
	w.output(run, "7")
	if w.harness.Elsewhere != nil {
		w.consumedBy(run, map[string]string{"s1": "late", "s2": "late", "s3": "a"})
		w.setAside(run, map[string]string{"s1": "cannot unmarshal string", "s2": `"gamma" in lenient version 1`, "s3": ""})
	}
}

func waitingForAny(w *world) {
	g := w.gate()
	wf := workflow.New[input]("any")
	workflow.Step(wf, "gate", w.holds("gate", g, nil))
	events := []workflow.AnyEvent{alpha, beta}
	first := workflow.WaitForAny(wf, "first", w.s(9), events)
	second := workflow.WaitForAny(wf, "second", w.s(9), events)
	third := workflow.WaitForAny(wf, "third", w.s(9), events)
	workflow.Step(wf, "read", func(ctx context.Context, _ input) (string, error) {
		read := ""
		for _, r := range []*workflow.Result[workflow.Arrived]{first, second, third} {
			if a, ok := workflow.As(r.Output(ctx), alpha); ok {
				read += a
			}
			if b, ok := workflow.As(r.Output(ctx), beta); ok {
				read += b
			}
		}
		return read, nil
	})
	w.begin(wf)
	g.awaitEntered()
	w.send(beta, "s1", "b1")
	w.send(alpha, "s2", "a1")
	g.release()
	w.parked("third", workflow.WaitEvent)
	w.send(beta, "s3", "b2")
	run := w.ended()
	w.expect(run, workflow.StatusCompleted, "0 run.started", "0 event.received", "0 event.received", "0 step.completed gate #1",
		"0 wait.started first", "0 event.consumed first", "0 step.completed first", "0 wait.started second", "0 event.consumed second",
		"0 step.completed second", "0 wait.started third", "0 event.received", "0 event.consumed third", "0 step.completed third",
		"0 step.completed read #1", "0 run.completed")
	w.output(run, `"b1a1b2"`)
}

func waitingForAll(w *world) {
	wf := workflow.New[input]("all")
	both := workflow.WaitForAll(wf, "both", w.s(9), []workflow.AnyEvent{alpha, beta})
	workflow.Step(wf, "read", func(ctx context.Context, _ input) (string, error) {
		a, gotA := workflow.As(both.Output(ctx), alpha)
		b, gotB := workflow.As(both.Output(ctx), beta)
		return fmt.Sprint(a, b, gotA, gotB), nil
	})
	w.begin(wf)
	w.parked("both", workflow.WaitEvent)
	w.send(beta, "s1", "b1")
	w.send(beta, "s2", "b2")
	w.pass(1)
	w.parked("both", workflow.WaitEvent)
	w.send(alpha, "s3", "a1")
	run := w.ended()
	w.expect(run, workflow.StatusCompleted, "0 run.started", "0 wait.started both", "0 event.received", "0 event.received", "1 event.received",
		"1 event.consumed both", "1 event.consumed both", "1 step.completed both", "1 step.completed read #1", "1 run.completed")
	w.output(run, `"a1b1true true"`)
	w.consumedBy(run, map[string]string{"s1": "both", "s2": "late", "s3": "both"})
}

// errFound, among the errors of a look, says that it finds its answer.
var errFound = errors.New("found")

// eventDuring sends an event a second into a look of two seconds.
func eventDuring(at float64, want ...string) func(*world) {
	return func(w *world) {
		g := w.gate()
		wf := workflow.New[input]("interrupted")
		workflow.WaitFor(wf, "a", alpha, w.s(9), workflow.Reconcile(workflow.Schedule{Offsets: durations(w, at)},
			func(context.Context, input) (string, bool, error) {
				g.pass()
				return "", false, nil
			}))
		w.begin(wf)
		g.awaitEntered()
		w.pass(1)
		w.send(alpha, "s1", "hello")
		w.pass(1)
		g.release()
		run := w.ended()
		w.expect(run, workflow.StatusCompleted, append([]string{"0 run.started", "0 wait.started a"}, want...)...)
		w.output(run, `"hello"`)
	}
}

func raw(text string) json.RawMessage { return json.RawMessage(text) }
