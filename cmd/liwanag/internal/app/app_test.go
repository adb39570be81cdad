package app

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/config"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/telemetry"
	"github.com/liwanag/liwanag/fullenrich/simulator"
	"github.com/liwanag/liwanag/internal/pgdb/pgtest"
)

// running is what New built, running.
type running struct {
	*App
	stop  context.CancelFunc
	ended chan error
}

// halt stops the server and says how long that took.
func (r *running) halt(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	r.stop()
	select {
	case err := <-r.ended:
		if err != nil {
			t.Errorf("Run: %v", err)
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("Run does not return")
	}
	took := time.Since(began)
	if err := r.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	return took
}

func start(t *testing.T, c Config) *running {
	t.Helper()
	a, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &running{App: a, stop: stop, ended: make(chan error, 1)}
	go func() { r.ended <- a.Run(ctx) }()
	t.Cleanup(stop)
	return r
}

// startSimulator runs a simulator until the test ends.
func startSimulator(t *testing.T, speed float64) (baseURL string, control simulator.Control) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	s, err := NewSimulator(ctx, SimulatorConfig{Addr: "127.0.0.1:0", Speed: speed})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s.BaseURL(), simulator.Control{BaseURL: strings.TrimSuffix(s.BaseURL(), "/api/v2")}
}

// settings are those of a server on free ports.
func settings(t *testing.T, baseURL string) config.Settings {
	t.Helper()
	s, err := config.Defaults()
	if err != nil {
		t.Fatal(err)
	}
	s.Addr, s.AdminAddr, s.DatabaseURL = "127.0.0.1:0", "127.0.0.1:0", "sqlite:"+t.TempDir()+"/liwanag.db"
	s.FullEnrichBaseURL, s.FullEnrichAPIKey = baseURL, config.NewSecret(simulator.DefaultKey)
	s.BatchWindow, s.CallsPerMinute = 10*time.Millisecond, 10_000
	return s
}

// call calls the API and decodes its answer.
func call(t *testing.T, method, url, body string, into any) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if into != nil && json.Unmarshal(raw, into) != nil {
		t.Fatalf("%s %s: %s: %s", method, url, answer.Status, raw)
	}
	return answer.StatusCode
}

type signedUp struct{ SubscriberID, Status, RunID string }

func signUp(t *testing.T, r *running, email string) signedUp {
	t.Helper()
	var s signedUp
	if status := call(t, "POST", r.URL()+"/api/v1/subscribers", fmt.Sprintf(`{"email":%q}`, email), &s); status/100 != 2 {
		t.Fatalf("status %d", status)
	}
	return s
}

// await polls until the condition holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(90 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s never happened", what)
		}
	}
}

func awaitStatus(t *testing.T, r *running, subscriberID, want string) {
	t.Helper()
	await(t, "status "+want, func() bool {
		var s struct{ EnrichmentStatus string }
		call(t, "GET", r.URL()+"/api/v1/subscribers/"+subscriberID, "", &s)
		return s.EnrichmentStatus == want
	})
}

func TestTheRealWiringEnrichesASignUp(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { enrichesASignUp(t, "") })
	t.Run("PostgreSQL", func(t *testing.T) { enrichesASignUp(t, pgtest.Database(t)) })
}

func enrichesASignUp(t *testing.T, database string) {
	base, _ := startSimulator(t, 200)
	s := settings(t, base)
	s.DatabaseURL = cmp.Or(database, s.DatabaseURL)
	r := start(t, Config{Settings: s})
	await(t, "readiness", func() bool { return call(t, "GET", r.URL()+"/readyz", "", nil) == http.StatusOK })
	person := signUp(t, r, "ann+found@gmail.com")
	if person.RunID == "" {
		t.Fatal("no run was named")
	}
	awaitStatus(t, r, person.SubscriberID, "enriched")
	await(t, "the run's end", func() bool {
		var run struct{ Status string }
		call(t, "GET", r.URL()+"/api/v1/runs/"+person.RunID, "", &run)
		return run.Status == "completed"
	})
	for _, want := range []string{`liwanag_submissions_total{outcome="accepted"} 1`,
		`liwanag_runs_ended_total{status="completed",workflow="subscriber-enrichment"} 1`} {
		await(t, want, func() bool { return strings.Contains(metricsOf(t, r), want) }) // told after the commit
	}
	if status := call(t, "GET", r.URL()+"/metrics", "", nil); status != http.StatusNotFound {
		t.Errorf("the public address answers /metrics with %d", status)
	}
	if took := r.halt(t); took > 20*time.Second {
		t.Errorf("stopped in %s although nothing ran, want long before the graceful stop ends after 35s", took)
	}
}

