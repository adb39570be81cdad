package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

const (
	// openAtOnce is how many sub-runs one commit begins.
	openAtOnce = 500
	// listed is how many sub-runs are read at once, and whole how many with their histories.
	listed, whole = 500, 100
	// cancelAtOnce is how many sub-runs are canceled at the same time: they share commits.
	cancelAtOnce = 64
	// glance is how long a run that waits for its sub-runs sleeps at most. Their ends wake
	// it; should one ever be missed, it looks by itself.
	glance = time.Hour
)

// bad are the statuses of sub-runs that are run again with their step.
var bad = []store.Status{store.Failed, store.TimedOut, store.Canceled}

// next decides.
func (x *execution) next() workflow.Decision { return x.plan.Next(x.facts) }

// regroup reads how far the sub-runs of the run are, and tells it to the facts.
func (x *execution) regroup() error {
	if !x.plan.HasSubs() {
		return nil
	}
	x.ungroup()
	err := x.e.insist("read", func() (err error) { x.group, err = x.e.store.Group(x.e.working(), x.run.ID); return err })
	if err != nil || x.group == nil {
		return err
	}
	g := x.group
	n, ok := x.plan.Node(g.Step)
	if !ok || n.Sub == nil {
		return nil // its definition is another: it does not fit
	}
	fact := groupOf(g)
	if g.Open == 0 {
		if err := x.ended(n, fact); err != nil {
			return err
		}
	}
	x.facts = append(x.facts, workflow.Fact{Kind: workflow.FactGroup, Step: g.Step, Group: fact})
	return nil
}

func groupOf(g *store.Group) *workflow.Group {
	return &workflow.Group{Total: g.Total, Next: g.Next, Open: g.Open, Completed: g.Completed, Failed: g.Failed,
		Canceled: g.Canceled, Stopped: g.Stopped}
}

// ungroup takes back what the facts tell of sub-runs.
func (x *execution) ungroup() {
	x.group = nil
	x.facts = slices.DeleteFunc(slices.Clone(x.facts), func(f workflow.Fact) bool { return f.Kind == workflow.FactGroup })
}

// ended reads what is decided upon of sub-runs that have ended: the outputs, of a repeat
// the last one, of a map none; and the first failure.
func (x *execution) ended(n *workflow.Node, fact *workflow.Group) error {
	if n.Kind != workflow.KindMap {
		q := x.query(n)
		if n.Sub.Rounds > 0 {
			q.From = max(0, fact.Next-1)
		}
		subs, err := x.e.subsOf(q)
		if err != nil {
			return err
		}
		for _, c := range subs {
			fact.Outputs = append(fact.Outputs, outputOfSub(n, c))
		}
	}
	if fact.Failed == 0 {
		return nil
	}
	for _, statuses := range [][]store.Status{{store.Failed, store.TimedOut}, {store.Canceled}} {
		q := x.query(n)
		q.Status, q.Limit, q.Rows = statuses, 1, true
		subs, err := x.e.subsOf(q)
		if err != nil {
			return err
		}
		if len(subs) > 0 && subs[0].Run.Failure != nil {
			fact.First = &workflow.SubFailure{Index: indexOf(subs[0].Run.ID), Failure: *subs[0].Run.Failure}
			break
		}
	}
	return nil
}

func indexOf(id string) int {
	_, _, _, index, _ := workflow.SplitRunID(id)
	return index
}

// query selects the sub-runs of the group.
func (x *execution) query(n *workflow.Node) store.SubQuery {
	return store.SubQuery{Parent: x.run.ID, Step: n.Subject().Name, Generation: x.group.Generation}
}

// subsOf reads sub-runs, as often as it takes.
func (e *Engine) subsOf(q store.SubQuery) (subs []store.Claimed, err error) {
	err = e.insist("read", func() (err error) { subs, err = e.store.Subs(e.working(), q); return err })
	return subs, err
}

// insist does something with the store until it answers, or this engine ends.
func (e *Engine) insist(operation string, do func() error) error {
	for failures := 1; ; failures++ {
		err := do()
		if err == nil {
			return nil
		}
		e.tell.RunnerFault(operation, err)
		if pause(e.working(), backoff(failures)); errors.Is(err, store.ErrClosed) || e.working().Err() != nil {
			return err
		}
	}
}

// outputOfSub is what a sub-run has yielded; nil unless it completed.
func outputOfSub(n *workflow.Node, c store.Claimed) json.RawMessage {
	index := indexOf(c.Run.ID)
	body := n.Body(index)
	if c.Run.Status != store.Completed || body == nil {
		return nil
	}
	return n.SubOutput(index, appendFacts(nil, body, c.History, c.Signals))
}

