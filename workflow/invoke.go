package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// Info is what a step may know about where it runs.
type Info struct {
	Workflow string
	Version  int
	RunID    string
	Step     string
	Attempt  int // from 1
	// IdempotencyKey is the same for every attempt of this step in this run, and no
	// other's: hand it to services that recognise repeats. It is run/step, or
	// /namespace/run/step where the runner has a namespace, with "%" and "/" inside of
	// a part as "%25" and "%2F". [Runner].Retry does not change it: a service that
	// remembers what it answered answers the repeated step with that, be it a failure.
	// For an effect that is to happen anew, start another run; one that an [Undo] took
	// back has another key when it happens anew, and the undo one of its own. In a sub-run the part of the
	// run is that of the run around it, a slash, and the sub-run's step and index.
	IdempotencyKey string
	Index          int // of a sub-run: of the item, branch or round, from 0
}

// InfoFrom tells a step about its run; the zero Info outside of one.
func InfoFrom(ctx context.Context) Info {
	c := callFrom(ctx)
	if c == nil {
		return Info{}
	}
	info := Info{Workflow: c.plan.Name, Version: c.plan.Version, RunID: c.RunID, Step: c.node.Name, Attempt: c.Attempt,
		IdempotencyKey: c.idempotencyKey()}
	if in := c.History.place(); in != nil {
		info.Index = in.Index
	}
	return info
}

// Call is one attempt, as a runner hands it over.
type Call struct {
	RunID   string
	Attempt int // from 1
	Input   json.RawMessage
	History History
	// Namespace begins the idempotency key, unless it is empty.
	Namespace string
	// OldKey: the run is of a release whose keys were the run's id, a slash and the
	// step's name, whatever these contained, and it keeps them.
	OldKey bool
	// Subs reads the sub-runs of a step, for [Mapped.All].
	Subs SubReader
	// Around is called around the attempt, the first outermost.
	Around []Around
	// Setting takes what the attempt sets by [SetAttributes].
	Setting *Setting

	plan     *Plan
	node     *Node
	outputs  outputs
	outcomes []*Fact
	undos    []int
}

type callKey struct{}

func callFrom(ctx context.Context) *Call {
	c, _ := ctx.Value(callKey{}).(*Call)
	return c
}

// Invoke runs one attempt of a step. A panic is an error with [CodePanic], an
// attempt over its [Timeout] one with reason timeout, an output over its limit a
// permanent one with [CodeTooLarge].
func (n *Node) Invoke(ctx context.Context, c Call) (output json.RawMessage, err error) {
	err = n.attempt(ctx, &c, func(ctx context.Context) error {
		output, err = n.invoke(ctx, c.Input)
		return err
	})
	if err == nil {
		err = n.fits(output, c.outputs)
	}
	if err != nil {
		return nil, err
	}
	return output, nil
}

// Handle runs one attempt of a handler.
func (n *Node) Handle(ctx context.Context, c Call, f Failure) error {
	return n.attempt(ctx, &c, func(ctx context.Context) error { return n.handle(ctx, c.Input, f) })
}

// Check lets a wait that reconciles look for its answer; true with the wait's
// output when it is there.
func (n *Node) Check(ctx context.Context, c Call) (output json.RawMessage, found bool, err error) {
	err = n.attempt(ctx, &c, func(ctx context.Context) error {
		output, found, err = n.check(ctx, c.Input)
		return err
	})
	if err == nil && found {
		err = n.fits(output, c.outputs)
	}
	if err != nil || !found {
		return nil, false, err
	}
	return output, true, nil
}

func (n *Node) attempt(ctx context.Context, c *Call, fn func(context.Context) error) (err error) {
	v := n.plan.fold(c.History)
	c.plan, c.node, c.outputs, c.outcomes, c.undos = n.plan, n, v.outputs, v.outcomes, v.undos
	c.outputs.own[len(n.plan.Nodes)] = c.Input
	tooLong := errors.New("timeout")
	ctx, cancel := context.WithTimeoutCause(context.WithValue(ctx, callKey{}, c), n.Timeout, tooLong)
	defer cancel()
	err = recovered(func() error { return within(c.Around, ctx, fn) })
	if err != nil && context.Cause(ctx) == tooLong && !errors.Is(err, ErrSnoozed) {
		return &timeoutError{after: short(n.Timeout), err: err}
	}
	return err
}

