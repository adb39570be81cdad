package workflow

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
)

// Fork is a [Parallel] or [Race] whose branches are being declared.
type Fork[In any] struct {
	wf   *Workflow[In]
	node *Node
}

// Parallel runs its branches at once, each as a sub-run that takes the run's input, and
// ends when all have ended, see [Tolerate] and [Enough]. Declare the branches with
// [Branch]. Together they yield at most [MaxPayload] bytes.
func Parallel[In any](wf *Workflow[In], name string, opts ...StepOption) *Fork[In] {
	return fork(wf, name, KindParallel, opts)
}

// Race runs its branches at once and ends with the first that completes: the others are
// canceled. It fails when every branch does.
func Race[In any](wf *Workflow[In], name string, opts ...StepOption) *Fork[In] {
	f := fork(wf, name, KindRace, opts)
	f.node.Sub.Need = 1
	return f
}

func fork[In any](wf *Workflow[In], name string, kind Kind, opts []StepOption) *Fork[In] {
	s := &Sub{AtMost: MaxAtMost}
	s.count = func(*view) int { return len(s.Bodies) }
	n := &Node{Name: name, Kind: kind, Sub: s, yields: reflect.TypeFor[map[string]json.RawMessage]()}
	wf.mine().add(n, opts)
	return &Fork[In]{wf, n}
}

// Branch adds a branch. Its result is what the branch yielded; there is none of one that
// yields nothing or did not complete.
func Branch[In, R any](f *Fork[In], name string, body func(*Workflow[In]) *Result[R]) *Result[R] {
	n, s := f.node, f.node.Sub
	p := f.wf.mine()
	switch {
	case name == "" || CheckName("branch", name) != nil:
		p.fault(n.Name, "a branch needs a name of up to %d printable bytes", MaxLabel)
	case slices.Contains(s.Branches, name):
		p.fault(n.Name, "two branches have the name %q", name)
	}
	if p.Nodes[len(p.Nodes)-1] != n {
		p.fault(n.Name, "the branch %q is declared after a later step", name)
	}
	s.Branches = append(s.Branches, name)
	newBody(n, "the branch "+name, body)
	if n.Kind == KindRace {
		s.Tolerate = len(s.Bodies) - 1
	}
	return &Result[R]{[]*Node{{Name: n.Name + "/" + name, Kind: n.Kind, plan: p, index: n.index, branch: name, Conditions: n.Conditions,
		ContinueOnTimeout: n.ContinueOnTimeout}}}
}

// Child runs another definition as a sub-run and waits for its end. The child takes what
// input makes, and sees nothing else of the run around it; the result is what the given
// handle of the child reads, nil for nothing. A runner that takes this definition takes
// the child's, too, in exactly this version. input must be pure; it may read earlier
// outputs.
func Child[In, C, R any](wf *Workflow[In], name string, def *Workflow[C], yields *Result[R],
	input func(context.Context, In) C, opts ...StepOption) *Result[R] {
	s := &Sub{AtMost: 1, Own: true}
	n := &Node{Name: name, Kind: KindChild, Sub: s, yields: reflect.TypeFor[R]()}
	p := wf.mine()
	p.add(n, opts)
	if def.Plan() == nil || input == nil {
		p.fault(n.Name, "a child needs a definition and a function that makes its input")
		return &Result[R]{[]*Node{n}}
	}
	s.Bodies = []*Plan{def.plan}
	s.yields = append(s.yields, yielded(p, n, def.plan, yields))
	if err := def.plan.Validate(); err != nil {
		p.fault(n.Name, "its definition: %w", err)
	}
	n.undoable()
	s.first = func(sc *Scope) (json.RawMessage, error) {
		o := sc.view.outputs
		in, err := decodeInput[In](o.own[len(o.plan.Nodes)])
		if err != nil {
			return nil, err
		}
		c := &Call{RunID: sc.RunID, plan: p, node: n, outputs: o, outcomes: sc.view.outcomes}
		made := input(context.WithValue(context.Background(), callKey{}, c), in)
		return json.Marshal(&made)
	}
	return &Result[R]{[]*Node{n}}
}
