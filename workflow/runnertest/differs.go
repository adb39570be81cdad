package runnertest

import (
	"time"

	"github.com/liwanag/liwanag/workflow"
)

// differing is how a runner may behave otherwise than a scenario says, where
// Config.Differs tells why it does.
var differing = map[string]func(*world){
	// An event to an ended run is told from an unknown run, and is not kept.
	"events/that come after the end are late": func(w *world) {
		wf := workflow.New[input]("over")
		workflow.WaitFor(wf, "a", alpha, w.s(9))
		w.begin(wf)
		w.parked("a", workflow.WaitEvent)
		w.send(alpha, "s1", "hello")
		w.ended()
		for range 2 {
			if got := w.send(alpha, "s2", "hello"); !got.Late || got.Duplicate {
				w.Errorf("the receipt is %+v, want late", got)
			}
		}
		if got := w.send(alpha, "s1", "hello"); !got.Duplicate {
			w.Errorf("the receipt of a repeat is %+v, want duplicate", got)
		}
		run := w.describe(id)
		w.expect(run, workflow.StatusCompleted, "0 run.started", "0 wait.started a", "0 event.received",
			"0 event.consumed a", "0 step.completed a", "0 run.completed")
		w.consumedBy(run, map[string]string{"s1": "a"})
	},
	"retry of runs/consumes what came too late": func(w *world) {
		wf := workflow.New[input]("belated")
		workflow.WaitFor(wf, "a", alpha, w.s(1))
		w.begin(wf)
		w.ended()
		w.send(alpha, "s1", "hello")
		w.retry("")
		run := w.until(id, "ended again", func(r workflow.Run) bool { return r.Status.Ended() && len(r.History) > 5 })
		w.expect(run, workflow.StatusTimedOut, "0 run.started", "0 wait.started a", "1 wait.timed_out a", "1 run.timed_out",
			"1 run.reopened a", "1 wait.started a", "2 wait.timed_out a", "2 run.timed_out")
		w.consumedBy(run, nil)
	},
	// Listings follow a moment later.
	"views/list runs newest first, page by page":       func(w *world) { listing(w.lagging()) },
	"views/list runs by workflow, status, time and id": func(w *world) { filtering(w.lagging()) },
	"attributes/find runs, newest first, page by page": func(w *world) { attributesFindRuns(w.lagging()) },
	// A waiting run is one that has not ended.
	"views/count runs by workflow, status and step": func(w *world) {
		counting(w.lagging(), workflow.Count{Status: workflow.StatusRunning})
	},
}

// lagging is the world of a runner whose listings follow later than its runs.
func (w *world) lagging() *world {
	w.lag = w.cfg.Slack
	return w
}

// listed repeats what compares a listing, until it finds no fault, or for as long
// as listings may lag.
func (w *world) listed(faults func() []string) {
	w.Helper()
	for began := time.Now(); ; w.pass(0.25) {
		found := faults()
		if len(found) == 0 {
			return
		}
		if time.Since(began) >= w.lag {
			for _, f := range found {
				w.Error(f)
			}
			return
		}
	}
}
