package console

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/a-h/templ"

	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// subKinds are the kinds of step that have sub-runs.
var subKinds = []string{"map", "repeat", "parallel", "race", "child"}

// subsOfRun reads the first sub-runs of a run, if steps of it have any.
func subsOfRun(v *visit, run runapi.RunDetail) (subs runapi.List[runapi.Run], err error) {
	begun := func(s runapi.Step) bool { return slices.Contains(subKinds, s.Kind) && s.Status != "pending" }
	if run.Children == nil && !slices.ContainsFunc(run.Steps, begun) {
		return subs, nil
	}
	return runapi.ListRuns.Call(v.Context(), v.api,
		runapi.RunQuery{RunFilter: runapi.RunFilter{Parent: run.ID}, Paging: runapi.Paging{Limit: pageSize}})
}

// subsOf is the list of a run's sub-runs, of a status.
func subsOf(id, status string) templ.SafeURL {
	q := url.Values{"parent": {id}, "workflow": {anyWorkflow}}
	if status != "" {
		q.Set("status", status)
	}
	return templ.URL("/runs?" + q.Encode())
}

// subName is what a sub-run is called inside of the run around it: load[3].
func subName(r runapi.Run) string { return strings.TrimPrefix(r.ID, r.Parent+"/") }

// shortRun is a run's id, that of a sub-run with its whole path.
func shortRun(id string) string {
	root, path, _ := strings.Cut(id, "/")
	if path == "" {
		return shortID(root)
	}
	return shortID(root) + "/" + path
}

// childrenWords say how far the sub-runs of a step are.
func childrenWords(c workflow.Children) string {
	ended := c.Completed + c.Failed + c.Canceled
	text := fmt.Sprintf("%s: %s of %s", c.Step, number(int64(ended)), number(int64(c.Total)))
	if c.Open > 0 {
		text += fmt.Sprintf(" · %s open", number(int64(c.Open)))
	}
	if c.Failed > 0 {
		text += fmt.Sprintf(" · %s failed", number(int64(c.Failed)))
	}
	return text
}

func subsWords(l runapi.List[runapi.Run]) string {
	if l.NextCursor != "" {
		return fmt.Sprintf("The first %d", len(l.Items))
	}
	return plural(int64(len(l.Items)), "sub-run", "sub-runs")
}
