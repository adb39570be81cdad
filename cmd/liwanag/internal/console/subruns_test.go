package console

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func TestSubRunsOfARunAreCountedAndLinked(t *testing.T) {
	v := runView{visit: &visit{Request: httptest.NewRequestWithContext(t.Context(), "GET", "/", nil), now: time.Now()}}
	v.Run.ID = runID
	v.Run.Children = &workflow.Children{Step: "load", Total: 10_000, Open: 8, Completed: 3_410, Failed: 2}
	v.Subs = runapi.List[runapi.Run]{NextCursor: "more", Items: []runapi.Run{{ID: runID + "/load[17]", Parent: runID, Status: "failed",
		Failure: &workflow.Failure{Step: "fetch", Message: "no such <file>"}}}}
	var page strings.Builder
	if err := subRuns(v).Render(t.Context(), &page); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"load: 3,412 of 10,000 · 8 open · 2 failed", `href="/runs/` + runID + `%2Fload%5B17%5D"`, "load[17]</code>",
		"no such &lt;file&gt;", "The first 1<", `href="/runs?parent=` + runID + `&amp;status=failed&amp;workflow=any"`} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("%s lacks %s", page.String(), want)
		}
	}
	page.Reset()
	v.Subs = runapi.List[runapi.Run]{}
	if err := subRuns(v).Render(t.Context(), &page); err != nil || page.Len() > 0 {
		t.Errorf("%s %v", page.String(), err)
	}
	v.Run.Parent, v.Run.Status = "run_1/load[3]", "failed"
	if v.retryable() {
		t.Error("a sub-run is retried alone")
	}
	if got := shortRun(runID + "/load[3]"); got != "run_…0000abcd/load[3]" {
		t.Error(got)
	}
}
