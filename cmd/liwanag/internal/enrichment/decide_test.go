package enrichment

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/paid"
)

func TestOnlyWithEvidenceIsASubmissionInDoubtSentAgain(t *testing.T) {
	sub := liwanag.Submission{State: liwanag.SubmissionAmbiguous, Cause: paid.CauseNoAnswer, SendingAt: noon, GraceUntil: noon.Add(time.Hour)}
	reached := liwanag.Evidence{Reaches: []liwanag.Reach{{Since: noon, Until: noon.Add(time.Hour)}}}
	for name, tc := range map[string]struct {
		cfg  Config
		want string
	}{
		"both loopback":         {Config{PublicURL: "http://127.0.0.1:8484", BaseURL: "http://localhost:9000/api/v2"}, ""},
		"only ours is loopback": {Config{PublicURL: "http://127.0.0.1:8484"}, paid.CauseUnproven},
		"public":                {Config{PublicURL: "https://liwanag.example"}, paid.CauseUnproven},
		"policy":                {Config{PublicURL: "http://127.0.0.1:8484", BaseURL: "http://localhost:9000/api/v2", OnAmbiguous: Hold}, paid.CausePolicy},
	} {
		e := &Enricher{cfg: tc.cfg.withDefaults()}
		if got := e.judge(sub, false, reached); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

func TestTheFollowScheduleLooksAtGraceAndAtOffsets(t *testing.T) {
	cfg := Config{}.withDefaults()
	first, _ := liwanag.IDFromBytes(liwanag.SubmissionKind, append([]byte{1}, make([]byte, 15)...))
	minutes := func(s Submission) []time.Duration { return cfg.followSchedule(s).Offsets }
	plain := []time.Duration{10 * time.Minute, 20 * time.Minute, 40 * time.Minute, time.Hour}
	if diff := cmp.Diff(plain, minutes(Submission{SubmissionID: first, EnrichmentID: enrichmentA})); diff != "" {
		t.Errorf("accepted: %s", diff)
	}
	doubt := []time.Duration{10 * time.Minute, 20 * time.Minute, 40 * time.Minute, 59 * time.Minute, time.Hour}
	if diff := cmp.Diff(doubt, minutes(Submission{SubmissionID: first, Grace: 59 * time.Minute})); diff != "" {
		t.Errorf("ambiguous: %s", diff)
	}
	settled := append([]time.Duration{time.Second}, plain...)
	if diff := cmp.Diff(settled, minutes(Submission{SubmissionID: first, EnrichmentID: enrichmentA, Settled: true})); diff != "" {
		t.Errorf("settled: %s", diff)
	}
	last, _ := liwanag.IDFromBytes(liwanag.SubmissionKind, append(append([]byte{1}, make([]byte, 14)...), 255))
	if got := minutes(Submission{SubmissionID: last, EnrichmentID: enrichmentA})[0]; got <= 10*time.Minute || got > 11*time.Minute {
		t.Errorf("the spread is %s, want up to a tenth", got)
	}
}

func TestWithoutAWayInTheFirstFetchComesAfterTwoMinutes(t *testing.T) {
	cfg := Config{PublicURL: "http://127.0.0.1:8484"}.withDefaults()
	if cfg.FetchSchedule[0] != 2*time.Minute {
		t.Errorf("first fetch after %s", cfg.FetchSchedule[0])
	}
	cfg = Config{PublicURL: "http://127.0.0.1:8484", BaseURL: "http://127.0.0.1:9/api/v2"}.withDefaults()
	if cfg.FetchSchedule[0] != 10*time.Minute {
		t.Errorf("first fetch from the simulator after %s", cfg.FetchSchedule[0])
	}
}

func TestConfigNamesEveryFault(t *testing.T) {
	if err := (Config{}).Validate(); err != nil {
		t.Errorf("the zero value: %v", err)
	}
	err := Config{BatchSize: 101, CallsPerMinute: -1, CreditBudget: -1, PaidRetry: "often", OnAmbiguous: "guess",
		AmbiguityGrace: -1, ReuseNotFound: -1, FetchSchedule: []time.Duration{0}, PublicURL: "liwanag.example"}.Validate()
	for _, want := range []string{"batch size 101", "calls per minute", "credit budget", "often", "guess",
		"ambiguity grace", "fetch schedule", "public URL"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %q", err, want)
		}
	}
	if err := (Config{BatchSize: 100, MaxInFlight: 50}).Validate(); err == nil {
		t.Error("a cap below the batch size would never send")
	}
}

func TestTheProbeTakesOnlyAHealthyAnswerForReachable(t *testing.T) {
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			t.Errorf("probed %s", r.URL.Path)
		}
		w.WriteHeader(status)
	}))
	defer server.Close()
	probe := probeOver(server.Client(), server.URL)
	if err := probe(t.Context()); err != nil {
		t.Errorf("healthy: %v", err)
	}
	status = http.StatusBadGateway
	if err := probe(t.Context()); err == nil {
		t.Error("a proxy's 502 counts as reachable")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + listener.Addr().String()
	listener.Close()
	if err := probeOver(http.DefaultClient, closed)(t.Context()); err == nil {
		t.Error("a closed port counts as reachable")
	}
}

func TestRetriesOfTransientFailuresGrowToSixHours(t *testing.T) {
	want := []time.Duration{5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 40 * time.Minute, 80 * time.Minute,
		160 * time.Minute, 320 * time.Minute, 6 * time.Hour}
	for n, d := range want {
		if got := retryAfterFailure(n); got != d {
			t.Errorf("after %d: %s, want %s", n, got, d)
		}
	}
}
