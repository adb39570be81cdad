package enrichment_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich"
	"github.com/liwanag/liwanag/fullenrich/simulator"
)

// taken is FullEnrich answering with the id of another submission.
type taken struct{ *fullenrich.Client }

func (p taken) Submit(context.Context, fullenrich.SubmitRequest) (string, error) {
	return someEnrichment, nil
}

// before puts something before FullEnrich's client.
func (w *world) before(partner func(*fullenrich.Client) enrichment.Partner) {
	w.t.Helper()
	w.stop()
	w.partner = partner
	w.boot()
}

// Every row of the table of answers: what it makes of a submission, and the cause
// that is kept with it.
func TestAnAnswerIsKeptWithItsCause(t *testing.T) {
	fault := func(f simulator.Fault) func(*world) { return func(w *world) { f.Count = 1; w.fault(f) } }
	refuse := func(status int, code string) func(*world) {
		return fault(simulator.Fault{Action: simulator.ActionRefuse, Status: status, Code: code})
	}
	for name, tc := range map[string]struct {
		meet   func(w *world)
		policy enrichment.PaidRetry
		state  liwanag.SubmissionState
		cause  string
	}{
		"no id":     {meet: fault(simulator.Fault{Action: simulator.ActionAnswerWithoutID}), state: "ambiguous", cause: "no_id"},
		"no answer": {meet: fault(simulator.Fault{Action: simulator.ActionResetWithoutAccepting}), state: "ambiguous", cause: "no_answer"},
		"taken id": {meet: func(w *world) {
			w.before(func(c *fullenrich.Client) enrichment.Partner { return taken{c} })
			w.signUp(ben)
			w.sleep(5 * time.Second)
		}, state: "ambiguous", cause: "id_taken"},
		"invalid request": {meet: func(w *world) {
			w.before(func(c *fullenrich.Client) enrichment.Partner { return careless{c} })
		}, state: "refused", cause: "invalid_request"},
		"no connection": {meet: func(w *world) { w.out = &refusingDial{n: 1, next: w.out} }, state: "refused", cause: "connect"},
		"stale":         {meet: func(w *world) { w.life.store.pauseAfter("submission.sending", 11*time.Second) }, state: "ambiguous", cause: "stale"},
		"own 5xx":       {meet: fault(simulator.Fault{Action: simulator.ActionRefuse5xx, Status: 503, Code: "error.internal"}), state: "refused", cause: "http_503"},
		"5xx, standard": {meet: fault(simulator.Fault{Action: simulator.ActionRefuse5xx, Status: 502}), state: "refused", cause: "http_502_not_confirmed"},
		"5xx, strict":   {meet: fault(simulator.Fault{Action: simulator.ActionRefuse5xx, Status: 502}), policy: enrichment.Strict, state: "ambiguous", cause: "http_502"},
		"busy":          {meet: fault(simulator.Fault{Action: simulator.ActionStorm429, Method: http.MethodPost}), state: "refused", cause: "http_429"},
		"key":           {meet: refuse(401, "error.api.key"), state: "refused", cause: "http_401"},
		"credits":       {meet: refuse(402, ""), state: "refused", cause: "http_402"},
		"address":       {meet: refuse(400, fullenrich.CodeEmailInvalid), state: "refused", cause: "http_400"},
		"fault":         {meet: refuse(410, ""), state: "refused", cause: "http_410"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, enrichment.Config{PaidRetry: tc.policy}, simulator.Config{}, func(w *world) {
				w.fault(simulator.Fault{Action: simulator.ActionContactNever})
				tc.meet(w)
				run := w.signUp(ana)[0]
				w.sleep(20 * time.Second)
				if sub := w.submissions(run)[0]; sub.State != tc.state || sub.Cause != tc.cause {
					t.Errorf("%s %q, want %s %q", sub.State, sub.Cause, tc.state, tc.cause)
				}
			})
		})
	}
}

// A submission that finds the breaker open after its commit was not tried: it uses
// no attempt.
func TestABreakerThatOpensAfterTheCommitUsesNoAttempt(t *testing.T) {
	inWorld(t, enrichment.Config{BatchSize: 1, CallsPerMinute: 600}, simulator.Config{}, func(w *world) {
		w.fault(simulator.Fault{Action: simulator.ActionRefuse5xx, Status: 503, Code: "error.internal", For: 30 * time.Second})
		w.life.store.pauseAfter("submission.sending", 8*time.Second)
		run := w.signUp(ana)[0]
		w.sleep(3 * time.Second)
		var others []string
		for i := range 10 {
			others = append(others, fmt.Sprintf("p%02d+found@example.net", i))
		}
		w.signUp(others...)
		for i := 0; i < 100 && w.submissions(run)[0].State == liwanag.SubmissionSending; i++ {
			w.sleep(100 * time.Millisecond)
		}
		if sub := w.wantSubmissions(run, liwanag.SubmissionRefused)[0]; sub.Cause != "breaker_open" {
			t.Errorf("cause %q", sub.Cause)
		}
		batch, err := w.life.store.Batches.Get(context.Background(), run)
		w.must(err)
		if batch.Waiting != liwanag.WaitingUnavailable {
			t.Errorf("its run waits for %q", batch.Waiting)
		}
		w.sleep(10 * time.Minute)
		w.wantJob(ana, liwanag.JobEnriched, "")
		w.wantPaidOnce()
	})
}
