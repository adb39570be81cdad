package apiclient

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Run is a run of a workflow.
type Run struct {
	ID              string          `json:"id"`
	Workflow        string          `json:"workflow"`
	Version         int             `json:"version"`
	Status          string          `json:"status"`
	Input           json.RawMessage `json:"input,omitempty"`
	Output          json.RawMessage `json:"output,omitempty"`
	Failure         *Failure        `json:"failure,omitempty"`
	WaitingFor      *WaitingFor     `json:"waitingFor,omitempty"`
	FinishedBecause string          `json:"finishedBecause,omitempty"`
	CancelRequested bool            `json:"cancelRequested,omitempty"`
	CreatedAt       time.Time       `json:"createdAt"`
	StartedAt       time.Time       `json:"startedAt,omitzero"`
	EndedAt         time.Time       `json:"endedAt,omitzero"`
	Node            string          `json:"node,omitempty"`
	// Steps and Events are there when one run is read.
	Steps  []Step     `json:"steps,omitempty"`
	Events []RunEvent `json:"events,omitempty"`
}

// Ended says whether nothing more happens to the run by itself.
func (r Run) Ended() bool {
	return r.Status != "pending" && r.Status != "running" && r.Status != "waiting"
}

// WaitingFor says what a run waits for.
type WaitingFor struct {
	Step        string    `json:"step"`
	Kind        string    `json:"kind"`
	Reason      string    `json:"reason,omitempty"`
	Events      []string  `json:"events,omitempty"`
	Until       time.Time `json:"until,omitzero"`
	NextFetchAt time.Time `json:"nextFetchAt,omitzero"`
}

// Step is a step, wait or sleep of a run.
type Step struct {
	Name           string          `json:"name"`
	Kind           string          `json:"kind"`
	Status         string          `json:"status"`
	StartedAt      time.Time       `json:"startedAt,omitzero"`
	EndedAt        time.Time       `json:"endedAt,omitzero"`
	Output         json.RawMessage `json:"output,omitempty"`
	SkippedBecause string          `json:"skippedBecause,omitempty"`
	Attempts       []Attempt       `json:"attempts,omitempty"`
}

// Attempt is one try of a step.
type Attempt struct {
	N         int       `json:"n"`
	StartedAt time.Time `json:"startedAt,omitzero"`
	EndedAt   time.Time `json:"endedAt,omitzero"`
	Error     string    `json:"error,omitempty"`
	NextAt    time.Time `json:"nextAt,omitzero"`
}

// RunEvent is an event that a run received.
type RunEvent struct {
	ID         string    `json:"id"`
	Type       string    `json:"type"`
	ReceivedAt time.Time `json:"receivedAt"`
	ConsumedBy string    `json:"consumedBy,omitempty"`
	Late       bool      `json:"late,omitempty"`
}