// openSubs begins sub-runs, and parks the run until they have ended.
func (x *execution) openSubs(d workflow.Decision, now time.Time) bool {
	n, o := d.Node, d.Opening
	switch {
	case !x.owned():
		return false
	case x.stopping():
		return x.pause(x.restingSubs(n, now), false)
	case x.group != nil && x.group.Again > 0:
		return x.reopenSubs(n, min(o.Count, x.group.Again), now)
	}
	body, step := n.Body(0), n.Subject().Name
	g := store.Group{Step: step, Workflow: body.Name, Version: body.Version, Generation: o.Generation, Total: o.Total, AtMost: o.AtMost,
		Need: o.Need, Tolerate: o.Tolerate}
	x.opening = &store.Opening{Group: g}
	if x.group == nil && o.Again {
		x.opening.Again, x.opening.Undo = true, o.Undo
		return x.after(x.commit(nil, nil))
	}
	if x.group == nil {
		x.e.scopes.Forget(x.run.ID, step, o.Generation)
	}
	x.e.scopes.Put(x.run.ID, step, o.Generation, x.plan.Scope(x.run.ID, slices.Clone(x.facts)))
	x.opening.Count = min(o.Count, openAtOnce)
	var park *store.Park
	if o.Count <= openAtOnce {
		p := x.joining(n, now)
		park = &p
	}
	got := x.commit(park, nil)
	x.e.begun()
	return x.after(got)
}

// begun says that sub-runs may be due that nobody owns.
func (e *Engine) begun() {
	e.slots.left()
	e.announce()
}

// joining is the park of a run that waits for its sub-runs.
func (x *execution) joining(n *workflow.Node, now time.Time) store.Park {
	p := store.Park{Kind: store.ParkSubs, Step: n.Name, Since: now, Until: now.Add(glance)}
	if x.joins(n) {
		p.Since, p.Seq = x.park.Since, x.park.Seq
	}
	if at, ok := x.deadline(); ok && at.Before(p.Until) && at.After(now) {
		p.Until = at
	}
	if at := p.Since.Add(n.Within); n.Within > 0 && at.Before(p.Until) && at.After(now) {
		p.Until = at
	}
	x.takeovers = 0
	return p
}

// bound is when the step is over whose sub-runs the run waits for; false when nothing
// bounds it, or they are only to be undone.
func (x *execution) bound(n *workflow.Node) (time.Time, bool) {
	return x.park.Since.Add(n.Within), n.Sub != nil && n.Within > 0 && x.joins(n)
}

// clock tells the facts whether the time is over of the step that has sub-runs.
func (x *execution) clock(now time.Time) {
	if x.group == nil {
		return
	}
	for i := range x.facts {
		if f := &x.facts[i]; f.Kind == workflow.FactGroup {
			if n, ok := x.plan.Node(f.Step); ok {
				at, bounded := x.bound(n)
				f.Group.Late = bounded && !now.Before(at)
			}
		}
	}
}

// joins says whether the run was parked for the sub-runs of the step.
func (x *execution) joins(n *workflow.Node) bool {
	return x.park.Kind == store.ParkSubs && x.park.Step == n.Name && x.park.Seq != 0
}

// restingSubs is how a run with sub-runs is left that is due when this engine stops.
func (x *execution) restingSubs(n *workflow.Node, now time.Time) store.Park {
	if !x.joins(n) {
		return store.Park{Until: now}
	}
	p := x.park
	p.Until = now
	return p
}

// reopenSubs reopens sub-runs that ended badly before the run was reopened, each from
// its own failed step.
func (x *execution) reopenSubs(n *workflow.Node, most int, now time.Time) bool {
	if x.dirty || x.closing || len(x.pending) > 0 {
		return x.after(x.commit(nil, nil))
	}
	q := x.query(n)
	q.Status, q.Limit = bad, min(most, whole)
	if n.Undoes() {
		q.Status = []store.Status{store.Completed}
		if n.Sub.Rounds > 0 { // the last one first: all that are left have completed
			q.From = x.group.Again - 1
		}
	}
	subs, err := x.e.subsOf(q)
	if err != nil {
		return false
	}
	if len(subs) == 0 {
		x.e.tell.RunnerFault("sub-runs", fmt.Errorf("run %s, step %s: %d sub-runs are to be run again, and there are none", x.run.ID,
			n.Name, x.group.Again))
		p := x.joining(n, now)
		p.Until = now.Add(time.Minute)
		return x.pause(p, false)
	}
	for _, c := range subs {
		body := n.Body(indexOf(c.Run.ID))
		if body == nil {
			continue
		}
		r := store.Reopening{From: workflow.UndoName, Seq: c.Run.Seq, Undo: true}
		if !n.Undoes() {
			r = returning(body, c, body.ResumeFrom(appendFacts(nil, body, c.History, c.Signals)))
		}
		err := x.e.insist("reopen", func() error {
			err := x.e.store.Reopen(x.e.working(), c.Run.ID, r, x.e.now())
			if errors.Is(err, store.ErrNotEnded) || errors.Is(err, store.ErrNotFound) {
				return nil // something came to it meanwhile: it is looked at anew
			}
			return err
		})
		if err != nil {
			return false
		}
	}
	x.e.begun()
	return x.regroup() == nil
}

