package engine

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

// A run that does not fit is left alone for longer with each look, up to misfitPause.
// Where there may be other nodes, it is theirs at once after the first look since
// something happened to it: for misfitPause this node does not claim it, nor any of
// mostYielded others that it came upon last.
const (
	misfitFirst = 100 * time.Millisecond
	misfitPause = 5 * time.Second
	mostYielded = 256
)

// yielded is a run that is left to other nodes until then.
type yielded struct {
	runID string
	until time.Time
}

// Misfit is a run that was begun by another definition of the same name and version
// than the one that is held here, and does not fit it: it stays as it is, until a
// definition is held that it fits.
type Misfit struct {
	RunID    string
	Workflow string
	Version  int
	Why      string

	seq, inboxSeq int64     // as it was looked at
	seen          time.Time // when it was due last
	pause         time.Duration
}

// missedFor is after how long a run that this node came upon no more is another's.
const missedFor = time.Minute

// Misfits are the runs that this engine came upon and left alone, by id.
func (e *Engine) Misfits() []Misfit {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []Misfit
	for _, o := range e.misfits {
		if e.now().Sub(o.seen) < missedFor {
			all = append(all, o)
		}
	}
	slices.SortFunc(all, func(a, b Misfit) int { return cmp.Compare(a.RunID, b.RunID) })
	return all
}

// fits says why a run does not fit its definition.
func (x *execution) fits() error {
	if x.e.beganAlone(x.run) {
		return nil
	}
	kept := workflow.Kept{History: x.facts}
	if !x.run.Sub {
		kept.Begun = x.e.begunAs(x.run)
	}
	if x.lease.Token != 1 { // else it was created here, and checked
		kept.Input = x.run.Input
	}
	way := effective(x.plan, x.history)
	if slices.ContainsFunc(way, illegible) { // it fails under any definition
		return nil
	}
	if err := x.plan.FitsRun(kept); err != nil {
		return err
	}
	for _, en := range way {
		n, ok := x.plan.Node(en.Step)
		if !ok || en.Kind != store.EntryCompleted {
			continue
		}
		if kind := kindOfEntry(en); n.Sub != nil && kind == workflow.KindSleep {
			continue // both begin and end, and nothing else
		} else if kind != n.Kind && (kind != workflow.KindStep || n.Kind != workflow.KindHandler) {
			return fmt.Errorf("%q was a %s, and is a %s in version %d", en.Step, kind, n.Kind, x.plan.Version)
		}
		if err := x.endedBy(n, en); err != nil {
			return err
		}
	}
	if err := x.stands(); err != nil {
		return err
	}
	return x.plan.FitsRun(workflow.Kept{Begun: kept.Begun, Inbox: x.inbox()})
}

// endedBy says why a wait cannot have ended with the events that it consumed.
func (x *execution) endedBy(n *workflow.Node, en store.Entry) error {
	var consumed []workflow.Signal
	var events []string
	for _, s := range x.signals {
		if slices.Contains(en.Consumed, s.ID) {
			consumed, events = append(consumed, s.Signal), append(events, s.Event)
		}
	}
	if took, _, ok := n.Match(consumed); len(consumed) > 0 && (!ok || len(took) != len(consumed)) {
		return fmt.Errorf("wait %q ended with the events %q, with which that of version %d does not", en.Step, events, x.plan.Version)
	}
	return nil
}

// illegible says whether an entry stands for one that a store could not read.
func illegible(en store.Entry) bool {
	return en.Kind == store.EntryFailed && (en.Failure == nil || en.Failure.Code == workflow.CodeDefinition)
}

// kindOfEntry is what kind of node completed: a wait by an event or a look, a sleep by
// nothing.
func kindOfEntry(en store.Entry) workflow.Kind {
	switch {
	case !en.Begins && en.StartedSeq == 0:
		return workflow.KindStep
	case len(en.Consumed) > 0 || en.Reconciled:
		return workflow.KindWait
	}
	return workflow.KindSleep
}

