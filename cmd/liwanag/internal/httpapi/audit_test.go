package httpapi

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

func (w *world) acts() []liwanag.Act {
	w.t.Helper()
	rows, _, err := w.store.Acts.List(w.t.Context(), liwanag.ActFilter{}, liwanag.Page{Limit: 500})
	w.must(err)
	return rows
}

// bodies that an acting route takes, so that it comes to act.
var actBodies = map[string]string{
	"POST /api/v1/runs/{id}/events":          `{"type":"enrichment-complete"}`,
	"POST /api/v1/subscribers/enrich":        `{"status":"failed","expect":0}`,
	"POST /api/v1/submissions/{id}/adopt":    `{"enrichmentId":"e"}`,
	"POST /api/v1/sources":                   `{"name":"n","kind":"generic"}`,
	"POST /api/v1/sinks":                     `{"url":"https://sink.example/hook"}`,
	"POST /api/v1/submissions/{id}/fail":     `{"reason":"because"}`,
	"POST /api/v1/submissions/{id}/resubmit": `{"reason":"because"}`,
	"POST /api/v1/subscribers/{id}/enrich":   `{}`,
	"POST /api/v1/uploads":                   "",
	"POST /api/v1/uploads/{id}/mapping":      `{"mapping":{}}`,
	"POST /api/v1/deliveries/{id}/replay":    "",
	"POST /api/v1/sinks/{id}/rotate":         "",
	"POST /api/v1/sinks/{id}/test":           "",
	"POST /api/v1/messages/{id}/resend":      "",
	"POST /api/v1/submissions/pause":         `{"reason":"because"}`,
	"POST /api/v1/submissions/resume":        "",
	"POST /api/v1/submissions/release":       `{"reason":"compared"}`,
	"POST /api/v1/uploads/{id}/confirm":      "",
	"POST /api/v1/uploads/{id}/cancel":       "",
	"POST /api/v1/enrichments":               "",
	"GET /api/v1/subscribers/export":         "",
	"DELETE /api/v1/subscribers/{id}":        "",
	"DELETE /api/v1/sources/{id}":            "",
	"DELETE /api/v1/sinks/{id}":              "",
	"POST /api/v1/attention/dismiss":         `{"kind":"onboarding"}`,
	"POST /api/v1/attention/restore":         `{"kind":"onboarding"}`,
	"POST /api/v1/runs/{id}/resolve":         `{"step":"x","failure":"y"}`,
	"POST /api/v1/views":                     `{"name":"VPs","filter":{"seniority":"VP"}}`,
	"POST /api/v1/keys":                      `{"name":"n","scopes":["read"]}`,
}

// TestEveryActLeavesARow walks the routes: whatever is not a plain question is an
// act, but for what is named here.
func TestEveryActLeavesARow(t *testing.T) {
	w := newWorld(t)
	silent := []string{"POST /api/v1/subscribers", "POST /api/v1/sources/{id}/try", "POST /api/v1/uploads/{id}/mapping"}
	id := liwanag.NewID(liwanag.RunKind).String()
	walked := 0
	for _, pattern := range w.server.Routes() {
		method, path, _ := strings.Cut(pattern, " ")
		_, listed := actBodies[pattern]
		if !strings.HasPrefix(path, "/api/") || method == http.MethodGet && !listed {
			continue
		}
		body, ok := actBodies[pattern]
		if !ok {
			body = "{}"
		}
		before := len(w.acts())
		r := request(method, strings.NewReplacer("{id}", id).Replace(path), body)
		if method == http.MethodDelete {
			r.URL.RawQuery = "reason=because"
			if path != "/api/v1/subscribers/{id}" {
				r.URL.RawQuery = ""
			}
		}
		rec := w.do(r)
		rows := w.acts()
		want := 1
		if slices.Contains(silent, pattern) {
			want = 0
		}
		if len(rows)-before != want {
			t.Errorf("%s (%d %s) leaves %d rows, want %d", pattern, rec.Code, rec.Body, len(rows)-before, want)
			continue
		}
		if walked++; want == 0 {
			continue
		}
		row := rows[0]
		if row.Actor != "key" || !strings.Contains(row.Act, ".") || row.Request != rec.Header().Get("X-Request-Id") || row.At.IsZero() {
			t.Errorf("%s: %+v", pattern, row)
		}
		if strings.Contains(path, "{id}") != (row.Subject == id) {
			t.Errorf("%s: subject %q", pattern, row.Subject)
		}
		if strings.Contains(r.URL.RawQuery+body, "because") != (row.Reason == "because") {
			t.Errorf("%s: reason %q", pattern, row.Reason)
		}
	}
	if walked < 20 {
		t.Errorf("only %d routes act", walked)
	}
}

func TestActsTellWhoDidThem(t *testing.T) {
	w := newWorld(t)
	session := w.signIn()
	if rec := w.browse("POST", "/api/v1/submissions/pause", "", session); rec.Code != 200 {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	w.wantElsewhere(w.browse("POST", "/sign-out", "", session), "/sign-in")
	acts, err := api.ListActs.Call(t.Context(), w.client(), api.ActQuery{})
	w.must(err)
	var got []string
	for _, a := range acts.Items {
		got = append(got, a.Actor+" "+a.Act)
	}
	if want := []string{"console session.end", "console submissions.pause", "console session.begin"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	local := newWorld(t, withKey(""))
	r := httptest.NewRequest("POST", "/api/v1/submissions/resume", nil)
	r.Host = "localhost"
	if rec := local.do(r); rec.Code != 200 || local.acts()[0].Actor != "local" {
		t.Errorf("%d %+v", rec.Code, local.acts())
	}
}

func TestWhatCannotBeAuditedIsNotDone(t *testing.T) {
	w := newWorld(t)
	added, err := api.AddSubscriber.Call(t.Context(), w.client(), api.SignUp{Email: "ada@gmail.com"})
	w.must(err)
	w.store.breakWith(liwanag.ErrDatabase)
	w.wantProblem(w.call("GET", "/api/v1/subscribers/export", ""), 503, "database_unavailable")
	w.wantProblem(w.call("DELETE", "/api/v1/subscribers/"+added.SubscriberID, ""), 503, "database_unavailable")
	w.store.breakWith(nil)
	if rec := w.call("GET", "/api/v1/subscribers/"+added.SubscriberID, ""); rec.Code != 200 {
		t.Errorf("she is gone: %d", rec.Code)
	}
}

func TestRefusedRequestsAndDryRunsAreNoActs(t *testing.T) {
	w := newWorld(t)
	for target, body := range map[string]string{
		"/api/v1/runs/cancel": `{"dryRun":true}`, "/api/v1/runs/retry": `{"dryRun":true}`, "/api/v1/submissions/pause": `{"reason":1}`, "/api/v1/sources": `{"name":""}`,
	} {
		w.call("POST", target, body)
	}
	if acts := w.acts(); len(acts) > 0 {
		t.Errorf("%+v", acts)
	}
}
