package examples

import (
	"context"
	"time"

	"github.com/liwanag/liwanag/workflow"
)

// Nights are those to close the books of, both included.
type Nights struct{ First, Last time.Time }

// RunID is the same however often a schedule fires in a night, so that there is one run.
func (n Nights) RunID() string { return "nightly-" + n.Last.Format(time.DateOnly) }

// Nightly shows a catch-up: a schedule outside starts a run a night, from the night after
// the last that was done, and those that were missed are made up for in order, one by one.
func Nightly(closeBooks func(ctx context.Context, night time.Time) error) *workflow.Workflow[Nights] {
	wf := workflow.New[Nights]("nightly")
	missing := workflow.EachOf(workflow.Input(wf), func(n Nights) (all []time.Time) {
		for night := n.First; !night.After(n.Last); night = night.AddDate(0, 0, 1) {
			all = append(all, night)
		}
		return all
	})
	workflow.Map(wf, "night", missing, func(b *workflow.Workflow[time.Time]) *workflow.Result[struct{}] {
		workflow.Do(b, "close-books", closeBooks, workflow.Retry{MaxAttempts: 5, InitialDelay: time.Minute})
		return nil
	}, workflow.AtMost(1))
	return wf
}
