package console

import (
	"encoding/json"
	"flag"
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

	"github.com/liwanag/liwanag/internal/apiclient"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return noon.Add(-d) }

func pointer[T any](v T) *T { return &v }

// listOf is what a listing answers.
func listOf[T any](items ...T) apiclient.List[T] {
	return apiclient.List[T]{Items: items, NextCursor: "NEXT"}
}

const runID = "run_01900000-0000-7000-8000-00000000abcd"

// answers are those of an API where everything is there, by route.
func answers() map[string]any {
	run := waitingRun()
	return map[string]any{
		"GET /api/v1/overview":             overviewAnswer(),
		"GET /api/v1/workflows":            listOf(storyAnswer()),
		"GET /api/v1/workflows/{n}":        storyAnswer(),
		"GET /api/v1/workflows/{n}/counts": listOf(countAnswers()...),
		"GET /api/v1/runs":                 listOf(run, failedRun()),
		"GET /api/v1/runs/{id}":            run,
		"GET /api/v1/runs/{id}/history":    listOf(historyAnswers()...),
		"POST /api/v1/runs/cancel":         apiclient.BulkResult{Matched: 7, Done: 7},
		"POST /api/v1/runs/retry":          apiclient.BulkResult{Matched: 7, Done: 6, Failed: []apiclient.BulkFault{{ID: runID, Code: "run_running", Detail: "it runs again"}}},
		"POST /api/v1/runs/{id}/cancel":    run,
		"POST /api/v1/runs/{id}/retry":     run,
		"POST /api/v1/runs/{id}/events":    apiclient.EventReceipt{ID: "E1"},
		"GET /api/v1/submissions": listOf(apiclient.Submission{ID: "sbm_01900000-0000-7000-8000-000000001234", RunID: runID, N: 1, State: "accepted", Name: "n",
			EnrichmentID: "enr", Jobs: 2, Credits: 2, PreparedAt: ago(time.Hour)}),
		"GET /api/v1/credits":             overviewAnswer().Credits,
		"POST /api/v1/submissions/pause":  overviewAnswer().Credits,
		"POST /api/v1/submissions/resume": overviewAnswer().Credits,
	}
}

func overviewAnswer() apiclient.Overview {
	o := apiclient.Overview{Range: "24h", At: ago(2 * time.Second),
		Subscribers: map[string]int64{"none": 3, "enriched": 1200, "not_found": 40},
		Jobs:        map[string]int64{"enriched": 1200, "not_found": 40, "held": 1},
		Runs:        map[string]int64{"waiting": 5, "completed": 12, "failed": 1},
		Submissions: map[string]int64{"held": 1},
		Credits:     apiclient.Credits{Balance: pointer(1234.5), Day: "2026-03-14", Reserved: 12, Spent: 300, Budget: pointer(int64(1000))},
		Attention: []apiclient.Attention{
			{Kind: "submission_held", ID: "sbm_1", Message: "A paid call is in doubt: decide about it.", Since: ago(3 * time.Hour)},
			{Kind: "credits_low", Message: "12 credits are left."}, {Kind: "sink_failing", ID: "snk_1", Message: "It answers 500."},
			{Kind: "source_refusing", ID: "src_1", Count: 4, Message: "Signatures are wrong."},
		}}
	for i := range 24 {
		o.Spans = append(o.Spans, apiclient.Span{From: noon.Add(time.Duration(i-23) * time.Hour), SignUps: int64(i), Enriched: int64(i / 2), NotFound: int64(i % 3), Failed: int64(i % 2)})
	}
	return o
}

func storyAnswer() apiclient.Workflow {
	retry := &apiclient.WorkflowRetry{MaxAttempts: 5, Backoff: "exponential", InitialDelay: "1s", MaxDelay: "1m", Jitter: 0.1, RetryOn: []int{429, 503}}
	return apiclient.Workflow{Name: "subscriber-enrichment", Version: 2, RunTimeout: "48h", Steps: []apiclient.WorkflowStep{
		{Name: "batch", Kind: "step", Timeout: "1m", Retry: retry},
		{Name: "nothing-to-do", Kind: "finish", Condition: "nothing-to-do", On: "batch"},
		{Name: "submit", Kind: "step", AtMostOnce: true, Timeout: "30s"},
		{Name: "pause", Kind: "sleep", Within: "5s", Condition: "slowly", On: "submit"},
		{Name: "result", Kind: "wait", Events: []string{"enrichment-complete", "given-up"}, Within: "24h", Reconciles: true},
		{Name: "settle", Kind: "step"},
	}, OnError: &apiclient.WorkflowStep{Name: "on-error", Kind: "handler", Retry: retry}}
}

