package apiclient

import (
	"context"
	"time"
)

// BulkAct does something to all runs that a filter selects.
type BulkAct struct {
	Workflow string    `json:"workflow,omitempty"`
	Status   string    `json:"status,omitempty"`
	Since    time.Time `json:"since,omitzero"`
	Until    time.Time `json:"until,omitzero"`
	Query    string    `json:"q,omitempty"`
	Reason   string    `json:"reason,omitempty"` // of a cancel
	DryRun   bool      `json:"dryRun,omitempty"` // only count
	// Expect is how many were counted before: when it is more by now, nothing is
	// done (409 count_differs). Zero: whatever matches.
	Expect int64 `json:"expect,omitempty"`
}

// BulkResult says what a BulkAct did.
type BulkResult struct {
	Matched int64       `json:"matched"` // that the act can be done to
	Done    int64       `json:"done"`
	Failed  []BulkFault `json:"failed"` // at most 100 of them
	DryRun  bool        `json:"dryRun,omitempty"`
}

// BulkFault is a run to which the act could not be done.
type BulkFault struct {
	ID     string `json:"id"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// CancelRuns cancels all open runs that match.
func (c *Client) CancelRuns(ctx context.Context, b BulkAct) (BulkResult, error) {
	return c.bulk(ctx, "cancel", b)
}

// RetryRuns retries all failed, timed-out and canceled runs that match.
func (c *Client) RetryRuns(ctx context.Context, b BulkAct) (BulkResult, error) {
	return c.bulk(ctx, "retry", b)
}

func (c *Client) bulk(ctx context.Context, act string, b BulkAct) (BulkResult, error) {
	patient := *c
	patient.http = c.slow
	return post[BulkResult](ctx, &patient, at("runs", act), b)
}