// A stop in the middle of a paid call waits for its answer: nothing is in doubt.
func TestAStopLetsAPaidCallEnd(t *testing.T) {
	base, control := startSimulator(t, 200)
	if _, err := control.AddFault(t.Context(),
		simulator.Fault{Action: simulator.ActionSlowDrip, Method: "POST", Delay: 15 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	s := settings(t, base)
	first := start(t, Config{Settings: s})
	signUp(t, first, "ann+found@gmail.com")
	type submissions struct{ Items []struct{ State string } }
	await(t, "the paid call", func() bool {
		var l submissions
		call(t, "GET", first.URL()+"/api/v1/submissions?state=sending", "", &l)
		return len(l.Items) == 1
	})
	first.halt(t)
	ledger, err := control.Ledger(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if ledger.Fired[simulator.ActionSlowDrip] == 0 {
		t.Fatal("the call was not slow: the stop met nothing")
	}

	second := start(t, Config{Settings: s})
	var l submissions
	call(t, "GET", second.URL()+"/api/v1/submissions", "", &l)
	if len(l.Items) != 1 || l.Items[0].State != "accepted" && l.Items[0].State != "settled" {
		t.Errorf("submissions %+v, want one accepted", l.Items)
	}
	second.halt(t)
}

func TestProfilesAreForLoopbackOnly(t *testing.T) {
	s := settings(t, "http://127.0.0.1:1/api/v2")
	local := start(t, Config{Settings: s})
	defer local.halt(t)
	s.AdminAddr, s.DatabaseURL = "0.0.0.0:0", "sqlite:"+t.TempDir()+"/liwanag.db"
	open := start(t, Config{Settings: s})
	defer open.halt(t)
	for _, test := range []struct {
		r          *running
		path, host string
		want       int
	}{
		{local, "/metrics", "", 200}, {local, "/debug/pprof/heap", "", 200}, {local, "/debug/pprof/heap", "rebound.example:80", 403},
		{local, "/debug/pprof/cmdline", "", 404}, {open, "/metrics", "", 200}, {open, "/debug/pprof/heap", "", 404},
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, test.r.AdminURL()+test.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = test.host
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != test.want {
			t.Errorf("%s of %s as %q: status %d, want %d", test.path, test.r.AdminURL(), test.host, answer.StatusCode, test.want)
		}
	}
}

func TestASecondServerIsRefusedAndLeavesNothingOpen(t *testing.T) {
	s := settings(t, "http://127.0.0.1:1/api/v2")
	first := start(t, Config{Settings: s})
	taken := s
	taken.Addr = strings.TrimPrefix(first.URL(), "http://")
	if _, err := New(t.Context(), Config{Settings: taken}); err == nil || !strings.Contains(err.Error(), "in use") ||
		!strings.Contains(err.Error(), "Try: ") {
		t.Errorf("the same address: %v", err)
	}
	admin := s
	admin.AdminAddr = strings.TrimPrefix(first.AdminURL(), "http://")
	if _, err := New(t.Context(), Config{Settings: admin}); err == nil || !strings.Contains(err.Error(), "LIWANAG_ADMIN_ADDR=off") {
		t.Errorf("the same admin address: %v", err)
	}
	if _, err := New(t.Context(), Config{Settings: s}); err == nil || !strings.Contains(err.Error(), "holds") {
		t.Errorf("the same database: %v", err)
	}
	first.halt(t)
	again := start(t, Config{Settings: s})
	again.halt(t)
}

func TestWrongSettingsAreUsageErrors(t *testing.T) {
	for what, change := range map[string]func(*config.Settings){
		"LIWANAG_API_KEY":       func(s *config.Settings) { s.Addr = "0.0.0.0:0" },
		"batch-size":            func(s *config.Settings) { s.BatchSize = 101 },
		"schedule":              func(s *config.Settings) { s.Schedule = "61 * * * *" },
		"never fires":           func(s *config.Settings) { s.Schedule = "0 0 30 2 *" },
		"API key has":           func(s *config.Settings) { s.FullEnrichAPIKey = config.NewSecret("two words") },
		"personal-domains-file": func(s *config.Settings) { s.PersonalDomainsFile = "missing.txt" },
	} {
		s := settings(t, "http://127.0.0.1:1/api/v2")
		change(&s)
		_, err := New(t.Context(), Config{Settings: s})
		if usage := new(UsageError); !errors.As(err, &usage) || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestTheServerSaysWhatHardlyWorks(t *testing.T) {
	s := settings(t, "https://app.fullenrich.com/api/v2")
	s.FullEnrichAPIKey = config.Secret{}
	a, err := New(t.Context(), Config{Settings: s})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	text := strings.Join(a.Warnings(), "\n")
	for _, want := range []string{"LIWANAG_PUBLIC_URL", "FULLENRICH_API_KEY"} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in the warnings: %s", want, text)
		}
	}
}

// lockedBuffer is a buffer for several writers.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestTheKeyIsCheckedAtStartAndAWrongOneStopsNothing(t *testing.T) {
	base, _ := startSimulator(t, 200)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + closed.Addr().String() + "/api/v2"
	closed.Close()
	for want, change := range map[string]func(*config.Settings){
		"FullEnrich confirms the key": func(*config.Settings) {},
		"FullEnrich refuses the key":  func(s *config.Settings) { s.FullEnrichAPIKey = config.NewSecret("canary-secret-key") },
		"FullEnrich cannot be asked":  func(s *config.Settings) { s.FullEnrichBaseURL = nobody },
	} {
		s := settings(t, base)
		change(&s)
		var out lockedBuffer
		log, err := telemetry.NewLogger(telemetry.LogConfig{Out: &out, Format: "text", Level: "debug"})
		if err != nil {
			t.Fatal(err)
		}
		r := start(t, Config{Settings: s, Log: log})
		await(t, want, func() bool { return strings.Contains(out.String(), want) })
		signUp(t, r, "canary.person@gmail.com")
		r.halt(t)
		for _, secret := range []string{s.FullEnrichAPIKey.Reveal(), "canary.person"} {
			if strings.Contains(out.String(), secret) {
				t.Errorf("%s is in the log:\n%s", secret, out.String())
			}
		}
	}
}

func TestEndedRunsAreDeletedAfterTheirRetention(t *testing.T) {
	base, _ := startSimulator(t, 200)
	var ahead atomic.Int64
	r := start(t, Config{Settings: settings(t, base), Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	person := signUp(t, r, "ann+found@gmail.com")
	awaitStatus(t, r, person.SubscriberID, "enriched")
	sink, message := liwanag.NewID(liwanag.SinkKind), liwanag.NewID(liwanag.MessageKind)
	pass := liwanag.Pass{Hash: liwanag.Digest{1}, Kind: liwanag.PassSession, CreatedAt: time.Now(), ExpiresAt: time.Now().Add(720 * time.Hour)}
	if err := r.store.Write(t.Context(), func(tx *datastore.Tx) error {
		return errors.Join(tx.Sinks.Insert(liwanag.Sink{ID: sink, Disabled: true, CreatedAt: time.Now(), UpdatedAt: time.Now()}),
			tx.Messages.Insert([]liwanag.Message{{ID: message, SinkID: sink, State: liwanag.MessageDelivered,
				CreatedAt: time.Now(), EndedAt: time.Now()}}),
			tx.Passes.Insert(pass), tx.Acts.Insert(liwanag.Act{At: time.Now(), Actor: "key", Act: "run.cancel"}))
	}); err != nil {
		t.Fatal(err)
	}
	kept := func() string {
		_, ofMessage := r.store.Messages.Get(t.Context(), message)
		_, ofPass := r.store.Passes.Get(t.Context(), pass.Hash)
		acts, _, ofActs := r.store.Acts.List(t.Context(), liwanag.ActFilter{}, liwanag.Page{})
		return fmt.Sprint(ofMessage == nil, ofPass == nil, ofActs == nil && len(acts) == 1)
	}
	known := func() int { return call(t, "GET", r.URL()+"/api/v1/runs/"+person.RunID, "", nil) }
	await(t, "the run's end", func() bool {
		var run struct{ Status string }
		call(t, "GET", r.URL()+"/api/v1/runs/"+person.RunID, "", &run)
		return run.Status == "completed"
	})
	ahead.Store(int64(719 * time.Hour))
	if _, err := r.prune(t.Context()); err != nil || known() != http.StatusOK || kept() != "true true true" {
		t.Errorf("after 719 h: %v, status %d, message, session and act: %s", err, known(), kept())
	}
	ahead.Store(int64(721 * time.Hour))
	if _, err := r.prune(t.Context()); err != nil || known() != http.StatusNotFound || kept() != "false false true" {
		t.Errorf("after 721 h: %v, status %d, message, session and act: %s", err, known(), kept())
	}
	ahead.Store(int64(401 * 24 * time.Hour))
	if _, err := r.prune(t.Context()); err != nil || kept() != "false false false" {
		t.Errorf("after 401 days: %v, message, session and act: %s", err, kept())
	}
	if counts, err := r.store.Jobs.Count(t.Context()); err != nil || counts[liwanag.JobEnriched] != 1 {
		t.Errorf("jobs %v, %v: what was found must stay", counts, err)
	}
	r.halt(t)
}

// writes counts transactions.
type writes struct {
	datastore.Database
	n *atomic.Int64
}

func (w writes) Write(ctx context.Context, fn func(datastore.Writer) error) error {
	w.n.Add(1)
	return w.Database.Write(ctx, fn)
}

func TestWithNothingToDeleteRetentionAsksOnceForEachKind(t *testing.T) {
	base, _ := startSimulator(t, 200)
	a, err := New(t.Context(), Config{Settings: settings(t, base)})
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	a.store = a.store.Through(func(db datastore.Database) datastore.Database { return writes{db, &asked} })
	if _, err := a.prune(t.Context()); err != nil || asked.Load() != 3 {
		t.Errorf("%d transactions for webhooks out, sessions and the audit trail: %v", asked.Load(), err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}
