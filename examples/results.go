package examples

import (
	"context"
	"errors"

	"github.com/liwanag/liwanag/workflow"
)

// Parcel is what a quote is asked for.
type Parcel struct{ Kilos int }

// Quote is a definition together with the handle that a caller reads.
type Quote struct {
	*workflow.Workflow[Parcel]
	Cents *workflow.Result[int]
}

// NewQuote shows typed results: the run's output is the price, whatever runs after it, and
// who starts a run waits for its end and reads the price as an int.
func NewQuote(note func(context.Context, Parcel) (string, error)) Quote {
	wf := workflow.New[Parcel]("quote")
	cents := workflow.Step(wf, "price", func(_ context.Context, p Parcel) (int, error) {
		if p.Kilos > 30 {
			return 0, workflow.Permanent(errors.New("too heavy"))
		}
		return 500 + 100*p.Kilos, nil
	})
	workflow.Step(wf, "note", note)
	workflow.Returns(wf, cents)
	return Quote{wf, cents}
}

// Ask starts a run, waits for it, and reads its result.
func (q Quote) Ask(ctx context.Context, on workflow.Runner, runID string, p Parcel) (cents int, err error) {
	if err := q.Start(ctx, on, runID, p); err != nil {
		return 0, err
	}
	run, err := workflow.Await(ctx, on, runID)
	if err != nil {
		return 0, err
	}
	return q.Cents.Of(run)
}
