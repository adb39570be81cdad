package workflowtest

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/liwanag/liwanag/workflow"
)

// execute is the loop around Next. The runner's lock is held but while a
// function of the definition runs and while the run is parked.
func (n *run) execute(ctx context.Context) {
	n.runner.mu.Lock()
	defer n.runner.mu.Unlock()
	for ctx.Err() == nil {
		n.state.Status, n.state.WaitingFor = workflow.StatusRunning, nil
		if n.state.StartedAt.IsZero() {
			n.state.StartedAt = now()
		}
		switch d := n.decide(); d.Move {
		case workflow.MoveEnd:
			n.end(d.Status, d.Failure, d.Because)
			return
		case workflow.MoveSkip:
			n.skip(d.Node, d.Because)
		case workflow.MoveWait:
			n.wait(ctx, d.Node)
		case workflow.MoveSleep:
			n.sleep(ctx, d.Node)
		case workflow.MoveOpen:
			n.open(d)
		case workflow.MoveJoin:
			n.join(ctx, d)
		case workflow.MoveSettle:
			n.settleSubs(d)
		default:
			n.act(ctx, d)
		}
	}
}

// decide asks for the next move, and turns the run's deadline into a fact when it
// has passed before something would begin.
func (n *run) decide() workflow.Decision {
	n.clock()
	d := n.plan.Next(n.facts)
	begins := d.Failure == nil && (d.Move == workflow.MoveAct || d.Move == workflow.MoveWait || d.Move == workflow.MoveSleep ||
		d.Move == workflow.MoveOpen ||
		d.Move == workflow.MoveJoin && d.Stop == "")
	if begins && n.overdue() {
		n.facts = append(n.facts, workflow.Fact{Kind: workflow.FactDeadline})
		late := d.Node
		d = n.plan.Next(n.facts)
		if n.group == nil { // else its sub-runs end first
			n.cut(late, *d.Failure)
		}
	}
	if d.Failure != nil && !n.decided && d.Move != workflow.MoveSettle {
		n.decided = true
		n.leave(*d.Failure)
	}
	return d
}

// leave records what ended the run, where nothing did yet: a wait or sleep that a
// cancel cut short, or a step whose condition panicked.
func (n *run) leave(f workflow.Failure) {
	for i := range n.state.Steps {
		s := &n.state.Steps[i]
		begun := s.Kind != workflow.KindStep && !s.Status.Ended() && s.Status != workflow.StatusPending
		if node, ok := n.plan.Node(s.Name); ok && (begun || s.Name == f.Step && !s.Status.Ended()) {
			n.cut(node, f)
		}
	}
}

// cut records that a node ended with the run; the ending is a fact already.
func (n *run) cut(node *workflow.Node, f workflow.Failure) {
	s, t := workflow.StatusFailed, workflow.HistoryStepFailed
	switch pause := node.Kind == workflow.KindWait || node.Kind == workflow.KindSleep || node.Sub != nil; {
	case f.Reason == workflow.ReasonCanceled:
		s = workflow.StatusCanceled
	case pause && f.Reason == workflow.ReasonTimeout:
		s, t = workflow.StatusTimedOut, workflow.HistoryWaitTimedOut
	}
	if t == workflow.HistoryWaitTimedOut && n.step(node.Name).Status == workflow.StatusPending {
		n.begin(node)
		n.record(workflow.HistoryWaitStarted, node.Name, 0, note{})
	}
	n.settle(node, s)
	n.record(t, node.Name, 0, note{Failure: &f})
}

// turned says whether a cancel or the run's deadline turns it from its way; an
// ending that is decided stays.
func (n *run) turned() bool {
	return !n.decided && (n.state.CancelRequested || n.overdue())
}

func (n *run) overdue() bool {
	at, bounded := n.deadline()
	return bounded && !now().Before(at)
}

// deadline is when RunTimeout passes, measured from the creation or the latest
// reopening.
func (n *run) deadline() (time.Time, bool) {
	return n.opened.Add(n.plan.RunTimeout), n.plan.RunTimeout > 0 && !n.decided
}

