package engine

import "context"

// traced does what a node does with a run until it waits or ends, in a trace of its own.
func (x *execution) traced(do func()) {
	if !x.e.tell.Traces() {
		do()
		return
	}
	x.traces, _ = x.e.tell.TurnStarted(x.e.working(), x.ref, "")
	defer func() { x.e.tell.TurnEnded(x.traces, x.ref) }()
	do()
}

// working is the context of attempts.
func (x *execution) working() context.Context {
	if x.traces != nil {
		return x.traces
	}
	return x.e.working()
}
