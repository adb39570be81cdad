package apiclient

import (
	"context"
	"time"
)

// Overview is what there is to see at a glance.
type Overview struct {
	Range string `json:"range"` // 24h, 7d or 30d
	Spans []Span `json:"spans"` // oldest first; hours for 24h, else days
	// How many there are, by status or state; none are left out.
	Subscribers map[string]int64 `json:"subscribers"`
	Jobs        map[string]int64 `json:"jobs"`
	Runs        map[string]int64 `json:"runs"`
	Submissions map[string]int64 `json:"submissions"`
	Credits     Credits          `json:"credits"`
	Attention   []Attention      `json:"attention"` // what needs a person, most urgent first
	At          time.Time        `json:"at"`        // when it was counted; it may be a few seconds old
}

// Span is what happened from one time to the next span's.
type Span struct {
	From     time.Time `json:"from"`
	SignUps  int64     `json:"signUps"`
	Enriched int64     `json:"enriched"`
	NotFound int64     `json:"notFound"`
	Failed   int64     `json:"failed"`
	Spent    int64     `json:"spent"` // credits; of days only
}

// Attention is something that needs a person.
type Attention struct {
	// Kind is submission_held, spending_paused, credits_low, sink_failing,
	// sink_disabled, source_refusing, delivery_unmatched or webhooks_silent.
	Kind    string    `json:"kind"`
	ID      string    `json:"id,omitempty"` // of the thing, when it is one
	Count   int64     `json:"count,omitempty"`
	Message string    `json:"message"` // for people, with what to do
	Since   time.Time `json:"since,omitzero"`
}

// RunCount says how many runs stand at a step.
type RunCount struct {
	Workflow string `json:"workflow"`
	Version  int    `json:"version"`
	Status   string `json:"status"`
	Step     string `json:"step,omitempty"`
	Runs     int64  `json:"runs"`
}

// Act is a manual act, from the audit trail.
type Act struct {
	At        time.Time `json:"at"`
	Actor     string    `json:"actor"` // key, console or local
	Act       string    `json:"act"`
	Subject   string    `json:"subject,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	RequestID string    `json:"requestId,omitempty"`
}

// Overview reads the figures of a range: 24h, 7d or 30d; empty for 24h.
func (c *Client) Overview(ctx context.Context, span string) (Overview, error) {
	return get[Overview](ctx, c, at("overview"), filter{"range": span}.values(Page{}))
}

// RunCounts says how many open runs stand at each step, and how many ended how.
func (c *Client) RunCounts(ctx context.Context, workflow string) (List[RunCount], error) {
	return get[List[RunCount]](ctx, c, at("workflows", workflow, "counts"), nil)
}

// Acts reads a page of the audit trail, newest first; subject and act may be
// empty.
func (c *Client) Acts(ctx context.Context, subject, act string, p Page) (List[Act], error) {
	return get[List[Act]](ctx, c, at("audit"), filter{"subject": subject, "act": act}.values(p))
}
