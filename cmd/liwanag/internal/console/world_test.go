package console

import (
	"context"
	"encoding/json"
	"flag"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/runapi"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return noon.Add(-d) }

func pointer[T any](v T) *T { return &v }

// listOf is what a listing answers.
func listOf[T any](items ...T) runapi.List[T] {
	return runapi.List[T]{Items: items, NextCursor: "NEXT"}
}

const runID = "run_01900000-0000-7000-8000-00000000abcd"

// answers are those of an API where everything is there, by route.
func answers() map[string]any {
	all := runAnswers()
	maps.Copy(all, peopleAnswers())
	maps.Copy(all, webhookAnswers())
	return all
}

func runAnswers() map[string]any {
	run := waitingRun()
	return map[string]any{
		"GET /api/v1/overview":             overviewAnswer(),
		"GET /api/v1/workflows":            listOf(storyAnswer()),
		"GET /api/v1/workflows/{n}":        storyAnswer(),
		"GET /api/v1/workflows/{n}/counts": listOf(countAnswers()...),
		"GET /api/v1/runs":                 listOf(run, failedRun()),
		"GET /api/v1/runs/{id}":            run,
		"GET /api/v1/runs/{id}/history":    listOf(historyAnswers()...),
		"POST /api/v1/runs/cancel":         runapi.BulkResult{Matched: 7, Done: 7},
		"POST /api/v1/runs/retry": api.RetriedRuns{BulkResult: runapi.BulkResult{Matched: 7, Done: 6, Failed: []runapi.BulkFault{{ID: runID, Code: "run_running", Detail: "it runs again"}}},
			Lookups: pointer(int64(600)), Credits: pointer(int64(600)), BudgetLeft: pointer(int64(600))},
		"POST /api/v1/runs/{id}/cancel": run,
		"POST /api/v1/runs/{id}/retry":  run,
		"POST /api/v1/runs/{id}/wake":   run,
		"POST /api/v1/runs/{id}/events": runapi.EventReceipt{ID: "E1"},
		"GET /api/v1/submissions": listOf(api.Submission{ID: "sbm_01900000-0000-7000-8000-000000001234", RunID: runID, N: 1, State: "accepted", Name: "n",
			EnrichmentID: "enr", Jobs: 2, Credits: 2, PreparedAt: ago(time.Hour)}),
		"GET /api/v1/credits": overviewAnswer().Credits,
		"GET /api/v1/settings": api.Settings{Version: "v1.2.3", Items: []api.Setting{{Name: "batch-size", Variable: "LIWANAG_BATCH_SIZE", Value: "100",
			Default: true, Help: "Jobs a batch takes."}, {Name: "enrich", Variable: "LIWANAG_ENRICH", Help: "Which."}}},
		"GET /api/v1/runs/{id}/why":        whyAnswer(),
		"GET /api/v1/submissions/{id}/why": whyAnswer(),
		"GET /api/v1/subscribers/{id}/why": whyAnswer(),
		"GET /api/v1/submissions/{id}": api.Submission{ID: "sbm_01900000-0000-7000-8000-000000001234", RunID: runID, N: 2, State: "held", Name: "liwanag-sbm",
			EnrichmentID: "enr", Jobs: 2, PreparedAt: ago(time.Hour), SendingAt: ago(time.Hour), GraceUntil: ago(time.Minute), Supersedes: "sbm_1",
			Cause: "policy"},
		"GET /api/v1/audit":                   listOf(api.Act{At: ago(time.Hour), Actor: "console", Act: "run.cancel", Subject: runID, Reason: "wrong list", RequestID: "R"}),
		"POST /api/v1/submissions/budget":     overviewAnswer().Credits,
		"GET /api/v1/stopped-sources":         listOf(api.StoppedSource{Source: "Shop", LatestRate: 0.015, BeforeRate: 0.42, StoppedAt: ago(time.Hour)}),
		"POST /api/v1/stopped-sources/resume": api.StoppedSource{Source: "Shop"},
		"POST /api/v1/stopped-sources/drop":   api.StoppedSource{Source: "Shop", Dropped: 12},
		"POST /api/v1/attention/dismiss":      api.Attentions{},
		"POST /api/v1/attention/restore":      api.Attentions{},
		"POST /api/v1/submissions/pause":      overviewAnswer().Credits,
		"POST /api/v1/submissions/resume":     overviewAnswer().Credits,
	}
}

func peopleAnswers() map[string]any {
	return map[string]any{
		"GET /api/v1/subscribers": api.SubscriberList{List: listOf(personAnswer().Subscriber), Total: pointer(int64(3412))},
		"POST /api/v1/subscribers/enrich": api.EnrichedMany{Count: 12, Credits: 12, LeftOut: map[string]int64{"reused": 3}, Balance: pointer(998.0),
			BalanceAt: ago(time.Hour)},
		"POST /api/v1/subscribers/tag":         api.TaggedMany{Count: 12, Changed: 11},
		"POST /api/v1/subscribers/unsubscribe": api.ActedMany{Count: 12, Rows: 13, Changed: 13},
		"POST /api/v1/subscribers/suppress":    api.ActedMany{Count: 12, Rows: 13, Changed: 13},
		"POST /api/v1/subscribers/erase":       api.ActedMany{Count: 12, Rows: 13, Changed: 13},
		"GET /api/v1/views": listOf(api.View{ID: "vie_1", Name: "VP", Filter: api.SubscriberFilter{Country: "Germany", HeadcountMin: 50,
			Since: ago(time.Hour), Metadata: map[string]string{"plan": "pro"}}}),
		"POST /api/v1/views":        api.View{ID: "vie_1", Name: "VP"},
		"DELETE /api/v1/views/{id}": struct{}{},
		"GET /api/v1/companies": listOf(api.Company{Domain: "acme.example", Name: "Acme", Headcount: 1200, Industry: "Software", People: 3,
			Seniorities: map[string]int64{"VP": 1, "Founder": 2}, NewestAt: ago(time.Hour)}),
		"POST /api/v1/subscribers":             api.SignedUp{SubscriberID: subscriberID, Status: "created"},
		"GET /api/v1/subscribers/{id}":         personAnswer(),
		"POST /api/v1/subscribers/{id}/enrich": api.Enriched{SubscriberID: subscriberID, Result: "started"},
		"DELETE /api/v1/subscribers/{id}":      struct{}{},
		"GET /api/v1/suppressions": listOf(api.Suppression{ID: "spr_1", Domain: "spam.example", Reason: "spam", CreatedAt: ago(time.Hour)},
			api.Suppression{ID: "spr_2", Email: "ann@gmail.com", CreatedAt: ago(time.Hour)},
			api.Suppression{ID: "spr_3", CreatedAt: ago(time.Hour)}),
		"GET /api/v1/keys": listOf(api.APIKey{ID: "key_1", Name: "the crm", Scopes: []string{"read", "export"}, CreatedAt: ago(time.Hour),
			ExpiresAt: ago(-time.Hour), LastUsedAt: ago(time.Minute)}, api.APIKey{ID: "key_2", Name: "old", Scopes: []string{"admin"},
			CreatedAt: ago(2 * time.Hour), ExpiresAt: ago(time.Hour)}),
		"POST /api/v1/keys":                 api.APIKey{ID: "key_3", Name: "new", Key: "lwk_shown-once"},
		"DELETE /api/v1/keys/{id}":          struct{}{},
		"POST /api/v1/suppressions":         api.Suppression{ID: "spr_1"},
		"DELETE /api/v1/suppressions/{id}":  struct{}{},
		"GET /api/v1/uploads":               listOf(uploadAnswer("enriching")),
		"POST /api/v1/uploads":              uploadAnswer("previewed"),
		"GET /api/v1/uploads/{id}":          uploadAnswer("previewed"),
		"GET /api/v1/uploads/{id}/sample":   api.UploadSample{Encodings: []api.EncodingSample{{Name: "GB18030", Values: []string{"王伟"}}}, Columns: []string{"email", "note"}, Rows: []api.SampleRow{{Row: 1, Cells: []string{"ann@gmail.com", "x"}}, {Row: 2, Cells: []string{"bad", ""}, Code: "invalid_email", Fault: "no @"}}},
		"POST /api/v1/uploads/{id}/mapping": uploadAnswer("previewed"),
		"POST /api/v1/uploads/{id}/confirm": uploadAnswer("importing"),
		"POST /api/v1/uploads/{id}/cancel":  uploadAnswer("canceled"),
	}
}

func webhookAnswers() map[string]any {
	return map[string]any{
		"GET /api/v1/sources":                 listOf(sourceAnswer()),
		"POST /api/v1/sources":                sourceAnswer(),
		"GET /api/v1/source-kinds":            listOf(api.SourceKind{Kind: "generic", Title: "Any JSON", Signed: true, SecretFrom: "us", Help: "POST to it.", Defaults: json.RawMessage(`{}`)}),
		"GET /api/v1/sources/{id}":            sourceAnswer(),
		"PATCH /api/v1/sources/{id}":          sourceAnswer(),
		"POST /api/v1/sources/{id}/rotate":    sourceAnswer(),
		"POST /api/v1/sources/{id}/try":       api.TriedSource{State: "accepted", Items: []api.TriedItem{{Event: "subscribed", SignUp: &api.TriedSignUp{Email: "ann@gmail.com", EmailType: "personal"}}, {Event: "ignored", Error: "invalid_email", Errors: []api.FieldFault{{Field: "email", Message: "no @"}}}}},
		"DELETE /api/v1/sources/{id}":         struct{}{},
		"GET /api/v1/deliveries":              listOf(deliveryAnswer()),
		"GET /api/v1/deliveries/{id}":         deliveryAnswer(),
		"POST /api/v1/deliveries/{id}/replay": deliveryAnswer(),
		"GET /api/v1/sinks":                   listOf(sinkAnswer()),
		"POST /api/v1/sinks":                  sinkAnswer(),
		"GET /api/v1/sinks/{id}":              sinkAnswer(),
		"PATCH /api/v1/sinks/{id}":            sinkAnswer(),
		"POST /api/v1/sinks/{id}/rotate":      sinkAnswer(),
		"POST /api/v1/sinks/{id}/test":        messageAnswer(),
		"POST /api/v1/sinks/{id}/resend":      api.BulkMessages{Count: 3},
		"POST /api/v1/sinks/{id}/backfill":    api.BulkMessages{Count: 4},
		"DELETE /api/v1/sinks/{id}":           struct{}{},
		"GET /api/v1/messages":                listOf(messageAnswer()),
		"GET /api/v1/messages/{id}":           messageAnswer(),
		"POST /api/v1/messages/{id}/resend":   messageAnswer(),
	}
}

const subscriberID = "sub_01900000-0000-7000-8000-00000000cafe"

func personAnswer() api.SubscriberDetail {
	return api.SubscriberDetail{Subscriber: api.Subscriber{ID: subscriberID, Email: "ann@gmail.com",
		EmailType: "personal", Source: "blog", EnrichmentStatus: "enriched", FullName: "Ann Example",
		Headline: "Builds things", JobTitle: "Engineer", Seniority: "Senior", LinkedinURL: "https://www.linkedin.com/in/ann", Location: "Manila",
		CompanyName: "Example", CompanyDomain: "example.com", Metadata: json.RawMessage(`{"a":1}`), CreatedAt: ago(time.Hour),
		UpdatedAt: ago(time.Hour), EnrichedAt: ago(time.Minute), NameFrom: "found", CompanyFrom: "stated", NameMatches: "no",
		Sources: []string{"blog", "Shop"}, Tags: []string{"early"}, UnsubscribedAt: ago(time.Minute), UnsubscribedBy: "upl_1",
		Stated: &api.Stated{FirstName: "Anna", LastName: "Sample", CompanyName: "Mine", LinkedinURL: "https://www.linkedin.com/in/anna"},
		Found:  &api.Found{FullName: "Ann Example", CompanyName: "Example", JobTitle: "Engineer"}},
		Jobs: []api.Job{{ID: "job_01900000-0000-7000-8000-000000000001", Status: "failed", RunID: runID, Credits: 1,
			Failure: &api.JobFailure{Code: "c", Message: "m"}, RetryAt: noon.Add(time.Hour), CreatedAt: ago(time.Hour)},
			{ID: "job_01900000-0000-7000-8000-000000000002", Status: "pending", WaitingFor: "budget", CreatedAt: ago(time.Hour)}},
		Profile: json.RawMessage(profileRecord)}
}

// profileRecord is one record of FullEnrich's with everything in it.
const profileRecord = `{"input":{"email":"ann@gmail.com"},"profile":{"full_name":"Ann Example","headline":"Builds things","description":"Hello.\nI build.",
	"location":{"city":"Manila","country":"Philippines"},"skills":["Go","SQL"],"languages":[{"language":"Tagalog","proficiency":"native"}],
	"educations":[{"school_name":"UP","degree":"BSc","start_at":"2001-06","end_at":"2005-03"}],
	"social_profiles":{"professional_network":{"url":"https://www.linkedin.com/in/ann"}},
	"employment":{"current":{"title":"Engineer","company":{"name":"Example","domain":"example.com","website":"https://example.com","headcount":120,"year_founded":1999,"specialties":["tools"],
	"description":"Makes tools.","industry":{"main_industry":"Software"},"locations":{"headquarters":{"city":"Manila"}}}},"all":[{"title":"Engineer","is_current":true,"start_at":"2020-01","company":{"name":"Example"}},{"title":"Intern","start_at":"2004-01","end_at":"2004-12","description":"Coffee.","company":{"name":"Old"}}]}}}`

func uploadAnswer(status string) api.Upload {
	return api.Upload{ID: "upl_01900000-0000-7000-8000-000000000001", FileName: "people.csv", Source: "blog",
		Status: status, Columns: []string{"email", "note"},
		Mapping:          map[string]string{"email": "email", "note": "metadata"},
		Counts:           api.UploadCounts{Rows: 10, New: 5, Known: 1, Duplicate: 1, Corporate: 1, Invalid: 2},
		EstimatedCredits: 5, Progress: api.UploadProgress{Imported: 7, Enriched: 2, NotFound: 1, Failed: 1},
		Failure: &api.JobFailure{Code: "c", Message: "m"}, CreatedAt: ago(time.Hour)}
}

func sourceAnswer() api.Source {
	return api.Source{ID: "src_01900000-0000-7000-8000-000000000001", Name: "Shop", Kind: "generic",
		Settings: json.RawMessage(`{"proof":"bearer"}`), Secrets: 2,
		URL: "https://x.example/webhooks/generic/TOKEN", Secret: "whsec_SECRET", CreatedAt: ago(time.Hour), UpdatedAt: ago(time.Hour)}
}

func deliveryAnswer() api.Delivery {
	return api.Delivery{ID: "dlv_01900000-0000-7000-8000-000000000001", Source: "generic", SourceID: sourceAnswer().ID,
		State: "rejected", Code: "unreadable", Reason: "no JSON", Size: 10,
		ContentType: "text/plain", Created: 1, SubmissionID: "sbm_01900000-0000-7000-8000-000000001234", EnrichmentID: "enr", Replayable: true,
		ReceivedAt: ago(time.Hour), ReplayedAt: ago(time.Minute), Body: "no JSON"}
}

func sinkAnswer() api.Sink {
	return api.Sink{ID: "snk_01900000-0000-7000-8000-000000000001", Name: "CRM", URL: "https://crm.example/hook",
		Topics: []string{"subscriber.enriched"}, FailingSince: ago(time.Hour),
		SentAt: ago(time.Hour), Secret: "whsec_SECRET", DisabledReason: "r", CreatedAt: ago(time.Hour), UpdatedAt: ago(time.Hour)}
}

func messageAnswer() api.MessageDetail {
	return api.MessageDetail{Message: api.Message{ID: "msg_01900000-0000-7000-8000-000000000001",
		SinkID: sinkAnswer().ID, SinkName: "CRM", Email: "ann@gmail.com", Topic: "subscriber.enriched",
		Subject: subscriberID, State: "failed", RunID: runID,
		Attempts: 2, Status: 500,
		Error: "HTTP 500", CreatedAt: ago(time.Hour), NextAt: noon.Add(time.Hour), EndedAt: ago(time.Minute)},
		Payload: json.RawMessage(`{"type":"test"}`),
		Log: []api.MessageAttempt{{N: 1, At: ago(time.Hour), TookMs: 12, Error: "the connection was refused"},
			{N: 2, At: ago(time.Minute), TookMs: 15000, Status: 500, Error: "HTTP 500"}}}
}

func overviewAnswer() api.Overview {
	o := api.Overview{Range: "24h", At: ago(2 * time.Second),
		Subscribers: map[string]int64{"none": 3, "enriched": 1200, "not_found": 40},
		Jobs:        map[string]int64{"enriched": 1200, "not_found": 40, "held": 1},
		Runs:        map[string]int64{"waiting": 5, "completed": 12, "failed": 1},
		Submissions: map[string]int64{"held": 1},
		Credits:     api.Credits{Balance: pointer(1234.5), Day: "2026-03-14", Reserved: 12, Spent: 300, Budget: pointer(int64(1000))},
		Attention: []api.Attention{
			{Kind: "submission_held", ID: "sbm_1", Message: "A paid call is in doubt: decide about it.", Since: ago(3 * time.Hour)},
			{Kind: "credits_low", Message: "12 credits are left."}, {Kind: "sink_failing", ID: "snk_1", Message: "It answers 500."},
			{Kind: "source_refusing", ID: "src_1", Count: 4, Message: "Signatures are wrong."},
		},
		Dismissed: []api.Attention{{Kind: "run_failed", ID: "run_1", Name: "subscriber-enrichment", People: 3,
			Message: "It failed.", Cause: "then"}},
		Onboarding: api.Onboarding{Steps: []api.OnboardingStep{{Name: "key", Done: true}, {Name: "people", Message: "Upload a CSV."}}}}
	for i := range 24 {
		o.Spans = append(o.Spans, api.Span{From: noon.Add(time.Duration(i-23) * time.Hour), SignUps: int64(i),
			Enriched: int64(i / 2), NotFound: int64(i % 3), Failed: int64(i % 2)})
	}
	return o
}

func storyAnswer() workflow.Description {
	retry := &workflow.RetryDescription{MaxAttempts: 5, Backoff: "exponential", InitialDelay: "1s", MaxDelay: "1m",
		Jitter: 0.1, RetryOn: []int{429, 503}}
	return workflow.Description{Name: "subscriber-enrichment", Version: 2, RunTimeout: "48h", Steps: []workflow.NodeDescription{
		{Name: "batch", Kind: "step", Timeout: "1m", Retry: retry},
		{Name: "nothing-to-do", Kind: "finish", Condition: "nothing-to-do", On: "batch"},
		{Name: "submit", Kind: "step", AtMostOnce: true, Timeout: "30s"},
		{Name: "pause", Kind: "sleep", Within: "5s", Condition: "slowly", On: "submit"},
		{Name: "result", Kind: "wait", Events: []string{"enrichment-complete", "given-up"}, Within: "24h", Reconciles: true},
		{Name: "settle", Kind: "step"},
	}, OnError: &workflow.NodeDescription{Name: "on-error", Kind: "handler", Retry: retry}}
}

func countAnswers() []runapi.RunCount {
	return []runapi.RunCount{
		{Workflow: "subscriber-enrichment", Version: 2, Status: "waiting", Step: "result", Runs: 1234},
		{Workflow: "subscriber-enrichment", Version: 2, Status: "running", Step: "submit", Runs: 2},
		{Workflow: "subscriber-enrichment", Version: 2, Status: "completed", Runs: 99},
		{Workflow: "subscriber-enrichment", Version: 2, Status: "failed", Runs: 3},
		{Workflow: "subscriber-enrichment", Version: 1, Status: "waiting", Step: "result", Runs: 4},
	}
}

// waitingRun has seen everything: a snooze, a failed attempt, a skipped step, and a
// wait of a day.
func waitingRun() runapi.RunDetail {
	from := ago(10 * time.Minute)
	after := func(d time.Duration) time.Time { return from.Add(d) }
	return runapi.RunDetail{Run: runapi.Run{ID: runID, Workflow: "subscriber-enrichment", Version: 2, Status: "waiting",
		Input: json.RawMessage(`{"window":"2s"}`), Output: json.RawMessage(`{"credits":2}`), CreatedAt: from, StartedAt: from, Node: "node-1",
		WaitingFor: &runapi.WaitingFor{Step: "result", Kind: "event", Events: []string{"enrichment-complete"},
			Until: after(24 * time.Hour), NextFetchAt: after(20 * time.Minute)}}, Steps: []runapi.Step{
		{Name: "batch", Kind: "step", Status: "completed", StartedAt: from, EndedAt: after(2 * time.Second), Output: json.RawMessage(`{"jobs":2}`),
			Attempts: []workflow.Attempt{{N: 1, StartedAt: after(1990 * time.Millisecond), EndedAt: after(2 * time.Second)}}},
		{Name: "submit", Kind: "step", Status: "completed", StartedAt: after(2 * time.Second),
			EndedAt: after(4 * time.Second), Attempts: []workflow.Attempt{
				{N: 1, StartedAt: after(2 * time.Second), EndedAt: after(2100 * time.Millisecond), Error: "429 too many requests", NextAt: after(3900 * time.Millisecond)},
				{N: 2, StartedAt: after(3900 * time.Millisecond), EndedAt: after(4 * time.Second)}}},
		{Name: "pause", Kind: "sleep", Status: "skipped", SkippedBecause: "not_slowly"},
		{Name: "result", Kind: "wait", Status: "waiting", StartedAt: after(4 * time.Second)},
	}, Events: []runapi.RunEvent{{ID: "E0", Type: "enrichment-complete", ReceivedAt: after(5 * time.Second), ConsumedBy: "result"},
		{ID: "E1", Type: "given-up", ReceivedAt: after(6 * time.Second)}}}
}

func failedRun() runapi.RunDetail {
	return runapi.RunDetail{Run: runapi.Run{ID: "run_01900000-0000-7000-8000-00000000dead",
		Workflow: "subscriber-enrichment", Version: 2, Status: "failed", CreatedAt: ago(time.Hour), EndedAt: ago(50 * time.Minute),
		Failure: &workflow.Failure{Step: "submit", Reason: "attempts", Code: "http_503", Message: "FullEnrich answers 503", Attempts: 5}}}
}

func historyAnswers() []workflow.HistoryItem {
	return []workflow.HistoryItem{{Seq: 1, At: ago(10 * time.Minute), Type: "run.started", Data: json.RawMessage(`{"version": 2}`)},
		{Seq: 2, At: ago(9 * time.Minute), Type: "step.retrying", Step: "submit", Attempt: 1}}
}

// fakeAPI answers as the map says, and remembers what was sent.
type fakeAPI struct {
	mux  *http.ServeMux
	sent []string // method, path, query, body
}

func newAPI(t *testing.T, routes map[string]any) *fakeAPI {
	t.Helper()
	a := &fakeAPI{mux: http.NewServeMux()}
	for route, answer := range routes {
		a.mux.HandleFunc(route, func(w http.ResponseWriter, r *http.Request) {
			if fault, ok := answer.(*apiclient.Problem); ok {
				w.Header().Set("Content-Type", "application/problem+json")
				w.Header().Set("X-Request-Id", fault.RequestID)
				w.WriteHeader(fault.Status)
				answer = fault
			}
			if err := json.NewEncoder(w).Encode(answer); err != nil {
				t.Errorf("%s: %v", route, err)
			}
		})
	}
	return a
}

func (a *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body json.RawMessage
	_ = json.NewDecoder(r.Body).Decode(&body)
	a.sent = append(a.sent, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(body)))
	a.mux.ServeHTTP(w, r)
}

