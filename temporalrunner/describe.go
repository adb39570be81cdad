package temporalrunner

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/liwanag/liwanag/workflow"
)

// Describe tells everything about a run; see [workflow.Runner]. Of an open run a
// worker tells; an ended one has left its record with the server. Of a run whose
// definition this runner does not hold, and of which no worker tells, it is what
// the server knows: workflow, version, times and whether it has ended.
func (r *Runner) Describe(ctx context.Context, runID string) (workflow.Run, error) {
	ctx, cancel := context.WithTimeout(ctx, patienceOfQueries)
	defer cancel()
	rec, err := r.record(ctx, runID)
	if err != nil {
		return workflow.Run{}, err
	}
	return rec.described(), nil
}

// record reads a run whole.
func (r *Runner) record(ctx context.Context, runID string) (*record, error) {
	d, err := r.client.DescribeWorkflowExecution(ctx, runID, "")
	if err != nil {
		return nil, r.fault("describe", runID, err)
	}
	info := d.GetWorkflowExecutionInfo()
	if info.GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return r.closed(ctx, info)
	}
	undefined := r.undefined(info)
	asking := ctx
	if undefined != "" { // perhaps a worker elsewhere holds it
		var cancel context.CancelFunc
		asking, cancel = context.WithTimeout(ctx, time.Second)
		defer cancel()
	}
	answer, err := r.ask(asking, &client.QueryWorkflowWithOptionsRequest{WorkflowID: runID, QueryType: describeName,
		QueryRejectCondition: enums.QUERY_REJECT_CONDITION_NOT_OPEN})
	switch {
	case err == nil && answer.QueryRejected != nil:
		return r.record(ctx, runID) // it has ended meanwhile
	case err == nil:
		return r.decoded(runID, answer.QueryResult.Get)
	case undefined == "":
		return nil, fmt.Errorf("temporalrunner: no worker tells of run %s: %w\n  Try: start a worker that holds %s", runID,
			err, info.GetType().GetName())
	}
	run := summary(info)
	run.NoDefinition = undefined
	return &record{Run: run}, nil
}

// undefined says why this runner holds no definition of a run: none of its version, or
// another one than began it, as the memo says.
func (r *Runner) undefined(info *workflowpb.WorkflowExecutionInfo) string {
	plan := r.plans[info.GetType().GetName()]
	if plan == nil {
		name, version := splitType(info.GetType().GetName())
		return fmt.Sprintf("version %d of %s is not held", version, name)
	}
	var begun workflow.Shape
	memo, known := info.GetMemo().GetFields()[shapeName]
	if !known || converter.GetDefaultDataConverter().FromPayload(memo, &begun) != nil {
		return ""
	}
	return anotherBegan(plan, begun)
}

// anotherBegan says in words what differs in the definition that began a run; empty:
// nothing.
func anotherBegan(plan *workflow.Plan, begun workflow.Shape) string {
	words := plan.Shape().Differs(begun)
	if words == nil {
		return ""
	}
	return fmt.Sprintf("it was begun by another definition of %s version %d: %s", plan.Name, plan.Version,
		workflow.Clip(strings.Join(words, "; ")))
}

// ask has a worker answer about a run, as often as it takes until ctx ends.
func (r *Runner) ask(ctx context.Context, q *client.QueryWorkflowWithOptionsRequest) (*client.QueryWorkflowWithOptionsResponse, error) {
	for {
		answer, err := r.client.QueryWorkflowWithOptions(ctx, q)
		if err == nil || !passing(err) || !sleep(ctx, 50*time.Millisecond) {
			return answer, err
		}
	}
}

// sleep pauses; false when the context has ended.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// passing says of a query that a worker which is just starting, stopping or busy
// may answer it the next time: the server keeps one query a run while its worker
// is at work.
func passing(err error) bool {
	return errors.As(err, new(*serviceerror.DeadlineExceeded)) || errors.As(err, new(*serviceerror.Canceled)) ||
		errors.As(err, new(*serviceerror.WorkflowNotReady)) || errors.As(err, new(*serviceerror.ResourceExhausted)) ||
		strings.Contains(err.Error(), errBeginning.Error())
}

func (r *Runner) decoded(runID string, get func(any) error) (*record, error) {
	var rec record
	if err := get(&rec); err != nil {
		return nil, fmt.Errorf("temporalrunner: the record of run %s cannot be read: %w", runID, err)
	}
	return rec.unpacked()
}

