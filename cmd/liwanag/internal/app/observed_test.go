package app

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/config"
	"github.com/liwanag/liwanag/fullenrich/simulator"
)

// canaries are what must stay where it belongs.
const (
	canaryPerson = "canary.bird+found@gmail.com"
	canaryHook   = "Y2FuYXJ5LXNlY3JldC1vZi10aGUtd2ViaG9vaw=="
)

// quietOnAGoodDay are metrics that show trouble, or what this day has none of.
// Other tests say that each is counted.
var quietOnAGoodDay = []string{"liwanag_adopted_total", "liwanag_runner_faults_total"}

func TestADaysWorkShowsInTheMetricsAndTellsOnNobody(t *testing.T) {
	var log lockedBuffer
	base, control := startSimulator(t, 200)
	if _, err := control.AddFault(t.Context(), simulator.Fault{Action: simulator.ActionRefuse, Status: 500, Nth: 1}); err != nil {
		t.Fatal(err)
	}
	told := make(chan string, 1000)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { told <- r.Header.Get("webhook-id") }))
	defer receiver.Close()
	s := settings(t, base)
	s.SinkAllow, s.LogLevel, s.CreditBudget = "127.0.0.1/32", "debug", new(int64(1000))
	s.SubscriberWebhookSecret = config.NewSecret("whsec_" + canaryHook)
	out, err := NewLog(s, &log, false)
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, Config{Settings: s, Log: out, SweepEvery: 50 * time.Millisecond})
	await(t, "readiness", func() bool { return call(t, "GET", r.URL()+"/readyz", "", nil) == http.StatusOK })

	listening, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	request, _ := http.NewRequestWithContext(listening, http.MethodGet, r.URL()+"/api/v1/events", nil)
	events, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer events.Body.Close()

	receiveAll(t, r, receiver.URL)
	awaitStatus(t, r, signUp(t, r, canaryPerson).SubscriberID, "enriched")
	await(t, "a webhook out", func() bool { return len(told) > 0 })
	if _, err := control.AddFault(t.Context(), simulator.Fault{Action: simulator.ActionWebhookNever}); err != nil {
		t.Fatal(err)
	}
	person := signUp(t, r, "canary.bird.three+found@gmail.com")
	awaitWaiting(t, r, person.RunID)
	await(t, "the count of a run's end", func() bool { return strings.Contains(metricsOf(t, r), "liwanag_runs_ended_total{") })
	text := metricsOnceToldAll(t, r)
	tellsOnNobody(t, "the metrics", text)
	tellsOnNobody(t, "the log", log.String())
	for _, path := range []string{"/api/v1/runs", "/api/v1/runs/" + person.RunID + "/history", "/api/v1/runs/" +
		person.RunID, "/api/v1/audit", "/api/v1/submissions", "/api/v1/sinks"} {
		tellsOnNobody(t, path, bodyOf(t, r.URL()+path))
	}
	if !strings.Contains(log.String(), person.RunID) {
		t.Error("the log does not name the run")
	}
	hangUp()
	r.halt(t)
	tellsOnNobody(t, "the log of the stop", log.String())
}

// receiveAll has a person come in by every way, and by some that are refused.
func receiveAll(t *testing.T, r *running, receiver string) {
	if status := call(t, "POST", r.URL()+"/api/v1/sinks", `{"url":"`+receiver+`/hook"}`, nil); status/100 != 2 {
		t.Fatalf("a sink: status %d", status)
	}
	if status := signedSignUp(t, r, canaryHook); status != http.StatusAccepted {
		t.Fatalf("a webhook: status %d", status)
	}
	if status := signedSignUp(t, r, "d3Jvbmc="); status != http.StatusUnauthorized {
		t.Errorf("a forged webhook: status %d", status)
	}
	uploadPeople(t, r)
	call(t, "POST", r.URL()+"/webhooks/fullenrich/"+canaryHook, `{"email":"`+canaryPerson+`"}`, nil)
	call(t, "POST", r.URL()+"/api/v1/subscribers", `{"email":"`+canaryPerson+`","odd":"`+canaryPerson+`"}`, nil)
	call(t, "GET", r.URL()+"/api/v1/runs?q="+canaryPerson, "", nil)
}

// awaitWaiting awaits that one run waits for its webhook, and that all others are over.
func awaitWaiting(t *testing.T, r *running, id string) {
	await(t, "a run that waits, and the end of the others", func() bool {
		type seen struct {
			ID, Status string
			WaitingFor struct{ Step string }
		}
		var all struct{ Items []seen }
		call(t, "GET", r.URL()+"/api/v1/runs?workflow=subscriber-enrichment", "", &all)
		return len(all.Items) > 1 && !slices.ContainsFunc(all.Items, func(run seen) bool {
			return run.Status != "completed" && (run.ID != id || run.WaitingFor.Step != "wait-for-webhook")
		})
	})
}

