package examples

import (
	"context"

	"github.com/liwanag/liwanag/workflow"
)

// Draft is what a model wrote and a person said about it.
type Draft struct {
	Text, Remark string
	Approved     bool
}

// Remark is a person's word on the draft of a round.
type Remark struct {
	Approved bool
	Text     string
}

// Reviewed goes to the round that waits for it.
var Reviewed = workflow.Event[Remark]{Name: "reviewed"}

// Review shows a loop: a model drafts, a person reviews, and each round takes what the one
// before yielded, until it is approved, ten times at most.
func Review(write func(ctx context.Context, before Draft) (string, error)) *workflow.Workflow[Draft] {
	wf := workflow.New[Draft]("review")
	first := workflow.Input(wf)
	last := workflow.Repeat(wf, "round", 10, first, func(b *workflow.Workflow[Draft]) *workflow.Result[Draft] {
		text := workflow.Step(b, "draft", write)
		remark := workflow.WaitFor(b, "review", Reviewed, 7*day)
		return workflow.Step(b, "conclude", func(ctx context.Context, _ Draft) (Draft, error) {
			r := remark.Output(ctx)
			return Draft{Text: text.Output(ctx), Remark: r.Text, Approved: r.Approved}, nil
		})
	}, func(d Draft) bool { return d.Approved })
	workflow.FailIf(wf, last, "not-approved", func(d Draft) bool { return !d.Approved }, "not_approved")
	return wf
}