func countAnswers() []apiclient.RunCount {
	return []apiclient.RunCount{
		{Workflow: "subscriber-enrichment", Version: 2, Status: "waiting", Step: "result", Runs: 1234},
		{Workflow: "subscriber-enrichment", Version: 2, Status: "running", Step: "submit", Runs: 2},
		{Workflow: "subscriber-enrichment", Version: 2, Status: "completed", Runs: 99},
		{Workflow: "subscriber-enrichment", Version: 2, Status: "failed", Runs: 3},
		{Workflow: "subscriber-enrichment", Version: 1, Status: "waiting", Step: "result", Runs: 4},
	}
}

// waitingRun has seen everything: a snooze, a failed attempt, a skipped step, and a
// wait of a day.
func waitingRun() apiclient.Run {
	from := ago(10 * time.Minute)
	after := func(d time.Duration) time.Time { return from.Add(d) }
	return apiclient.Run{ID: runID, Workflow: "subscriber-enrichment", Version: 2, Status: "waiting", Input: json.RawMessage(`{"window":"2s"}`),
		Output: json.RawMessage(`{"credits":2}`), CreatedAt: from, StartedAt: from, Node: "node-1",
		WaitingFor: &apiclient.WaitingFor{Step: "result", Kind: "event", Events: []string{"enrichment-complete"}, Until: after(24 * time.Hour), NextFetchAt: after(20 * time.Minute)},
		Steps: []apiclient.Step{
			{Name: "batch", Kind: "step", Status: "completed", StartedAt: from, EndedAt: after(2 * time.Second), Output: json.RawMessage(`{"jobs":2}`),
				Attempts: []apiclient.Attempt{{N: 1, StartedAt: after(1990 * time.Millisecond), EndedAt: after(2 * time.Second)}}},
			{Name: "submit", Kind: "step", Status: "completed", StartedAt: after(2 * time.Second), EndedAt: after(4 * time.Second), Attempts: []apiclient.Attempt{
				{N: 1, StartedAt: after(2 * time.Second), EndedAt: after(2100 * time.Millisecond), Error: "429 too many requests", NextAt: after(3900 * time.Millisecond)},
				{N: 2, StartedAt: after(3900 * time.Millisecond), EndedAt: after(4 * time.Second)}}},
			{Name: "pause", Kind: "sleep", Status: "skipped", SkippedBecause: "not_slowly"},
			{Name: "result", Kind: "wait", Status: "waiting", StartedAt: after(4 * time.Second)},
		},
		Events: []apiclient.RunEvent{{ID: "E0", Type: "enrichment-complete", ReceivedAt: after(5 * time.Second), ConsumedBy: "result"}, {ID: "E1", Type: "given-up", ReceivedAt: after(6 * time.Second)}}}
}

func failedRun() apiclient.Run {
	return apiclient.Run{ID: "run_01900000-0000-7000-8000-00000000dead", Workflow: "subscriber-enrichment", Version: 2, Status: "failed", CreatedAt: ago(time.Hour),
		EndedAt: ago(50 * time.Minute), Failure: &apiclient.Failure{Step: "submit", Reason: "attempts", Code: "http_503", Message: "FullEnrich answers 503", Attempts: 5}}
}

func historyAnswers() []apiclient.HistoryItem {
	return []apiclient.HistoryItem{{Seq: 1, At: ago(10 * time.Minute), Type: "run.started", Data: json.RawMessage(`{"version": 2}`)},
		{Seq: 2, At: ago(9 * time.Minute), Type: "step.retrying", Step: "submit", Attempt: 1}}
}

// api answers as the map says, and remembers what was sent.
type api struct {
	mux  *http.ServeMux
	sent []string // method, path, query, body
}

func newAPI(t *testing.T, routes map[string]any) *api {
	t.Helper()
	a := &api{mux: http.NewServeMux()}
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

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body json.RawMessage
	_ = json.NewDecoder(r.Body).Decode(&body)
	a.sent = append(a.sent, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(body)))
	a.mux.ServeHTTP(w, r)
}

// served is a console over an API.
func served(t *testing.T, handler http.Handler) http.Handler {
	t.Helper()
	c, err := New(Config{API: handler, SignIn: true, Now: func() time.Time { return noon }})
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
var noPages []string
