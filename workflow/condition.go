package workflow

import (
	"fmt"
	"slices"
	"strings"
)

// Condition says whether a node comes to run, by what stands before it.
type Condition struct {
	Label string // shown to people
	On    string // the steps that it sees, separated by commas
	Test  string // what it asks of them: empty for If, else unless, timed-out, skipped, absent, choose

	reads  []*Node
	sees   []*Node // what it reads, and what the ways before it do
	holds  func(*view) bool
	choice *choice // of a way of a Choose
}

// words are what a node with the condition comes to run for.
func (c *Condition) words() string {
	if c.Test == "unless" {
		return "not " + c.Label
	}
	return c.Label
}

// When is a condition: [If], [IfBoth], [Unless], [IfTimedOut], [IfSkipped] or
// [IfAbsent]. As an option it skips its step, wait or sleep, with the label as the
// reason, unless it holds; [Case] takes it, too. A node takes one condition.
type When struct {
	label string
	test  string
	on    []*Node
	ready error // why it cannot be asked
	holds func(*view) bool
}

func (w When) apply(p *Plan, n *Node) {
	if n.given.again("If") {
		p.fault(n.Name, "two conditions: make them one predicate")
	}
	if c := w.condition(p, n); c != nil {
		n.Conditions = append(n.Conditions, c)
	}
}

// condition is what a node keeps of it; nil when it reads nothing.
func (w When) condition(p *Plan, n *Node) *Condition {
	if !p.earlier(n, "condition "+w.label, w.on...) {
		return nil
	}
	if w.ready != nil {
		p.fault(n.Name, "condition %s %w", w.label, w.ready)
	}
	if len(w.label) > MaxLabel {
		p.fault(n.Name, "the label of a condition has %d bytes, %d are allowed", len(w.label), MaxLabel)
	}
	return &Condition{Label: w.label, On: namesOf(w.on), Test: w.test, reads: w.on, sees: w.on, holds: w.holds}
}

func namesOf(nodes []*Node) string {
	var names []string
	for _, n := range nodes {
		if !slices.Contains(names, n.Name) {
			names = append(names, n.Name)
		}
	}
	return strings.Join(names, ", ")
}

func predicate(isNil bool) error {
	if isNil {
		return fmt.Errorf("needs a predicate")
	}
	return nil
}

// If holds when the predicate does for an earlier output. The predicate sees one
// value and nothing else; it must be pure. Where there is no output, since the step
// was skipped or the wait timed out, it does not hold.
func If[T any](on *Result[T], label string, holds func(T) bool) When {
	return When{label: label, on: on.of(), ready: predicate(holds == nil), holds: func(v *view) bool {
		value, ok := on.in(v.outputs)
		return ok && holds(value)
	}}
}

// IfBoth is [If] for two earlier outputs. It does not hold where one is missing.
func IfBoth[A, B any](a *Result[A], b *Result[B], label string, holds func(A, B) bool) When {
	w := When{label: label, ready: predicate(holds == nil), holds: func(v *view) bool {
		first, ok := a.in(v.outputs)
		second, both := b.in(v.outputs)
		return ok && both && holds(first, second)
	}}
	if a.of() != nil && b.of() != nil {
		w.on = slices.Concat(a.of(), b.of())
	}
	return w
}

// Unless holds when the predicate does not for an earlier output, or where there is no
// output.
func Unless[T any](on *Result[T], label string, holds func(T) bool) When {
	return When{label: label, test: "unless", on: on.of(), ready: predicate(holds == nil), holds: func(v *view) bool {
		value, ok := on.in(v.outputs)
		return !ok || !holds(value)
	}}
}

// IfTimedOut holds when a wait, or a step with sub-runs, with [ContinueOnTimeout] has timed out.
func IfTimedOut[T any](on *Result[T]) When {
	w := outcome("timed out", "timed-out", on.of(), func(v *view, n *Node) bool {
		f := v.outcome(n)
		return f != nil && f.Kind == FactFailed && n.done(f)
	})
	if slices.ContainsFunc(w.on, func(n *Node) bool { return !n.ContinueOnTimeout }) {
		w.ready = fmt.Errorf("never holds: %s is nothing that continues when it times out", namesOf(w.on))
	}
	return w
}

