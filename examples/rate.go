package examples

import (
	"context"
	"time"

	"github.com/liwanag/liwanag/workflow"
)

// Rate shows a step that waits for its turn: a limiter of the program's own, in its
// database when there are several processes, says how long, and the step snoozes, which
// holds no place and uses no attempt. AtMost would bound what is open, not a rate.
func Rate(turn func() (wait time.Duration),
	call func(ctx context.Context, item int) (string, error)) *workflow.Workflow[[]int] {
	wf := workflow.New[[]int]("rate")
	workflow.Map(wf, "item", workflow.Each(workflow.Input(wf)), func(b *workflow.Workflow[int]) *workflow.Result[string] {
		return workflow.Step(b, "call", func(ctx context.Context, item int) (string, error) {
			if wait := turn(); wait > 0 {
				return "", workflow.Snooze(wait)
			}
			return call(ctx, item)
		})
	})
	return wf
}
