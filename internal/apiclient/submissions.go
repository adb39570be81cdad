package apiclient

import (
	"context"
	"time"
)

// Submission is one paid call.
type Submission struct {
	ID           string    `json:"id"`
	RunID        string    `json:"runId"`
	N            int       `json:"n"`
	State        string    `json:"state"`
	Name         string    `json:"name"`
	EnrichmentID string    `json:"enrichmentId,omitempty"`
	Jobs         int       `json:"jobs"`
	Credits      int64     `json:"credits"`
	PreparedAt   time.Time `json:"preparedAt"`
	SendingAt    time.Time `json:"sendingAt,omitzero"`
	OutcomeAt    time.Time `json:"outcomeAt,omitzero"`
	GraceUntil   time.Time `json:"graceUntil,omitzero"`
	Supersedes   string    `json:"supersedes,omitempty"`
	Cause        string    `json:"cause,omitempty"`
}

// SubmissionFilter selects submissions; zero fields do not restrict.
type SubmissionFilter struct{ State, RunID string }

// Credits are the figures of the account and of the day. Balance is nil when
// FullEnrich never told, Budget without a limit.
type Credits struct {
	Balance      *float64  `json:"balance,omitempty"`
	BalanceAt    time.Time `json:"balanceAt,omitzero"`
	Day          string    `json:"day"`
	Reserved     int64     `json:"reserved"`
	Spent        int64     `json:"spent"`
	Budget       *int64    `json:"budget,omitempty"`
	Paused       bool      `json:"paused"`
	PausedReason string    `json:"pausedReason,omitempty"`
	PausedUntil  time.Time `json:"pausedUntil,omitzero"`
	PausedNote   string    `json:"pausedNote,omitempty"`
}

// Triggered names the runs that a trigger started; RunID is the first.
type Triggered struct {
	RunID  string   `json:"runId"`
	RunIDs []string `json:"runIds"`
}

// Tracked says which run an enrichment belongs to.
type Tracked struct {
	RunID        string `json:"runId"`
	SubmissionID string `json:"submissionId"`
	Registered   bool   `json:"registered"` // its result is still expected
	State        string `json:"state"`
}

type reason struct {
	Reason string `json:"reason,omitempty"`
}

// Submissions reads a page, newest first.
func (c *Client) Submissions(ctx context.Context, f SubmissionFilter, p Page) (List[Submission], error) {
	return get[List[Submission]](ctx, c, at("submissions"), filter{"state": f.State, "runId": f.RunID}.values(p))
}

// Submission reads one.
func (c *Client) Submission(ctx context.Context, id string) (Submission, error) {
	return get[Submission](ctx, c, at("submissions", id), nil)
}

// Adopt gives a submission in doubt the enrichment id that FullEnrich's
// dashboard shows.
func (c *Client) Adopt(ctx context.Context, id, enrichmentID string) (Submission, error) {
	return post[Submission](ctx, c, at("submissions", id, "adopt"), map[string]string{"enrichmentId": enrichmentID})
}

// Resubmit sends a submission in doubt once more; it may be paid for twice.
func (c *Client) Resubmit(ctx context.Context, id, why string) (Submission, error) {
	return post[Submission](ctx, c, at("submissions", id, "resubmit"), reason{why})
}

// Fail gives a submission in doubt up.
func (c *Client) Fail(ctx context.Context, id, why string) (Submission, error) {
	return post[Submission](ctx, c, at("submissions", id, "fail"), reason{why})
}

// PauseSpending stops all paid calls.
func (c *Client) PauseSpending(ctx context.Context, why string) (Credits, error) {
	return post[Credits](ctx, c, at("submissions", "pause"), reason{why})
}

// ResumeSpending lets paid calls go on.
func (c *Client) ResumeSpending(ctx context.Context) (Credits, error) {
	return post[Credits](ctx, c, at("submissions", "resume"), nil)
}

// Credits reads balance, reserved, spent and budget.
func (c *Client) Credits(ctx context.Context) (Credits, error) {
	return get[Credits](ctx, c, at("credits"), nil)
}

// TriggerBatch triggers the scheduled batch; it always starts a run.
func (c *Client) TriggerBatch(ctx context.Context) (Triggered, error) {
	return post[Triggered](ctx, c, at("enrichments"), nil)
}

// Enrichment finds the run of an enrichment of FullEnrich.
func (c *Client) Enrichment(ctx context.Context, enrichmentID string) (Tracked, error) {
	return get[Tracked](ctx, c, at("enrichments", enrichmentID), nil)
}