// act runs a step or handler until it has an outcome, or the run is turned.
func (n *run) act(ctx context.Context, d workflow.Decision) {
	began, node := now(), d.Node
	n.begin(node)
	for attempt := 1; ctx.Err() == nil; {
		output, err := n.attempt(ctx, d, attempt)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			n.complete(node, attempt, output)
			return
		}
		after := node.After(n.state.ID, attempt, now().Sub(began), err)
		if after.Then == workflow.AfterRetry && n.full(node) {
			after = workflow.After{Then: workflow.AfterFail, Failure: node.HistoryFull(attempt)}
		}
		next := now().Add(after.Delay)
		n.ended(node, attempt, err, next, after.Then)
		switch after.Then {
		case workflow.AfterFail:
			n.fail(node, attempt, after.Failure)
			return
		case workflow.AfterRetry:
			n.record(workflow.HistoryStepRetrying, node.Name, attempt, note{Error: after.Failure.Message, NextAt: next})
			attempt++
			n.park(workflow.WaitingFor{Step: node.Name, Kind: workflow.WaitRetry, Until: next})
		case workflow.AfterSnooze:
			n.record(workflow.HistoryStepSnoozed, node.Name, attempt, note{NextAt: next})
			n.park(workflow.WaitingFor{Step: node.Name, Kind: workflow.WaitSnooze, Until: next})
		}
		if n.stuck(node) {
			return
		}
		if n.pause(ctx, next, func() bool { return n.turned() || n.woken }); n.turned() {
			return
		}
	}
}

// full says that the history has no room for another attempt.
func (n *run) full(node *workflow.Node) bool {
	most := workflow.MaxHistory
	if node.Kind == workflow.KindHandler {
		most += most / 10
	}
	return len(n.state.History) >= most
}

func (n *run) attempt(ctx context.Context, d workflow.Decision, attempt int) (output json.RawMessage, err error) {
	n.started(d.Node, attempt)
	c := n.call(attempt)
	n.unlocked(func() {
		if d.Move == workflow.MoveHandle {
			err = d.Node.Handle(ctx, c, *d.Failure)
			return
		}
		output, err = d.Node.Invoke(ctx, c)
	})
	return output, n.set(err)
}

// set takes what an attempt has set that ended well.
func (n *run) set(err error) error {
	set := n.setting.Take()
	if err != nil || set == nil {
		return err
	}
	all, err := n.state.Attributes.With(set)
	if err == nil {
		n.state.Attributes = all
	}
	return err
}

func (n *run) call(attempt int) workflow.Call {
	return workflow.Call{RunID: n.state.ID, Attempt: attempt, Input: n.state.Input, History: n.facts, Namespace: n.runner.Namespace,
		Subs: n.runner.subs, Setting: &n.setting, Around: n.runner.Around}
}

func (n *run) unlocked(fn func()) {
	n.runner.mu.Unlock()
	defer n.runner.mu.Lock()
	fn()
}

// wait waits for events, and looks for the answer by itself meanwhile.
func (n *run) wait(ctx context.Context, node *workflow.Node) {
	start := now()
	deadline, looked := node.Ends(n.facts, start), start
	n.begin(node)
	n.record(workflow.HistoryWaitStarted, node.Name, 0, note{})
	for ctx.Err() == nil && !n.turned() {
		if n.consume(node) {
			return
		}
		if !now().Before(deadline) {
			if n.await(ctx, deadline); n.turned() || n.consume(node) {
				return
			}
			n.lastLook(ctx, node)
			return
		}
		w := workflow.WaitingFor{Step: node.Name, Kind: workflow.WaitEvent, Events: names(node), Until: deadline}
		at, looks := node.LookAt(n.state.ID, n.facts, start, looked)
		if looks {
			w.NextFetchAt = at
		} else {
			at = deadline
		}
		n.park(w)
		woken := func() bool { return n.woken && node.Reconciles }
		n.pause(ctx, at, func() bool { return n.turned() || n.matches(node) || woken() })
		if n.turned() || n.matches(node) || !looks && !woken() || ctx.Err() != nil {
			continue
		}
		output, found, err := n.look(ctx, node, 1)
		looked = now()
		switch {
		case ctx.Err() != nil:
		case found:
			n.reconciled(node, output)
			return
		default:
			n.record(workflow.HistoryReconcileChecked, node.Name, 0, noteOf(err))
			if n.refused(node, 1, err) || n.stuck(node) {
				return
			}
		}
	}
}

