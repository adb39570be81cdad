package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

// errAround says that the definition of the run around a sub-run is not held here.
var errAround = errors.New("the run around it")

// reader reads a run whole: as often as it takes, or once for somebody who waits.
type reader func(runID string) (store.Claimed, error)

func (e *Engine) once(ctx context.Context) reader {
	return func(runID string) (store.Claimed, error) { return e.store.Get(ctx, runID) }
}

// setting is the plan of a run, nil when it is not held; and of a sub-run its place, and
// its input, which the run is given. The error of a sub-run whose definition has none
// like it is a workflow.Failure.
func (e *Engine) setting(get reader, r *store.Run) (*workflow.Plan, *workflow.Place, error) {
	if !r.Sub {
		return e.plans[store.Definition{Workflow: r.Workflow, Version: r.Version}], nil, nil
	}
	parent, step, generation, index, _ := workflow.SplitRunID(r.ID)
	scope, err := e.scopes.Of(parent, step, generation, func() (*workflow.Scope, error) { return e.readScope(get, parent) })
	if err != nil {
		return nil, nil, err
	}
	n, ok := scope.Plan().Node(step)
	if !ok || n.Sub == nil || n.Body(index) == nil {
		return nil, nil, workflow.Failure{Step: step, Reason: workflow.ReasonError, Code: workflow.CodeDefinition,
			Message: fmt.Sprintf("%s version %d has no sub-run %s[%d]", scope.Plan().Name, scope.Plan().Version, step, index)}
	}
	place := &workflow.Place{Scope: scope, Node: n, Index: index}
	var before []byte
	if n.Sub.Rounds > 0 && index > 0 {
		last, err := get(workflow.SubRunID(parent, step, generation, index-1))
		if err != nil {
			return nil, nil, err
		}
		before = outputOfSub(n, last)
	}
	r.Input, err = place.Input(before)
	return n.Body(index), place, err
}

// readScope reads the run around sub-runs.
func (e *Engine) readScope(get reader, runID string) (*workflow.Scope, error) {
	c, err := get(runID)
	if err != nil {
		return nil, err
	}
	plan, place, err := e.setting(get, &c.Run)
	switch {
	case err != nil:
		return nil, err
	case plan == nil:
		return nil, fmt.Errorf("%w, %s, is of %s version %d, which is not held", errAround, runID, c.Run.Workflow, c.Run.Version)
	}
	return plan.Scope(runID, factsOfRun(plan, place, c.Run.Input, c.History, c.Signals)), nil
}
