package workflowtest

import (
	"slices"

	"github.com/liwanag/liwanag/workflow"
)

// Unreached lists what none of these runs of a definition came to, in its order: steps, waits and handlers
// that never began, early ends that never held, and conditions that never did not:
//
//	insure
//	insure: valuable always held
//	the end paid-already
//
// A test that runs all of a definition's scenarios fails when it is not empty. What is inside
// of sub-runs is not looked at.
func Unreached(def workflow.Definition, runs ...workflow.Run) (never []string) {
	plan := def.Plan()
	for _, n := range plan.Nodes {
		if n.Kind == workflow.KindFinish {
			if !slices.ContainsFunc(runs, func(r workflow.Run) bool { return endedAt(r, n) }) {
				never = append(never, "the end "+n.Name)
			}
			continue
		}
		if !slices.ContainsFunc(runs, func(r workflow.Run) bool { return begun(r, n.Name) }) {
			never = append(never, n.Name)
		}
		for _, c := range n.Conditions {
			if !slices.ContainsFunc(runs, func(r workflow.Run) bool { return skipped(r, n.Name, c.Label) }) {
				never = append(never, n.Name+": "+c.Label+" always held")
			}
		}
	}
	for _, h := range []*workflow.Node{plan.ErrorNode, plan.CancelNode} {
		if h != nil && !slices.ContainsFunc(runs, func(r workflow.Run) bool { return handled(r, h.Name) }) {
			never = append(never, h.Name)
		}
	}
	return never
}

func endedAt(r workflow.Run, n *workflow.Node) bool {
	label := n.Conditions[len(n.Conditions)-1].Label
	return n.FailsWith == "" && r.FinishedBecause == label || n.FailsWith != "" && r.Failure != nil && r.Failure.Code == n.FailsWith
}

func begun(r workflow.Run, step string) bool {
	return slices.ContainsFunc(r.Steps, func(s workflow.StepState) bool {
		return s.Name == step && s.Status != workflow.StatusPending && s.Status != workflow.StatusSkipped
	})
}

func skipped(r workflow.Run, step, label string) bool {
	return slices.ContainsFunc(r.Steps, func(s workflow.StepState) bool { return s.Name == step && s.SkippedBecause == label })
}

func handled(r workflow.Run, handler string) bool {
	return slices.ContainsFunc(r.History, func(item workflow.HistoryItem) bool { return item.Step == handler })
}
