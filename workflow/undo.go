package workflow

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// undoPrefix begins the names of undos; no step may have such a one.
const undoPrefix = "undo~"

// UndoName is where a sub-run is reopened from that is only to be undone.
const UndoName = "(undo)"

// Undo takes the effect of a step back when the run fails, times out or is canceled later,
// before [OnError] and [OnCancel]: durably, with its own retries, the last completed step
// first. fn takes the run's input and what the step returned, of a [Do] the zero value.
// What is undone is remembered: a handler that is retried undoes nothing twice. An undo
// that fails for good is noted, the others go on, and the run ends with its first failure
// whatever they do.
//
// A step that did not complete is not undone, nor is anything by [Runner].Terminate. Of a
// step with sub-runs each one that completed is undone, as many at once as run at once,
// the rounds of a [Repeat] from the last one on; one that fails or is canceled undoes its
// own steps itself. A retry goes on from the first step that was undone, which then has
// another idempotency key.
func Undo[In, Out any](fn func(ctx context.Context, in In, out Out) error, opts ...StepOption) StepOption {
	return stepOption(func(p *Plan, n *Node) {
		if !allow("Undo", p, n, KindStep) {
			return
		}
		p.once(n.Name, &n.given, "Undo")
		if p.input != reflect.TypeFor[In]() {
			p.fault(n.Name, "Undo takes %s, the run's input is %s", reflect.TypeFor[In](), p.input)
		}
		if n.yields != nil && n.yields != reflect.TypeFor[Out]() {
			p.fault(n.Name, "Undo takes %s, the step returns %s", reflect.TypeFor[Out](), n.yields)
		}
		if fn == nil {
			p.fault(n.Name, "Undo needs a function")
		}
		u := &Node{Name: undoPrefix + n.Name, Kind: KindHandler, undoes: n, index: n.index}
		u.handle = func(ctx context.Context, input json.RawMessage, _ Failure) error {
			in, err := decodeInput[In](input)
			if err != nil {
				return err
			}
			var out Out
			if raw := callFrom(ctx).outputs.of(n); raw != nil {
				if err := json.Unmarshal(raw, &out); err != nil {
					return Permanent(misuse("the stored output of step %q no longer fits the definition: %w", n.Name, err))
				}
			}
			return fn(ctx, in, out)
		}
		p.options(u, opts)
		n.undo = u
	})
}

// undoable gives a node with sub-runs an undo when there is one in its bodies.
func (n *Node) undoable() {
	if n.undo != nil {
		return
	}
	for _, b := range n.Sub.Bodies {
		for _, inner := range b.Nodes {
			if inner.undo != nil {
				n.undo = &Node{Name: undoPrefix + n.Name, Kind: KindHandler, Sub: n.Sub, undoes: n, plan: n.plan, index: n.index,
					Timeout: DefaultTimeout}
				return
			}
		}
	}
}

// Undo takes the effect of the node back; nil when it has none.
func (n *Node) Undo() *Node { return n.undo }

// Undoes says whether the node is an undo.
func (n *Node) Undoes() bool { return n.undoes != nil }

// Subject is the node whose sub-runs a move is about: of an undo the one that it undoes.
func (n *Node) Subject() *Node {
	if n.undoes != nil {
		return n.undoes
	}
	return n
}

// IsHandler says whether a name is that of a handler or an undo, which no step may have.
func IsHandler(name string) bool {
	return name == OnErrorName || name == OnCancelName || strings.HasPrefix(name, undoPrefix)
}

// undoOf finds the node that an undo is of, by the undo's name.
func (p *Plan) undoOf(name string) *Node {
	step, ok := strings.CutPrefix(name, undoPrefix)
	if !ok {
		return nil
	}
	if i, known := p.index[step]; known && p.Nodes[i].undo != nil {
		return p.Nodes[i]
	}
	return nil
}

// Handlers are the undos of the plan's steps, in order, and then its handlers.
func (p *Plan) Handlers() (all []*Node) {
	for _, n := range p.Nodes {
		if n.undo != nil {
			all = append(all, n.undo)
		}
	}
	for _, h := range []*Node{p.ErrorNode, p.CancelNode} {
		if h != nil {
			all = append(all, h)
		}
	}
	return all
}

