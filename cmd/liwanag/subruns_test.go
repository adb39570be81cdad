package main

import (
	"fmt"
	"slices"
	"testing"

	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func TestSubRunsAreDrawnAsATree(t *testing.T) {
	r := pictured("running")
	r.Steps = []runapi.Step{{Name: "load", Kind: "map", Status: "waiting"}}
	r.Children = &workflow.Children{Step: "load", Total: 30, Open: 8, Completed: 12, Failed: 1}
	sub := func(parent, name, status string) runapi.Run {
		return runapi.Run{ID: parent + "/" + name, Parent: parent, Status: status, StartedAt: begin}
	}
	bad := sub("run_1", "load[1]", "failed")
	bad.EndedAt, bad.Failure = second(3), &workflow.Failure{Step: "fetch", Message: "no such file"}
	below := map[string]runapi.List[runapi.Run]{
		"run_1":         {Items: []runapi.Run{sub("run_1", "load[0]", "running"), bad}, NextCursor: "more"},
		"run_1/load[0]": {Items: []runapi.Run{sub("run_1/load[0]", "round[0]", "waiting")}},
	}
	got, err := subRuns(r, func(id string, n int) (runapi.List[runapi.Run], error) {
		if n != mostSubs {
			return runapi.List[runapi.Run]{}, fmt.Errorf("%d are asked for", n)
		}
		return below[id], nil
	})
	want := []string{"", "sub-runs of load: 13 of 30, 8 open, 1 failed", "  load[0]  running", "    round[0]  waiting",
		"  load[1]  failed  3s  fetch: no such file", "  … more: liwanag runs list --parent 'run_1'"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q %v, want %q", got, err, want)
	}
	if got, err := subRuns(pictured("running"), nil); got != nil || err != nil {
		t.Errorf("%q %v of a run without sub-runs", got, err)
	}
}
