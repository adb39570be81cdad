package workflow

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Starter starts runs.
type Starter interface {
	// Start starts a run; see [Runner].
	Start(ctx context.Context, r StartRequest) error
}

// Signaler delivers events to runs.
type Signaler interface {
	// Signal delivers an event; see [Runner].
	Signal(ctx context.Context, runID string, s Signal) (Receipt, error)
}

// Runner runs definitions and remembers their runs. When a call returns without
// an error, what it did is durable.
type Runner interface {
	// Start starts a run, idempotently by run ID. [ErrInputDiffers] when the ID is
	// taken with another input or workflow, [ErrUnknownWorkflow] when the runner
	// holds no such definition, [ErrPayload] when the input is not of its type.
	Start(ctx context.Context, r StartRequest) error
	// Signal delivers an event, idempotently by signal ID. [ErrNotFound], and
	// [ErrInboxFull] of a run that has received too many; where the run's definition is
	// held also [ErrUnknownEvent] and [ErrPayload]. Elsewhere it is stored, and passed
	// over by every wait that it does not fit.
	Signal(ctx context.Context, runID string, s Signal) (Receipt, error)
	// Cancel asks a run to end: honored between steps and in every pause, a
	// running step is never interrupted. Repeating it changes nothing.
	// [ErrNotFound], [ErrEnded].
	Cancel(ctx context.Context, runID, reason string) error
	// Wake ends the snooze or the back-off that a run is in now, and lets a wait that
	// reconciles look for its answer now. It uses no attempt and changes nothing else:
	// sleeps and waits for events go on, and a run that is in no such pause goes its
	// way. While a step executes, it ends the pause that this attempt asks for.
	// Repeating it changes nothing. [ErrNotFound], [ErrEnded].
	Wake(ctx context.Context, runID string) error
	// Terminate ends a run at once, without handlers: for runs whose definition no
	// runner holds any more. [ErrNotFound], [ErrEnded].
	Terminate(ctx context.Context, runID, reason string) error
	// Describe tells everything about a run. [ErrNotFound].
	Describe(ctx context.Context, runID string) (Run, error)
	// Retry reopens a failed, timed-out or canceled run from a step; an empty name
	// is the step that failed. [ErrNotFound], [ErrNotEnded], [ErrUnknownStep].
	Retry(ctx context.Context, runID, from string) error
	// List lists runs, newest first, without steps, events and history.
	// [ErrInvalidCursor], [ErrAttribute], [ErrNoAttributes].
	List(ctx context.Context, q Query) (Page, error)
}

// maxRunID bounds a run's id in bytes.
const maxRunID = 200

// StartRequest starts a run.
type StartRequest struct {
	Workflow string
	Version  int // 0: the highest version the runner holds
	RunID    string
	Input    json.RawMessage
	// Attributes of the run. A start that is repeated changes none.
	Attributes Attributes
}

// Validate refuses what no runner would take.
func (r StartRequest) Validate() error {
	switch {
	case !validID(r.RunID, maxRunID):
		return fmt.Errorf("workflow %s: a run id of 1 to %d printable bytes is needed", r.Workflow, maxRunID)
	case isSubRun(r.RunID):
		return fmt.Errorf("workflow %s: the run id %s is that of a sub-run: leave the brackets at its end away", r.Workflow, r.RunID)
	case len(r.Input) > MaxPayload:
		return fmt.Errorf("%w: the input of run %s has %d bytes, %d are allowed: store it and pass its id", ErrTooLarge,
			r.RunID, len(r.Input), MaxPayload)
	case !json.Valid(r.Input):
		return fmt.Errorf("workflow %s: the input of run %s is not JSON", r.Workflow, r.RunID)
	}
	if err := r.Attributes.Validate(); err != nil {
		return fmt.Errorf("run %s: %w", r.RunID, err)
	}
	return nil
}

// SameJSON says whether two inputs are one, however they are spaced.
func SameJSON(a, b json.RawMessage) bool {
	if bytes.Equal(a, b) {
		return true
	}
	var x, y bytes.Buffer
	return json.Compact(&x, a) == nil && json.Compact(&y, b) == nil && bytes.Equal(x.Bytes(), y.Bytes())
}

