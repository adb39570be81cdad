package temporalrunner

import (
	"context"
	"errors"
	"fmt"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"

	"github.com/liwanag/liwanag/workflow"
)

// Retry reopens a run from a step; see [workflow.Runner]. The run goes on as a new
// execution of the same workflow id, which begins with the record of the ended
// one: Temporal's own reset would cut the history off behind the step.
func (r *Runner) Retry(ctx context.Context, runID, from string) error {
	ctx, cancel := context.WithTimeout(ctx, patienceOfQueries)
	defer cancel()
	// Two of them at once would both begin with the record that the first has
	// outdated, if its execution has ended before the second starts another one.
	r.reopening.Lock()
	defer r.reopening.Unlock()
	rec, err := r.record(ctx, runID)
	if err != nil {
		return err
	}
	if rec.Run.Parent != "" {
		return fmt.Errorf("%w: %s", workflow.ErrSubRun, runID)
	}
	if !rec.Run.Status.Ended() || rec.Run.Status == workflow.StatusCompleted {
		return fmt.Errorf("%w: %s is %s", workflow.ErrNotEnded, runID, rec.Run.Status)
	}
	plan := r.plans[typeOf(rec.Run.Workflow, rec.Run.Version)]
	if plan == nil {
		return fmt.Errorf("%w: %q version %d, which run %s was started with", workflow.ErrUnknownWorkflow, rec.Run.Workflow,
			rec.Run.Version, runID)
	}
	if why := plan.FitsRun(workflow.Kept{Input: rec.Run.Input, History: rec.latest()}); why != nil {
		return fmt.Errorf("%w: the one of run %s, which does not fit %s version %d: %w", workflow.ErrUnknownWorkflow, runID,
			plan.Name, plan.Version, why)
	}
	failed := plan.ReopenFrom(rec.history())
	if from == "" {
		from = failed
	}
	if !precedes(plan, from, failed) {
		return fmt.Errorf("%w: run %s can go on from %s or a step before it, not from %q", workflow.ErrUnknownStep, runID, failed, from)
	}
	carried, err := rec.packed()
	if err != nil {
		return fmt.Errorf("temporalrunner: the record of run %s cannot be written: %w", runID, err)
	}
	shape := plan.Shape()
	options := r.options(plan, runID, digestOf(plan.Name, rec.Run.Input))
	r.index.with(ctx, &options, rec.Run.Attributes)
	options.WorkflowIDReusePolicy = enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY
	_, err = r.client.ExecuteWorkflow(ctx, options, typeOf(plan.Name, plan.Version), start{Carried: carried, From: from, Shape: &shape})
	if errors.As(err, new(*serviceerror.WorkflowExecutionAlreadyStarted)) {
		return fmt.Errorf("%w: %s was reopened meanwhile", workflow.ErrNotEnded, runID)
	}
	return r.fault("retry", runID, err)
}
