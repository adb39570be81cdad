package runnertest

import (
	"context"
	"errors"

	"github.com/liwanag/liwanag/workflow"
)

func undoScenarios() []scenario {
	return []scenario{
		{"what completed is undone, the last first, before the handler, once", undoing},
		{"a cancel undoes, too", undoingAfterACancel},
		{"a run that ends well undoes nothing", undoingNothing},
		{"an undo that fails for good is noted and the others go on", undoingInPart},
		{"a retry goes on from the first step that was undone, with another key", undoingAndAgain},
	}
}

// undoes is an undo that notes what it was told.
func (w *world) undoes(opts ...workflow.StepOption) workflow.StepOption {
	return workflow.Undo(func(ctx context.Context, in input, out string) error {
		w.did("undo " + out)
		if out == "b" && in.N != 1 {
			return errors.New("another input")
		}
		return nil
	}, opts...)
}

func undoing(w *world) {
	wf := workflow.New[input]("saga")
	workflow.Step(wf, "a", w.does("a"), w.undoes())
	tries := 0
	workflow.Step(wf, "b", w.does("b"), workflow.Undo(func(ctx context.Context, _ input, out string) error {
		if tries++; tries == 1 {
			return errBroken
		}
		w.did("undo " + out)
		return nil
	}, workflow.Retry{MaxAttempts: 2, InitialDelay: w.s(1)}))
	workflow.Step(wf, "plain", w.does("plain"))
	workflow.Step(wf, "c", w.fails("c", times(9, errBroken)...), w.undoes())
	workflow.OnError(wf, func(ctx context.Context, in input, f workflow.Failure) error {
		if w.did("on-error"); workflow.InfoFrom(ctx).Attempt == 1 {
			return errBroken
		}
		return nil
	}, workflow.Retry{MaxAttempts: 2, InitialDelay: w.s(1)})
	w.begin(wf)
	run := w.ended()
	w.expect(run, workflow.StatusFailed, "0 run.started", "0 step.completed a #1", "0 step.completed b #1", "0 step.completed plain #1",
		"0 step.failed c #1", "0 step.retrying undo~b #1", "1 step.completed undo~b #2", "1 step.completed undo~a #1",
		"1 step.retrying on-error #1", "2 step.completed on-error #2", "2 run.failed")
	w.failure(run, workflow.Failure{Step: "c", Reason: workflow.ReasonError, Message: "broken", Attempts: 1})
	w.didOnly("a", "b", "plain", "c", "undo b", "undo a", "on-error", "on-error")
}

func undoingAfterACancel(w *world) {
	wf := workflow.New[input]("called-off")
	workflow.Step(wf, "a", w.does("a"), w.undoes())
	workflow.WaitFor(wf, "w", alpha, w.s(1000))
	workflow.OnCancel(wf, func(context.Context, input, string) error { w.did("on-cancel"); return nil })
	w.begin(wf)
	w.parked("w", workflow.WaitEvent)
	w.cancel("stop")
	run := w.ended()
	w.failure(run, workflow.Failure{Reason: workflow.ReasonCanceled, Message: "stop"})
	w.didOnly("a", "undo a", "on-cancel")
}

func undoingNothing(w *world) {
	wf := workflow.New[input]("well")
	a := workflow.Step(wf, "a", w.does("a"), w.undoes())
	workflow.FinishIf(wf, a, "enough", func(string) bool { return true })
	workflow.Step(wf, "b", w.does("b"), w.undoes())
	w.begin(wf)
	if run := w.ended(); run.Status != workflow.StatusCompleted {
		w.Errorf("the run is %s", run.Status)
	}
	w.didOnly("a")
}

func undoingInPart(w *world) {
	wf := workflow.New[input]("in-part")
	workflow.Step(wf, "a", w.does("a"), w.undoes())
	workflow.Step(wf, "b", w.does("b"), workflow.Undo(func(context.Context, input, string) error { return workflow.Permanent(errBroken) }))
	workflow.Step(wf, "c", w.fails("c", errBroken))
	w.begin(wf)
	run := w.ended()
	w.expect(run, workflow.StatusFailed, "0 run.started", "0 step.completed a #1", "0 step.completed b #1", "0 step.failed c #1",
		"0 step.failed undo~b #1", "0 step.completed undo~a #1", "0 run.failed")
	w.failure(run, workflow.Failure{Step: "c", Reason: workflow.ReasonError, Message: "broken", Attempts: 1})
}

func undoingAndAgain(w *world) {
	wf := workflow.New[input]("again")
	workflow.Step(wf, "before", w.does("before"))
	workflow.Step(wf, "a", func(ctx context.Context, _ input) (string, error) {
		w.did(workflow.InfoFrom(ctx).IdempotencyKey)
		return "a", nil
	}, workflow.Undo(func(ctx context.Context, _ input, _ string) error {
		w.did(workflow.InfoFrom(ctx).IdempotencyKey)
		return nil
	}))
	workflow.Step(wf, "b", w.fails("b", errBroken, errBroken, nil))
	w.begin(wf)
	w.ended()
	w.errorIs("retry behind what was undone", w.harness.Runner.Retry(w.Context(), id, "b"), workflow.ErrUnknownStep)
	for n, want := range []workflow.Status{workflow.StatusFailed, workflow.StatusCompleted} {
		w.retry("")
		run := w.until(id, "ended again", func(r workflow.Run) bool { return r.Status.Ended() && len(r.History) > 6*(n+1) })
		if run.Status != want {
			w.Errorf("the run is %s", run.Status)
		}
	}
	w.didOnly("before", id+"/a", "b", id+"/a//undo", id+"/a//1", "b", id+"/a//1//undo", id+"/a//2", "b")
}