func isSubRun(id string) bool {
	_, _, _, _, ok := SplitRunID(id)
	return ok
}

// Status is where a run or a step of it stands.
type Status string

// The statuses. A run is never skipped.
const (
	StatusPending   Status = "pending"   // not begun
	StatusRunning   Status = "running"   // a step executes or is due
	StatusWaiting   Status = "waiting"   // for an event, a retry, a snooze or a sleep
	StatusCompleted Status = "completed" // ended well
	StatusFailed    Status = "failed"    // a step failed for good
	StatusTimedOut  Status = "timed_out" // a wait's deadline or the RunTimeout passed
	StatusCanceled  Status = "canceled"  // somebody canceled it
	StatusSkipped   Status = "skipped"   // the step's condition did not hold
)

// Ended says whether nothing more happens by itself.
func (s Status) Ended() bool {
	return s != StatusPending && s != StatusRunning && s != StatusWaiting
}

// Run is a run as people and programs see it.
type Run struct {
	ID              string          `json:"id"`
	Workflow        string          `json:"workflow"`
	Version         int             `json:"version"`
	Status          Status          `json:"status"`
	Input           json.RawMessage `json:"input,omitempty"`
	Output          json.RawMessage `json:"output,omitempty"` // of the last completed step
	Failure         *Failure        `json:"failure,omitempty"`
	WaitingFor      *WaitingFor     `json:"waitingFor,omitempty"`
	FinishedBecause string          `json:"finishedBecause,omitempty"` // label of an early finish
	CancelRequested bool            `json:"cancelRequested,omitempty"`
	Paused          bool            `json:"paused,omitempty"` // it begins no further step
	CreatedAt       time.Time       `json:"createdAt,omitzero"`
	StartedAt       time.Time       `json:"startedAt,omitzero"`
	EndedAt         time.Time       `json:"endedAt,omitzero"`
	Node            string          `json:"node,omitempty"` // that executes it now
	// Parent is the run that a sub-run belongs to, and Children counts the sub-runs of the
	// step at which a run stands, while there are any.
	Parent   string    `json:"parent,omitempty"`
	Children *Children `json:"children,omitempty"`
	// Attributes are those given at the start, and set by steps since.
	Attributes Attributes `json:"attributes,omitempty"`
	// NoDefinition says why no definition that the runner holds executes the open run:
	// its version is not there, or was begun by another definition, which it fits.
	NoDefinition string `json:"noDefinition,omitempty"`

	Steps   []StepState   `json:"steps,omitempty"`
	Events  []EventState  `json:"events,omitempty"`
	History []HistoryItem `json:"-"`
}

// WaitKind is what kind of pause a run is in.
type WaitKind string

// The kinds of pause.
const (
	WaitEvent  WaitKind = "event"
	WaitRetry  WaitKind = "retry"
	WaitSnooze WaitKind = "snooze"
	WaitSleep  WaitKind = "sleep"
	WaitRuns   WaitKind = "runs" // for sub-runs
)

// WaitingFor says what a waiting run waits for.
type WaitingFor struct {
	Step   string    `json:"step"`
	Kind   WaitKind  `json:"kind"`
	Events []string  `json:"events,omitempty"`
	Until  time.Time `json:"until,omitzero"` // the deadline, or when it goes on
	// NextFetchAt is when a wait looks for its answer by itself.
	NextFetchAt time.Time `json:"nextFetchAt,omitzero"`
}

// StepState is a step, wait or sleep of a run.
type StepState struct {
	Name           string          `json:"name"`
	Kind           Kind            `json:"kind"`
	Status         Status          `json:"status"`
	StartedAt      time.Time       `json:"startedAt,omitzero"`
	EndedAt        time.Time       `json:"endedAt,omitzero"`
	Output         json.RawMessage `json:"output,omitempty"`
	SkippedBecause string          `json:"skippedBecause,omitempty"`
	Attempts       []Attempt       `json:"attempts,omitempty"`
}

// Children are how far the sub-runs are of the step at which a run stands.
type Children struct {
	Step      string `json:"step"`
	Total     int    `json:"total"` // that there will be at most
	Open      int    `json:"open"`
	Completed int    `json:"completed"`
	Failed    int    `json:"failed"`
	Canceled  int    `json:"canceled,omitempty"` // since the step stopped them
}

