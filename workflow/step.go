package workflow

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"time"
)

// StepOption sets a property of one step, wait or handler: [Retry], [Timeout],
// [Within], [If] and the other conditions, [AtMostOnce], [ContinueOnTimeout], [Until],
// [Reconcile], [Undo].
type StepOption interface{ apply(p *Plan, n *Node) }

type stepOption func(p *Plan, n *Node)

func (o stepOption) apply(p *Plan, n *Node) { o(p, n) }

// allow refuses an option on a kind of node that it means nothing for.
func allow(option string, p *Plan, n *Node, kinds ...Kind) bool {
	for _, k := range kinds {
		if n.Kind == k {
			return true
		}
	}
	p.fault(n.Name, "%s means nothing on a %s", option, n.Kind)
	return false
}

// Step adds a step: a function that is run until it succeeds or its policy is
// exhausted. Its output is stored as JSON, at most [MaxPayload] bytes; return
// facts and ids, and no personal data.
func Step[In, Out any](wf *Workflow[In], name string, fn func(context.Context, In) (Out, error), opts ...StepOption) *Result[Out] {
	n := &Node{Name: name, Kind: KindStep, yields: reflect.TypeFor[Out]()}
	n.invoke = func(ctx context.Context, input json.RawMessage) (json.RawMessage, error) {
		in, err := decodeInput[In](input)
		if err != nil {
			return nil, err
		}
		out, err := fn(ctx, in)
		if err != nil {
			return nil, err
		}
		return encodeOutput(&out)
	}
	wf.mine().add(n, opts)
	if fn == nil {
		wf.plan.fault(name, "a step needs a function")
	}
	if n.Reconciles && !n.AtMostOnce {
		wf.plan.fault(name, "Reconcile means nothing on a step that is repeated: give it AtMostOnce")
	}
	wf.plan.keeps(name, "the output", n.yields)
	return &Result[Out]{[]*Node{n}}
}

// Do adds a step without a result.
func Do[In any](wf *Workflow[In], name string, fn func(context.Context, In) error, opts ...StepOption) {
	n := &Node{Name: name, Kind: KindStep}
	n.invoke = func(ctx context.Context, input json.RawMessage) (json.RawMessage, error) {
		in, err := decodeInput[In](input)
		if err != nil {
			return nil, err
		}
		return nil, fn(ctx, in)
	}
	wf.mine().add(n, opts)
	if fn == nil {
		wf.plan.fault(name, "a step needs a function")
	}
}

// encodeOutput encodes what a function of the definition returned. It is handed in
// by its address, so that methods of pointers encode it, too.
func encodeOutput(out any) (json.RawMessage, error) {
	raw, err := json.Marshal(out)
	if err != nil {
		return nil, Permanent(misuse("the output cannot be encoded: %w", err))
	}
	return raw, nil
}

func decodeInput[In any](input json.RawMessage) (in In, err error) {
	if err := json.Unmarshal(input, &in); err != nil {
		return in, Permanent(misuse("the run's input no longer fits the definition: %w", err))
	}
	return in, nil
}

// WaitFor adds a wait for one event, at most within the given time. Its result
// is the event's payload. An event that came before the wait is taken at once. A
// wait that times out fails the run, which ends as timed_out, unless
// [ContinueOnTimeout] is given.
func WaitFor[In, T any](wf *Workflow[In], name string, event Event[T], within time.Duration, opts ...StepOption) *Result[T] {
	n := wf.mine().addWait(name, within, []AnyEvent{event}, opts, reflect.TypeFor[T]())
	return &Result[T]{[]*Node{n}}
}

// WaitForAny adds a wait that ends with the first of several events; [As] reads
// which one it was. The others stay for later waits.
func WaitForAny[In any](wf *Workflow[In], name string, within time.Duration, events []AnyEvent, opts ...StepOption) *Result[Arrived] {
	return waitForMany(wf, name, within, events, false, opts)
}

// WaitForAll adds a wait that ends when each of several events has come; [As]
// reads each.
func WaitForAll[In any](wf *Workflow[In], name string, within time.Duration, events []AnyEvent, opts ...StepOption) *Result[Arrived] {
	return waitForMany(wf, name, within, events, true, opts)
}

func waitForMany[In any](wf *Workflow[In], name string, within time.Duration, events []AnyEvent, all bool,
	opts []StepOption) *Result[Arrived] {
	n := wf.mine().addWait(name, within, events, opts, reflect.TypeFor[Arrived]())
	n.All, n.many = all, true
	return &Result[Arrived]{[]*Node{n}}
}

