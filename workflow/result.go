package workflow

import (
	"context"
	"encoding/json"
	"fmt"
)

// Result is the handle that a step or wait leaves behind; later steps and
// handlers read its output with it.
type Result[T any] struct{ from []*Node } // the first that has an output counts

// of are the nodes that a handle reads; none of one that nothing returned.
func (r *Result[T]) of() []*Node {
	if r == nil {
		return nil
	}
	return r.from
}

// inputName is what reads the input is called; kindInput is no kind of a step.
const (
	inputName      = "input"
	kindInput Kind = "input"
)

// Input is the run's input as a handle, for conditions, deadlines and everything else
// that reads an earlier output.
func Input[In any](wf *Workflow[In]) *Result[In] { return &Result[In]{[]*Node{wf.mine().start}} }

// FirstOf is a handle that reads whichever of several steps has an output, the first
// one when several have: of steps with conditions that exclude each other, of a wait
// and what stands in for it when it times out.
func FirstOf[T any](handles ...*Result[T]) *Result[T] {
	all := &Result[T]{}
	for _, h := range handles {
		if h.of() == nil { // of nothing: Output and every option refuse it
			return &Result[T]{}
		}
		all.from = append(all.from, h.from...)
	}
	return all
}

// Output is the step's output, or the zero value when there is none: use
// [Result.Lookup] for a step that may have been skipped.
//
// Reading a handle in a step that stands at or before the handle's own, or one that
// no step returned, is a programming error, which the compiler cannot see when the
// variable is declared before both: the step fails at once with [CodeDefinition].
// Outside of a run of the step's workflow it panics.
func (r *Result[T]) Output(ctx context.Context) T {
	v, _ := r.Lookup(ctx)
	return v
}

// Lookup is the step's output and whether there is one. Skipped steps, timed-out
// waits and steps that did not come to run have none. It fails as Output does.
func (r *Result[T]) Lookup(ctx context.Context) (T, bool) {
	c, from := callFrom(ctx), r.of()
	if len(from) == 0 {
		panic(misuse("a handle was read that no step has returned: is it declared twice, or never set?"))
	}
	for _, n := range from {
		switch {
		case c == nil || !c.plan.within(n.plan):
			panic(fmt.Sprintf("workflow: the output of step %q was read outside of a run of workflow %q", n.Name, n.plan.Name))
		case !n.before(c.node):
			panic(misuse("step %q reads the output of %q, which does not stand before it", c.node.Name, n.Name))
		}
	}
	if len(from) == 1 && from[0].Kind == KindWait && from[0].plan == c.plan {
		if f := c.outcomes[from[0].index]; f != nil {
			if v, ok := f.decoded.take().(T); ok {
				return v, true
			}
		}
	}
	return r.in(c.outputs)
}

// misuse is a programming error in a definition; guard and recovered turn its panic
// into a failure.
func misuse(format string, args ...any) *codedError {
	return &codedError{CodeDefinition, fmt.Errorf(format, args...)}
}

// outputs are the outputs of a run by node, nil where there is none, and at last its
// input; and those of the runs around it.
type outputs struct {
	plan  *Plan
	own   []json.RawMessage
	scope *Scope // nil: there is no run around it
}

// of is what a node of the plan, or of one around it, has left; nil if nothing.
func (o outputs) of(n *Node) json.RawMessage {
	for o.plan != n.plan {
		if o.scope == nil {
			return nil
		}
		o = o.scope.view.outputs
	}
	at := n.place()
	if at >= len(o.own) || o.own[at] == nil || n.branch == "" {
		if at >= len(o.own) {
			return nil
		}
		return o.own[at]
	}
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(o.own[at], &parts); err != nil {
		panic(misuse("the stored output of step %q no longer fits the definition: %w", n.Name, err))
	}
	return parts[n.branch]
}

// place is where outputs have what the node left.
func (n *Node) place() int {
	if n.Kind == kindInput {
		return len(n.plan.Nodes)
	}
	return n.index
}

// in decodes what the handle reads. It panics with a misuse when a stored output no
// longer fits the type; Next and Invoke turn that into a failure.
func (r *Result[T]) in(o outputs) (v T, ok bool) {
	for _, n := range r.from {
		raw := o.of(n)
		if raw == nil {
			continue
		}
		if err := json.Unmarshal(raw, &v); err != nil {
			panic(misuse("the stored output of step %q no longer fits the definition: %w", n.Name, err))
		}
		return v, true
	}
	return v, false
}
