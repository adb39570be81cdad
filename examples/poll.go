package examples

import (
	"context"
	"errors"
	"time"

	"github.com/liwanag/liwanag/workflow"
)

// Document is what a partner scans.
type Document struct{ ID string }

// Scanned comes from the partner's webhook, if it comes.
var Scanned = workflow.Event[string]{Name: "scanned"}

// Poll shows a partner's job of which a webhook tells or not: the wait asks by itself, with
// growing pauses, and an answer that says FAILED ends it at once.
func Poll(begin func(context.Context, Document) (job string, err error),
	ask func(ctx context.Context, job string) (state, text string, err error)) *workflow.Workflow[Document] {
	wf := workflow.New[Document]("scan")
	job := workflow.Step(wf, "begin", begin)
	growing := workflow.Schedule{Offsets: []time.Duration{
		time.Minute, 3 * time.Minute, 10 * time.Minute, time.Hour, 6 * time.Hour}}
	workflow.WaitFor(wf, "scanned", Scanned, day, workflow.Reconcile(growing,
		func(ctx context.Context, _ Document) (text string, found bool, err error) {
			state, text, err := ask(ctx, job.Output(ctx))
			if state == "FAILED" {
				err = workflow.Permanent(errors.New("the partner failed: " + text))
			}
			return text, state == "DONE", err
		}))
	return wf
}
