package engine

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

// misfitPause is how long a run whose history does not fit is left alone before this
// node looks at it again; another node, or another definition, may take it then.
const misfitPause = 5 * time.Second

// Misfit is a run that was begun by another definition of the same name and version
// than the one that is held here, and does not fit it: it stays as it is, until a
// definition is held that it fits.
type Misfit struct {
	RunID    string
	Workflow string
	Version  int
	Why      string
}

// Misfits are the runs that this engine came upon and left alone, by id.
func (e *Engine) Misfits() []Misfit {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []Misfit
	for _, o := range e.misfits {
		all = append(all, o)
	}
	slices.SortFunc(all, func(a, b Misfit) int { return cmp.Compare(a.RunID, b.RunID) })
	return all
}

// fits says why a claimed run does not fit its definition.
func (x *execution) fits() error {
	if len(x.history) == 0 && x.run.Park.Kind == store.ParkNone {
		return nil
	}
	way := effective(x.plan, x.history)
	if slices.ContainsFunc(way, illegible) { // it fails under any definition
		return nil
	}
	if err := x.plan.Fits(x.facts); err != nil {
		return err
	}
	for _, en := range way {
		n, ok := x.plan.Node(en.Step)
		if !ok || en.Kind != store.EntryCompleted {
			continue
		}
		if kind := kindOfEntry(en); kind != n.Kind && (kind != workflow.KindStep || n.Kind != workflow.KindHandler) {
			return fmt.Errorf("%q was a %s, and is a %s in version %d", en.Step, kind, n.Kind, x.plan.Version)
		}
	}
	return x.stands()
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

// stands says why a run cannot be parked where it is.
func (x *execution) stands() error {
	park := x.run.Park
	d := x.plan.Next(x.facts)
	if park.Step == "" || d.Failure != nil || x.settled(park.Step) {
		return nil
	}
	if d.Node == nil || d.Node.Name != park.Step {
		at := "its end"
		if d.Node != nil {
			at = fmt.Sprintf("step %q", d.Node.Name)
		}
		return fmt.Errorf("the run stands at step %q, where version %d has %s", park.Step, x.plan.Version, at)
	}
	kinds := map[store.ParkKind]workflow.Kind{store.ParkWait: workflow.KindWait, store.ParkSleep: workflow.KindSleep}
	if want, pause := kinds[park.Kind]; pause != (d.Node.Kind == workflow.KindWait || d.Node.Kind == workflow.KindSleep) || pause && want != d.Node.Kind {
		return fmt.Errorf("the run stands at %q, which is a %s in version %d", park.Step, d.Node.Kind, x.plan.Version)
	}
	return nil
}

// leave gives a run back as it was, and tells once why.
func (x *execution) leave(c store.Claimed, why error) {
	e := x.e
	e.mu.Lock()
	_, known := e.misfits[c.Run.ID]
	e.misfits[c.Run.ID] = Misfit{c.Run.ID, c.Run.Workflow, c.Run.Version, why.Error()}
	e.mu.Unlock()
	if !known {
		e.tell.RunnerFault("definition", fmt.Errorf("run %s is left alone, since it does not fit %s version %d: %w. "+
			"Hold the definition again that it was begun with, and give the new one a new version; or terminate the run", c.Run.ID, c.Run.Workflow, c.Run.Version, why))
	}
	x.attempt, x.begun, x.takeovers = c.Run.Attempt, c.Run.Begun, c.Run.Takeovers
	park := c.Run.Park
	park.Until = e.now().Add(misfitPause)
	for x.after(x.commit(&park, nil)) {
	}
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