// await lets what comes at this very time from outside come first.
func (n *run) await(ctx context.Context, at time.Time) {
	if come, ok := n.runner.punctual[at]; ok {
		n.unlocked(func() {
			select {
			case <-come:
			case <-ctx.Done():
			}
		})
	}
}

// stuck ends a run that stands at one step for ever, so that a test of it ends, too.
func (n *run) stuck(node *workflow.Node) bool {
	if n.turns < maxTurns {
		return false
	}
	n.endless = fmt.Sprintf("after %d turns step %s is still not done: does its snooze, or its retry, ever end?", n.turns, node.Name)
	n.fail(node, 0, workflow.Failure{Step: node.Name, Reason: workflow.ReasonError, Code: workflow.CodeDefinition, Message: n.endless})
	return true
}

// refused ends a wait whose look says that none can succeed, unless something came
// during that look.
func (n *run) refused(node *workflow.Node, attempt int, err error) bool {
	if err == nil || n.turned() || n.matches(node) {
		return false
	}
	after := node.After(n.state.ID, attempt, 0, err)
	if after.Permanent {
		n.fail(node, 0, after.Failure)
	}
	return after.Permanent
}

// lastLook is the look at the deadline, with its retries; then the wait is over.
func (n *run) lastLook(ctx context.Context, node *workflow.Node) {
	for attempt := 1; node.Reconciles; {
		output, found, err := n.look(ctx, node, attempt)
		switch {
		case ctx.Err() != nil:
			return
		case found:
			n.reconciled(node, output)
			return
		}
		after := workflow.After{Then: workflow.AfterFail}
		if err != nil {
			after = node.After(n.state.ID, attempt, 0, err)
		}
		if after.Then == workflow.AfterFail {
			n.record(workflow.HistoryReconcileChecked, node.Name, 0, noteOf(err))
			if n.turned() || n.consume(node) || n.refused(node, attempt, err) {
				return
			}
			break
		}
		next := now().Add(after.Delay)
		n.record(workflow.HistoryStepRetrying, node.Name, attempt, note{Error: after.Failure.Message, NextAt: next})
		if after.Then == workflow.AfterRetry {
			attempt++
		}
		if n.stuck(node) {
			return
		}
		n.park(workflow.WaitingFor{Step: node.Name, Kind: workflow.WaitEvent, Events: names(node), Until: next})
		n.pause(ctx, next, func() bool { return n.turned() || n.matches(node) || n.woken })
		if ctx.Err() != nil || n.turned() || n.consume(node) {
			return
		}
	}
	n.timeOut(node)
}

func (n *run) look(ctx context.Context, node *workflow.Node, attempt int) (output json.RawMessage, found bool, err error) {
	n.turns++
	n.state.Status, n.state.WaitingFor, n.woken = workflow.StatusRunning, nil, false
	c := n.call(attempt)
	n.unlocked(func() { output, found, err = node.Check(ctx, c) })
	if !found {
		n.setting.Take()
	} else if err = n.set(err); err != nil {
		return nil, false, err
	}
	return output, found, err
}

func (n *run) reconciled(node *workflow.Node, output json.RawMessage) {
	n.record(workflow.HistoryReconcileChecked, node.Name, 0, note{Found: true})
	n.complete(node, 0, output)
}

func (n *run) sleep(ctx context.Context, node *workflow.Node) {
	until := node.Ends(n.facts, now())
	n.begin(node)
	n.record(workflow.HistoryWaitStarted, node.Name, 0, note{})
	n.park(workflow.WaitingFor{Step: node.Name, Kind: workflow.WaitSleep, Until: until})
	if n.pause(ctx, until, n.turned); ctx.Err() == nil && !n.turned() {
		n.complete(node, 0, nil)
	}
}

// pause waits until the time, or until stop holds, or the run's own deadline.
func (n *run) pause(ctx context.Context, until time.Time, stop func() bool) {
	for now().Before(until) && !stop() && ctx.Err() == nil {
		next := until
		if at, bounded := n.deadline(); bounded && at.Before(next) && at.After(now()) {
			next = at
		}
		n.unlocked(func() {
			timer := time.NewTimer(time.Until(next))
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-n.wake:
			case <-ctx.Done():
			}
		})
	}
}

func names(node *workflow.Node) (all []string) {
	for _, e := range node.Events {
		all = append(all, e.EventName())
	}
	return all
}
