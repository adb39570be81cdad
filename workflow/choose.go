package workflow

import "slices"

// Way is one of the ways of a [Choose]: [Case] or [Else].
type Way[In, R any] struct {
	when *When // nil: otherwise
	body func(*Workflow[In]) *Result[R]
}

// Case is a way that is taken when its condition holds and none before it did. The
// body adds its steps to the workflow that it is given, and returns what it yields, or
// nil.
func Case[In, R any](when When, body func(*Workflow[In]) *Result[R]) Way[In, R] {
	return Way[In, R]{&when, body}
}

// Else is the way that is taken when no other is. It comes last.
func Else[In, R any](body func(*Workflow[In]) *Result[R]) Way[In, R] { return Way[In, R]{nil, body} }

// choice is what the ways of one Choose have in common. Its name keeps two apart: values
// without a field may share an address.
type choice struct{ name string }

// way is the way that is being built: nodes that are added stand in it.
type way struct {
	prefix     string
	conditions []*Condition
}

const otherwise = "otherwise"

// Choose adds alternatives of which the first is taken whose condition holds: none,
// without an [Else]. Its result is what the way that was taken yields. The steps of a
// way are steps of the workflow, named NAME/LABEL/STEP by the label of its condition
// ("otherwise" for Else); those of the other ways are skipped, and that label says why.
func Choose[In, R any](wf *Workflow[In], name string, ways ...Way[In, R]) *Result[R] {
	p := wf.mine()
	here := &Node{Name: p.way.prefix + name, plan: p, index: len(p.Nodes)} // what conditions read stands before it
	if name == "" || len(ways) == 0 {
		p.fault(here.Name, "a choice needs a name and at least one way")
	}
	around := p.way
	defer func() { p.way = around }()
	all, before := &choice{here.Name}, []*Condition(nil)
	result := &Result[R]{}
	for i, w := range ways {
		c := &Condition{Label: otherwise, Test: "choose", choice: all, holds: func(*view) bool { return true }}
		switch {
		case w.when != nil:
			if c = w.when.condition(p, here); c == nil {
				continue
			}
			c.choice = all
		case i < len(ways)-1:
			p.fault(here.Name, "Else stands before other ways, which are never taken")
		}
		if w.body == nil {
			p.fault(here.Name, "the way %q needs a body", c.Label)
			continue
		}
		p.way = way{here.Name + "/" + c.Label + "/", append(slices.Clip(around.conditions), c.unless(before))}
		result.from = append(result.from, w.body(wf).of()...)
		before = append(before, c)
	}
	return result
}

// unless is the condition for a way of which those before it are not taken.
func (c *Condition) unless(before []*Condition) *Condition {
	mine, others := *c, slices.Clone(before)
	for _, o := range others {
		mine.sees = append(slices.Clip(mine.sees), o.sees...)
	}
	mine.holds = func(v *view) bool {
		return !slices.ContainsFunc(others, func(o *Condition) bool { return o.holds(v) }) && c.holds(v)
	}
	return &mine
}