// HistoryItem is one entry of a run's history.
type HistoryItem struct {
	Seq     int64           `json:"seq"`
	At      time.Time       `json:"at"`
	Type    string          `json:"type"`
	Step    string          `json:"step,omitempty"`
	Attempt int             `json:"attempt,omitempty"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// RunFilter selects runs; zero fields do not restrict.
type RunFilter struct {
	Workflow, Status string
	Since, Until     time.Time // created
	Query            string    // a run id, an enrichment id, or an e-mail of its jobs
}

// Event is an event to send: of several with one ID the first wins; without an
// ID it is a new one.
type Event struct {
	ID   string          `json:"id,omitempty"`
	Type string          `json:"type"`
	Data json.RawMessage `json:"data,omitempty"`
}

// EventReceipt says what became of an Event.
type EventReceipt struct {
	ID        string `json:"id"`
	Duplicate bool   `json:"duplicate,omitempty"`
	Late      bool   `json:"late,omitempty"`
}

// Runs reads a page, newest first.
func (c *Client) Runs(ctx context.Context, f RunFilter, p Page) (List[Run], error) {
	return get[List[Run]](ctx, c, at("runs"), filter{"workflow": f.Workflow, "status": f.Status, "q": f.Query,
		"since": timeText(f.Since), "until": timeText(f.Until)}.values(p))
}

// Run reads one, with steps, attempts and inbox.
func (c *Client) Run(ctx context.Context, id string) (Run, error) {
	return get[Run](ctx, c, at("runs", id), nil)
}

// History reads what happened to a run, in order.
func (c *Client) History(ctx context.Context, id string) ([]HistoryItem, error) {
	list, err := get[List[HistoryItem]](ctx, c, at("runs", id, "history"), nil)
	return list.Items, err
}

// WatchRun yields a run now and whenever it changes, until it has ended; see
// Watch.
func (c *Client) WatchRun(ctx context.Context, id string, every time.Duration) iter.Seq2[Run, error] {
	return until(Watch(ctx, every, func(ctx context.Context) (Run, error) { return c.Run(ctx, id) }), Run.Ended)
}

// CancelRun asks a run to end; force ends it at once and without its handlers.
func (c *Client) CancelRun(ctx context.Context, id, reason string, force bool) (Run, error) {
	return post[Run](ctx, c, at("runs", id, "cancel"), struct {
		Reason string `json:"reason,omitempty"`
		Force  bool   `json:"force,omitempty"`
	}{reason, force})
}

// RetryRun reopens a run from a step, or from the one that failed.
func (c *Client) RetryRun(ctx context.Context, id, from string) (Run, error) {
	return post[Run](ctx, c, at("runs", id, "retry"), struct {
		From string `json:"from,omitempty"`
	}{from})
}

// SendEvent sends an event to a run.
func (c *Client) SendEvent(ctx context.Context, id string, e Event) (EventReceipt, error) {
	return post[EventReceipt](ctx, c, at("runs", id, "events"), e)
}

// Workflow is a definition.
type Workflow struct {
	Name       string         `json:"name"`
	Version    int            `json:"version"`
	RunTimeout string         `json:"runTimeout,omitempty"`
	Steps      []WorkflowStep `json:"steps"`
	OnError    *WorkflowStep  `json:"onError,omitempty"`
	OnCancel   *WorkflowStep  `json:"onCancel,omitempty"`
}

// WorkflowStep is a step of a definition.
type WorkflowStep struct {
	Name              string         `json:"name"`
	Kind              string         `json:"kind"`
	Condition         string         `json:"condition,omitempty"`
	On                string         `json:"on,omitempty"`
	Retry             *WorkflowRetry `json:"retry,omitempty"`
	Timeout           string         `json:"timeout,omitempty"`
	Within            string         `json:"within,omitempty"`
	AtMostOnce        bool           `json:"atMostOnce,omitempty"`
	Events            []string       `json:"events,omitempty"`
	All               bool           `json:"all,omitempty"`
	Reconciles        bool           `json:"reconciles,omitempty"`
	ContinueOnTimeout bool           `json:"continueOnTimeout,omitempty"`
}

// WorkflowRetry is a retry policy.
type WorkflowRetry struct {
	MaxAttempts  int     `json:"maxAttempts"`
	Backoff      string  `json:"backoff"`
	InitialDelay string  `json:"initialDelay"`
	MaxDelay     string  `json:"maxDelay,omitempty"`
	Jitter       float64 `json:"jitter,omitempty"`
	RetryOn      []int   `json:"retryOn,omitempty"`
}

// Workflows reads the definitions that the server holds.
func (c *Client) Workflows(ctx context.Context) ([]Workflow, error) {
	list, err := get[List[Workflow]](ctx, c, at("workflows"), nil)
	return list.Items, err
}

// Workflow reads a definition; version 0 is the highest.
func (c *Client) Workflow(ctx context.Context, name string, version int) (Workflow, error) {
	query := url.Values{}
	if version != 0 {
		query.Set("version", strconv.Itoa(version))
	}
	return get[Workflow](ctx, c, at("workflows", name), query)
}

// temporary says whether the same request may work later by itself.
func temporary(err error) bool {
	var p *Problem
	if errors.As(err, &p) {
		return p.Status == http.StatusServiceUnavailable || p.Status == http.StatusInsufficientStorage || p.Status == http.StatusBadGateway
	}
	return errors.As(err, new(*Unreachable))
}
