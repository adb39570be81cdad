package httpapi

import (
	"context"
	"testing"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// doubtful is a runner whose runs failed in a step of which nobody knows what it did.
type doubtful struct {
	workflow.Runner
	workflow.Resolver
	again []string
}

func (d *doubtful) Retry(context.Context, string, string) error { return workflow.ErrUnknown }

func (d *doubtful) RetryAgain(_ context.Context, runID, from string) error {
	d.again = append(d.again, runID+" from "+from)
	return nil
}

func TestWhatMayHaveHappenedIsRepeatedWhenThatIsAskedFor(t *testing.T) {
	d := &doubtful{}
	w := newWorld(t, func(c *Config) { d.Runner, c.Runner, c.Steering = c.Runner, d, d })
	ctx, c := t.Context(), w.client()
	added, err := api.AddSubscriber.Call(ctx, c, api.SignUp{Email: "ada@gmail.com"})
	w.must(err)
	_, err = runapi.RetryRun.Call(ctx, c, runapi.To(added.RunID, &runapi.RetryRunRequest{}))
	wantCode(t, err, 409, "step_unknown")
	run, err := runapi.RetryRun.Call(ctx, c, runapi.To(added.RunID, &runapi.RetryRunRequest{From: "submit", Again: true}))
	if err != nil || run.ID != added.RunID || len(d.again) != 1 || d.again[0] != added.RunID+" from submit" {
		t.Errorf("the retry: %v; again %q", err, d.again)
	}
}
