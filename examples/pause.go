package examples

import (
	"context"
	"time"

	"github.com/liwanag/liwanag/workflow"
)

// Rollout shows a run to be paused and resumed: a release reaches one place after the
// other, an hour apart, and who sees that something is wrong pauses it by the runner.
func Rollout(deploy func(ctx context.Context, place string) error) *workflow.Workflow[string] {
	wf := workflow.New[string]("rollout")
	for _, place := range []string{"canary", "north", "south"} {
		workflow.Do(wf, place, func(ctx context.Context, _ string) error { return deploy(ctx, place) })
		workflow.Sleep(wf, "watch-"+place, time.Hour)
	}
	return wf
}
