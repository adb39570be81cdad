package engine

import (
	"context"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

// traceKey is the attribute that says where the trace of a run goes on.
const traceKey = "traceparent"

// startTrace are the attributes of a run that starts, with what its trace begins from. One
// that has no room for it is not traced on.
func (e *Engine) startTrace(ctx context.Context, run store.Run) workflow.Attributes {
	if !e.tell.Traces() {
		return run.Attributes
	}
	from := e.tell.Starting(ctx, workflow.RunRef{ID: run.ID, Workflow: run.Workflow, Version: run.Version})
	if from == "" {
		return run.Attributes
	}
	with, err := run.Attributes.With(workflow.Attributes{traceKey: from})
	if err != nil {
		return run.Attributes
	}
	return with
}

// traced does what a node does with a run until it waits or ends, in a trace of its own
// that follows the one before.
func (x *execution) traced(do func()) {
	if !x.e.tell.Traces() {
		do()
		return
	}
	from := x.run.Attributes[traceKey] // of one that was created here
	if from == "" {
		from = x.e.traceOf(x.run.ID)
	}
	turn, carry := x.e.tell.TurnStarted(x.e.working(), x.ref, from)
	if x.traces = turn; carry != "" && from != "" && !x.run.Sub {
		x.carry = workflow.Attributes{traceKey: carry}
	}
	defer func() { x.e.tell.TurnEnded(turn, x.ref) }()
	do()
}

// traceOf is what was kept of a run's trace, or of that of the run around it. A store that
// does not answer delays nothing: then nothing is known.
func (e *Engine) traceOf(id string) string {
	for parent, _, _, _, ok := workflow.SplitRunID(id); ok; parent, _, _, _, ok = workflow.SplitRunID(id) {
		id = parent
	}
	all, err := e.store.Attributes(e.working(), id)
	if err != nil {
		e.tell.RunnerFault("read", err)
	}
	return all[id][traceKey]
}

// kept are the attributes that an outcome sets: the attempt's, and where the trace goes on.
func (x *execution) kept() workflow.Attributes {
	if x.carry == nil {
		return x.attributes
	}
	all, err := x.carry.With(x.attributes)
	if err != nil {
		return x.attributes
	}
	return all
}

// working is the context of attempts.
func (x *execution) working() context.Context {
	if x.traces != nil {
		return x.traces
	}
	return x.e.working()
}
