package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// mostSubs is how many sub-runs of a run are drawn, and mostLines how many of a tree.
const mostSubs, mostLines = 20, 200

var subKinds = []string{"map", "repeat", "parallel", "race", "child"}

// subRuns draws what is below a run as a tree: under each sub-run its own.
func subRuns(r runapi.RunDetail, list func(id string, n int) (runapi.List[runapi.Run], error)) ([]string, error) {
	begun := func(s runapi.Step) bool { return slices.Contains(subKinds, s.Kind) && s.Status != "pending" }
	if r.Children == nil && !slices.ContainsFunc(r.Steps, begun) {
		return nil, nil
	}
	t := tree{list: list}
	if err := t.below(r.ID, "  "); err != nil {
		return nil, err
	}
	title := "sub-runs"
	if r.Children != nil {
		title += " of " + childrenText(*r.Children)
	}
	return section(title, t.lines), nil
}

type tree struct {
	list  func(id string, n int) (runapi.List[runapi.Run], error)
	lines []string
}

func (t *tree) below(id, indent string) error {
	if len(t.lines) >= mostLines {
		return nil
	}
	page, err := t.list(id, mostSubs)
	if err != nil {
		return err
	}
	for _, r := range page.Items {
		line := fmt.Sprintf("%s%s  %s", indent, strings.TrimPrefix(r.ID, id+"/"), r.Status)
		if took := took(r.StartedAt, r.EndedAt); took != "" {
			line += "  " + took
		}
		if why := state(r); why != "" {
			line += "  " + why
		}
		t.lines = append(t.lines, line)
		if err := t.below(r.ID, indent+"  "); err != nil {
			return err
		}
	}
	if page.NextCursor != "" {
		t.lines = append(t.lines, fmt.Sprintf("%s… more: liwanag runs list --parent '%s'", indent, id))
	}
	return nil
}

// childrenText says how far the sub-runs of a step are.
func childrenText(c workflow.Children) string {
	text := fmt.Sprintf("%s: %d of %d", c.Step, c.Completed+c.Failed+c.Canceled, c.Total)
	if c.Open > 0 {
		text += fmt.Sprintf(", %d open", c.Open)
	}
	if c.Failed > 0 {
		text += fmt.Sprintf(", %d failed", c.Failed)
	}
	return text
}