// IfSkipped holds when an earlier step, wait or sleep was skipped.
func IfSkipped[T any](on *Result[T]) When {
	w := outcome("was skipped", "skipped", on.of(), func(v *view, n *Node) bool {
		f := v.outcome(n)
		return f != nil && f.Kind == FactSkipped
	})
	if slices.ContainsFunc(w.on, func(n *Node) bool { return len(n.Conditions) == 0 }) {
		w.ready = fmt.Errorf("never holds: %s has no condition", namesOf(w.on))
	}
	return w
}

// IfAbsent holds when there is no output: the step was skipped, or the wait timed out.
func IfAbsent[T any](on *Result[T]) When {
	return outcome("has no output", "absent", on.of(), func(v *view, n *Node) bool { return v.outputs.of(n) == nil })
}

// outcome asks the same of all that a handle reads.
func outcome(what, test string, on []*Node, is func(*view, *Node) bool) When {
	return When{label: namesOf(on) + " " + what, test: test, on: on, holds: func(v *view) bool {
		return !slices.ContainsFunc(on, func(n *Node) bool { return !is(v, n) })
	}}
}

// FinishIf ends the run as completed when the predicate holds for an earlier
// output. The label is its name, and is shown as the reason. The predicate sees one
// value and nothing else; it must be pure. A step that was skipped has no output, and
// then the run goes on.
func FinishIf[In, T any](wf *Workflow[In], on *Result[T], label string, holds func(T) bool) {
	wf.mine().add(&Node{Name: label, Kind: KindFinish}, []StepOption{If(on, label, holds)})
}

// FailIf fails the run, with the label as the message and a code of the author's, when
// the predicate holds for an earlier output. The label is its name, too. Nothing is
// retried; the error handler runs. A run that is retried goes on from the step whose
// output was judged. The predicate must be pure; without an output the run goes on.
func FailIf[In, T any](wf *Workflow[In], on *Result[T], label string, holds func(T) bool, code string) {
	n := &Node{Name: label, Kind: KindFinish, FailsWith: code}
	wf.mine().add(n, []StepOption{If(on, label, holds)})
	if err := CheckName("code", code); code == "" || err != nil {
		n.FailsWith = CodeDefinition
		wf.plan.fault(n.Name, "the code %.40q: up to %d bytes of UTF-8 without control characters are needed", code, MaxLabel)
	}
}

// fails is the failure of an early end whose condition holds: of the first step that
// it judges, which is what has to be done again.
func (n *Node) fails() *Failure {
	f := &Failure{Reason: ReasonError, Code: n.FailsWith, Message: n.own().Label}
	first := len(n.plan.Nodes)
	for _, on := range n.own().reads {
		if on.Kind != kindInput && on.index < first {
			first, f.Step = on.index, on.Name
		}
	}
	return f
}

// own is the node's own condition, nil without one.
func (n *Node) own() *Condition {
	if !slices.Contains(n.given, "If") || len(n.Conditions) == 0 {
		return nil
	}
	return n.Conditions[len(n.Conditions)-1]
}

// earlier checks that what is read belongs to the same workflow; that it stands
// earlier, Go's scoping has checked. False when there is nothing to read.
func (p *Plan) earlier(n *Node, what string, from ...*Node) bool {
	if n.Kind == KindHandler {
		p.fault(n.Name, "a handler takes no %s", what)
	}
	if len(from) == 0 {
		p.fault(n.Name, "%s reads no step", what)
		return false
	}
	n.reads = append(n.reads, from...)
	for _, on := range from {
		switch {
		case !p.within(on.plan) && on.plan.outermost() == p.outermost():
			p.fault(n.Name, "%s reads step %q, which stands in a body that it does not see into", what, on.Name)
		case !p.within(on.plan):
			p.fault(n.Name, "%s reads step %q of workflow %q", what, on.Name, on.plan.Name)
		case n.Kind != KindHandler && !on.before(n):
			p.fault(n.Name, "%s reads step %q, which does not stand before it", what, on.Name)
		}
	}
	return true
}
