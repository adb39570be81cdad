package workflowtest

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/liwanag/liwanag/workflow"
)

// group is the sub-runs of the step at which a run stands.
type group struct {
	workflow.Group
	step  *workflow.Node
	o     workflow.Opening
	scope *workflow.Scope
	again []int     // those that are to be reopened
	bound time.Time // when the step is over; zero: nothing bounds it
}

// sub is a sub-run of the group; nil when it has not begun.
func (n *run) sub(index int) *run {
	g := n.group
	return n.runner.runs[workflow.SubRunID(n.state.ID, g.step.Name, g.o.Generation, index)]
}

// open begins sub-runs, or counts those of an earlier opening.
func (n *run) open(d workflow.Decision) {
	node, o := d.Node, d.Opening
	if n.group == nil {
		step := node.Subject()
		n.group = &group{step: step, o: o, scope: n.plan.Scope(n.state.ID, slices.Clone(n.facts))}
		if node.Within > 0 {
			n.group.bound = now().Add(node.Within)
		}
		n.begin(node)
		n.record(workflow.HistoryWaitStarted, node.Name, 0, note{})
		if o.Again {
			n.found(o.Undo)
		}
		n.facts = append(n.facts, workflow.Fact{Kind: workflow.FactGroup, Step: step.Name, Group: &n.group.Group})
	}
	n.group.Total = max(n.group.Total, n.group.Next, o.Total)
	if o.Again { // how many is decided anew
		n.count()
		return
	}
	for range o.Count {
		n.beginSub()
	}
	n.count()
}

// clock notes whether the time of the step is over.
func (n *run) clock() {
	if g := n.group; g != nil {
		g.Late = !g.bound.IsZero() && !now().Before(g.bound)
	}
}

// found counts the sub-runs of an earlier opening: those that completed are done, or all
// that are to be undone, the last one first.
func (n *run) found(undo bool) {
	g := n.group
	for s := n.sub(0); s != nil; s = n.sub(g.Next) {
		switch completed := s.state.Status == workflow.StatusCompleted; {
		case completed == undo:
			g.again = append(g.again, g.Next)
		case undo:
			g.Canceled++
		default:
			g.Completed++
		}
		g.Next++
	}
	if g.Stopped = undo; undo {
		slices.Reverse(g.again)
	}
}

// beginSub runs a sub-run of an earlier opening again, or else begins one.
func (n *run) beginSub() {
	g := n.group
	if len(g.again) > 0 {
		s := n.sub(g.again[0])
		g.again = g.again[1:]
		g.Open++
		from := workflow.UndoName
		if !g.o.Undo {
			from = s.plan.ResumeFrom(s.facts)
		}
		s.reopen(from)
		s.launch()
		return
	}
	if g.Next >= g.Total {
		return
	}
	place := &workflow.Place{Scope: g.scope, Node: g.step, Index: g.Next}
	var before json.RawMessage
	if g.step.Sub.Rounds > 0 && g.Next > 0 {
		before = g.step.SubOutput(g.Next-1, n.sub(g.Next-1).facts)
	}
	input, err := place.Input(before)
	s := newRun(n.runner, g.step.Body(g.Next), workflow.StartRequest{Input: input,
		RunID: workflow.SubRunID(n.state.ID, g.step.Name, g.o.Generation, g.Next)})
	s.parent, s.facts = n, workflow.History{workflow.Started(input, place)}
	s.state.Parent = n.state.ID
	n.runner.runs[s.state.ID] = s
	s.record(workflow.HistoryRunStarted, "", 0, note{Workflow: s.plan.Name, Version: s.plan.Version})
	g.Next++
	g.Open++
	if err != nil {
		f := workflow.FailureOf(g.step.Name, 0, err)
		s.halt = func() {}
		s.end(workflow.StatusFailed, &f, "")
		return
	}
	s.launch()
}

