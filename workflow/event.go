package workflow

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"
)

// MaxPayload is the largest event payload, run input and step output, in bytes
// of JSON. Larger data belongs in a table of its own; pass its id.
const MaxPayload = 64 << 10

// MaxOutputs is the most that all outputs of a run may take together.
const MaxOutputs = 1 << 20

// MaxInbox is how many events a run may receive, consumed and late ones included, and
// MaxInboxBytes what their payloads may take together. More are refused with
// [ErrInboxFull].
const (
	MaxInbox      = 1000
	MaxInboxBytes = 1 << 20
)

// InboxHolds says whether an inbox of so many events and bytes takes a payload.
func InboxHolds(events, bytes int, payload json.RawMessage) bool {
	return events < MaxInbox && bytes+len(payload) <= MaxInboxBytes
}

// Event is a kind of message that resumes runs, shared by the definition that
// waits for it and by its senders. Declare it once, as a package variable.
type Event[T any] struct{ Name string }

// AnyEvent is an [Event] of some payload type.
type AnyEvent interface {
	EventName() string
	// Check says whether a payload is of the event's type.
	Check(payload json.RawMessage) error
	decode(payload json.RawMessage) (any, error)
}

// EventName is the event's name.
func (e Event[T]) EventName() string { return e.Name }

func (e Event[T]) payload() reflect.Type { return reflect.TypeFor[T]() }

// Check says whether a payload is of the event's type. Unknown fields are let
// pass.
func (e Event[T]) Check(payload json.RawMessage) error {
	_, err := e.decode(payload)
	return err
}

func (e Event[T]) decode(payload json.RawMessage) (any, error) {
	var v T
	if err := json.Unmarshal(payload, &v); err != nil {
		return nil, fmt.Errorf("event %s: the payload does not fit: %w", e.Name, err)
	}
	return v, nil
}

// Send delivers the event to a run. It is idempotent by signal ID: of several
// with one ID the first wins. The event may come before the run waits for it: it
// is kept until then. ErrNotFound when there is no such run.
func (e Event[T]) Send(ctx context.Context, to Signaler, runID, signalID string, payload T) (Receipt, error) {
	raw, err := json.Marshal(&payload)
	if err != nil {
		return Receipt{}, fmt.Errorf("event %s: the payload cannot be encoded: %w", e.Name, err)
	}
	return to.Signal(ctx, runID, Signal{ID: signalID, Event: e.Name, Payload: raw, of: e.payload(), sent: raw})
}

// Signal is an event on its way to a run.
type Signal struct {
	ID      string // chosen by the sender, unique within the run
	Event   string
	Payload json.RawMessage

	// What Send made of a value, and of which type: it is known to be JSON, and to fit.
	of   reflect.Type
	sent json.RawMessage

	decoded *decoded // by Match
}

// decoded is a payload as a value, for the first that reads it: another one gets a
// value of its own.
type decoded struct{ value atomic.Pointer[any] }

// take is the value, once. It may be asked of none.
func (d *decoded) take() any {
	if d == nil {
		return nil
	}
	if v := d.value.Swap(nil); v != nil {
		return *v
	}
	return nil
}

// asSent says whether the payload is what Send made, of whichever type.
func (s Signal) asSent() bool { return s.of != nil && bytes.Equal(s.sent, s.Payload) }

// Validate refuses what no runner would take: a signal without ID or event, with
// one that is too long or cannot be printed, or a payload that is not JSON or larger than [MaxPayload].
func (s Signal) Validate() error {
	switch {
	case !validID(s.ID, 256):
		return fmt.Errorf("workflow: a signal needs an id of 1 to 256 printable bytes")
	case s.Event == "":
		return fmt.Errorf("workflow: signal %s names no event", s.ID)
	case !validID(s.Event, MaxLabel):
		return fmt.Errorf("workflow: signal %s needs the name of an event, 1 to %d printable bytes", s.ID, MaxLabel)
	case len(s.Payload) > MaxPayload:
		return fmt.Errorf("%w: the payload of event %s has %d bytes, %d are allowed: store it and send its id", ErrTooLarge,
			s.Event, len(s.Payload), MaxPayload)
	case !s.asSent() && !json.Valid(s.Payload):
		return fmt.Errorf("workflow: the payload of event %s is not JSON", s.Event)
	}
	return nil
}

// validID refuses what not every database keeps as it is.
func validID(id string, most int) bool {
	return id != "" && len(id) <= most && utf8.ValidString(id) && !strings.ContainsFunc(id, unicode.IsControl)
}

// Receipt says what became of a signal that was taken.
type Receipt struct {
	Duplicate bool // the run had a signal of this ID already; this one changed nothing
	Late      bool // the run had ended; the signal is kept and nothing else happens
}

