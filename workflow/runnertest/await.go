package runnertest

import (
	"context"
	"errors"
	"strconv"
	"sync"

	"github.com/liwanag/liwanag/workflow"
)

func awaitScenarios() []scenario {
	return []scenario{
		{"tells of the end, whatever it is", awaitTellsOfTheEnd},
		{"tells of an end that was there before", awaitTellsOfAnEndThatWasThere},
		{"tells many at once", awaitTellsManyAtOnce},
		{"is refused in a step, and of an unknown run", awaitIsRefused},
		{"ends with its context", awaitEndsWithItsContext},
		{"reads outputs by their handles", handlesReadARun},
		{"takes the output that the definition returns", returnsNamesTheOutput},
	}
}

func awaitTellsOfTheEnd(w *world) {
	wf := workflow.New[input]("awaited")
	workflow.WaitFor(wf, "a", alpha, w.s(60))
	w.begin(wf)
	w.parked("a", workflow.WaitEvent)
	for i, c := range []struct {
		end  func(runID string) error
		want workflow.Status
	}{
		{func(runID string) error {
			_, err := alpha.Send(w.Context(), w.harness.Runner, runID, "s1", "hello")
			return err
		}, workflow.StatusCompleted},
		{func(runID string) error { return w.harness.Runner.Cancel(w.Context(), runID, "enough") }, workflow.StatusCanceled},
		{func(runID string) error { return w.harness.Runner.Terminate(w.Context(), runID, "enough") }, workflow.StatusCanceled},
	} {
		runID := "run-" + strconv.Itoa(i+10)
		w.start(wf, runID)
		got := make(chan workflow.Run, 1)
		go func() {
			run, err := workflow.Await(w.Context(), w.harness.Runner, runID)
			w.errorIs("await of "+runID, err, nil)
			got <- run
		}()
		w.pass(0.5)
		select {
		case run := <-got:
			w.Errorf("%s is said to have ended: %s", runID, run.Status)
		default:
		}
		if err := c.end(runID); err != nil {
			w.Fatal(err)
		}
		if run := <-got; run.ID != runID || run.Status != c.want {
			w.Errorf("%s ended as %s, want %s", run.ID, run.Status, c.want)
		}
	}
}

func awaitTellsOfAnEndThatWasThere(w *world) {
	wf := workflow.New[input]("early")
	workflow.Step(wf, "a", w.does("a"))
	w.begin(wf)
	w.ended()
	run, err := workflow.Await(w.Context(), w.harness.Runner, id)
	w.errorIs("await", err, nil)
	w.output(run, `"a"`)
}

func awaitTellsManyAtOnce(w *world) {
	wf := workflow.New[input]("many")
	workflow.WaitFor(wf, "a", alpha, w.s(60))
	w.begin(wf)
	w.parked("a", workflow.WaitEvent)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			run, err := workflow.Await(w.Context(), w.harness.Runner, id)
			if err != nil || run.Status != workflow.StatusCompleted {
				w.Errorf("await: %s, %v", run.Status, err)
			}
		})
	}
	w.pass(0.5)
	w.send(alpha, "s1", "hello")
	all.Wait()
}

func awaitIsRefused(w *world) {
	wf := workflow.New[input]("refused")
	workflow.Step(wf, "a", func(ctx context.Context, _ input) (string, error) {
		_, err := workflow.Await(ctx, w.harness.Runner, "run-2")
		return "", err
	})
	w.begin(wf)
	w.failure(w.ended(), workflow.Failure{Step: "a", Reason: workflow.ReasonError, Attempts: 1, Message: "Try: Child"})
	_, err := workflow.Await(w.Context(), w.harness.Runner, "nobody")
	w.errorIs("await of an unknown run", err, workflow.ErrNotFound)
}

func awaitEndsWithItsContext(w *world) {
	wf := workflow.New[input]("left")
	workflow.WaitFor(wf, "a", alpha, w.s(60))
	w.begin(wf)
	w.parked("a", workflow.WaitEvent)
	gone := errors.New("the caller has gone")
	ctx, cancel := context.WithTimeoutCause(w.Context(), w.s(1), gone)
	defer cancel()
	_, err := workflow.Await(ctx, w.harness.Runner, id)
	w.errorIs("await", err, gone)
}

func handlesReadARun(w *world) {
	wf := workflow.New[input]("handles")
	one := workflow.Step(wf, "one", w.does("one"))
	skipped := workflow.Step(wf, "skipped", w.does("skipped"), workflow.If(one, "two", is("two")))
	came := workflow.WaitFor(wf, "came", alpha, w.s(60))
	either := workflow.FirstOf(skipped, one)
	workflow.Step(wf, "bad", w.fails("bad", errBroken))
	w.begin(wf)
	w.parked("came", workflow.WaitEvent)
	w.send(alpha, "s1", "hello")
	run, err := workflow.Await(w.Context(), w.harness.Runner, id)
	w.errorIs("await", err, nil)
	for what, c := range map[string]struct {
		of   *workflow.Result[string]
		want string
	}{"a step": {one, "one"}, "a wait": {came, "hello"}, "the first of two": {either, "one"}} {
		if got, err := c.of.Of(run); err != nil || got != c.want {
			w.Errorf("%s: %q, %v, want %q", what, got, err, c.want)
		}
	}
	if in, err := workflow.Input(workflow.New[input]("other")).Of(run); !errors.Is(err, workflow.ErrNoOutput) {
		w.Errorf("the input of another workflow: %+v, %v", in, err)
	}
	var f workflow.Failure
	if _, err := skipped.Of(run); !errors.Is(err, workflow.ErrNoOutput) || !errors.As(err, &f) || f.Step != "bad" {
		w.Errorf("a skipped step of a failed run: %v", err)
	}
}

func returnsNamesTheOutput(w *world) {
	wf := workflow.New[input]("returning")
	first := workflow.Step(wf, "first", w.does("first"))
	other := workflow.Step(wf, "other", w.does("other"), workflow.If(first, "other", is("other")))
	workflow.Returns(wf, workflow.FirstOf(other, first))
	workflow.Step(wf, "last", w.does("last"))
	w.begin(wf)
	run := w.until(id, "ended", func(r workflow.Run) bool { return r.Status.Ended() })
	w.output(run, `"first"`)
	if d := wf.Plan().Describe(); d.Returns != "other, first" {
		w.Errorf("the description says that it returns %q", d.Returns)
	}
}