// join waits for the sub-runs, and cancels them first when they are to stop.
func (x *execution) join(d workflow.Decision, now time.Time) bool {
	switch {
	case d.Stop != "" && !x.group.Stopped:
		x.stops = true
		return x.after(x.commit(nil, nil))
	case d.Stop != "" && !x.cancels:
		x.cancels = true
		if x.cancelSubs(d.Node, d.Stop) != nil {
			return false
		}
		x.e.announce()
	}
	p := x.joining(d.Node, now)
	if d.Stop != "" {
		p.Until = now.Add(glance) // whatever the deadline of the run
	}
	return x.after(x.commit(&p, nil))
}

// tooLate says that the run's deadline has passed while it has sub-runs. They end first,
// and then their step with that failure, which is when it is written.
func (x *execution) tooLate(d workflow.Decision, now time.Time) bool {
	at, bounded := x.deadline()
	if x.group == nil || !bounded || now.Before(at) || x.canceled || d.Node != nil && d.Node.Undoes() {
		return false
	}
	for _, f := range slices.Backward(x.facts) {
		if f.Kind == workflow.FactDeadline {
			return false
		} else if f.Kind == workflow.FactReopened {
			break
		}
	}
	return d.Move != workflow.MoveSettle && d.Stop == "" || d.Move == workflow.MoveSettle && x.group.StoppedAround()
}

// cancelSubs cancels the sub-runs that are open. No new ones begin any more.
func (x *execution) cancelSubs(n *workflow.Node, reason string) error {
	q := x.query(n)
	q.Status, q.Limit, q.Rows = []store.Status{store.Open}, listed, true
	for {
		subs, err := x.e.subsOf(q)
		if err != nil || len(subs) == 0 {
			return err
		}
		room, faults := make(chan struct{}, cancelAtOnce), make([]error, len(subs))
		var all sync.WaitGroup
		for i, c := range subs {
			if c.Run.Canceled {
				continue
			}
			room <- struct{}{}
			all.Go(func() {
				defer func() { <-room }()
				faults[i] = x.e.insist("cancel", func() error {
					err := x.e.store.Cancel(x.e.working(), c.Run.ID, reason, x.e.now())
					if errors.Is(err, store.ErrEnded) || errors.Is(err, store.ErrNotFound) {
						return nil
					}
					return err
				})
			})
		}
		all.Wait()
		if err := errors.Join(faults...); err != nil {
			return err
		}
		q.From = indexOf(subs[len(subs)-1].Run.ID) + 1
	}
}

// settleSubs notes the outcome of a step with sub-runs.
func (x *execution) settleSubs(d workflow.Decision, now time.Time) bool {
	en := store.Entry{Kind: store.EntryCompleted, Step: d.Node.Name, At: now, StartedAt: now, Output: d.Output, Failure: d.Failure,
		Begins: true}
	if d.Failure != nil {
		en.Kind = store.EntryFailed
	}
	if x.joins(d.Node) {
		en.Begins, en.StartedAt, en.StartedSeq = false, x.park.Since, x.park.Seq
	}
	x.closing = x.closing || x.group != nil // a step without sub-runs may follow before the next commit
	x.ungroup()
	x.settle(en)
	x.dirty, x.cancels = true, false
	return true
}

// subs reads sub-runs for steps.
func (e *Engine) subs(ctx context.Context, runID string, n *workflow.Node, generation, from, limit int) ([]workflow.SubRun, error) {
	claimed, err := e.store.Subs(ctx, store.SubQuery{Parent: runID, Step: n.Name, Generation: generation, From: from, Limit: limit})
	out := make([]workflow.SubRun, len(claimed))
	for i, c := range claimed {
		out[i] = workflow.SubRun{Index: indexOf(c.Run.ID), Status: workflow.Status(c.Run.Derived(e.now())), Failure: c.Run.Failure,
			Output: outputOfSub(n, c)}
	}
	return out, err
}
