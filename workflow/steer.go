package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
)

var (
	// ErrNotUnknown: a step is to be resolved whose outcome is known.
	ErrNotUnknown = errors.New("workflow: only a step that failed with reason unknown can be resolved")
	// ErrUnknown: a run is to be retried from a step, or from before one, of which nobody
	// knows whether its effect happened.
	ErrUnknown = errors.New("workflow: nobody knows whether the step's effect happened\n  Try: resolve it, or ask for it again explicitly")
)

// Resolution is what a person found out about a step that may have run.
type Resolution struct {
	Output  json.RawMessage // of the step: it happened; empty of a step without a result
	Failure string          // it did not happen, or not well; empty: it did
	Who     string          // resolved it
	Why     string
}

// Resolver is a [Runner] whose runs can be resolved, and repeated although nobody knows
// what a step did.
type Resolver interface {
	// Resolve gives a step that failed with [ReasonUnknown] its outcome: the run is
	// reopened and goes on behind the step, or fails with the failure that is now known.
	// [ErrNotFound], [ErrNotEnded], [ErrUnknownStep], [ErrNotUnknown], [ErrPayload].
	Resolve(ctx context.Context, runID, step string, r Resolution) error
	// RetryAgain is [Runner].Retry that repeats also steps of which nobody knows whether
	// their effect happened, which Retry refuses with [ErrUnknown].
	RetryAgain(ctx context.Context, runID, from string) error
}

// Pauser is a [Runner] whose runs can be paused.
type Pauser interface {
	// Pause lets a run begin no further step until it is resumed; a running step ends
	// first, and sub-runs are runs of their own. Events are kept and times pass meanwhile;
	// a cancel ends the pause. Repeating it changes nothing. [ErrNotFound], [ErrEnded].
	Pause(ctx context.Context, runID string) error
	// Resume ends a pause; of a run that is not paused it changes nothing. [ErrNotFound],
	// [ErrEnded].
	Resume(ctx context.Context, runID string) error
}

// CheckOutput says whether an output is of the type that the step yields: ErrPayload. Of
// a step without a result it is empty.
func (n *Node) CheckOutput(output json.RawMessage) error {
	switch {
	case len(output) > MaxPayload:
		return fmt.Errorf("%w: the output of step %s has %d bytes, %d are allowed", ErrTooLarge, n.Name, len(output), MaxPayload)
	case n.yields == nil && len(output) > 0:
		return fmt.Errorf("%w: step %s has no output", ErrPayload, n.Name)
	case n.yields == nil:
		return nil
	case len(output) == 0:
		return fmt.Errorf("%w: step %s needs an output", ErrPayload, n.Name)
	}
	if err := json.Unmarshal(output, reflect.New(n.yields).Interface()); err != nil {
		return fmt.Errorf("%w: the output of step %s: %w", ErrPayload, n.Name, err)
	}
	return nil
}