func (p *Plan) addWait(name string, within time.Duration, events []AnyEvent, opts []StepOption, output reflect.Type) *Node {
	n := &Node{Name: name, Kind: KindWait, Within: within, Events: events}
	p.add(n, append(opts[:len(opts):len(opts)], outputType{output}))
	if !n.Reconciles && (n.Retry.MaxAttempts > 1 || n.Timeout != DefaultTimeout) {
		p.fault(name, "Retry and Timeout mean nothing on a wait that does not look by itself: give them to Reconcile")
	}
	if within < 0 || within == 0 && n.until == nil {
		p.fault(name, "a wait without a deadline: give it a positive time, or Until")
	}
	if len(events) == 0 {
		p.fault(name, "a wait needs an event to wait for")
	}
	p.expect(n)
	return n
}

// expect takes up the events of a wait; those that are none are left out.
func (p *Plan) expect(n *Node) {
	seen, named := map[string]bool{}, n.Events
	n.Events = nil
	for i, e := range named {
		if isNil(e) {
			p.fault(n.Name, "the event number %d of the wait is nil", i+1)
			continue
		}
		n.Events = append(n.Events, e)
		switch {
		case e.EventName() == "":
			p.fault(n.Name, "an event needs a name")
		case seen[e.EventName()]:
			p.fault(n.Name, "the event %q stands twice in one wait", e.EventName())
		}
		seen[e.EventName()] = true
		typed, ok := e.(interface{ payload() reflect.Type })
		if !ok {
			continue
		}
		if before, known := p.payloads[e.EventName()]; known && before != typed.payload() {
			p.fault(n.Name, "the event %q has the payload %s, and %s in an earlier wait: one name is one type", e.EventName(),
				typed.payload(), before)
		} else if !known {
			p.payloads[e.EventName()] = typed.payload()
			p.keeps(n.Name, fmt.Sprintf("the payload of event %q", e.EventName()), typed.payload())
		}
	}
}

// isNil says whether an interface holds nothing, or a nil pointer.
func isNil(v any) bool {
	r := reflect.ValueOf(v)
	return v == nil || r.Kind() == reflect.Pointer && r.IsNil()
}

// Sleep adds a durable pause.
func Sleep[In any](wf *Workflow[In], name string, d time.Duration, opts ...StepOption) {
	wf.mine().add(&Node{Name: name, Kind: KindSleep, Within: d}, opts)
	if d <= 0 {
		wf.plan.fault(name, "a sleep of %s: it must be positive", d)
	}
}

// Timeout bounds one attempt, default [DefaultTimeout]. An attempt over it
// follows the step's [Retry]. A function that ignores its context is waited for;
// a second copy never runs beside it.
type Timeout time.Duration

func (t Timeout) apply(p *Plan, n *Node) {
	if allow("Timeout", p, n, KindStep, KindHandler, KindWait) && t <= 0 {
		p.fault(n.Name, "a timeout of %s: it must be positive", time.Duration(t))
	}
	p.once(n.Name, &n.given, "Timeout")
	n.Timeout = time.Duration(t)
}

// Within bounds all attempts of a step together, delays and snoozes included. A
// step that would begin an attempt after it fails with reason timeout. It bounds a step
// with sub-runs as a whole, from when the first begin: then no new ones begin, those that
// are open are canceled, and the step fails with reason timeout; see [ContinueOnTimeout].
type Within time.Duration

func (w Within) apply(p *Plan, n *Node) {
	if allow("Within", p, n, append(subKinds[:len(subKinds):len(subKinds)], KindStep, KindHandler)...) && w <= 0 {
		p.fault(n.Name, "a bound of %s for all attempts: it must be positive", time.Duration(w))
	}
	p.once(n.Name, &n.given, "Within")
	n.Within = time.Duration(w)
}

// AtMostOnce is for effects that must never be repeated blindly: a worker that is
// lost inside the step fails it with reason unknown instead of running it again.
// Errors the function itself returns still follow [Retry].
var AtMostOnce StepOption = stepOption(func(p *Plan, n *Node) {
	allow("AtMostOnce", p, n, KindStep)
	p.once(n.Name, &n.given, "AtMostOnce")
	n.AtMostOnce = true
})

// ContinueOnTimeout lets the run go on without an output when a wait times out; when a step
// with sub-runs does, with what those have yielded that completed.
var ContinueOnTimeout StepOption = stepOption(func(p *Plan, n *Node) {
	allow("ContinueOnTimeout", p, n, append(subKinds[:len(subKinds):len(subKinds)], KindWait)...)
	p.once(n.Name, &n.given, "ContinueOnTimeout")
	n.ContinueOnTimeout = true
})

// ScheduleSource is a [Schedule], or one that depends on an earlier output.
type ScheduleSource interface {
	source(p *Plan, n *Node) func(outputs) Schedule
}

func (s Schedule) source(p *Plan, n *Node) func(outputs) Schedule {
	if err := s.validate(); err != nil {
		p.fault(n.Name, "%v", err)
	}
	return func(outputs) Schedule { return s }
}

