package engine

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

// maxTakeovers is how many workers in a row may be lost with a run before the
// step at which it happens is given up.
const maxTakeovers = 10

// execute moves a run on until it is parked, ended or lost. A suspect leaves its
// place when its attempt is over.
func (e *Engine) execute(c store.Claimed, leave func()) {
	if why, left := e.leftBefore(c.Run); left {
		e.leave(c, why)
		return
	}
	e.guarded(c, leave, func(x *execution) {
		if why := x.fits(); why != nil {
			e.leave(c, why.Error())
			return
		}
		e.adopted(c.Run.ID)
		x.traced(func() {
			for x.turn() {
			}
		})
	})
}

// guarded does something with a claimed run. A panic of the engine, or of a method
// of a step's error, ends that run alone and leaves the node standing.
func (e *Engine) guarded(c store.Claimed, leave func(), do func(x *execution)) {
	c, hold, ok := e.whole(c)
	if !ok {
		return
	}
	defer hold.release()
	x := &execution{e: e, lease: c.Lease, run: c.Run, vacate: leave,
		ref: workflow.RunRef{ID: c.Run.ID, Workflow: c.Run.Workflow, Version: c.Run.Version}}
	defer func() {
		if r := recover(); r != nil {
			e.tell.RunnerFault("panic", fmt.Errorf("run %s: %v\n%s", c.Run.ID, r, debug.Stack()))
			x.pending, x.canceled = nil, true
			f := workflow.Failure{Reason: workflow.ReasonError, Code: workflow.CodePanic,
				Message: workflow.Clip(fmt.Sprintf("the engine panicked: %v", r))}
			x.abort(f)
		}
	}()
	var f workflow.Failure
	switch err := x.open(c); {
	case err == nil:
		do(x)
		return
	case errors.As(err, &f): // a sub-run that its definition does not have
		x.pending, x.canceled = nil, true
		x.end(workflow.Decision{Status: workflow.StatusFailed, Failure: &f})
		return
	case errors.Is(err, errAround):
		e.leave(c, err.Error())
		return
	case !errors.Is(err, errNoDefinition): // the store is closed, or this engine ends
		e.tell.RunnerFault("read", err)
		return
	}
	e.tell.RunnerFault("claim", fmt.Errorf("run %s is of version %d of workflow %s, which this engine does "+
		"not hold; it is given back", c.Run.ID, c.Run.Version, c.Run.Workflow))
	pause(e.working(), time.Second) // a store that mixes versions up once does so again
	x.commit(&x.park, nil)
}

// turn makes one move: decide, act, note the outcome. It returns false when this
// engine is done with the run for now.
func (x *execution) turn() bool {
	now := x.e.now()
	x.clock(now)
	d := x.next()
	if x.tooLate(d, now) {
		x.facts = append(x.facts, workflow.Fact{Kind: workflow.FactDeadline})
		d = x.next()
	}
	switch d.Move {
	case workflow.MoveSettle:
		return x.settleSubs(d, now)
	case workflow.MoveSkip:
		if x.dirty { // a cancel that came while the step before ran is seen first
			return x.after(x.commit(nil, nil))
		}
		x.settle(store.Entry{Kind: store.EntrySkipped, Step: d.Node.Name, Label: d.Because, At: now})
		return true
	case workflow.MoveHandle, workflow.MoveEnd:
		if x.dirty && d.Failure != nil {
			return x.after(x.commit(nil, nil))
		}
		if x.unrecorded(d, now) {
			return true
		}
		if d.Move == workflow.MoveEnd {
			return x.end(d)
		}
		return x.act(d, now)
	}
	if d.Failure != nil { // an undo, which nothing bounds
		if x.unrecorded(d, now) {
			return true
		}
	} else if at, ok := x.deadline(); ok && !now.Before(at) && d.Stop == "" {
		x.cutShort(d.Node, workflow.Failure{Step: d.Node.Name, Reason: workflow.ReasonTimeout, Code: workflow.CodeRunTimeout,
			Message: fmt.Sprintf("the run took longer than %s", x.plan.RunTimeout)}, now)
		return true
	}
	switch d.Move {
	case workflow.MoveWait:
		return x.wait(d.Node, now)
	case workflow.MoveSleep:
		return x.sleep(d.Node, now)
	case workflow.MoveOpen:
		if x.inboxSeq&store.PausedBit != 0 {
			return x.paused(d.Node)
		}
		return x.openSubs(d, now)
	case workflow.MoveJoin:
		return x.join(d, now)
	default:
		return x.act(d, now)
	}
}

