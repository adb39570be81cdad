// Package workflowtest runs a definition in virtual time, without a store or an
// engine, and prints what happened:
//
//	func TestShipping(t *testing.T) {
//		synctest.Test(t, func(t *testing.T) {
//			run := workflowtest.Run(t, shipping(), Order{ID: "o-1"},
//				workflowtest.Send(2*time.Hour, PickedUp, "scan-1", Pickup{By: "van 3"}))
//			workflowtest.Golden(t, "testdata/picked-up.golden", workflowtest.Transcript(run))
//		})
//	}
//
// Days of waiting take no time. What steps talk to must be a fake that is made
// inside of the bubble.
package workflowtest

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/liwanag/liwanag/workflow"
)

// RunID is the id of the run that [Run] starts.
const RunID = "run"

// patience is the virtual time after which a run that is still open fails the
// test.
const patience = 10 * 365 * 24 * time.Hour

// Act is something that happens to a run from outside, at a time counted from
// the run's start. Make it with [Send], [Cancel], [Retry] or [Do].
type Act struct {
	at       time.Duration
	punctual bool // it comes before a deadline at the same time
	do       func(t testing.TB, on workflow.Runner)
}

// Do calls a function at a time: for everything the other acts do not do.
func Do(at time.Duration, do func(t testing.TB, on workflow.Runner)) Act { return Act{at: at, do: do} }

// Send sends the run an event. Sent again with the same id it is a duplicate,
// sent before its wait it is kept for it, sent after the end it is late.
func Send[T any](at time.Duration, event workflow.Event[T], id string, payload T) Act {
	return Act{at, true, func(t testing.TB, on workflow.Runner) {
		t.Helper()
		if _, err := event.Send(context.Background(), on, RunID, id, payload); err != nil {
			t.Errorf("at %s, event %s: %v", at, event.Name, err)
		}
	}}
}

// Cancel cancels the run.
func Cancel(at time.Duration, reason string) Act {
	return Act{at, true, func(t testing.TB, on workflow.Runner) {
		t.Helper()
		if err := on.Cancel(context.Background(), RunID, reason); err != nil {
			t.Errorf("at %s, cancel: %v", at, err)
		}
	}}
}

// Retry reopens the run, which must have ended badly by then, from a step; empty
// means the step that failed.
func Retry(at time.Duration, from string) Act {
	return Do(at, func(t testing.TB, on workflow.Runner) {
		t.Helper()
		if err := on.Retry(context.Background(), RunID, from); err != nil {
			t.Errorf("at %s, retry from %q: %v", at, from, err)
		}
	})
}

// endless says why a run was given up.
func (r *Runner) endless(runID string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.runs[runID].endless
}

// Run runs a definition with an input until the run has ended and the script is
// over, and returns the run. Call it inside of a testing/synctest bubble. The
// test fails at once when the definition is wrong, when a step is not done after
// 50,000 attempts, snoozes or looks, and when the run is open after ten years.
// What is sent at the very instant of a wait's deadline, or a cancel, comes in time.
func Run(t testing.TB, def workflow.Definition, input any, script ...Act) workflow.Run {
	t.Helper()
	runner, err := NewRunner(def)
	if err != nil {
		t.Fatal(err)
	}
	defer runner.Close()
	raw, err := json.Marshal(input)
	if err != nil {
		t.Fatalf("the input cannot be encoded: %v", err)
	}
	ctx := context.Background()
	plan := def.Plan()
	began := now()
	for _, act := range script {
		if at := began.Add(act.at); act.punctual && runner.punctual[at] == nil {
			runner.punctual[at] = make(chan struct{})
		}
	}
	if err := runner.Start(ctx, workflow.StartRequest{Workflow: plan.Name, Version: plan.Version, RunID: RunID, Input: raw}); err != nil {
		t.Fatal(err)
	}
	script = slices.Clone(script)
	slices.SortStableFunc(script, func(a, b Act) int { return int(a.at - b.at) })
	for i, act := range script {
		at := began.Add(act.at)
		time.Sleep(time.Until(at))
		runner.settle()
		act.do(t, runner)
		if come := runner.punctual[at]; come != nil && (i+1 == len(script) || script[i+1].at != act.at) {
			close(come)
		}
	}
	for pause := time.Second; ; pause *= 2 {
		runner.settle()
		run, err := runner.Describe(ctx, RunID)
		if err != nil {
			t.Fatal(err)
		}
		switch endless := runner.endless(RunID); {
		case endless != "":
			t.Fatalf("the run does not end, a step is never done: %s", endless)
		case run.Status.Ended():
			return run
		}
		if time.Since(began) > patience {
			t.Fatalf("the run is open after ten years:\n%s", Transcript(run))
		}
		time.Sleep(pause)
	}
}