// tellParent counts a run that has ended for the one around it, if it is a sub-run.
func (n *run) tellParent() {
	p := n.parent
	if p == nil || p.group == nil || p.state.Status.Ended() {
		return
	}
	g := p.group
	g.Open--
	switch {
	case n.state.Status == workflow.StatusCompleted:
		g.Completed++
	case n.state.Status == workflow.StatusCanceled && g.Stopped:
		g.Canceled++
	default:
		if g.Failed++; g.First == nil || n.state.Failure != nil && g.First.Index > n.index() {
			g.First = &workflow.SubFailure{Index: n.index()}
			if n.state.Failure != nil {
				g.First.Failure = *n.state.Failure
			}
		}
	}
	p.count()
	p.nudge()
}

func (n *run) index() int {
	_, _, _, index, _ := workflow.SplitRunID(n.state.ID)
	return index
}

// count tells what is decided upon, and what people see, how far the sub-runs are.
func (n *run) count() {
	g := n.group
	n.state.Children = &workflow.Children{Step: g.step.Name, Total: g.Total, Open: g.Open, Completed: g.Completed, Failed: g.Failed,
		Canceled: g.Canceled}
	if g.Outputs = nil; g.Open > 0 || g.step.Kind == workflow.KindMap {
		return
	}
	from := 0
	if g.step.Sub.Rounds > 0 {
		from = max(0, g.Next-1)
	}
	for i := from; i < g.Next; i++ {
		s := n.sub(i)
		var out json.RawMessage
		if s.state.Status == workflow.StatusCompleted {
			out = g.step.SubOutput(i, s.facts)
		}
		g.Outputs = append(g.Outputs, out)
	}
}

// join waits for the sub-runs, and cancels them first when they are to stop.
func (n *run) join(ctx context.Context, d workflow.Decision) {
	g := n.group
	if d.Stop != "" && !g.Stopped {
		g.Stopped = true
		for i := range g.Next {
			if s := n.sub(i); !s.state.Status.Ended() {
				s.cancel(d.Stop)
			}
		}
		return
	}
	open, until := g.Open, now().Add(patience)
	if !g.bound.IsZero() && !g.Late {
		until = g.bound
	}
	n.park(workflow.WaitingFor{Step: d.Node.Name, Kind: workflow.WaitRuns})
	n.pause(ctx, until, func() bool { return g.Open != open || d.Stop == "" && n.turned() })
}

// settleSubs records the outcome of a step with sub-runs.
func (n *run) settleSubs(d workflow.Decision) {
	if n.group == nil { // there was nothing to run
		n.begin(d.Node)
		n.record(workflow.HistoryWaitStarted, d.Node.Name, 0, note{})
	}
	n.ungroup()
	if d.Failure == nil {
		n.complete(d.Node, 0, d.Output)
		return
	}
	n.facts = append(n.facts, workflow.Fact{Kind: workflow.FactFailed, Step: d.Node.Name, Failure: d.Failure, Output: d.Output})
	n.cut(d.Node, *d.Failure)
	n.step(d.Node.Name).Output = d.Output
}

// ungroup forgets the sub-runs.
func (n *run) ungroup() {
	n.group, n.state.Children = nil, nil
	n.facts = slices.DeleteFunc(n.facts, func(f workflow.Fact) bool { return f.Kind == workflow.FactGroup })
}

// terminate ends a run, and all below it, at once.
func (n *run) terminate(f workflow.Failure) {
	for id, s := range n.runner.runs {
		if s.parent != nil && !s.state.Status.Ended() && strings.HasPrefix(id, n.state.ID+"/") {
			s.halt()
			s.parent = nil // whose counters end with it
			s.ungroup()
			s.end(workflow.StatusCanceled, &f, "")
			s.parent = n
		}
	}
	n.halt()
	n.ungroup()
	n.end(workflow.StatusCanceled, &f, "")
}

// subs reads sub-runs for steps.
func (r *Runner) subs(_ context.Context, runID string, node *workflow.Node, generation, from,
	limit int) (all []workflow.SubRun, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := from; len(all) < limit; i++ {
		s := r.runs[workflow.SubRunID(runID, node.Name, generation, i)]
		if s == nil {
			break
		}
		one := workflow.SubRun{Index: i, Status: s.state.Status, Failure: s.state.Failure}
		if one.Status == workflow.StatusCompleted {
			one.Output = node.SubOutput(i, s.facts)
		}
		all = append(all, one)
	}
	return all, nil
}