// undid folds the outcome of an undo.
func (v *view) undid(n *Node, f *Fact) {
	if v.undone == nil {
		v.undone = make([]*Fact, len(v.outcomes))
	}
	if v.undos == nil {
		v.undos = make([]int, len(v.outcomes))
	}
	if v.undone[n.index] = f; f.Kind == FactCompleted {
		v.undos[n.index]++
	}
}

// undo forgets that a run has completed: it is only to be undone.
func (v *view) undo() {
	v.ending = &Failure{Reason: ReasonCanceled, Message: "undone, since the run around it did not end well"}
	v.status, v.handled = StatusCanceled, [2]bool{true, true}
}

// wasUndone says whether the effect of a node was taken back, and is not there again.
func (v *view) wasUndone(n *Node) bool {
	return v.undone != nil && v.undone[n.index] != nil && v.undone[n.index].Kind == FactCompleted
}

// halfUndone takes an undo of sub-runs for done that may have begun when the run was ended
// by force: then some of them are undone.
func (v *view) halfUndone() {
	if u := v.toUndo(); v.ending != nil && u != nil && u.Sub != nil {
		v.undid(u.undoes, &Fact{Kind: FactCompleted})
	}
}

// firstUndone is the first node whose effect was taken back; nil when none was.
func (v *view) firstUndone() *Node {
	for _, n := range v.outputs.plan.Nodes {
		if v.wasUndone(n) {
			return n
		}
	}
	return nil
}

// sooner is the earlier one of a step and the first that was undone.
func (v *view) sooner(step string) string {
	v.halfUndone()
	p, u := v.outputs.plan, v.firstUndone()
	if i, known := p.index[step]; u == nil || known && i < u.index {
		return step
	}
	return u.Name
}

// toUndo is the undo that comes next; nil when nothing is left to undo.
func (v *view) toUndo() *Node {
	nodes := v.outputs.plan.Nodes
	for i := len(nodes) - 1; i >= 0; i-- {
		n, outcome := nodes[i], v.outcomes[i]
		if n.undo == nil || outcome == nil || v.undone != nil && v.undone[i] != nil {
			continue
		}
		if outcome.Kind == FactCompleted || n.Sub != nil && outcome.Kind == FactFailed {
			return n.undo
		}
	}
	return nil
}

// nextUndo is the next move of an undo. Its sub-runs are those that have completed, each
// of which is reopened to undo its own steps.
func (u *Node) nextUndo(v *view) Decision {
	if u.Sub == nil {
		return Decision{Move: MoveHandle, Node: u, Failure: v.ending}
	}
	d := Decision{Move: MoveOpen, Node: u, Failure: v.ending}
	d.Opening = Opening{AtMost: u.Sub.AtMost, Again: true, Undo: true}
	if v.gens != nil {
		d.Opening.Generation = v.gens[u.index]
	}
	if v.group == nil || v.group.Step != u.undoes.Name {
		return d
	}
	g := v.group.Group
	left := g.Total - g.Completed - g.Failed - g.Canceled
	if d.Opening.Again, d.Opening.Count = false, min(u.Sub.AtMost, left)-g.Open; d.Opening.Count > 0 {
		return d
	}
	if g.Open > 0 {
		return Decision{Move: MoveJoin, Node: u, Failure: v.ending}
	}
	d = Decision{Move: MoveSettle, Node: u}
	if g.Failed > 0 {
		d.Failure = &Failure{Step: u.Name, Reason: ReasonError, Code: CodeSubRuns,
			Message: fmt.Sprintf("of %d sub-runs an undo failed", g.Failed)}
	}
	return d
}

// badUndo is the first undo that failed for good; nil without.
func (v *view) badUndo() *Failure {
	for _, f := range v.undone {
		if f != nil && f.Kind == FactFailed {
			return f.Failure
		}
	}
	return nil
}

// anew is the part of idempotency keys that tells an effect from those that were taken
// back. No name of a step is empty, so that it is like no other part.
func anew(undos []int, n *Node) string {
	if undos == nil || undos[n.index] == 0 {
		return ""
	}
	return "//" + strconv.Itoa(undos[n.index])
}
