package httpapi

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
)

func TestTagsAreAddedAndTakenAwayByIDsAndByAFilterThatWasCounted(t *testing.T) {
	w := newWorld(t)
	w.leads()
	for body, want := range map[string]api.TaggedMany{
		`{"filter":{"country":"germany"},"add":["crm"],"dryRun":true}`:              {Count: 2, DryRun: true},
		`{"filter":{"country":"germany"},"add":["first","second"],"expect":2}`:      {Count: 2, Changed: 2},
		`{"ids":["cid@gmail.com","ana@gmail.com"],"add":["third"],"remove":["no"]}`: {Count: 2, Changed: 2},
	} {
		rec := w.call("POST", "/api/v1/subscribers/tag", body)
		var got api.TaggedMany
		w.must(json.Unmarshal(rec.Body.Bytes(), &got))
		if got != want {
			t.Errorf("%s: %d %s", body, rec.Code, rec.Body)
		}
	}
	rec := w.call("POST", "/api/v1/subscribers/tag", `{"filter":{"tag":"first"},"add":["second"],"remove":["first"],"expect":2}`)
	if rec.Code != http.StatusOK {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	for query, want := range map[string][]string{"tag=first": nil, "tag=crm": nil,
		"tag=second&sort=company":              {"bo@gmail.com", "ana@gmail.com"},
		"tag=third&companyDomain=zeta.example": {"ana@gmail.com"}} {
		if d := cmp.Diff(want, emails(t, w.call("GET", "/api/v1/subscribers?"+query, "").Body.String())); d != "" {
			t.Errorf("%s: %s", query, d)
		}
	}
	for body, problem := range map[string]struct {
		status int
		code   string
	}{
		`{"filter":{},"add":["a"]}`:                                 {http.StatusUnprocessableEntity, "count_needed"},
		`{"filter":{},"add":["a"],"expect":1}`:                      {http.StatusConflict, "count_differs"},
		`{"filter":{},"expect":3}`:                                  {http.StatusUnprocessableEntity, "invalid_field"},
		`{"add":["a"]}`:                                             {http.StatusUnprocessableEntity, "invalid_field"},
		`{"ids":["bo@gmail.com"],"add":[" a"]}`:                     {http.StatusUnprocessableEntity, "invalid_field"},
		`{"filter":{"country":"\u0000"},"add":["a"],"dryRun":true}`: {http.StatusBadRequest, "invalid_filter"},
	} {
		w.wantProblem(w.call("POST", "/api/v1/subscribers/tag", body), problem.status, problem.code)
	}
}