// unrecorded notes what an ending leaves behind and no entry tells yet: the wait
// or sleep that a cancel cut short, and a failure of the definition itself, which
// must outlive a handler that backs off.
func (x *execution) unrecorded(d workflow.Decision, now time.Time) bool {
	if n, ok := x.plan.Node(x.park.Step); ok && n != d.Node && x.park.Seq != 0 && d.Status != workflow.StatusCompleted && !x.settled(n.Name) {
		f := workflow.Failure{Step: n.Name, Reason: workflow.ReasonCanceled, Message: "cut short"}
		if d.Failure != nil {
			f.Reason, f.Message = d.Failure.Reason, d.Failure.Message
		}
		x.cutShort(n, f, now)
		return true
	}
	if d.Failure == nil || d.Failure.Code != workflow.CodeDefinition || x.settled(d.Failure.Step) {
		return false
	}
	for _, en := range x.pending {
		if en.Kind == store.EntryFailed && en.Step == d.Failure.Step {
			return false
		}
	}
	x.settle(store.Entry{Kind: store.EntryFailed, Step: d.Failure.Step, At: now, StartedAt: now, Failure: d.Failure})
	return true
}

// cutShort notes that a step, wait or sleep ends with its run.
func (x *execution) cutShort(n *workflow.Node, f workflow.Failure, now time.Time) {
	en := store.Entry{Kind: store.EntryFailed, Step: n.Name, At: now, StartedAt: now, Failure: &f}
	if n.Kind == workflow.KindWait || n.Kind == workflow.KindSleep || n.Sub != nil {
		en.Begins = true
		if x.park.Step == n.Name && x.park.Seq != 0 {
			en.Begins, en.StartedAt, en.StartedSeq = false, x.park.Since, x.park.Seq
		}
	}
	x.settle(en)
}

// deadline is when the run's RunTimeout passes, counted from its creation or its
// latest reopening; false when it has none.
func (x *execution) deadline() (time.Time, bool) {
	if x.plan.RunTimeout == 0 {
		return time.Time{}, false
	}
	return x.opened.Add(x.plan.RunTimeout), true
}

// pause parks the run. Before its end is decided, the run's own deadline wakes it
// too.
func (x *execution) pause(p store.Park, handling bool) bool {
	if at, ok := x.deadline(); ok && !handling && at.Before(p.Until) {
		p.Until = at
	}
	return x.after(x.commit(&p, nil))
}

// after says whether the run goes on here after a commit.
func (x *execution) after(c committed) bool {
	switch c {
	case finished, lost:
		return false
	case changed:
		before := x.next().Node
		if x.reload() != nil {
			return false
		}
		if x.next().Node != before {
			x.forget() // the counters belong to a step that the run was turned from
		}
	}
	return true
}

// act runs one attempt of a step or handler and notes what follows.
func (x *execution) act(d workflow.Decision, now time.Time) bool {
	n := d.Node
	handling := d.Move == workflow.MoveHandle
	if x.cleared() {
		return x.pause(store.Park{Until: now}, handling)
	}
	if x.dirty {
		// The outcome of the step before must be durable first; what came meanwhile
		// is decided upon first, too.
		return x.after(x.commit(nil, nil))
	}
	if !x.owned() {
		return false
	}
	if x.inboxSeq&store.PausedBit != 0 {
		return x.paused(n)
	}
	if x.stopping() {
		return x.pause(x.resting(n), handling)
	}
	if until, backingOff := x.backOff(n); backingOff && now.Before(until) && !x.woken {
		// Woken by something that changes nothing here.
		park := x.park
		park.Until = until
		return x.pause(park, handling)
	}
	if f, givenUp := x.givenUp(n); givenUp {
		return x.giveUpStep(n, f, now, handling)
	}
	if x.since.IsZero() {
		x.since = now
	}
	if x.mustSay(n) {
		x.begun = true
		if !x.after(x.commit(nil, nil)) {
			return false
		}
		if x.next().Node != n { // a cancel came with the commit
			x.forget()
			return true
		}
	}
	x.woken = false
	entry := store.Entry{Step: n.Name, Attempt: x.attempt + 1, StartedAt: x.e.now()}
	if n.Store != "" {
		return x.transact(d, entry, handling)
	}
	output, err, gone := x.invoke(d, entry.Attempt, nil)
	if gone {
		return false
	}
	entry.At = x.e.now()
	if err == nil {
		entry.Kind, entry.Output, entry.Attributes = store.EntryCompleted, output, x.kept()
		x.settle(entry)
		x.dirty = true
		return true
	}
	return x.failed(n, entry, err, handling)
}

