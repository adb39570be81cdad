package temporalrunner

import (
	"context"
	"fmt"
	"time"

	"github.com/liwanag/liwanag/workflow"
)

// observers fans out to the configured observers, sorted once by what they want
// to hear.
type observers struct {
	runs   []workflow.Observer
	steps  []workflow.StepObserver
	waits  []workflow.WaitObserver
	faults []workflow.FaultObserver
}

func newObservers(all []workflow.Observer) observers {
	o := observers{runs: all}
	for _, one := range all {
		if s, ok := one.(workflow.StepObserver); ok {
			o.steps = append(o.steps, s)
		}
		if w, ok := one.(workflow.WaitObserver); ok {
			o.waits = append(o.waits, w)
		}
		if f, ok := one.(workflow.FaultObserver); ok {
			o.faults = append(o.faults, f)
		}
	}
	return o
}

// guarded calls an observer: one that panics must not take the node down.
func (o observers) guarded(call func()) {
	defer func() {
		if r := recover(); r != nil {
			o.fault("observer", fmt.Errorf("an observer panicked: %v", r))
		}
	}()
	call()
}

func (o observers) runEnded(run workflow.RunRef, s workflow.Status, f *workflow.Failure, took time.Duration) {
	for _, one := range o.runs {
		o.guarded(func() { one.RunEnded(run, s, f, took) })
	}
}

func (o observers) attemptStarted(ctx context.Context, run workflow.RunRef, step string, attempt int) context.Context {
	for _, one := range o.steps {
		o.guarded(func() { ctx = one.AttemptStarted(ctx, run, step, attempt) })
	}
	return ctx
}

func (o observers) attemptEnded(ctx context.Context, run workflow.RunRef, step string, attempt int, then string, err error, took time.Duration) {
	for _, one := range o.steps {
		o.guarded(func() { one.AttemptEnded(ctx, run, step, attempt, then, err, took) })
	}
}

func (o observers) waitStarted(run workflow.RunRef, step string) {
	for _, one := range o.waits {
		o.guarded(func() { one.WaitStarted(run, step) })
	}
}

func (o observers) waitEnded(run workflow.RunRef, step, how string, lag time.Duration) {
	for _, one := range o.waits {
		o.guarded(func() { one.WaitEnded(run, step, how, lag) })
	}
}

func (o observers) fault(op string, err error) {
	for _, one := range o.faults {
		func() {
			defer func() { _ = recover() }() // there is nobody left to tell
			one.RunnerFault(op, err)
		}()
	}
}
