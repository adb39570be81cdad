package runnertest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/liwanag/liwanag/workflow"
)

// huge is what no runner keeps.
var huge = strings.Repeat("x", 3<<20)

func boundScenarios() []scenario {
	return []scenario{
		{"keep the beginning of a reason to cancel", boundsKeepTheBeginningOfAReasonToCancel},
		{"keep the beginning of a reason to terminate", boundsKeepTheBeginningOfAReasonToTerminate},
		{"keep the beginning of what an error says", boundsKeepTheBeginningOfWhatAnErrorSays},
		{"refuse an event with a giant name", boundsRefuseAnEventWithAGiantName},
		{"refuse an event for which the inbox has no room", boundsRefuseAnEventForWhichTheInboxHasNoRoom},
		{"fold snoozes in a row", boundsFoldSnoozesInARow},
		{"fold looks in a row", boundsFoldLooksInARow},
	}
}

func boundsKeepTheBeginningOfAReasonToCancel(w *world) {
	wf := workflow.New[input]("verbose")
	workflow.WaitFor(wf, "a", alpha, w.s(9))
	workflow.OnCancel(wf, func(_ context.Context, _ input, reason string) error {
		w.bounded("what the handler is told", reason)
		return nil
	})
	w.begin(wf)
	w.parked("a", workflow.WaitEvent)
	w.cancel(huge)
	w.kept(w.ended())
}

func boundsKeepTheBeginningOfAReasonToTerminate(w *world) {
	wf := workflow.New[input]("wordy")
	workflow.WaitFor(wf, "a", alpha, w.s(9))
	w.begin(wf)
	w.parked("a", workflow.WaitEvent)
	if err := w.harness.Runner.Terminate(w.Context(), id, huge); err != nil {
		w.Fatal(err)
	}
	w.kept(w.describe(id))
}

func boundsKeepTheBeginningOfWhatAnErrorSays(w *world) {
	wf := workflow.New[input]("talkative")
	workflow.Step(wf, "a", w.fails("a", errors.New(huge), workflow.Permanent(hugeError{})), workflow.Retry{MaxAttempts: 3})
	w.begin(wf)
	run := w.ended()
	w.kept(run)
	if n := len(run.Failure.Code); n == 0 || n > workflow.MaxLabel {
		w.Errorf("the failure's code has %d bytes", n)
	}
}

func boundsRefuseAnEventWithAGiantName(w *world) {
	wf := workflow.New[input]("named")
	workflow.WaitFor(wf, "a", alpha, w.s(9))
	w.begin(wf)
	if _, err := w.harness.Runner.Signal(w.Context(), id, workflow.Signal{ID: "s", Event: huge, Payload: []byte("1")}); err == nil {
		w.Error("the event was taken")
	}
}

func boundsRefuseAnEventForWhichTheInboxHasNoRoom(w *world) {
	wf := workflow.New[input]("flooded")
	workflow.WaitFor(wf, "a", alpha, w.s(60))
	workflow.WaitFor(wf, "b", beta, w.s(60))
	w.begin(wf)
	payload := strings.Repeat("x", workflow.MaxPayload-10)
	room := workflow.MaxInboxBytes / workflow.MaxPayload
	for n := range room {
		w.send(beta, fmt.Sprint("s", n), payload)
	}
	_, err := beta.Send(w.Context(), w.harness.Runner, id, "more", payload)
	w.errorIs("an event too many", err, workflow.ErrInboxFull)
	if got := w.send(beta, "s0", payload); !got.Duplicate {
		w.Errorf("a repeat is told %+v", got)
	}
	w.send(alpha, "last", "hello") // there is room for a small one
	run := w.ended()
	if run.Status != workflow.StatusCompleted || len(run.Events) != room+1 {
		w.Errorf("the run is %s, %d events were taken, want %d", run.Status, len(run.Events), room+1)
	}
}

func boundsFoldSnoozesInARow(w *world) {
	polls, n := 3*workflow.KeptApart, 0
	wf := workflow.New[input]("polling")
	workflow.Step(wf, "a", func(context.Context, input) (string, error) {
		if n++; n <= polls {
			return "", workflow.Snooze(w.s(0.1))
		}
		return "done", nil
	})
	w.begin(wf)
	w.folded(w.ended(), workflow.HistoryStepSnoozed, polls)
}

func boundsFoldLooksInARow(w *world) {
	polls, n := 3*workflow.KeptApart, 0
	wf := workflow.New[input]("looking")
	workflow.WaitFor(wf, "a", alpha, w.s(60),
		workflow.Reconcile(workflow.Schedule{Offsets: []time.Duration{w.s(0.1)}}, func(context.Context, input) (string, bool, error) {
			n++
			return "found", n > polls, nil
		}))
	w.begin(wf)
	w.folded(w.ended(), workflow.HistoryReconcileChecked, polls)
}

type hugeError struct{}

func (hugeError) Error() string     { return huge }
func (hugeError) ErrorCode() string { return huge }

func (w *world) bounded(what, text string) {
	w.Helper()
	if len(text) == 0 || len(text) > workflow.MaxText {
		w.Errorf("%s has %d bytes, at most %d are kept", what, len(text), workflow.MaxText)
	}
}

// kept checks that nothing huge is told of a failed run.
func (w *world) kept(run workflow.Run) {
	w.Helper()
	if run.Failure == nil {
		w.Fatalf("the run is %s without a failure", run.Status)
	}
	w.bounded("the failure's message", run.Failure.Message)
	for _, item := range run.History {
		if len(item.Data) > 3*workflow.MaxText {
			w.Errorf("%s has %d bytes", item.Type, len(item.Data))
		}
	}
	for _, s := range run.Steps {
		for _, a := range s.Attempts {
			if a.Error != "" {
				w.bounded("an attempt's error", a.Error)
			}
		}
	}
}

// folded checks that a run which was not ready so often has a short history that
// tells of each time.
func (w *world) folded(run workflow.Run, t workflow.HistoryType, polls int) {
	w.Helper()
	items, times, seq := 0, 0, int64(0)
	for _, item := range run.History {
		f := item.Folded()
		if seq += int64(f.Count); item.Seq != seq {
			w.Errorf("%s has the number %d, want %d", item.Type, item.Seq, seq)
		}
		if item.Type == t && !strings.Contains(string(item.Data), `"found":true`) {
			items, times = items+1, times+f.Count
			if f.Count > 1 && (!f.First.Before(f.Latest) || !f.Latest.Equal(item.At)) {
				w.Errorf("%+v of %+v", f, item)
			}
		}
	}
	if run.Status != workflow.StatusCompleted || items != workflow.KeptApart || times != polls {
		w.Errorf("the run is %s, and %d items tell of %d %s, want %d of %d", run.Status, items, times, t, workflow.KeptApart, polls)
	}
}