// metricsOnceToldAll are the metrics when no fault is left in them, since some are told
// after the commit; what is left is reported.
func metricsOnceToldAll(t *testing.T, r *running) string {
	text := metricsOf(t, r)
	faults := faultsOf(t, text)
	for deadline := time.Now().Add(90 * time.Second); len(faults) > 0 && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		text = metricsOf(t, r)
		faults = faultsOf(t, text)
	}
	for _, fault := range faults {
		t.Error(fault)
	}
	return text
}

// tellsOnNobody looks for canaries, however they are spelled.
func tellsOnNobody(t *testing.T, where, text string) {
	t.Helper()
	if text == "" {
		t.Errorf("%s: there is nothing", where)
	}
	for _, leak := range []string{"canary.bird", "canary%2Ebird", canaryHook, simulator.DefaultKey, "Canary Birdwoman"} {
		if at := strings.Index(text, leak); at >= 0 {
			t.Errorf("%s tells %q: …%s…", where, leak, text[max(0, at-200):min(len(text), at+100)])
		}
	}
}

func bodyOf(t *testing.T, url string) string {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, answer.Status, err)
	}
	return string(raw)
}

func metricsOf(t *testing.T, r *running) string { return bodyOf(t, r.AdminURL()+"/metrics") }

// faultsOf compares what a server exposes with the golden: each metric is
// there and was set, with its labels and no others.
func faultsOf(t *testing.T, text string) (faults []string) {
	t.Helper()
	golden, err := os.ReadFile("../telemetry/testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	declared := map[string]bool{}
	for _, line := range regexp.MustCompile(`(?m)^(\w+) (\w+)\{(.*?)\} (.*)$`).FindAllStringSubmatch(string(golden), -1) {
		kind, name, labels, help := line[1], line[2], line[3], line[4]
		declared[name] = true
		if slices.Contains(quietOnAGoodDay, name) {
			continue
		}
		if !strings.Contains(text, "# HELP "+name+" "+help+"\n# TYPE "+name+" "+kind+"\n") {
			fault("%s is not exposed as it is declared, or was never set", name)
			continue
		}
		sample := name
		if kind == "histogram" {
			sample += "_count"
		}
		found := regexp.MustCompile(`(?m)^` + sample + `(?:\{(.*)\})? `).FindStringSubmatch(text)
		if found == nil {
			fault("%s has no sample", name)
			continue
		}
		var names []string
		for _, label := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(found[1], -1) {
			names = append(names, label[1])
		}
		want := strings.FieldsFunc(labels, func(r rune) bool { return r == ',' })
		slices.Sort(want)
		if slices.Sort(names); !slices.Equal(names, want) {
			fault("%s has the labels %v, want %v", name, names, want)
		}
	}
	for _, found := range regexp.MustCompile(`(?m)^# TYPE (liwanag_\w+)`).FindAllStringSubmatch(text, -1) {
		if !declared[found[1]] {
			fault("%s is exposed and not declared", found[1])
		}
	}
	for _, want := range []string{`liwanag_webhooks_refused_total{kind="subscribers",why="signature_wrong"} 1`,
		`liwanag_webhooks_accepted_total{kind="fullenrich"}`,
		`liwanag_fullenrich_calls_total{operation="submit",outcome="unavailable"} 1`, `liwanag_import_rows_total{result="invalid"} 1`,
		`liwanag_step_attempts_total{step="submit-to-fullenrich",then="retry"`, "liwanag_sse_listeners 1", "liwanag_figures_up 1",
		"liwanag_credits_budget 1000"} {
		if !strings.Contains(text, want) {
			fault("%s is missing in the metrics", want)
		}
	}
	return faults
}

// signedSignUp sends the canary as a webhook that is signed with a secret.
func signedSignUp(t *testing.T, r *running, secret string) int {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(secret)
	if err != nil {
		t.Fatal(err)
	}
	body, at := `{"email":"`+canaryPerson+`","fullName":"Canary Birdwoman"}`, strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "hook-1.%s.%s", at, body)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.URL()+"/webhooks/subscribers?who="+
		canaryPerson, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("webhook-id", "hook-1")
	request.Header.Set("webhook-timestamp", at)
	request.Header.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	raw, _ := io.ReadAll(answer.Body)
	tellsOnNobody(t, "the answer to a webhook", string(raw))
	return answer.StatusCode
}

// uploadPeople uploads a file with one good and one bad row, and waits until it
// is imported.
func uploadPeople(t *testing.T, r *running) {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	file, err := form.CreateFormFile("file", "people.csv")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(file, "email\ncanary.bird.two+found@gmail.com\nno address canary.bird\n")
	form.Close()
	answer, err := http.Post(r.URL()+"/api/v1/uploads?confirm=true", form.FormDataContentType(), &body)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var up struct{ ID string }
	if err := json.NewDecoder(answer.Body).Decode(&up); err != nil || up.ID == "" {
		t.Fatalf("an upload: %s, %v", answer.Status, err)
	}
	await(t, "the import", func() bool {
		var now struct{ Status string }
		call(t, "GET", r.URL()+"/api/v1/uploads/"+up.ID, "", &now)
		return now.Status == "done"
	})
}