func recovered(fn func() error) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *codedError:
			err = Permanent(r)
		default:
			err = &panicError{value: r, stack: debug.Stack()}
		}
	}()
	return fn()
}

func (n *Node) fits(output json.RawMessage, earlier outputs) error {
	total := len(output)
	for _, o := range earlier.own[:len(n.plan.Nodes)] {
		total += len(o)
	}
	switch {
	case len(output) > MaxPayload:
		return tooLarge("the output of step %s has %d bytes, %d are allowed: store it and return its id", n.Name, len(output), MaxPayload)
	case total > MaxOutputs:
		return tooLarge("with the output of step %s the run's outputs have %d bytes, %d are allowed: store "+
			"them and return ids", n.Name, total, MaxOutputs)
	}
	return nil
}

func tooLarge(format string, args ...any) error {
	return Permanent(&codedError{CodeTooLarge, fmt.Errorf("%w: %s", ErrTooLarge, fmt.Sprintf(format, args...))})
}

// Next moves after an attempt.
const (
	AfterRetry  = "retry"  // again after Delay, as the next attempt
	AfterSnooze = "snooze" // again after Delay, as the same attempt
	AfterFail   = "fail"   // the step has failed with Failure
)

// After is what follows a failed attempt.
type After struct {
	Then    string // AfterRetry, AfterSnooze or AfterFail
	Delay   time.Duration
	Failure Failure // also of an attempt that is tried again
	// Permanent: the error itself says that no retry will mend it. A look of a wait
	// that returns such a one fails the wait.
	Permanent bool `json:",omitempty"`
}

// After says what follows an attempt, numbered from 1, that returned err;
// elapsed is the time since the step's first attempt began. It is pure and never
// panics: a [Retry.If] that does fails the step with [CodeDefinition].
func (n *Node) After(runID string, attempt int, elapsed time.Duration, err error) After {
	f := FailureOf(n.Name, attempt, err)
	after := After{Then: AfterRetry, Failure: f}
	var snooze *snoozeError
	if errors.As(err, &snooze) {
		after = After{Then: AfterSnooze, Delay: snooze.delay}
	} else {
		again := false
		if fault := guard(n.Name, func() { after.Delay, again = n.Retry.Delay(attempt, err) }); fault != nil {
			fault.Attempts = attempt
			return After{Then: AfterFail, Failure: *fault}
		}
		if !again {
			return After{Then: AfterFail, Failure: f, Permanent: errors.As(err, new(*permanentError))}
		}
		after.Delay = n.Retry.stretch(after.Delay, runID, n.Name, attempt)
	}
	if n.Kind != KindWait && n.Within > 0 && after.Delay > n.Within-elapsed {
		f.Reason, f.Code = ReasonTimeout, CodeTimeout
		f.Message = Clip(fmt.Sprintf("all attempts together took longer than %s, the last one: %s", short(n.Within), f.Message))
		return After{Then: AfterFail, Failure: f}
	}
	return after
}

// TimedOut is the failure of a wait whose deadline has passed.
func (n *Node) TimedOut() Failure {
	names := ""
	for i, e := range n.Events {
		if i > 0 {
			names += ", "
		}
		names += e.EventName()
	}
	return Failure{Step: n.Name, Reason: ReasonTimeout, Code: CodeTimeout, Message: "no " + names + " " + n.bound()}
}

// bound is how long a wait or sleep lasts at most, in words.
func (n *Node) bound() string {
	switch within := "within " + short(n.Within); {
	case n.until == nil:
		return within
	case n.Within == 0:
		return "until the time that " + n.until.on + " gives"
	default:
		return within + " or until the time that " + n.until.on + " gives"
	}
}