// Attempt is one try of a step.
type Attempt struct {
	N         int       `json:"n"`
	StartedAt time.Time `json:"startedAt,omitzero"`
	EndedAt   time.Time `json:"endedAt,omitzero"`
	Error     string    `json:"error,omitempty"`
	NextAt    time.Time `json:"nextAt,omitzero"`
}

// EventState is an event that a run received.
type EventState struct {
	ID         string          `json:"id"`
	Type       string          `json:"type"`
	Data       json.RawMessage `json:"data,omitempty"`
	ReceivedAt time.Time       `json:"receivedAt"`
	ConsumedBy string          `json:"consumedBy,omitempty"` // the wait
	Late       bool            `json:"late,omitempty"`       // nothing will consume it
	// SetAside says why no wait consumes it: the run's definition takes no such event,
	// or its payload is of another type. The right one can follow.
	SetAside string `json:"setAside,omitempty"`
}

// Sift notes of each event that nothing consumed whether the plan sets it aside.
func (p *Plan) Sift(events []EventState) {
	for i := range events {
		e := &events[i]
		if e.SetAside = ""; e.ConsumedBy != "" {
			continue
		}
		if err := p.CheckEvent(Signal{ID: e.ID, Event: e.Type, Payload: e.Data}); err != nil {
			e.SetAside = err.Error()
		}
	}
}

// HistoryType is the type of a history item.
type HistoryType string

// The types of history items.
const (
	HistoryRunStarted       HistoryType = "run.started"
	HistoryStepCompleted    HistoryType = "step.completed"
	HistoryStepFailed       HistoryType = "step.failed"
	HistoryStepSkipped      HistoryType = "step.skipped"
	HistoryStepRetrying     HistoryType = "step.retrying"
	HistoryStepSnoozed      HistoryType = "step.snoozed"
	HistoryWaitStarted      HistoryType = "wait.started"
	HistoryEventReceived    HistoryType = "event.received"
	HistoryEventConsumed    HistoryType = "event.consumed"
	HistoryEventLate        HistoryType = "event.late"
	HistoryWaitTimedOut     HistoryType = "wait.timed_out"
	HistoryReconcileChecked HistoryType = "reconcile.checked"
	HistoryCancelRequested  HistoryType = "run.cancel_requested"
	HistoryRunCompleted     HistoryType = "run.completed"
	HistoryRunFailed        HistoryType = "run.failed"
	HistoryRunTimedOut      HistoryType = "run.timed_out"
	HistoryRunCanceled      HistoryType = "run.canceled"
	HistoryRunReopened      HistoryType = "run.reopened"
	HistoryStepResolved     HistoryType = "step.resolved" // by a person
)

// HistoryItem is one entry of a run's history: append-only, numbered from 1
// without gaps.
type HistoryItem struct {
	Seq     int64           `json:"seq"`
	At      time.Time       `json:"at"`
	Type    HistoryType     `json:"type"`
	Step    string          `json:"step,omitempty"`
	Attempt int             `json:"attempt,omitempty"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// Query selects runs; zero fields select all.
type Query struct {
	Workflow string
	Status   Status
	Since    time.Time // created at or after
	Until    time.Time // created before
	IDs      []string  // only these; a nil slice selects all
	Parent   string    // the sub-runs of this run, by step and index; empty: runs that belong to no other
	// Attributes that runs have, all of them; at most [MaxAttributeFilters].
	Attributes Attributes
	Cursor     string // from the page before
	Limit      int    // default 50, at most 500
}

// Possible is the query without the ids that no run can have; false: no run matches it.
func (q Query) Possible() (Query, bool) {
	if q.IDs != nil {
		q.IDs = slices.DeleteFunc(slices.Clone(q.IDs), func(id string) bool { return !validID(id, maxRunID) })
	}
	return q, (q.IDs == nil || len(q.IDs) > 0) && (q.Workflow == "" || validID(q.Workflow, MaxLabel))
}

// Page is a page of runs, newest first.
type Page struct {
	Runs []Run
	Next string // cursor of the next page, empty on the last
}
