package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// StartSender is a [Runner] that starts a run together with its first event, so that both
// happen or neither does.
type StartSender interface {
	// StartWith starts a run that has the event from its start on, or sends the event to
	// the run of this ID, whatever it was started with.
	StartWith(ctx context.Context, r StartRequest, s Signal) (Receipt, error)
}

// StartOrSend sends an event to a run, and starts the run when there is none of this ID:
// then the run has the event from its start on. It is idempotent by run ID and signal ID;
// the input counts for a start only. In a transaction of a store both happen with its
// commit, and the receipt says nothing.
func StartOrSend[In, T any](ctx context.Context, on interface {
	Starter
	Signaler
}, ref Ref[In], runID string, in In, e Event[T], signalID string, payload T, opts ...StartOption) (Receipt, error) {
	q, err := ref.request(runID, in, opts)
	if err != nil {
		return Receipt{}, err
	}
	raw, err := json.Marshal(&payload)
	if err != nil {
		return Receipt{}, fmt.Errorf("event %s: the payload cannot be encoded: %w", e.Name, err)
	}
	s := Signal{ID: signalID, Event: e.Name, Payload: raw, of: e.payload(), sent: raw}
	if err := s.Validate(); err != nil {
		return Receipt{}, err
	}
	if both, ok := on.(StartSender); ok {
		return both.StartWith(ctx, q, s)
	}
	if err := on.Start(ctx, q); err != nil && !errors.Is(err, ErrInputDiffers) {
		return Receipt{}, err
	}
	return on.Signal(ctx, runID, s)
}
