// Package notify is the voice: it tells other systems what happened, by webhooks
// to sinks, signed as Standard Webhooks (https://www.standardwebhooks.com) says.
//
// What is to be told becomes a message in the transaction it happens in
// (liwanag.Announce). Here messages get runs of the workflow webhook-out, which
// sends each until its sink takes it. DESIGN.md beside it gives the reasons.
package notify

import (
	"context"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow"
)

// Name is the name of the workflow.
const Name = "webhook-out"

// Input names the message that a run sends. All else is read when it is sent, so
// that no history holds what is told.
type Input struct {
	MessageID liwanag.ID `json:"messageId"`
}

// Sent says how sending ended.
type Sent struct {
	Status int `json:"status,omitempty"` // HTTP, 0 when nothing was sent
	// Because says why nothing was: the message ended before, was dropped, or waits
	// for its sink to be enabled.
	Because string `json:"because,omitempty"`
}

// Work is what the step and the handlers do; *Sender is the product's.
type Work interface {
	// Send tries to send a message once.
	Send(ctx context.Context, messageID liwanag.ID) (Sent, error)
	// MarkFailed ends a message whose run failed.
	MarkFailed(ctx context.Context, messageID liwanag.ID) error
	// MarkDropped ends a message whose run was canceled.
	MarkDropped(ctx context.Context, messageID liwanag.ID) error
}

// attempts with these delays take about three days: 10 s, 20 s, 40 s … 11 h 22 m,
// then 12 h each.
const attempts = 18

var retry = workflow.Retry{MaxAttempts: attempts, Backoff: workflow.Exponential, InitialDelay: 10 * time.Second,
	MaxDelay: 12 * time.Hour, Jitter: 0.1}

// New defines the workflow: one step, tried for three days.
func New(work Work) *workflow.Workflow[Input] {
	wf := workflow.New[Input](Name, workflow.Version(1))
	workflow.Step(wf, "send", func(ctx context.Context, in Input) (Sent, error) {
		return work.Send(ctx, in.MessageID)
	}, retry, workflow.Timeout(30*time.Second))
	patient := workflow.Retry{MaxAttempts: 10, Backoff: workflow.Exponential, InitialDelay: time.Second, MaxDelay: time.Minute}
	workflow.OnError(wf, func(ctx context.Context, in Input, _ workflow.Failure) error {
		return work.MarkFailed(ctx, in.MessageID)
	}, patient)
	workflow.OnCancel(wf, func(ctx context.Context, in Input, _ string) error { return work.MarkDropped(ctx, in.MessageID) }, patient)
	return wf
}
