package temporalrunner

import (
	"context"
	"fmt"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"

	"github.com/liwanag/liwanag/workflow"
)

// Counts counts the runs of the definitions that this runner holds; see
// [workflow.Counter]. The server does not know which open runs wait and where, nor
// which failed ones timed out: they are running, and failed. A run that was retried
// counts once for each of its ends.
func (r *Runner) Counts(ctx context.Context) (counts []workflow.Count, err error) {
	ctx, cancel := context.WithTimeout(ctx, patienceOfCalls)
	defer cancel()
	for _, plan := range r.order {
		found, err := r.countsOf(ctx, plan)
		if err != nil {
			return nil, fmt.Errorf("temporalrunner: runs cannot be counted: the Temporal server cannot do it now: %w", err)
		}
		counts = append(counts, found...)
	}
	return counts, nil
}

func (r *Runner) countsOf(ctx context.Context, plan *workflow.Plan) ([]workflow.Count, error) {
	answer, err := r.client.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{
		Query: "ParentWorkflowId IS NULL AND TaskQueue = " + quoted(r.queueOf(plan)) +
			" AND ExecutionStatus != 'ContinuedAsNew' GROUP BY ExecutionStatus"})
	if err != nil {
		return nil, err
	}
	runs := map[workflow.Status]int64{}
	for _, group := range answer.GetGroups() {
		var name string
		if values := group.GetGroupValues(); len(values) != 1 {
			return nil, fmt.Errorf("a group has %d names", len(values))
		} else if err := converter.GetDefaultDataConverter().FromPayload(values[0], &name); err != nil {
			return nil, err
		}
		status, err := enums.WorkflowExecutionStatusFromString(name)
		if err != nil {
			return nil, err
		}
		runs[statusOf(status)] += group.GetCount()
	}
	var counts []workflow.Count
	for _, status := range []workflow.Status{workflow.StatusCanceled, workflow.StatusCompleted, workflow.StatusFailed,
		workflow.StatusRunning, workflow.StatusTimedOut} {
		if runs[status] > 0 {
			counts = append(counts, workflow.Count{Workflow: plan.Name, Version: plan.Version, Status: status, Runs: runs[status]})
		}
	}
	return counts, nil
}