// Arrived is what a [WaitForAny] or [WaitForAll] consumed.
type Arrived struct {
	Events []ArrivedEvent `json:"events"`
}

// ArrivedEvent is one consumed event.
type ArrivedEvent struct {
	Type string          `json:"type"`
	Data json.RawMessage `json:"data"`
}

// As reads the payload of one event out of what arrived; false when that event
// did not come.
func As[T any](a Arrived, e Event[T]) (T, bool) {
	var v T
	for _, got := range a.Events {
		if got.Type == e.Name && json.Unmarshal(got.Data, &v) == nil {
			return v, true
		}
	}
	return v, false
}

// Match looks in an inbox, oldest first, for what a wait wants. It returns the
// signals that the wait consumes and the wait's output. ok is false while
// something is missing. An event whose payload is not of the type is passed over: the
// right one can follow. It is pure.
func (n *Node) Match(inbox []Signal) (consumed []Signal, output json.RawMessage, ok bool) {
	for _, event := range n.Events {
		for _, s := range inbox {
			if s.Event != event.EventName() {
				continue
			}
			if v, err := event.decode(s.Payload); err == nil {
				s.decoded = &decoded{}
				s.decoded.value.Store(&v)
				consumed = append(consumed, s)
				break
			}
		}
	}
	switch {
	case len(consumed) == 0, n.All && len(consumed) < len(n.Events):
		return nil, nil, false
	case !n.All && len(consumed) > 1:
		consumed = earliest(inbox, consumed)
	}
	return consumed, n.OutputOf(consumed), true
}

func earliest(inbox, found []Signal) []Signal {
	for _, s := range inbox {
		for _, f := range found {
			if s.ID == f.ID {
				return []Signal{f}
			}
		}
	}
	return found[:1]
}

// OutputOf is the output of a wait that consumed these signals.
func (n *Node) OutputOf(consumed []Signal) json.RawMessage {
	if !n.many {
		return consumed[0].Payload
	}
	var arrived Arrived
	for _, s := range consumed {
		arrived.Events = append(arrived.Events, ArrivedEvent{s.Event, bytes.Clone(s.Payload)})
	}
	// Payloads were valid JSON when they were taken, so this cannot fail.
	raw, _ := json.Marshal(arrived)
	return raw
}

// Schedule says when an open wait looks for its answer by itself: offsets from
// the start of the wait, of which the last is the interval at which it goes on.
// {10m, 20m, 40m, 1h} looks after 10, 20, 40, 100, 160, … minutes; {5m} every
// five minutes. The zero value looks at the deadline only.
type Schedule struct {
	Offsets []time.Duration
	// Jitter is the fraction by which each look may come later, 0 to 1, drawn from
	// the run ID.
	Jitter float64
}

// Next is the first look of a wait that began at start, later than after; false
// when there is none.
func (s Schedule) Next(runID string, start, after time.Time) (time.Time, bool) {
	if len(s.Offsets) == 0 {
		return time.Time{}, false
	}
	for i := s.past(after.Sub(start)); ; i++ {
		offset := s.offset(i)
		at := start.Add(offset + time.Duration(float64(offset)*s.Jitter*jitter(runID, "schedule", i)))
		if at.After(after) {
			return at, true
		}
	}
}

// offset is when look i comes, numbered from 0, jitter excepted.
func (s Schedule) offset(i int) time.Duration {
	last := len(s.Offsets) - 1
	if i < last {
		return s.Offsets[i]
	}
	base := time.Duration(0)
	if last > 0 {
		base = s.Offsets[last-1]
	}
	return base + time.Duration(i-last+1)*s.Offsets[last]
}

// past is how many looks surely lie within elapsed, even with the largest jitter,
// so that Next takes few rounds however long a run slept.
func (s Schedule) past(elapsed time.Duration) int {
	behind := time.Duration(float64(elapsed) / (1 + s.Jitter))
	return max(0, int((behind-s.offset(len(s.Offsets)-1))/s.Offsets[len(s.Offsets)-1]))
}

func (s Schedule) validate() error {
	for i, d := range s.Offsets {
		if d <= 0 {
			return fmt.Errorf("a schedule with %s: offsets must be positive", d)
		}
		if i > 0 && i < len(s.Offsets)-1 && d <= s.Offsets[i-1] {
			return fmt.Errorf("a schedule with %s after %s: offsets must grow", d, s.Offsets[i-1])
		}
	}
	if !(s.Jitter >= 0 && s.Jitter <= 1) {
		return fmt.Errorf("a schedule jitter of %v: it is a fraction from 0 to 1", s.Jitter)
	}
	return nil
}
