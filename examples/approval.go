package examples

import (
	"context"

	"github.com/liwanag/liwanag/workflow"
)

// Request is what is to be approved, by two of the approvers.
type Request struct {
	What      string
	Approvers []string
	Manager   string
}

// Voted is one approver's word; it goes to the sub-run that asked.
var Voted = workflow.Event[bool]{Name: "voted"}

// Approval shows a quorum: all approvers are asked at once, two who agree suffice, one who
// does not ends it, and after a day the manager's word counts, too.
func Approval(mail Mail) *workflow.Workflow[Request] {
	wf := workflow.New[Request]("approval")
	verdict := workflow.Race(wf, "verdict")
	type body = *workflow.Workflow[Request]
	approvers := workflow.Branch(verdict, "approvers", func(b body) *workflow.Result[workflow.Summary] {
		who := workflow.EachOf(workflow.Input(b), func(r Request) []string { return r.Approvers })
		return workflow.Map(b, "ask", who, func(b *workflow.Workflow[string]) *workflow.Result[bool] {
			workflow.Do(b, "mail", func(ctx context.Context, who string) error { return mail(ctx, who, "please vote") })
			vote := workflow.WaitFor(b, "vote", Voted, 7*day)
			workflow.FailIf(b, vote, "said-no", func(yes bool) bool { return !yes }, "rejected")
			return vote
		}, workflow.Enough(2), workflow.Tolerate(0), workflow.ContinueOnFailure).Summary()
	})
	manager := workflow.Branch(verdict, "manager", func(b body) *workflow.Result[bool] {
		workflow.Sleep(b, "a-day", day)
		workflow.Do(b, "mail", func(ctx context.Context, r Request) error { return mail(ctx, r.Manager, "please decide") })
		return workflow.WaitFor(b, "vote", Voted, 7*day)
	})
	workflow.Step(wf, "conclude", func(ctx context.Context, _ Request) (approved bool, err error) {
		if yes, decided := manager.Lookup(ctx); decided {
			return yes, nil
		}
		return approvers.Output(ctx).Completed >= 2, nil
	})
	return wf
}