// owned says whether the run is this node's still. A process that was stopped as a
// whole, or cut off from the store, for longer than its lease begins nothing before
// it knows.
func (x *execution) owned() bool {
	for x.e.leased(x.e.cfg.Lease) != nil {
		if pause(x.e.working(), backoff(1)); x.e.working().Err() != nil {
			return false
		}
	}
	return x.e.self().Epoch == x.lease.Epoch
}

// failed notes what follows an attempt that returned an error.
func (x *execution) failed(n *workflow.Node, entry store.Entry, err error, handling bool) bool {
	next := n.After(x.run.ID, entry.Attempt, entry.At.Sub(x.since), err)
	entry.Failure, entry.NextAt = &next.Failure, entry.At.Add(next.Delay)
	park := store.Park{Step: n.Name, Since: x.since, Until: entry.NextAt}
	x.begun, x.takeovers = false, 0
	switch next.Then {
	case workflow.AfterFail:
		entry.Kind, entry.NextAt = store.EntryFailed, time.Time{}
		x.settle(entry)
		x.dirty = true
		return true
	case workflow.AfterSnooze:
		entry.Kind, entry.Failure, park.Kind = store.EntrySnoozed, nil, store.ParkSnooze
	default:
		entry.Kind, park.Kind = store.EntryRetrying, store.ParkRetry
		x.attempt = entry.Attempt
	}
	if x.full(n, entry) {
		f := n.HistoryFull(entry.Attempt)
		entry.Kind, entry.NextAt, entry.Failure = store.EntryFailed, time.Time{}, &f
		x.settle(entry)
		x.dirty = true
		return true
	}
	x.again(entry)
	return x.pause(park, handling)
}

// backOff is when the pause ends that a step or handler is in.
func (x *execution) backOff(n *workflow.Node) (time.Time, bool) {
	en, ok := x.latest(n.Name, store.EntryRetrying, store.EntrySnoozed)
	return en.NextAt, ok && x.parkedFor(n)
}

func (x *execution) parkedFor(n *workflow.Node) bool {
	return x.park.Step == n.Name && (x.park.Kind == store.ParkRetry || x.park.Kind == store.ParkSnooze)
}

// resting is how a run is left that is due when this engine stops: due, and what
// it was parked for not forgotten.
func (x *execution) resting(n *workflow.Node) store.Park {
	if x.park.Step != n.Name {
		return store.Park{Until: x.e.now()}
	}
	park := x.park
	if x.woken {
		park.Until = time.Time{}
	}
	return park
}

// givenUp says whether a step must not be run again after lost workers.
func (x *execution) givenUp(n *workflow.Node) (workflow.Failure, bool) {
	f := workflow.Failure{Step: n.Name, Reason: workflow.ReasonUnknown, Attempts: x.attempt}
	switch {
	case x.begun && n.AtMostOnce:
		f.Code, f.Message = workflow.CodeWorkerLost, "the worker was lost inside the step; nobody knows whether its effect happened"
	case x.takeovers >= maxTakeovers:
		f.Code, f.Message = workflow.CodeCrashLoop, fmt.Sprintf("%d workers in a row were lost at this step", x.takeovers)
	default:
		return f, false
	}
	return f, true
}

// end ends the run as decided.
func (x *execution) end(d workflow.Decision) bool {
	c := x.commit(nil, &store.Ending{Status: store.Status(d.Status), Failure: d.Failure, Because: d.Because})
	if c == finished {
		x.e.store.Ended(x.run.ID)
		x.e.tell.RunEnded(x.ref, d.Status, d.Failure, x.e.now().Sub(x.run.CreatedAt))
		if x.run.Sub {
			x.e.begun() // the next one, or the run around it
		}
	}
	return x.after(c)
}

func (x *execution) stopping() bool { return x.e.stopping() }
