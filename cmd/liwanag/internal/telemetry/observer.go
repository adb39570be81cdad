package telemetry

import (
	"context"
	"log/slog"
	"time"

	"github.com/liwanag/liwanag/workflow"
)

// Logs is an observer that writes what a runner does into a log: failed runs and
// faults as warnings, retries as information, the rest at level debug.
type Logs struct{ Log *slog.Logger }

var (
	_ workflow.Observer      = Logs{}
	_ workflow.StepObserver  = Logs{}
	_ workflow.WaitObserver  = Logs{}
	_ workflow.FaultObserver = Logs{}
)

// RunEnded logs how a run ended.
func (l Logs) RunEnded(run workflow.RunRef, status workflow.Status, f *workflow.Failure, took time.Duration) {
	attrs := []any{"workflow", run.Workflow, "run", run.ID, "status", string(status), "took", took}
	level := slog.LevelInfo
	if f != nil {
		attrs = append(attrs, "step", f.Step, "reason", string(f.Reason), "code", f.Code, "message", f.Message)
		if status != workflow.StatusCanceled {
			level = slog.LevelWarn
		}
	}
	l.Log.Log(context.Background(), level, "run ended", attrs...)
}

// AttemptStarted leaves the context as it is.
func (l Logs) AttemptStarted(ctx context.Context, _ workflow.RunRef, _ string, _ int) context.Context {
	return ctx
}

// AttemptEnded logs an attempt.
func (l Logs) AttemptEnded(ctx context.Context, run workflow.RunRef, step string, attempt int, then string, err error, took time.Duration) {
	attrs := []any{"workflow", run.Workflow, "run", run.ID, "step", step, "attempt", attempt, "then", then, "took", took}
	if err == nil || then == workflow.AfterSnooze {
		l.Log.DebugContext(ctx, "attempt ended", attrs...)
		return
	}
	attrs = append(attrs, "error", err)
	if stack := workflow.Stack(err); stack != nil {
		attrs = append(attrs, "stack", string(stack))
	}
	l.Log.InfoContext(ctx, "attempt failed", attrs...)
}

// WaitStarted logs that a run is parked.
func (l Logs) WaitStarted(run workflow.RunRef, step string) {
	l.Log.Debug("wait started", "workflow", run.Workflow, "run", run.ID, "step", step)
}

// WaitEnded logs how a wait ended.
func (l Logs) WaitEnded(run workflow.RunRef, step, how string, lag time.Duration) {
	l.Log.Debug("wait ended", "workflow", run.Workflow, "run", run.ID, "step", step, "how", how, "lag", lag)
}

// RunnerFault logs a fault that no caller sees.
func (l Logs) RunnerFault(op string, err error) {
	l.Log.Error("the runner meets a fault and goes on by itself", "op", op, "error", err)
}