// served is a console over an API, for whoever may do everything, or has scopes alone.
func served(t *testing.T, handler http.Handler, scopes ...string) http.Handler {
	t.Helper()
	may := func(_ context.Context, scope string) bool { return scopes == nil || slices.Contains(scopes, scope) }
	c, err := New(Config{API: handler, SignIn: true, Now: func() time.Time { return noon }, May: may})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for _, p := range c.Pages() {
		mux.Handle(p.Pattern, p.Handler)
	}
	mux.Handle("/", c.NotFound())
	return mux
}

func visitPage(t *testing.T, site http.Handler, method, target, form string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(form))
	if form != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	w := httptest.NewRecorder()
	site.ServeHTTP(w, r)
	return w
}

// read parses a page as a browser does.
func read(t *testing.T, page string) *html.Node {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func elements(root *html.Node) (all []*html.Node) {
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			all = append(all, n)
		}
	}
	return all
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	got = strings.ReplaceAll(got, assetsVersion, "VERSION")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs\n  Try: go test ./internal/console -update, and look at the difference", name)
	}
}

// poison puts a text into every string of a value.
func poison(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			poison(v.Elem(), text)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				poison(v.Field(i), text)
			}
		}
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[json.RawMessage]() {
			raw, _ := json.Marshal(map[string]string{text: text})
			v.SetBytes(raw)
			return
		}
		for i := range v.Len() {
			poison(v.Index(i), text)
		}
	case reflect.String:
		v.SetString(text)
	}
}

