package enrichment

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/liwanag/liwanag/fullenrich"
	"github.com/liwanag/liwanag/internal/liwanag"
)

func TestClassifyTellsRefusedFromUnknown(t *testing.T) {
	answer := func(outcome fullenrich.Outcome, status int, envelope bool, err error) *fullenrich.Error {
		return &fullenrich.Error{Op: "submit", Outcome: outcome, Status: status, Envelope: envelope, Err: err}
	}
	refused, ambiguous := fullenrich.OutcomeRefused, fullenrich.OutcomeAmbiguous
	for name, tc := range map[string]struct {
		id               string
		answer           *fullenrich.Error
		standard, strict liwanag.SubmissionState
	}{
		"accepted":              {enrichmentA, nil, "accepted", "accepted"},
		"never connected":       {"", answer(fullenrich.OutcomeNotSent, 0, false, errors.New("dial")), "refused", "refused"},
		"400":                   {"", answer(refused, 400, true, nil), "refused", "refused"},
		"429":                   {"", answer(refused, 429, true, nil), "refused", "refused"},
		"5xx with envelope":     {"", answer(refused, 503, true, nil), "refused", "refused"},
		"5xx without":           {"", answer(refused, 502, false, nil), "refused", "ambiguous"},
		"timeout":               {"", answer(ambiguous, 0, false, context.DeadlineExceeded), "ambiguous", "ambiguous"},
		"2xx without id":        {"", answer(ambiguous, 200, false, fullenrich.ErrNoEnrichmentID), "ambiguous", "ambiguous"},
		"an id that is taken":   {"", answer(ambiguous, 0, false, errIDTaken), "ambiguous", "ambiguous"},
		"too late after commit": {"", answer(ambiguous, 0, false, fullenrich.ErrStale), "ambiguous", "ambiguous"},
		"nothing at all":        {"", nil, "ambiguous", "ambiguous"},
	} {
		if got, _ := classify(tc.id, tc.answer, Standard); got != tc.standard {
			t.Errorf("%s, standard: %s, want %s", name, got, tc.standard)
		}
		if got, _ := classify(tc.id, tc.answer, Strict); got != tc.strict {
			t.Errorf("%s, strict: %s, want %s", name, got, tc.strict)
		}
	}
}

func TestOnlyWithEvidenceIsASubmissionInDoubtSentAgain(t *testing.T) {
	sub := liwanag.Submission{State: liwanag.SubmissionAmbiguous, Cause: causeNoAnswer, SendingAt: noon, GraceUntil: noon.Add(time.Hour)}
	proven := noon.Add(-24 * time.Hour)
	all := []liwanag.Reach{{Since: noon.Add(-time.Hour), Until: noon.Add(time.Hour)}}
	public := Config{PublicURL: "https://liwanag.example", BaseURL: fullenrich.DefaultBaseURL, OnAmbiguous: Resubmit}
	both := Config{PublicURL: "http://127.0.0.1:8484", BaseURL: "http://localhost:9000/api/v2", OnAmbiguous: Resubmit}
	half := Config{PublicURL: "http://127.0.0.1:8484", BaseURL: fullenrich.DefaultBaseURL, OnAmbiguous: Resubmit}
	hold := public
	hold.OnAmbiguous = Hold
	for name, tc := range map[string]struct {
		cfg      Config
		evidence liwanag.Evidence
		cause    string
		second   bool
		want     verdict
	}{
		"all evidence":           {public, liwanag.Evidence{ProvenAt: proven, Reaches: all}, causeNoAnswer, false, verdict{resubmit: true}},
		"never proven":           {public, liwanag.Evidence{Reaches: all}, causeNoAnswer, false, verdict{cause: causeUnproven}},
		"both loopback":          {both, liwanag.Evidence{Reaches: all}, causeNoAnswer, false, verdict{resubmit: true}},
		"only ours is loopback":  {half, liwanag.Evidence{Reaches: all}, causeNoAnswer, false, verdict{cause: causeUnproven}},
		"no probe":               {public, liwanag.Evidence{ProvenAt: proven}, causeNoAnswer, false, verdict{cause: causeUnreachable}},
		"2xx with a taken id":    {public, liwanag.Evidence{ProvenAt: proven, Reaches: all}, causeIDTaken, false, verdict{cause: causeIDTaken}},
		"2xx without id":         {public, liwanag.Evidence{ProvenAt: proven, Reaches: all}, causeNoID, false, verdict{cause: causeNoID}},
		"policy":                 {hold, liwanag.Evidence{ProvenAt: proven, Reaches: all}, causeNoAnswer, false, verdict{cause: causePolicy}},
		"it is the resubmission": {public, liwanag.Evidence{ProvenAt: proven, Reaches: all}, causeNoAnswer, true, verdict{cause: causeTwice}},
		"a gap of a minute": {public, liwanag.Evidence{ProvenAt: proven, Reaches: []liwanag.Reach{
			{Since: noon.Add(time.Minute), Until: noon.Add(59 * time.Minute)}}}, causeNoAnswer, false, verdict{resubmit: true}},
		"a longer gap in the middle": {public, liwanag.Evidence{ProvenAt: proven, Reaches: []liwanag.Reach{
			{Since: noon, Until: noon.Add(30 * time.Minute)}, {Since: noon.Add(32 * time.Minute), Until: noon.Add(time.Hour)}}},
			causeNoAnswer, false, verdict{cause: causeUnreachable}},
		"a longer gap at the end": {public, liwanag.Evidence{ProvenAt: proven, Reaches: []liwanag.Reach{
			{Since: noon, Until: noon.Add(58 * time.Minute)}}}, causeNoAnswer, false, verdict{cause: causeUnreachable}},
		"a longer gap at the start": {public, liwanag.Evidence{ProvenAt: proven, Reaches: []liwanag.Reach{
			{Since: noon.Add(2 * time.Minute), Until: noon.Add(time.Hour)}}}, causeNoAnswer, false, verdict{cause: causeUnreachable}},
	} {
		sub.Cause = tc.cause
		if got := judge(sub, tc.second, tc.evidence, tc.cfg); got != tc.want {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
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
		AmbiguityGrace: -1, FetchSchedule: []time.Duration{0}, PublicURL: "liwanag.example"}.Validate()
	for _, want := range []string{"batch size 101", "calls per minute", "credit budget", "often", "guess", "ambiguity grace", "fetch schedule", "public URL"} {
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
	want := []time.Duration{5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 40 * time.Minute, 80 * time.Minute, 160 * time.Minute, 320 * time.Minute, 6 * time.Hour}
	for n, d := range want {
		if got := retryAfterFailure(n); got != d {
			t.Errorf("after %d: %s, want %s", n, got, d)
		}
	}
}
