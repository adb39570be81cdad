package examples

import (
	"context"

	"github.com/liwanag/liwanag/workflow"
)

// Ticket is what a customer complains about.
type Ticket struct{ Customer, Text string }

// Triage shows attributes: a run is started with the customer's number, a step adds how
// urgent it is, and whoever answers finds the urgent ones of a customer, newest first.
func Triage(urgent func(text string) bool) *workflow.Workflow[Ticket] {
	wf := workflow.New[Ticket]("ticket")
	workflow.Do(wf, "judge", func(ctx context.Context, t Ticket) error {
		if !urgent(t.Text) {
			return nil
		}
		return workflow.SetAttributes(ctx, workflow.Attributes{"urgency": "high"})
	})
	workflow.WaitFor(wf, "answer", Answered, 14*day)
	return wf
}

// Answered says who answered.
var Answered = workflow.Event[string]{Name: "answered"}

// Complain starts a ticket's run.
func Complain(ctx context.Context, on workflow.Starter, wf *workflow.Workflow[Ticket], runID string, t Ticket) error {
	return wf.Start(ctx, on, runID, t, workflow.Attributes{"customer": t.Customer})
}

// UrgentOf are the open urgent tickets of a customer.
func UrgentOf(ctx context.Context, on workflow.Runner, customer string) (ids []string, err error) {
	page, err := on.List(ctx, workflow.Query{Workflow: "ticket", Status: workflow.StatusWaiting,
		Attributes: workflow.Attributes{"customer": customer, "urgency": "high"}})
	for _, run := range page.Runs {
		ids = append(ids, run.ID)
	}
	return ids, err
}
