package temporalrunner

import (
	"time"

	sdk "go.temporal.io/sdk/workflow"

	"github.com/liwanag/liwanag/workflow"
)

// wait matches the inbox against a wait, lets it look for its answer when that is
// due, and otherwise pauses until the next of: an event, a look, the deadline.
func (x *interpreter) wait(n *workflow.Node, now time.Time) {
	begins := x.enter(n, now)
	p := &x.At
	if consumed, output, ok := n.Match(x.inbox()); ok {
		x.consume(n, consumed, output, now)
		return
	}
	if p.Refused != nil {
		x.ended(n, "failed", 0)
		x.fail(n.Name, 0, *p.Refused, p.Since, now)
		return
	}
	if begins && !sdk.IsReplaying(x.ctx) {
		x.def.tell.WaitStarted(x.ref, n.Name)
	}
	deadline := n.Ends(x.facts, p.Since)
	at := x.lookAt(n, deadline)
	if p.Woken && n.Reconciles {
		at = now
	}
	switch {
	case now.Before(at):
		w := workflow.WaitingFor{Step: n.Name, Kind: workflow.WaitEvent, Until: deadline}
		for _, event := range n.Events {
			w.Events = append(w.Events, event.EventName())
		}
		if n.Reconciles && at.Before(deadline) {
			w.NextFetchAt = at
		}
		x.pause(n, w, at, p.Since)
	case n.Reconciles && !p.Looked:
		x.look(n, deadline, now)
	default:
		x.ended(n, "timeout", 0)
		x.fail(n.Name, 0, n.TimedOut(), p.Since, now)
	}
}

// enter takes up a wait or sleep, and says whether it begins.
func (x *interpreter) enter(n *workflow.Node, now time.Time) bool {
	if x.At.Step == n.Name {
		return false
	}
	x.At = position{Step: n.Name, Since: now, Begun: true}
	x.note(now, workflow.HistoryWaitStarted, n.Name, 0, nil)
	return true
}

func (x *interpreter) consume(n *workflow.Node, consumed []workflow.Signal, output []byte, now time.Time) {
	var last time.Time
	for _, s := range consumed {
		for i := range x.Run.Events {
			if e := &x.Run.Events[i]; e.ID == s.ID {
				e.ConsumedBy = n.Name
				if e.ReceivedAt.After(last) {
					last = e.ReceivedAt
				}
			}
		}
		x.note(now, workflow.HistoryEventConsumed, n.Name, 0, map[string]any{"id": s.ID})
	}
	x.ended(n, "event", now.Sub(last))
	x.complete(n, 0, output, x.At.Since, now)
}

func (x *interpreter) ended(n *workflow.Node, how string, lag time.Duration) {
	if !sdk.IsReplaying(x.ctx) {
		x.def.tell.WaitEnded(x.ref, n.Name, how, lag)
	}
}

// lookAt is when a wait looks for its answer next, or ends.
func (x *interpreter) lookAt(n *workflow.Node, deadline time.Time) time.Time {
	after := x.At.Since
	switch {
	case !x.At.Next.IsZero():
		return x.At.Next
	case !x.At.Checked.IsZero():
		after = x.At.Checked
	}
	if at, ok := n.LookAt(x.Run.ID, x.facts, x.At.Since, after); ok {
		return at
	}
	return deadline
}

// look lets a wait look for its answer by itself, on its schedule and once more
// at its deadline.
func (x *interpreter) look(n *workflow.Node, deadline, now time.Time) {
	p := &x.At
	if f, ok := x.givenUp(n); ok {
		x.fail(n.Name, 0, f, p.Since, now)
		return
	}
	attempt := p.Attempts + 1
	p.Next = time.Time{}
	got, lost := x.attempt(n, attempt, nil)
	if lost {
		p.Takeovers++
		return
	}
	p.Takeovers = 0
	last := !now.Before(deadline)
	begun, now := now, x.now()
	if got.Found {
		x.note(now, workflow.HistoryReconcileChecked, n.Name, attempt, map[string]any{"found": true})
		if err := x.set(got); err != nil {
			x.ended(n, "failed", 0)
			x.fail(n.Name, attempt, workflow.FailureOf(n.Name, attempt, err), p.Since, now)
			return
		}
		x.ended(n, "reconciled", 0)
		x.complete(n, attempt, got.Output, p.Since, now)
		return
	}
	fields := map[string]any{"found": false}
	if got.After != nil {
		fields["error"] = got.After.Failure.Message
		if got.After.Permanent {
			p.Refused = &got.After.Failure
		}
		if last && got.After.Then != workflow.AfterFail {
			p.Next = now.Add(got.After.Delay)
			if got.After.Then == workflow.AfterRetry {
				p.Attempts = attempt
			}
			x.retrying(n, attempt, *got.After, begun, now)
			return
		}
	}
	x.note(now, workflow.HistoryReconcileChecked, n.Name, attempt, fields)
	// An event that came during the last look wins over the deadline and over an error
	// that no look will mend: the inbox is matched once more before the wait fails.
	p.Checked, p.Looked = now, last
}

func (x *interpreter) sleep(n *workflow.Node, now time.Time) {
	x.enter(n, now)
	since := x.At.Since
	until := n.Ends(x.facts, since)
	if now.Before(until) {
		x.pause(n, workflow.WaitingFor{Step: n.Name, Kind: workflow.WaitSleep, Until: until}, until, since)
		return
	}
	x.complete(n, 0, nil, since, now)
}
