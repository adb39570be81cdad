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
	c, n := callFrom(ctx), r.of()
	switch {
	case n == nil:
		panic(misuse("a handle was read that no step has returned: is it declared twice, or never set?"))
	case c == nil || c.plan != n.plan:
		panic(fmt.Sprintf("workflow: the output of step %q was read outside of a run of workflow %q", n.Name, n.plan.Name))
	case c.node.Kind != KindHandler && n.index >= c.node.index:
		panic(misuse("step %q reads the output of %q, which does not stand before it", c.node.Name, n.Name))
	}
	return lookup[T](c.outputs, n)
}

// misuse is a programming error in a definition; guard and recovered turn its panic
// into a failure.
func misuse(format string, args ...any) *codedError {
	return &codedError{CodeDefinition, fmt.Errorf(format, args...)}
}

// outputs are the outputs of a run by node; nil where there is none.
type outputs []json.RawMessage

// lookup decodes an output. It panics with a misuse when the stored
// output no longer fits the type; Next and Invoke turn that into a failure.
func lookup[T any](o outputs, n *Node) (v T, ok bool) {
	if n.index >= len(o) || o[n.index] == nil {
		return v, false
	}
	if err := json.Unmarshal(o[n.index], &v); err != nil {
		panic(misuse("the stored output of step %q no longer fits the definition: %w", n.Name, err))
	}
	return v, true
}
