package temporalrunner

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	sdk "go.temporal.io/sdk/workflow"

	"github.com/liwanag/liwanag/workflow"
)

// The one signal that carries everything to a run, so that what comes keeps its
// order, and the queries.
const (
	signalName   = "liwanag"
	describeName = "describe"
	receiptName  = "receipt"
)

// message is what the signal carries: an event, a request to cancel or to wake, or the
// word of a sub-run that it has ended.
type message struct {
	Event   string          `json:"event,omitempty"`
	ID      string          `json:"id,omitempty"`
	Payload json.RawMessage `json:"payload,omitempty"`
	// Token tells this delivery from others with the event's ID.
	Token string `json:"token,omitempty"`

	Cancel bool   `json:"cancel,omitempty"`
	Wake   bool   `json:"wake,omitempty"`
	Reason string `json:"reason,omitempty"`

	Ended *subEnd `json:"ended,omitempty"`
}

// hear takes in whatever came.
func (x *interpreter) hear() {
	for {
		var m message
		if !x.news.ReceiveAsync(&m) {
			break
		}
		switch {
		case m.Cancel:
			x.cancel(m.Reason)
		case m.Wake:
			x.At.Woken = true
		case m.Ended != nil:
			x.subEnded(*m.Ended)
		default:
			x.receive(m)
		}
	}
	if x.outside.Err() != nil {
		x.cancel("canceled in Temporal")
	}
}

func (x *interpreter) cancel(reason string) {
	if x.Run.CancelRequested {
		return
	}
	x.Run.CancelRequested = true
	x.facts = append(x.facts, workflow.Fact{Kind: workflow.FactCanceled, Reason: reason})
	x.note(x.now(), workflow.HistoryCancelRequested, "", 0, map[string]any{"reason": reason})
}

func (x *interpreter) receive(m message) {
	s := workflow.Signal{ID: m.ID, Event: m.Event, Payload: m.Payload}
	if _, came := x.tokenOf(m.ID); came || s.Validate() != nil {
		return
	}
	size := 0
	for _, e := range x.Run.Events {
		size += len(e.Data)
	}
	if !workflow.InboxHolds(len(x.Run.Events), size, m.Payload) {
		x.refused = m.Token // its sender asks next
		return
	}
	now := x.now()
	x.Run.Events = append(x.Run.Events, workflow.EventState{ID: m.ID, Type: m.Event, Data: m.Payload, ReceivedAt: now})
	x.Tokens = append(x.Tokens, m.Token)
	x.note(now, workflow.HistoryEventReceived, "", 0, map[string]any{"id": m.ID, "type": m.Event})
}

// errRefused answers who asks for the receipt of an event that found no room; what is
// left of it with the caller is its text.
var errRefused = errors.New("the inbox is full")

// errBeginning answers who asks about a sub-run that reads what it begins with.
var errBeginning = errors.New("the run is just beginning")

// tokenOf is the token of the delivery that brought an event; false when none did.
func (r *record) tokenOf(id string) (string, bool) {
	for i, e := range r.Run.Events {
		if e.ID == id {
			return r.Tokens[i], true
		}
	}
	return "", false
}

// answer lets callers ask.
func (x *interpreter) answer() error {
	err := sdk.SetQueryHandler(x.ctx, describeName, func() (*record, error) {
		if x.record == nil {
			return nil, errBeginning
		}
		x.Facts = factsOf(x.facts) // a run that Temporal terminates is reopened with them
		x.plan.Sift(x.Run.Events)
		return x.packed()
	})
	if err != nil {
		return err
	}
	return sdk.SetQueryHandler(x.ctx, receiptName, func(id, token string) (workflow.Receipt, error) {
		if x.record == nil {
			return workflow.Receipt{}, errBeginning
		}
		first, came := x.tokenOf(id)
		if !came && token == x.refused {
			return workflow.Receipt{}, errRefused
		}
		if !came {
			return workflow.Receipt{}, fmt.Errorf("no event %s came", id)
		}
		return workflow.Receipt{Duplicate: first != token}, nil
	})
}

// pause parks the run until a time, a cancel, what the node waits for, a wake if it
// has something to do before its time, or, unless it handles an ending, the run's own
// deadline.
func (x *interpreter) pause(n *workflow.Node, w workflow.WaitingFor, until time.Time, since time.Time) {
	if at, ok := x.deadline(); ok && n.Kind != workflow.KindHandler && at.Before(until) {
		until = at
	}
	step := x.step(n)
	step.Status, step.StartedAt = workflow.StatusWaiting, since
	x.Run.Status, x.Run.WaitingFor = workflow.StatusWaiting, &w
	canceled, wakes := x.Run.CancelRequested, n.Reconciles || w.Kind == workflow.WaitRetry || w.Kind == workflow.WaitSnooze
	options := sdk.AwaitOptions{Timeout: until.Sub(x.now()), TimerOptions: sdk.TimerOptions{Summary: n.Name}}
	// The context is never canceled, so there is no error to see.
	_, _ = sdk.AwaitWithOptions(x.ctx, options, func() bool {
		x.hear()
		if x.Run.CancelRequested != canceled || wakes && x.At.Woken || x.crowded() || x.full(n) {
			return true
		}
		_, _, came := n.Match(x.inbox())
		return came
	})
	step = x.step(n)
	step.Status = workflow.StatusPending
	x.Run.Status, x.Run.WaitingFor = workflow.StatusRunning, nil
}