// poisoned is a copy of an answer with a text in every string of it.
func poisoned(answer any, text string) any {
	raw, _ := json.Marshal(answer)
	copied := reflect.New(reflect.TypeOf(answer))
	_ = json.Unmarshal(raw, copied.Interface())
	poison(copied.Elem(), text)
	return copied.Elem().Interface()
}

// everyPage are addresses that show each page, in each of its forms.
var everyPage = []string{
	"/", "/?range=7d", "/sign-in", "/sign-in?failed=1", "/sign-in?link=TOKEN", "/runs", "/runs?status=failed&since=24h", "/runs?until=2026-01-01",
	"/runs/cancel?status=waiting", "/runs/retry", "/runs/" + runID, "/workflows", "/workflows/subscriber-enrichment?version=2", "/nowhere",
	"/subscribers", "/subscribers?q=ann&source=blog&status=enriched&seniority=VP", "/subscribers?view=VP&country=France&until=2026-01-01&metadata.plan=pro", "/subscribers?columns=headcount,linkedinUrl,tags,signedUpAt,enrichedAt,emailType,metadata.plan&sort=company&order=desc",
	"/subscribers/act?act=enrich&all=1&country=Germany", "/subscribers/act?act=tag&id=" + subscriberID, "/subscribers/act?act=erase&all=1",
	"/subscribers/act?act=export&id=" + subscriberID, "/companies", "/companies?view=VP&tag=x", "/subscribers/" + subscriberID, "/uploads", "/uploads/upl_1", "/sources", "/sources/src_1",
	"/sources/src_1?state=rejected", "/deliveries", "/deliveries?source=fullenrich", "/deliveries/dlv_1", "/sinks", "/sinks/snk_1", "/messages", "/messages/msg_1",
	"/submissions", "/submissions?runId=x", "/submissions/sbm_1", "/suppressions", "/credits", "/keys", "/audit", "/audit?act=x", "/settings",
}

func TestEveryPageIsAmongThoseThatAreTested(t *testing.T) {
	c, err := New(Config{API: http.NotFoundHandler()})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	var wanted, tested []string
	for _, p := range c.Pages() {
		mux.Handle(p.Pattern, p.Handler)
		if strings.HasPrefix(p.Pattern, "GET ") && !strings.HasPrefix(p.Pattern, "GET /assets/") && !slices.Contains(noPages, p.Pattern) {
			wanted = append(wanted, p.Pattern)
		}
	}
	for _, target := range everyPage {
		_, pattern := mux.Handler(httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil))
		tested = append(tested, pattern)
	}
	for _, p := range wanted {
		if !slices.Contains(tested, p) {
			t.Errorf("%s: add an address of it to everyPage", p)
		}
	}
}

// noPages are patterns whose answers are files.
var noPages = []string{"GET /subscribers/export"}

func whyAnswer() api.Why {
	return api.Why{Summary: "All spending is paused.", Facts: []api.WhyFact{{What: "All spending is paused.", Since: ago(time.Hour)},
		{What: "It waits at a step.", Until: ago(-time.Hour)}}, Acts: []api.WhyAct{{Do: "Let it go on.", Command: "liwanag submissions resume"}}}
}