type scheduleFrom[T any] struct {
	on *Result[T]
	fn func(T) Schedule
}

func (s scheduleFrom[T]) source(p *Plan, n *Node) func(outputs) Schedule {
	if !p.earlier(n, "schedule", s.on.of()...) {
		return nil
	}
	if s.fn == nil {
		p.fault(n.Name, "ScheduleFrom needs a function")
	}
	return func(o outputs) Schedule {
		v, ok := s.on.in(o)
		if !ok {
			return Schedule{}
		}
		return s.fn(v)
	}
}

// ScheduleFrom makes a schedule depend on one earlier output, purely. Without
// that output the wait looks at its deadline only.
func ScheduleFrom[T any](on *Result[T], fn func(T) Schedule) ScheduleSource {
	return scheduleFrom[T]{on, fn}
}

// Reconcile on an [AtMostOnce] step asks, before the step is given up as unknown, what
// became of it: fn finds that out by the step's [Info.IdempotencyKey], at once, whatever
// the schedule says. When it returns true, the step has completed with its value. An error
// is followed by the step's [Retry].
//
// Reconcile lets an open wait look for its answer by itself: fn runs on the
// schedule, and once more at the deadline, before the wait times out. When it
// returns true, the wait ends with its value, as if the event had come. An error
// waits for the next look; at the deadline it follows the given [Retry]. A
// [Permanent] one fails the wait at once, with its reason, unless the event has come.
func Reconcile[In, T any](on ScheduleSource, fn func(context.Context, In) (T, bool, error), opts ...StepOption) StepOption {
	return stepOption(func(p *Plan, n *Node) {
		if !allow("Reconcile", p, n, KindWait, KindStep) {
			return
		}
		if p.input != reflect.TypeFor[In]() {
			p.fault(n.Name, "Reconcile takes %s, the run's input is %s", reflect.TypeFor[In](), p.input)
		}
		switch {
		case n.Reconciles:
			p.fault(n.Name, "two Reconciles: make them one function")
		case isNil(on):
			p.fault(n.Name, "Reconcile needs a schedule")
			return
		case fn == nil:
			p.fault(n.Name, "Reconcile needs a function")
		}
		n.Reconciles = true
		n.schedule = on.source(p, n)
		n.check = func(ctx context.Context, input json.RawMessage) (json.RawMessage, bool, error) {
			in, err := decodeInput[In](input)
			if err != nil {
				return nil, false, err
			}
			v, found, err := fn(ctx, in)
			if err != nil || !found {
				return nil, false, err
			}
			raw, err := encodeOutput(&v)
			return raw, true, err
		}
		n.checked(p, reflect.TypeFor[T]())
		p.apply(n, opts)
	})
}

// outputType tells a wait's options what the wait yields, so that a Reconcile of
// another type is refused at start.
type outputType struct{ t reflect.Type }

func (o outputType) apply(p *Plan, n *Node) { n.checked(p, o.t) }

func (n *Node) checked(p *Plan, t reflect.Type) {
	if n.yields != nil && n.yields != t {
		p.fault(n.Name, "Reconcile yields %s, the %s %s", n.yields, n.Kind, t)
	}
	n.yields = t
}

// OnError sets the handler that runs when the run fails or times out, durably and
// with its own retries. It sees the outputs of the steps that completed. The run
// ends with the first failure whatever the handler does.
func OnError[In any](wf *Workflow[In], fn func(ctx context.Context, in In, f Failure) error, opts ...StepOption) {
	if wf.mine().ErrorNode != nil {
		wf.plan.fault(OnErrorName, "two error handlers")
	}
	if fn == nil {
		wf.plan.fault(OnErrorName, "a handler needs a function")
	}
	wf.plan.ErrorNode = newHandler(wf, OnErrorName, fn, opts)
}

// OnCancel sets the handler that runs when the run is canceled, durably and with
// its own retries.
func OnCancel[In any](wf *Workflow[In], fn func(ctx context.Context, in In, reason string) error, opts ...StepOption) {
	if wf.mine().CancelNode != nil {
		wf.plan.fault(OnCancelName, "two cancel handlers")
	}
	if fn == nil {
		wf.plan.fault(OnCancelName, "a handler needs a function")
	}
	wf.plan.CancelNode = newHandler(wf, OnCancelName, func(ctx context.Context, in In, f Failure) error {
		return fn(ctx, in, f.Message)
	}, opts)
}

func newHandler[In any](wf *Workflow[In], name string, fn func(context.Context, In, Failure) error, opts []StepOption) *Node {
	n := &Node{Name: name, Kind: KindHandler, handle: func(ctx context.Context, input json.RawMessage, f Failure) error {
		in, err := decodeInput[In](input)
		if err != nil {
			return err
		}
		return fn(ctx, in, f)
	}}
	wf.plan.options(n, opts)
	return n
}
