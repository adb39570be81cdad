package engine

import (
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

// wait matches the inbox against a wait, lets it look for its answer when that is
// due, and otherwise parks until the next of: an event, a look, the deadline.
func (x *execution) wait(n *workflow.Node, now time.Time) bool {
	start, seq := now, int64(0)
	here := x.park.Kind == store.ParkWait && x.park.Step == n.Name
	if here {
		start, seq = x.park.Since, x.park.Seq
	}
	outcome := store.Entry{Step: n.Name, At: now, StartedAt: start, StartedSeq: seq, Begins: seq == 0}
	if consumed, _, ok := n.Match(x.inbox()); ok {
		if x.dirty { // and wins over the event
			return x.after(x.commit(nil, nil))
		}
		outcome.Kind = store.EntryCompleted
		for _, s := range consumed {
			outcome.Consumed = append(outcome.Consumed, s.ID)
		}
		x.e.tell.WaitEnded(x.ref, n.Name, "event", now.Sub(x.arrival(outcome.Consumed)))
		x.settle(outcome)
		x.facts[len(x.facts)-1].Took(consumed)
		return true
	}
	if x.cut && x.took { // what there was no room for may be what it waits for
		return x.after(x.commit(nil, nil)) && x.reload() == nil
	}
	if x.refused != nil {
		outcome.Kind, outcome.Failure = store.EntryFailed, x.refused
		x.e.tell.WaitEnded(x.ref, n.Name, "failed", 0)
		x.settle(outcome)
		return true
	}
	park := store.Park{Kind: store.ParkWait, Step: n.Name, Since: start, Seq: seq, Until: n.Ends(x.facts, start)}
	for _, event := range n.Events {
		park.Events = append(park.Events, event.EventName())
	}
	at := x.lookAt(n, start, park.Until)
	if x.woken && n.Reconciles {
		at = now
	}
	switch {
	case now.Before(at):
		if !here {
			x.e.tell.WaitStarted(x.ref, n.Name)
		}
		park.Until, x.begun = at, false
		return x.pause(park, false)
	case n.Reconciles && !x.looked:
		return x.look(n, park, outcome, now)
	case now.Before(park.Until):
		return x.pause(park, false)
	case !x.looked:
		return x.lookAgain(park.Until)
	}
	return x.timedOut(n, outcome)
}

// lookAgain reads the inbox once more before a wait ends: what came since this run was
// read came in time, and so does what comes at the very instant of the deadline.
func (x *execution) lookAgain(deadline time.Time) bool {
	if !x.e.now().After(deadline) {
		pause(x.e.working(), time.Microsecond)
	}
	x.looked = true
	return x.after(x.commit(nil, nil))
}

// lookAt is when a wait looks for its answer next, or ends: from its history
// alone, since whatever wakes a run early forgets what it was parked for.
func (x *execution) lookAt(n *workflow.Node, start, deadline time.Time) time.Time {
	after := start
	if en, ok := x.latest(n.Name, store.EntryChecked, store.EntryRetrying); ok && !en.At.Before(start) {
		if en.Kind == store.EntryRetrying {
			return en.NextAt
		}
		after = en.At
	}
	if at, ok := n.LookAt(x.run.ID, x.facts, start, after); ok {
		return at
	}
	return deadline
}

// look lets a wait look for its answer by itself, on its schedule and once more
// at its deadline; park is how the wait goes on until then.
func (x *execution) look(n *workflow.Node, park store.Park, outcome store.Entry, now time.Time) bool {
	if x.stopping() {
		return x.pause(x.resting(n), false)
	}
	if f, givenUp := x.givenUp(n); givenUp {
		outcome.Kind, outcome.Failure = store.EntryFailed, &f
		x.settle(outcome)
		return true
	}
	if x.mustSay(n) {
		x.begun = true
		return x.after(x.commit(nil, nil)) // and the inbox is looked at first, once more
	}
	attempt := x.attempt + 1
	x.woken = false
	output, found, err, gone := x.check(n, attempt)
	if gone {
		return false
	}
	x.takeovers, x.begun = 0, false
	last := !now.Before(park.Until)
	looked, next := x.entryOfLook(n, attempt, now, err)
	switch {
	case found:
		outcome.Kind, outcome.Output, outcome.Reconciled = store.EntryCompleted, output, true
		outcome.Attempt, outcome.At, outcome.Attributes = attempt, looked.At, x.kept()
		x.e.tell.WaitEnded(x.ref, n.Name, "reconciled", 0)
		x.settle(outcome)
		x.dirty = true
		return true
	case next.Permanent:
		x.refused = &next.Failure
	case last && err != nil && next.Then != workflow.AfterFail:
		park.Until = looked.At.Add(next.Delay)
		looked.Kind, looked.NextAt = store.EntryRetrying, park.Until
		if x.full(n, looked) {
			return x.overfull(n, outcome, attempt)
		}
		if next.Then == workflow.AfterRetry {
			x.attempt = attempt
		}
		x.again(looked)
		return x.pause(park, false)
	case !last && x.full(n, looked):
		return x.overfull(n, outcome, attempt)
	case !last:
		x.again(looked)
		park.Until = x.lookAt(n, outcome.StartedAt, park.Until)
		return x.pause(park, false)
	}
	// An event that came during the last look wins over the deadline and over an error
	// that no look will mend, so what it found is written, and the inbox read again,
	// before the wait fails.
	x.again(looked)
	if last {
		return x.lookAgain(park.Until)
	}
	return x.after(x.commit(nil, nil))
}

// entryOfLook is the row of a look that began then, and what is next after its error.
func (x *execution) entryOfLook(n *workflow.Node, attempt int, begun time.Time, err error) (looked store.Entry, next workflow.After) {
	looked = store.Entry{Kind: store.EntryChecked, Step: n.Name, Attempt: attempt, StartedAt: begun, At: x.e.now()}
	if err != nil {
		next = n.After(x.run.ID, attempt, 0, err)
		f := workflow.FailureOf(n.Name, attempt, err)
		looked.Failure = &f
	}
	return looked, next
}

// overfull ends a wait whose looks leave no room in the history.
func (x *execution) overfull(n *workflow.Node, outcome store.Entry, attempt int) bool {
	f := n.HistoryFull(attempt)
	outcome.Kind, outcome.Failure = store.EntryFailed, &f
	x.settle(outcome)
	return true
}

func (x *execution) timedOut(n *workflow.Node, outcome store.Entry) bool {
	f := n.TimedOut()
	outcome.Kind, outcome.Failure = store.EntryFailed, &f
	x.e.tell.WaitEnded(x.ref, n.Name, "timeout", 0)
	x.settle(outcome)
	return true
}

// arrival is when the last of the consumed signals came.
func (x *execution) arrival(ids []string) (at time.Time) {
	for _, s := range x.signals {
		for _, id := range ids {
			if s.ID == id && s.At.After(at) {
				at = s.At
			}
		}
	}
	return at
}

func (x *execution) sleep(n *workflow.Node, now time.Time) bool {
	start, seq := now, int64(0)
	if x.park.Kind == store.ParkSleep && x.park.Step == n.Name {
		start, seq = x.park.Since, x.park.Seq
	}
	until := n.Ends(x.facts, start)
	if now.Before(until) {
		return x.pause(store.Park{Kind: store.ParkSleep, Step: n.Name, Since: start, Seq: seq, Until: until}, false)
	}
	x.settle(store.Entry{Kind: store.EntryCompleted, Step: n.Name, At: now, StartedAt: start, StartedSeq: seq, Begins: seq == 0})
	return true
}
