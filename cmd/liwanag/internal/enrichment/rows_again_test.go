package enrichment_test

import (
	"context"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich"
	"github.com/liwanag/liwanag/fullenrich/simulator"
)

// An answer means the same to a first submission and to a resubmission.

// answered lets the answer meet a submission of ana and ben:
// their first, or the resubmission of one whose answer was lost.
var answered = map[string]func(w *world, answer func()) liwanag.ID{
	"first": func(w *world, answer func()) liwanag.ID {
		answer()
		return w.signUp(ana, ben)[0]
	},
	"resubmission": func(w *world, answer func()) liwanag.ID {
		w.fault(simulator.Fault{Action: simulator.ActionResetBeforeReading, Count: 1})
		run := w.signUp(ana, ben)[0]
		w.sleep(10 * time.Second)
		w.wantSubmissions(run, liwanag.SubmissionAmbiguous)
		answer()
		w.sleep(time.Hour)
		return run
	},
}

func (w *world) spending() liwanag.Spending {
	w.t.Helper()
	s, err := w.life.store.Ledger.Spending(context.Background())
	w.must(err)
	return s
}

func TestRow05_ARefusedAddressMeansTheSameToAResubmission(t *testing.T) {
	for _, code := range []string{"error.reverse.email.invalid", "error.reverse.email.empty", "error.reverse.email.blocked"} {
		for kind, meet := range answered {
			t.Run(code+" "+kind, func(t *testing.T) {
				inWorld(t, watchful(enrichment.Config{}), simulator.Config{}, func(w *world) {
					meet(w, func() {
						w.fault(simulator.Fault{Action: simulator.ActionRefuse, Status: 400, Code: code, Email: "ana"})
					})
					w.sleep(2 * time.Hour)
					if s := w.spending(); s.Paused {
						t.Errorf("an address paused all spending: %s", s.Note)
					}
					w.wantJob(ana, liwanag.JobFailed, liwanag.CodeInvalidEmail)
					w.wantJob(ben, liwanag.JobNotFound, "")
					w.wantFired(simulator.ActionRefuse)
					w.wantPaidOnce()
				})
			})
		}
	}
}

func TestRow05a_WhatConcernsEveryBatchPausesSpendingAfterAResubmissionToo(t *testing.T) {
	takesSeconds(t)
	refuse := func(status int, code string) func(w *world) {
		return func(w *world) { w.fault(simulator.Fault{Action: simulator.ActionRefuse, Status: status, Code: code}) }
	}
	for name, tc := range map[string]struct {
		answer func(w *world)
		reason liwanag.Waiting
	}{
		"moved":       {refuse(301, ""), liwanag.WaitingPaused},
		"redirected":  {refuse(307, ""), liwanag.WaitingPaused},
		"another 400": {refuse(400, "error.enrichment.webhook_url"), liwanag.WaitingPaused},
		"gone":        {refuse(410, ""), liwanag.WaitingPaused},
		"key":         {refuse(401, "error.api.key"), liwanag.WaitingKey},
		"credits":     {refuse(402, ""), liwanag.WaitingCredits},
		"invalid request": {func(w *world) { // our client does not send it
			w.stop()
			w.partner = func(c *fullenrich.Client) enrichment.Partner { return careless{c} }
			w.boot()
		}, liwanag.WaitingPaused},
	} {
		for kind, meet := range answered {
			t.Run(name+" "+kind, func(t *testing.T) {
				inWorld(t, watchful(enrichment.Config{}), simulator.Config{}, func(w *world) {
					run := meet(w, func() { tc.answer(w) })
					for i := 0; i < 110 && !w.spending().Paused; i++ { // the balance check ends a pause for credits
						w.sleep(6 * time.Second)
					}
					if s := w.spending(); !s.Paused || s.Reason != tc.reason {
						t.Errorf("spending %+v, want a pause for %q", s, tc.reason)
					}
					w.wantJob(ana, liwanag.JobPending, "")
					w.wantJob(ben, liwanag.JobPending, "")
					if subs := w.submissions(run); subs[len(subs)-1].State != liwanag.SubmissionRefused {
						t.Errorf("the last submission is %s", subs[len(subs)-1].State)
					}
					w.wantAccepted(0, ana, ben)
				})
			})
		}
	}
}

func TestRow06_ABusyFullEnrichSaysWhenAResubmissionIsTriedAgain(t *testing.T) {
	inWorld(t, watchful(enrichment.Config{}), simulator.Config{}, func(w *world) {
		run := answered["resubmission"](w, func() {
			w.fault(simulator.Fault{Action: simulator.ActionStorm429, Method: "POST", RetryAfter: "1800", Count: 1})
		})
		w.sleep(40 * time.Minute)
		w.wantFired(simulator.ActionStorm429)
		subs := w.wantSubmissions(run, liwanag.SubmissionSuperseded, liwanag.SubmissionRefused, liwanag.SubmissionSettled)
		if gap := subs[2].SendingAt.Sub(subs[1].SendingAt); gap < 30*time.Minute {
			t.Errorf("tried again after %s, FullEnrich asked for 30m", gap)
		}
		w.wantPaidOnce()
	})
}
