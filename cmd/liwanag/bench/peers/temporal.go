package peers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/liwanag/liwanag/cmd/liwanag/bench/shape"
)

const taskQueue = "hand-written"

// temporalRunner is W1 written for Temporal by hand: three activities, a signal and
// a timer.
type temporalRunner struct {
	client    client.Client
	worker    worker.Worker
	submitted shape.Moments
}

// OpenTemporal starts a worker of the hand-written workflow. The client stays its
// caller's.
func OpenTemporal(c client.Client, options worker.Options) (Runner, error) {
	r := &temporalRunner{client: c, worker: worker.New(c, taskQueue, options)}
	r.worker.RegisterWorkflowWithOptions(enrich, workflow.RegisterOptions{Name: shape.Workflow})
	r.worker.RegisterActivityWithOptions(func(context.Context) (shape.Batch, error) { return shape.Jobs, nil },
		activity.RegisterOptions{Name: shape.First})
	r.worker.RegisterActivityWithOptions(func(_ context.Context, runID string) (shape.Submission, error) {
		r.submitted.Come(runID)
		return shape.Submitted, nil
	}, activity.RegisterOptions{Name: shape.Submit})
	r.worker.RegisterActivityWithOptions(func(_ context.Context, a shape.Arrival) (int, error) { return process(a), nil },
		activity.RegisterOptions{Name: shape.Process})
	return r, r.worker.Start()
}

func enrich(ctx workflow.Context, runID string) (length int, err error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute,
		RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1}})
	if err := workflow.ExecuteActivity(ctx, shape.First).Get(ctx, nil); err != nil {
		return 0, err
	}
	if err := workflow.ExecuteActivity(ctx, shape.Submit, runID).Get(ctx, nil); err != nil {
		return 0, err
	}
	var arrival shape.Arrival
	came, _ := workflow.GetSignalChannel(ctx, shape.Event).ReceiveWithTimeout(ctx, shape.Within, &arrival)
	if !came {
		return 0, temporal.NewTimeoutError(0, nil)
	}
	err = workflow.ExecuteActivity(ctx, shape.Process, arrival).Get(ctx, &length)
	return length, err
}

func (r *temporalRunner) One(ctx context.Context) error {
	id := shape.NewRunID()
	submitted := r.submitted.Of(id)
	run, err := r.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: id, TaskQueue: taskQueue}, shape.Workflow, id)
	if err != nil {
		return err
	}
	if err := shape.Await(ctx, submitted); err != nil {
		return err
	}
	if err := r.client.SignalWorkflow(ctx, id, "", shape.Event, shape.Results); err != nil {
		return err
	}
	var length int
	if err := run.Get(ctx, &length); err != nil {
		return err
	}
	return expect("the result of the hand-written run "+id, length, process(shape.Results))
}

func (r *temporalRunner) Check(ctx context.Context, n int) error {
	return CheckTemporal(ctx, r.client, taskQueue, n)
}

// CheckTemporal wants n completed workflows on a task queue and no others. The
// server's index of workflows lags behind.
func CheckTemporal(ctx context.Context, c client.Client, queue string, n int) (err error) {
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		completed, err1 := countTemporal(ctx, c, fmt.Sprintf("TaskQueue = %q AND ExecutionStatus = 'Completed'", queue))
		all, err2 := countTemporal(ctx, c, fmt.Sprintf("TaskQueue = %q", queue))
		if err := errors.Join(err1, err2); err != nil {
			return fmt.Errorf("count the workflows: %w", err)
		}
		if completed == n && all == n {
			return nil
		}
		err = fmt.Errorf("on %s %d workflows are completed of %d, instead of %d", queue, completed, all, n)
	}
	return err
}

func countTemporal(ctx context.Context, c client.Client, query string) (int, error) {
	answer, err := c.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Query: query})
	return int(answer.GetCount()), err
}

func (r *temporalRunner) Close() error {
	r.worker.Stop()
	return nil
}
