package temporalrunner

import (
	"slices"

	"github.com/liwanag/liwanag/workflow"
)

// settleIn tells a sub-run where it stands. What decides of the runs around it is read from
// them: they stand still.
func (x *interpreter) settleIn() error {
	if _, _, _, _, sub := workflow.SplitRunID(x.Run.ID); !sub {
		return nil
	}
	var around []*record
	if looksOut(x.plan) {
		x.ask(aroundName, nil, &around)
	}
	for i := range around {
		full, err := around[i].unpacked()
		if err != nil {
			return err
		}
		around[i] = full
	}
	x.place = placeOf(x.plan, x.Run.ID, x.Key, scopeOf(x.plan, around))
	x.facts[0] = workflow.Started(x.Run.Input, x.place)
	return nil
}

// looksOut says whether something around a body decides what its runs do.
func looksOut(body *workflow.Plan) bool {
	for p := body; p.Owner() != nil; p = p.Owner().Plan() {
		if steps, input, all := body.Reads(p.Owner().Plan()); len(steps) > 0 || input || all {
			return true
		}
	}
	return false
}

// placeOf is where a sub-run stands; nil of a run that is none.
func placeOf(p *workflow.Plan, runID, key string, around *workflow.Scope) *workflow.Place {
	_, step, _, index, sub := workflow.SplitRunID(runID)
	if !sub {
		return nil
	}
	n := p.Owner()
	if n == nil { // a child sees nothing around it
		n = &workflow.Node{Name: step, Kind: workflow.KindChild, Sub: &workflow.Sub{Own: true}}
	}
	return &workflow.Place{Scope: around, Node: n, Index: index, Key: key}
}

// scopeOf is what a body's runs see, by the records of the runs around, the nearest first.
func scopeOf(body *workflow.Plan, around []*record) *workflow.Scope {
	if len(around) == 0 || body.Owner() == nil {
		return nil
	}
	p, rec := body.Owner().Plan(), around[0]
	h := rec.history()
	h[0] = workflow.Started(rec.Run.Input, placeOf(p, rec.Run.ID, rec.Key, scopeOf(p, around[1:])))
	return p.Scope(rec.Run.ID, h)
}

// keepsReopenings says whether the facts tell of reopenings, by which sub-runs are told
// from those of an earlier generation.
func (x *interpreter) keepsReopenings() bool { return x.place != nil || x.plan.HasSubs() }

// live is where the facts behind the latest reopening begin.
func live(facts workflow.History) int {
	for i := len(facts) - 1; i >= 0; i-- {
		if facts[i].Kind == workflow.FactReopened {
			return i + 1
		}
	}
	return min(1, len(facts))
}

// reopened are the facts that tell of reopenings.
func (x *interpreter) reopened() workflow.History { return x.facts[1:live(x.facts)] }

// reopenings are those of the run, one more included, and the facts beside them.
func (x *interpreter) reopenings(from string) (before, rest workflow.History) {
	if !x.keepsReopenings() {
		return nil, x.facts
	}
	before, rest = slices.Clone(x.reopened()), append(workflow.History{x.facts[0]}, x.facts[live(x.facts):]...)
	for _, n := range x.plan.Nodes {
		u := n.Undo()
		if u == nil {
			continue
		}
		g := x.group() // of a run that was terminated while it undid
		undone := g != nil && g.Undo && g.Step == n.Name || slices.ContainsFunc(rest, func(f workflow.Fact) bool {
			return f.Step == u.Name && f.Kind == workflow.FactCompleted
		})
		if undone {
			before = append(before, workflow.Fact{Kind: workflow.FactCompleted, Step: n.Name},
				workflow.Fact{Kind: workflow.FactCompleted, Step: u.Name})
		}
	}
	if g := x.group(); g != nil { // its sub-runs ended with it
		for _, o := range g.Open {
			g.Bad = append(g.Bad, o.Index)
		}
		g.Open, g.Closed = nil, true
	}
	return append(before, workflow.Fact{Kind: workflow.FactReopened, Step: from}), rest
}

// latest are the facts behind the latest reopening.
func (r *record) latest() workflow.History {
	h := r.history()
	return append(workflow.History{h[0]}, h[live(h):]...)
}