// closed reads the record that an ended run left with the server.
func (r *Runner) closed(ctx context.Context, info *workflowpb.WorkflowExecutionInfo) (*record, error) {
	runID := info.GetExecution().GetWorkflowId()
	var rec record
	err := r.client.GetWorkflow(ctx, runID, info.GetExecution().GetRunId()).Get(ctx, &rec)
	var failed *temporal.ApplicationError
	var canceled *temporal.CanceledError
	switch {
	case err == nil:
		return rec.unpacked()
	case errors.As(err, &failed) && failed.HasDetails():
		return r.decoded(runID, func(v any) error { return failed.Details(v) })
	case errors.As(err, &canceled) && canceled.HasDetails():
		return r.decoded(runID, func(v any) error { return canceled.Details(v) })
	case errors.As(err, new(*temporal.WorkflowExecutionError)):
		return r.ended(ctx, info, err)
	}
	return nil, r.fault("describe", runID, err)
}

// ended is the record of a run that the server ended, or that ended without
// leaving one: what a worker replays of it, else what the server knows.
func (r *Runner) ended(ctx context.Context, info *workflowpb.WorkflowExecutionInfo, cause error) (*record, error) {
	runID := info.GetExecution().GetWorkflowId()
	status, f := statusOf(info.GetStatus()), workflow.Failure{Reason: workflow.ReasonError, Message: workflow.Clip(cause.Error())}
	if status == workflow.StatusCanceled {
		reason, err := r.reasonOf(ctx, info)
		if err != nil {
			return nil, r.fault("describe", runID, err)
		}
		f = workflow.Failure{Reason: workflow.ReasonCanceled, Message: reason}
	}
	rec := &record{Run: summary(info)}
	rec.note(rec.Run.CreatedAt, workflow.HistoryRunStarted, "", 0, map[string]any{"workflow": rec.Run.Workflow, "version": rec.Run.Version})
	if r.plans[info.GetType().GetName()] != nil {
		answer, err := r.ask(ctx, &client.QueryWorkflowWithOptionsRequest{WorkflowID: runID,
			RunID: info.GetExecution().GetRunId(), QueryType: describeName})
		if err != nil {
			return nil, r.fault("describe", runID, err)
		}
		if rec, err = r.decoded(runID, answer.QueryResult.Get); err != nil {
			return nil, err
		}
	}
	rec.end(timeOf(info.GetCloseTime().AsTime()), status, &f, "")
	return rec, nil
}

// reasonOf is why somebody terminated a run.
func (r *Runner) reasonOf(ctx context.Context, info *workflowpb.WorkflowExecutionInfo) (string, error) {
	events := r.client.GetWorkflowHistory(ctx, info.GetExecution().GetWorkflowId(), info.GetExecution().GetRunId(), false,
		enums.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		if err != nil {
			return "", err
		}
		if a := e.GetWorkflowExecutionTerminatedEventAttributes(); a != nil {
			return workflow.Clip(a.GetReason()), nil
		}
	}
	return "", nil
}

// summary is a run as the server knows it by itself.
func summary(info *workflowpb.WorkflowExecutionInfo) workflow.Run {
	name, version := splitType(info.GetType().GetName())
	run := workflow.Run{ID: info.GetExecution().GetWorkflowId(), Workflow: name, Version: version, Status: statusOf(info.GetStatus())}
	run.CreatedAt, run.EndedAt = timeOf(info.GetStartTime().AsTime()), time.Time{}
	run.StartedAt, run.Attributes = run.CreatedAt, attributesOf(info)
	run.Parent, _, _, _, _ = workflow.SplitRunID(run.ID)
	if info.GetCloseTime() != nil {
		run.EndedAt = timeOf(info.GetCloseTime().AsTime())
	}
	return run
}

func timeOf(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

func splitType(name string) (string, int) {
	for {
		around, _, _, _, body := workflow.SplitRunID(name)
		if !body {
			break
		}
		name = around
	}
	i := strings.LastIndex(name, "/v")
	if i < 0 {
		return name, 0
	}
	version, err := strconv.Atoi(name[i+2:])
	if err != nil {
		return name, 0
	}
	return name[:i], version
}

// statusOf is the status that Temporal's own stands for. Whether an open run waits
// and whether a failed one timed out, the server does not know.
func statusOf(s enums.WorkflowExecutionStatus) workflow.Status {
	switch s {
	case enums.WORKFLOW_EXECUTION_STATUS_COMPLETED:
		return workflow.StatusCompleted
	case enums.WORKFLOW_EXECUTION_STATUS_FAILED:
		return workflow.StatusFailed
	case enums.WORKFLOW_EXECUTION_STATUS_TIMED_OUT:
		return workflow.StatusTimedOut
	case enums.WORKFLOW_EXECUTION_STATUS_CANCELED, enums.WORKFLOW_EXECUTION_STATUS_TERMINATED:
		return workflow.StatusCanceled
	}
	return workflow.StatusRunning
}
