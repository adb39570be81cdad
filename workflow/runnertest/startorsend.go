package runnertest

import (
	"sync"

	"github.com/liwanag/liwanag/workflow"
)

func startOrSendScenarios() []scenario {
	return []scenario{
		{"starts a run with the event, and sends it the next one", startOrSendStartsOnce},
		{"by many at once is one run with all of the events", startOrSendByMany},
		{"to a run that has ended is late", startOrSendToAnEndedRun},
		{"refuses what neither a start nor an event may be", startOrSendRefuses},
	}
}

func (w *world) startOrSend(wf *workflow.Workflow[input], n int, signalID string) workflow.Receipt {
	w.Helper()
	r, err := workflow.StartOrSend(w.Context(), w.harness.Runner, wf.Ref(), id, input{n}, alpha, signalID, signalID,
		workflow.Attributes{"by": signalID})
	if err != nil {
		w.Fatalf("start or send %s: %v", signalID, err)
	}
	return r
}

func startOrSendStartsOnce(w *world) {
	wf := workflow.New[input]("gathered")
	a := workflow.WaitFor(wf, "a", alpha, w.s(60))
	workflow.WaitFor(wf, "b", alpha, w.s(60))
	workflow.Returns(wf, a)
	w.hold(wf)
	if got := w.startOrSend(wf, 1, "s1"); got.Late || got.Duplicate {
		w.Errorf("the receipt of the first is %+v", got)
	}
	w.parked("b", workflow.WaitEvent)
	if got := w.startOrSend(wf, 2, "s1"); !got.Duplicate {
		w.Errorf("the receipt of a repeat is %+v", got)
	}
	w.parked("b", workflow.WaitEvent)
	w.startOrSend(wf, 3, "s2")
	run := w.ended()
	w.output(run, `"s1"`)
	w.consumedBy(run, map[string]string{"s1": "a", "s2": "b"})
	w.attributes(run, workflow.Attributes{"by": "s1"})
	if string(run.Input) != `{"n":1}` {
		w.Errorf("the run's input is %s", run.Input)
	}
}

func startOrSendByMany(w *world) {
	wf := workflow.New[input]("crowded-in")
	for _, step := range []string{"a", "b", "c", "d", "e"} {
		workflow.WaitFor(wf, step, alpha, w.s(60))
	}
	w.hold(wf)
	var all sync.WaitGroup
	for i, s := range []string{"s1", "s2", "s3", "s4", "s5"} {
		all.Go(func() {
			if _, err := workflow.StartOrSend(w.Context(), w.harness.Runner, wf.Ref(), id, input{i}, alpha, s, s); err != nil {
				w.Error(err)
			}
		})
	}
	all.Wait()
	if run := w.ended(); run.Status != workflow.StatusCompleted || len(run.Events) != 5 {
		w.Errorf("the run is %s with %d events", run.Status, len(run.Events))
	}
}

func startOrSendToAnEndedRun(w *world) {
	wf := workflow.New[input]("over-by-then")
	workflow.WaitFor(wf, "a", alpha, w.s(60))
	w.hold(wf)
	w.startOrSend(wf, 1, "s1")
	w.ended()
	if got := w.startOrSend(wf, 1, "s2"); !got.Late || got.Duplicate {
		w.Errorf("the receipt is %+v, want late", got)
	}
	if got := w.startOrSend(wf, 1, "s1"); !got.Duplicate {
		w.Errorf("the receipt of a repeat is %+v, want duplicate", got)
	}
}

func startOrSendRefuses(w *world) {
	wf := workflow.New[input]("strict-too")
	workflow.WaitFor(wf, "a", alpha, w.s(60))
	w.hold(wf)
	ctx, r := w.Context(), w.harness.Runner
	_, err := workflow.StartOrSend(ctx, r, wf.Ref(), id, input{1}, beta, "s1", "hello")
	w.errorIs("an event that no wait takes", err, workflow.ErrUnknownEvent)
	_, err = workflow.StartOrSend(ctx, r, workflow.Ref[input]{Name: "nonsense"}, id, input{1}, alpha, "s1", "hello")
	w.errorIs("an unknown workflow", err, workflow.ErrUnknownWorkflow)
	_, err = workflow.StartOrSend(ctx, r, workflow.Ref[string]{Name: "strict-too"}, id, "x", alpha, "s1", "hello")
	w.errorIs("an input of another type", err, workflow.ErrPayload)
	_, err = workflow.StartOrSend(ctx, r, wf.Ref(), id, input{1}, alpha, "", "hello")
	if err == nil {
		w.Error("an event without an id was taken")
	}
	_, err = r.Describe(ctx, id)
	w.errorIs("what was refused", err, workflow.ErrNotFound)
}