// stands says why a run cannot be parked where it is. A cancel turns it from there, as
// does a predicate that panics, but from a handler nothing does.
func (x *execution) stands() error {
	park := x.run.Park
	d := x.next()
	turned := !workflow.IsHandler(park.Step) && d.Failure != nil &&
		(d.Failure.Reason == workflow.ReasonCanceled || d.Failure.Code == workflow.CodeDefinition)
	if park.Step == "" || turned || x.settled(park.Step) {
		return nil
	}
	switch {
	case d.Node == nil || d.Node.Name != park.Step:
		at := "its end"
		if d.Node != nil {
			at = fmt.Sprintf("step %q", d.Node.Name)
		}
		return fmt.Errorf("the run stands at step %q, where version %d has %s", park.Step, x.plan.Version, at)
	case d.Move == workflow.MoveSkip:
		return fmt.Errorf("the run stands at step %q, which version %d skips because of %q", park.Step, x.plan.Version, d.Because)
	}
	kinds := map[store.ParkKind]workflow.Kind{store.ParkWait: workflow.KindWait, store.ParkSleep: workflow.KindSleep}
	if d.Node.Sub != nil {
		kinds[store.ParkSubs] = d.Node.Kind
	}
	pauses := d.Node.Kind == workflow.KindWait || d.Node.Kind == workflow.KindSleep || d.Node.Sub != nil
	if want, pause := kinds[park.Kind]; pause != pauses || pause && want != d.Node.Kind {
		return fmt.Errorf("the run stands at %q, which is a %s in version %d", park.Step, d.Node.Kind, x.plan.Version)
	}
	return nil
}

// leave gives a run back as it was, and tells once why: of its definition, when that was
// told at the start, or of the run.
func (e *Engine) leave(c store.Claimed, why string) {
	d := store.Definition{Workflow: c.Run.Workflow, Version: c.Run.Version}
	e.mu.Lock()
	before, known := e.misfits[c.Run.ID]
	known = known || e.differ[d] != ""
	m := Misfit{c.Run.ID, c.Run.Workflow, c.Run.Version, why, c.Run.Seq, c.Run.InboxSeq, e.now(), misfitFirst}
	switch {
	case before.seq == m.seq && before.inboxSeq == m.inboxSeq:
		m.pause = min(max(2*before.pause, misfitFirst), misfitPause)
	case e.node.Renew > 0:
		m.pause = 0
		e.yielded = append(e.yielded, yielded{m.RunID, m.seen.Add(misfitPause)})
	}
	e.misfits[c.Run.ID] = m
	e.mu.Unlock()
	if !known {
		e.tell.RunnerFault("definition", fmt.Errorf("run %s is left alone, since it does not fit %s version %d: %s. "+
			"Hold the definition again that it was begun with, and give the new one a new version; or terminate the run", c.Run.ID, c.Run.Workflow,
			c.Run.Version, why))
	}
	c.Run.Park.Until = m.seen.Add(m.pause)
	e.giveBack(c)
}

// yielding are the runs that are left to other nodes now.
func (e *Engine) yielding() (ids []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	e.yielded = slices.DeleteFunc(e.yielded, func(y yielded) bool { return !y.until.After(now) })
	e.yielded = e.yielded[max(0, len(e.yielded)-mostYielded):]
	for _, y := range e.yielded {
		ids = append(ids, y.runID)
	}
	return ids
}

// leftBefore says whether a run is one that was left alone, and nothing has
// happened to since: then it need not be read.
func (e *Engine) leftBefore(r store.Run) (why string, left bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	m := e.misfits[r.ID]
	return m.Why, m.seq == r.Seq && m.inboxSeq == r.InboxSeq
}

// isMisfit says whether a run was left alone here: then its definition is not held.
func (e *Engine) isMisfit(runID string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, ok := e.misfits[runID]
	return ok
}

// adopted forgets that a run was an orphan.
func (e *Engine) adopted(runID string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.misfits, runID)
}
