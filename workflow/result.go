package workflow

import (
	"context"
	"encoding/json"
	"fmt"
)

// Result is the handle that a step or wait leaves behind; later steps and
// handlers read its output with it.
type Result[T any] struct{ node *Node }

func (r *Result[T]) of() *Node {
	if r == nil {
		return nil
	}
	return r.node
}

// Output is the step's output, or the zero value when there is none: use
// [Result.Lookup] for a step that may have been skipped. It panics when it is
// called outside of a run of the step's workflow: a programming error.
func (r *Result[T]) Output(ctx context.Context) T {
	v, _ := r.Lookup(ctx)
	return v
}

// Lookup is the step's output and whether there is one. Skipped steps, timed-out
// waits and steps that did not come to run have none. It panics as Output does.
func (r *Result[T]) Lookup(ctx context.Context) (T, bool) {
	c := callFrom(ctx)
	if c == nil || c.plan != r.node.plan {
		panic(fmt.Sprintf("workflow: the output of step %q was read outside of a run of workflow %q", r.node.Name, r.node.plan.Name))
	}
	return lookup[T](c.outputs, r.node)
}

// outputs are the outputs of a run by node; nil where there is none.
type outputs []json.RawMessage

// lookup decodes an output. It panics with a definitionError when the stored
// output no longer fits the type; Next and Invoke turn that into a failure.
func lookup[T any](o outputs, n *Node) (v T, ok bool) {
	if n.index >= len(o) || o[n.index] == nil {
		return v, false
	}
	if err := json.Unmarshal(o[n.index], &v); err != nil {
		panic(&codedError{CodeDefinition, fmt.Errorf("the stored output of step %q no longer fits the definition: %w", n.Name, err)})
	}
	return v, true
}
