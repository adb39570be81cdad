package httpapi

import (
	"net/http"
	"testing"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// byAttributes finds the run of a sign-up of the source blog, and what is wrong is refused.
func byAttributes(t *testing.T, w *world, c *apiclient.Client) {
	ctx := t.Context()
	for having, n := range map[string]int{"source=blog": 1, "source=blo": 0, "upload=blog": 0} {
		runs, err := runapi.ListRuns.Call(ctx, c, runapi.RunQuery{RunFilter: runapi.RunFilter{Attribute: []string{having}}})
		if err != nil || len(runs.Items) != n || n > 0 && runs.Items[0].Attributes["source"] != "blog" {
			t.Errorf("runs with %s: %+v %v", having, runs, err)
		}
	}
	for _, wrong := range []string{"source", "=x", "source=", "a=1&attribute=a=2", "a=1&attribute=b=1&attribute=c=1&attribute=d=1"} {
		if rec := w.call(http.MethodGet, "/api/v1/runs?attribute="+wrong, ""); rec.Code != http.StatusBadRequest {
			t.Errorf("?attribute=%s is answered with %d: %s", wrong, rec.Code, rec.Body)
		}
	}
}
