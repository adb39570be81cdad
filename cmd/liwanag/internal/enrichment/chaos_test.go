package enrichment_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich/simulator"
)

// nemesis are the ways in which FullEnrich may go wrong.
var nemesis = []simulator.Action{
	simulator.ActionAcceptThen502, simulator.ActionAcceptThenReset, simulator.ActionAcceptThenHang, simulator.ActionRefuse5xx,
	simulator.ActionResetWithoutAccepting, simulator.ActionHangWithoutAccepting, simulator.ActionAnswerWithoutID,
	simulator.ActionAnswerTruncated, simulator.ActionWebhookBeforeAnswer, simulator.ActionWebhookNever, simulator.ActionWebhookLate,
	simulator.ActionWebhookDuplicate, simulator.ActionContactNever, simulator.ActionContactAfterBatch, simulator.ActionSignatureWrong,
	simulator.ActionTokenWrong, simulator.ActionStatusUnknown, simulator.ActionStatusRateLimit, simulator.ActionGet5xx,
	simulator.ActionGetReset, simulator.ActionGet404, simulator.ActionStorm429, simulator.ActionRowsExtra,
}

// strike scripts one of them, a few times.
func (w *world) strike(action simulator.Action, r *rand.Rand) {
	f := simulator.Fault{Action: action, Count: 1 + r.IntN(3)}
	switch action {
	case simulator.ActionWebhookLate:
		f.Delay = time.Duration(1+r.IntN(120)) * time.Minute
	case simulator.ActionWebhookDuplicate:
		f.Times = 3
	case simulator.ActionRefuse5xx:
		f.Status = 503
	case simulator.ActionStorm429:
		f.Method = "POST"
	case simulator.ActionGet404, simulator.ActionGet5xx, simulator.ActionGetReset:
		w.fault(simulator.Fault{Action: simulator.ActionWebhookNever, Count: 1}) // or nobody fetches
	}
	w.fault(f)
}

// kills are transactions at which a process may end.
var kills = []string{"submission.insert", "submission.sending", "submission.accepted", "submission.ambiguous", "submission.refused",
	"submission.superseded", "delivery.insert", "delivery.sent", "delivery.settled", "submission.settled"}

// Whatever FullEnrich does and whenever we are killed: nobody is lost, what was
// found is applied, the books agree, and nobody is paid for more often than the
// policy allows.
func TestWhateverHappensNobodyIsLost(t *testing.T) {
	takesSeconds(t)
	fired, killed := map[simulator.Action]int{}, 0
	for which, policy := range []enrichment.PaidRetry{enrichment.Standard, enrichment.Strict} {
		for seed := range uint64(20) {
			t.Run(fmt.Sprintf("%s/%d", policy, seed), func(t *testing.T) {
				nodes := 1 + int(seed%2)
				onNodes(t, nodes, watchful(enrichment.Config{PaidRetry: policy, ProbeEvery: 50 * time.Second}),
					simulator.Config{Seed: int64(seed)}, func(w *world) {
						r := rand.New(rand.NewPCG(seed, 7))
						w.strike(nemesis[(2*int(seed)+which)%len(nemesis)], r)
						emails := w.havoc(r)
						w.must(w.sim.ClearFaults(""))
						w.calm(8 * time.Hour)
						w.wantLaws(policy, emails)
						for action, n := range w.sim.Ledger().Fired {
							fired[action] += n
						}
						killed += w.deaths
					})
			})
		}
	}
	// A nemesis that never struck proves nothing.
	for _, action := range nemesis {
		if fired[action] == 0 {
			t.Errorf("the fault %s never fired", action)
		}
	}
	if killed == 0 {
		t.Error("no process was ever killed")
	}
}

// havoc signs people up while faults and kills happen.
func (w *world) havoc(r *rand.Rand) []string {
	var emails []string
	for range r.IntN(4) {
		w.strike(nemesis[r.IntN(len(nemesis))], r)
	}
	for group := range 3 {
		if r.IntN(2) == 0 {
			when := []moment{beforeCommit, afterCommit}[r.IntN(2)]
			w.life.store.killAt(when, kills[r.IntN(len(kills))])
		}
		var people []string
		for i := range 1 + r.IntN(5) {
			people = append(people, fmt.Sprintf("g%dp%d+%s@example.net", group, i, []string{"found", "notfound"}[r.IntN(2)]))
		}
		w.signUp(people...)
		emails = append(emails, people...)
		w.calm(time.Duration(1+r.IntN(40)) * time.Minute)
	}
	return emails
}

// calm lets time pass, and starts a new process when one was killed.
func (w *world) calm(d time.Duration) {
	w.t.Helper()
	end := time.Now().Add(d)
	for time.Now().Before(end) {
		select {
		case <-w.life.store.killed:
			w.deaths++
			w.stop()
			w.boot()
		case <-time.After(min(time.Until(end), 10*time.Second)):
		}
	}
}

func (w *world) wantLaws(policy enrichment.PaidRetry, emails []string) {
	w.t.Helper()
	accepted, found := map[string]int{}, map[string]bool{}
	for _, s := range w.sim.Ledger().Submissions {
		for _, rec := range s.Records {
			accepted[rec.Email]++
			found[rec.Email] = found[rec.Email] || rec.Status == "found"
		}
	}
	most := map[enrichment.PaidRetry]int{enrichment.Strict: 2, enrichment.Standard: 6}[policy]
	for _, e := range emails {
		j := w.job(e)
		switch j.Status {
		case liwanag.JobEnriched, liwanag.JobNotFound:
			if found[e] != (j.Status == liwanag.JobEnriched) {
				w.t.Errorf("%s is %s, FullEnrich found: %v", e, j.Status, found[e])
			}
		case liwanag.JobHeld:
			if j.Failure.Code == "" {
				w.t.Errorf("%s is held without a reason", e)
			}
		default:
			w.t.Errorf("%s is %s %q after eight hours of calm", e, j.Status, j.Failure.Code)
		}
		if accepted[e] > most {
			w.t.Errorf("%s was accepted %d times under %s", e, accepted[e], policy)
		}
		if accepted[e] > 1 && policy == enrichment.Strict && w.meter.get("resubmitted") == 0 {
			w.t.Errorf("%s was accepted %d times although nothing was resubmitted", e, accepted[e])
		}
	}
	var jobs, subs int64
	for _, e := range emails {
		of, err := w.life.store.Jobs.OfSubscriber(context.Background(), w.subscriber(e).ID)
		w.must(err)
		for _, j := range of {
			jobs += j.Credits
		}
	}
	list, _, err := w.life.store.Submissions.List(context.Background(), liwanag.SubmissionFilter{}, liwanag.Page{Limit: 500})
	w.must(err)
	for _, s := range list {
		subs += s.Credits
		if s.State == liwanag.SubmissionSending || s.State == liwanag.SubmissionPrepared {
			w.t.Errorf("submission %s is still %s", s.ID, s.State)
		}
	}
	if jobs != subs {
		w.t.Errorf("jobs cost %d, submissions %d", jobs, subs)
	}
}
