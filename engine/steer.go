package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

var (
	_ workflow.Resolver = (*Engine)(nil)
	_ workflow.Pauser   = (*Engine)(nil)
)

// codeResolved: a person found out that the step's effect did not happen.
const codeResolved = "resolved"

// Resolve gives a step of which nobody knew what it did its outcome; see
// [workflow.Resolver].
func (e *Engine) Resolve(ctx context.Context, runID, step string, r workflow.Resolution) error {
	return e.reopen(ctx, runID, func(c store.Claimed) (store.Reopening, error) {
		plan, err := e.planOfEnded(c)
		if err != nil {
			return store.Reopening{}, err
		}
		n, ok := plan.Node(step)
		switch {
		case !ok || n.Kind == workflow.KindHandler:
			return store.Reopening{}, fmt.Errorf("%w: %q in %s version %d", workflow.ErrUnknownStep, step, plan.Name, plan.Version)
		case !isUnknown(plan, c, step):
			return store.Reopening{}, fmt.Errorf("%w: %s of run %s", workflow.ErrNotUnknown, step, runID)
		}
		if first := plan.ReopenFrom(factsOfRun(plan, nil, c.Run.Input, c.History, c.Signals)); !precedes(plan, step, first) {
			return store.Reopening{}, fmt.Errorf("%w: before %s of run %s steps were undone, and it goes on from %s", workflow.ErrNotUnknown,
				step, runID, first)
		}
		at := e.now()
		by, _ := json.Marshal(map[string]string{"by": workflow.Clip(r.Who), "reason": workflow.Clip(r.Why)}) // strings
		en := store.Entry{Kind: store.EntryResolved, Step: step, At: at, StartedAt: at, Label: string(by)}
		if r.Failure != "" {
			if len(r.Output) > 0 {
				return store.Reopening{}, fmt.Errorf("%w: a step is resolved by an output or by a failure, not by both", workflow.ErrPayload)
			}
			en.Failure = &workflow.Failure{Step: step, Reason: workflow.ReasonError, Code: codeResolved, Message: workflow.Clip(r.Failure)}
		} else if err := n.CheckOutput(r.Output); err != nil {
			return store.Reopening{}, err
		} else {
			en.Output = r.Output
		}
		reopening := returning(plan, c, step)
		reopening.Resolved = &en
		return reopening, nil
	})
}

// RetryAgain reopens a run although nobody knows what a step did that is repeated; see
// [workflow.Resolver].
func (e *Engine) RetryAgain(ctx context.Context, runID, from string) error {
	return e.reopen(ctx, runID, func(c store.Claimed) (store.Reopening, error) { return e.reopening(c, from, true) })
}

// reopen makes an ended run due again, as is decided on it.
func (e *Engine) reopen(ctx context.Context, runID string, decide func(store.Claimed) (store.Reopening, error)) error {
	for {
		c, err := e.store.Get(ctx, runID)
		if err != nil {
			return e.fromStore(runID, err)
		}
		r, err := decide(c)
		if err != nil {
			return err
		}
		err = e.store.Reopen(ctx, runID, r, e.now())
		switch {
		case errors.Is(err, store.ErrNotEnded):
			continue // it changed since it was read: an event came late, or it is open
		case err == nil:
			e.announce()
		}
		return e.fromStore(runID, err)
	}
}

// isUnknown says whether nobody knows what a step did.
func isUnknown(plan *workflow.Plan, c store.Claimed, step string) bool {
	for _, en := range slices.Backward(effective(plan, c.History)) {
		if en.Step == step {
			return en.Kind == store.EntryFailed && failureOf(en).Reason == workflow.ReasonUnknown
		}
	}
	return false
}

// Pause lets a run begin no further step; see [workflow.Pauser].
func (e *Engine) Pause(ctx context.Context, runID string) error {
	return e.fromStore(runID, e.store.Pause(ctx, runID, true))
}

// Resume ends a pause; see [workflow.Pauser].
func (e *Engine) Resume(ctx context.Context, runID string) error {
	err := e.store.Pause(ctx, runID, false)
	if err == nil {
		e.announce()
	}
	return e.fromStore(runID, err)
}

// paused parks a run that is paused where it stands.
func (x *execution) paused(n *workflow.Node) bool {
	return x.after(x.commit(new(x.resting(n)), nil))
}

// giveUpStep gives a step up after lost workers. One that runs at most once may ask first
// what became of it.
func (x *execution) giveUpStep(n *workflow.Node, lost workflow.Failure, now time.Time, handling bool) bool {
	if !n.Reconciles || lost.Code != workflow.CodeWorkerLost {
		x.settle(store.Entry{Kind: store.EntryFailed, Step: n.Name, Attempt: x.attempt, At: now, StartedAt: now, Failure: &lost})
		x.dirty = true
		return true
	}
	if x.since.IsZero() {
		x.since = now
	}
	output, found, err, gone := x.check(n, x.attempt)
	if gone {
		return false
	}
	en := store.Entry{Kind: store.EntryFailed, Step: n.Name, Attempt: x.attempt, StartedAt: now, At: x.e.now(), Failure: &lost}
	if found {
		en.Kind, en.Output, en.Failure, en.Reconciled = store.EntryCompleted, output, nil, true
	}
	if err != nil {
		next := n.After(x.run.ID, x.attempt, en.At.Sub(x.since), err)
		if next.Then != workflow.AfterFail && !x.full(n, en) {
			en.Kind, en.Failure, en.NextAt = store.EntryRetrying, &next.Failure, en.At.Add(next.Delay)
			x.again(en)
			return x.pause(store.Park{Kind: store.ParkRetry, Step: n.Name, Since: x.since, Until: en.NextAt}, handling)
		}
		lost.Message = workflow.Clip(lost.Message + ", and nobody tells: " + next.Failure.Message)
	}
	x.settle(en)
	x.dirty = true
	return true
}
