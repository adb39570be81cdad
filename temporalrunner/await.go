package temporalrunner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/temporal"

	"github.com/liwanag/liwanag/workflow"
)

var _ workflow.Awaiter = (*Runner)(nil)

// AwaitEnd is what [workflow.Await] waits by: the server holds the question until the
// run has ended.
func (r *Runner) AwaitEnd(ctx context.Context, runID string) error {
	err := r.client.GetWorkflow(ctx, runID, "").Get(ctx, nil)
	if errors.As(err, new(*serviceerror.DeadlineExceeded)) || errors.Is(err, context.DeadlineExceeded) {
		// A call ends by the caller's deadline a little before the context does.
		if at, ok := ctx.Deadline(); ok && time.Until(at) < time.Second {
			<-ctx.Done()
		}
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("run %s has not ended: %w", runID, context.Cause(ctx))
	case err == nil, errors.As(err, new(*temporal.WorkflowExecutionError)):
		return nil
	}
	return r.fault("await", runID, err)
}
