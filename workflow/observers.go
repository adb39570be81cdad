package workflow

import (
	"context"
	"fmt"
	"time"
)

// Observers are several observers as one, as runners tell them: each hears what it
// wants to hear, and one that panics is reported as a fault and takes nothing down.
// The zero value is nobody.
type Observers struct {
	runs   []Observer
	steps  []StepObserver
	waits  []WaitObserver
	traces []TraceObserver
	faults []FaultObserver
}

// ObserversOf sorts observers by what they want to hear.
func ObserversOf(all []Observer) Observers {
	o := Observers{runs: all}
	for _, one := range all {
		if s, ok := one.(StepObserver); ok {
			o.steps = append(o.steps, s)
		}
		if w, ok := one.(WaitObserver); ok {
			o.waits = append(o.waits, w)
		}
		if t, ok := one.(TraceObserver); ok {
			o.traces = append(o.traces, t)
		}
		if f, ok := one.(FaultObserver); ok {
			o.faults = append(o.faults, f)
		}
	}
	return o
}

// guarded calls an observer: one that panics must not take the node down.
func (o Observers) guarded(call func()) {
	defer func() {
		if r := recover(); r != nil {
			o.RunnerFault("observer", fmt.Errorf("an observer panicked: %v", r))
		}
	}()
	call()
}

// RunEnded tells all.
func (o Observers) RunEnded(run RunRef, s Status, f *Failure, took time.Duration) {
	for _, one := range o.runs {
		o.guarded(func() { one.RunEnded(run, s, f, took) })
	}
}

// AttemptStarted tells those that observe steps, each with the context of the one before.
func (o Observers) AttemptStarted(ctx context.Context, run RunRef, step string, attempt int) context.Context {
	for _, one := range o.steps {
		o.guarded(func() { ctx = one.AttemptStarted(ctx, run, step, attempt) })
	}
	return ctx
}

// AttemptEnded tells those that observe steps.
func (o Observers) AttemptEnded(ctx context.Context, run RunRef, step string, attempt int, then string, err error, took time.Duration) {
	for _, one := range o.steps {
		o.guarded(func() { one.AttemptEnded(ctx, run, step, attempt, then, err, took) })
	}
}

// Traces says whether somebody traces.
func (o Observers) Traces() bool { return len(o.traces) > 0 }

// Starting tells those that trace; the last one that has something to keep wins.
func (o Observers) Starting(ctx context.Context, run RunRef) (carried string) {
	for _, one := range o.traces {
		o.guarded(func() {
			if text := one.Starting(ctx, run); text != "" {
				carried = text
			}
		})
	}
	return carried
}

// TurnStarted tells those that trace, each with the context of the one before.
func (o Observers) TurnStarted(ctx context.Context, run RunRef, carried string) (turn context.Context, carry string) {
	for _, one := range o.traces {
		o.guarded(func() {
			var text string
			if ctx, text = one.TurnStarted(ctx, run, carried); text != "" {
				carry = text
			}
		})
	}
	return ctx, carry
}

// TurnEnded tells those that trace.
func (o Observers) TurnEnded(turn context.Context, run RunRef) {
	for _, one := range o.traces {
		o.guarded(func() { one.TurnEnded(turn, run) })
	}
}

// WaitStarted tells those that observe waits.
func (o Observers) WaitStarted(run RunRef, step string) {
	for _, one := range o.waits {
		o.guarded(func() { one.WaitStarted(run, step) })
	}
}

// WaitEnded tells those that observe waits.
func (o Observers) WaitEnded(run RunRef, step, how string, lag time.Duration) {
	for _, one := range o.waits {
		o.guarded(func() { one.WaitEnded(run, step, how, lag) })
	}
}

// RunnerFault tells those that observe faults.
func (o Observers) RunnerFault(op string, err error) {
	for _, one := range o.faults {
		func() {
			defer func() { _ = recover() }() // there is nobody left to tell
			one.RunnerFault(op, err)
		}()
	}
}
