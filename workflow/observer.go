package workflow

import (
	"context"
	"time"
)

// RunRef names a run to an observer.
type RunRef struct {
	ID       string
	Workflow string
	Version  int
}

// Observer is told of what a runner does, for logs, metrics and traces. It is
// called in the path of the run: it must be quick and must not panic. An
// observer may also implement [StepObserver], [WaitObserver], [TraceObserver]
// and [FaultObserver].
type Observer interface {
	// RunEnded follows the commit of a run's end.
	RunEnded(run RunRef, status Status, f *Failure, took time.Duration)
}

// StepObserver is told of attempts.
type StepObserver interface {
	// AttemptStarted precedes an attempt of a step, a handler or a look of a wait;
	// the context it returns is the attempt's.
	AttemptStarted(ctx context.Context, run RunRef, step string, attempt int) context.Context
	// AttemptEnded follows it; then is what comes next: "completed" or one of
	// AfterRetry, AfterSnooze, AfterFail.
	AttemptEnded(ctx context.Context, run RunRef, step string, attempt int, then string, err error, took time.Duration)
}

// WaitObserver is told of waits.
type WaitObserver interface {
	// WaitStarted follows the commit that parks a run at a wait.
	WaitStarted(run RunRef, step string)
	// WaitEnded says how: by an "event", by a look ("reconciled"; "failed" when it said
	// that none can succeed), or "timeout";
	// lag is the time from the event's receipt to the run going on.
	WaitEnded(run RunRef, step, how string, lag time.Duration)
}

// TraceObserver lets the trace of a run go on where the one before ended. What it returns
// is kept as the run's attribute "traceparent"; empty: nothing is. A run without room for it, with as
// many attributes as it may have, is traced without links.
type TraceObserver interface {
	// Starting precedes the creation of a run; ctx is that of who starts it.
	Starting(ctx context.Context, run RunRef) (carried string)
	// TurnStarted says that a node takes a run up; carried is what was kept last. The
	// context that it returns is that of all attempts until TurnEnded; carry is kept with
	// the next outcome of a step.
	TurnStarted(ctx context.Context, run RunRef, carried string) (turn context.Context, carry string)
	// TurnEnded says that the run waits or has ended.
	TurnEnded(turn context.Context, run RunRef)
}

// FaultObserver is told of faults that no caller sees.
type FaultObserver interface {
	// RunnerFault is a store that could not be reached, a commit that is repeated,
	// an attempt that is overdue. The runner goes on by itself.
	RunnerFault(op string, err error)
}
