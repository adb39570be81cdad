package enrichment_test

import (
	"context"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich/simulator"
	"github.com/liwanag/liwanag/workflow"
)

// The rows of the failure table that begin with the result, or with its absence.

func (w *world) silence() {
	w.fault(simulator.Fault{Action: simulator.ActionContactNever, Count: 1})
	w.fault(simulator.Fault{Action: simulator.ActionWebhookNever, Count: 1})
}

func TestRow13_WebhookLostIDKnown(t *testing.T) {
	underBoth(t, enrichment.Config{}, func(w *world) {
		w.silence()
		run := w.signUp(ana)[0]
		w.sleep(9 * time.Minute)
		w.wantSubmissions(run, liwanag.SubmissionAccepted)
		w.wantReserved(1)
		w.sleep(3 * time.Minute)
		w.wantSubmissions(run, liwanag.SubmissionSettled)
		w.wantJob(ana, liwanag.JobEnriched, "")
		w.wantRun(run, workflow.StatusCompleted)
		w.wantFired(simulator.ActionWebhookNever)
		w.wantPaidOnce()
	})
}

func TestRow14_EverythingLostIsSentOnceMore(t *testing.T) {
	underBoth(t, watchful(enrichment.Config{}), func(w *world) {
		w.fault(simulator.Fault{Action: simulator.ActionAcceptThenReset, Count: 1})
		w.silence()
		run := w.signUp(ana)[0]
		w.sleep(59 * time.Minute)
		w.wantSubmissions(run, liwanag.SubmissionAmbiguous)
		w.sleep(15 * time.Minute)
		subs := w.wantSubmissions(run, liwanag.SubmissionSuperseded, liwanag.SubmissionSettled)
		if subs[1].Supersedes != subs[0].ID {
			t.Error("the second payment is not linked to the first")
		}
		w.wantJob(ana, liwanag.JobEnriched, "")
		w.wantAccepted(2, ana) // G3 (a): possible, and at most one
		if w.meter.get("resubmitted") != 1 {
			t.Errorf("resubmitted %d times", w.meter.get("resubmitted"))
		}
	})
}

func TestRow14_TheResubmissionIsTheOnlyOne(t *testing.T) {
	underBoth(t, watchful(enrichment.Config{}), func(w *world) {
		w.fault(simulator.Fault{Action: simulator.ActionResetWithoutAccepting})
		run := w.signUp(ana)[0]
		w.sleep(4 * time.Hour)
		subs := w.wantSubmissions(run, liwanag.SubmissionSuperseded, liwanag.SubmissionHeld)
		if subs[1].Cause != "doubt_twice" {
			t.Errorf("held because of %q", subs[1].Cause)
		}
		w.wantJob(ana, liwanag.JobHeld, "doubt_twice")
	})
}

// heldInDoubt signs ana up: her submission may have been taken, and nothing tells.
func (w *world) heldInDoubt() (run, sub liwanag.ID) {
	w.fault(simulator.Fault{Action: simulator.ActionAcceptThenReset, Count: 1})
	w.silence()
	run = w.signUp(ana)[0]
	w.sleep(10 * time.Minute)
	w.setReachable(false)
	w.sleep(5 * time.Minute)
	w.setReachable(true)
	w.sleep(time.Hour)
	subs := w.wantSubmissions(run, liwanag.SubmissionHeld)
	w.wantJob(ana, liwanag.JobHeld, "unreachable")
	return run, subs[0].ID
}

func TestRow15_WithoutEvidenceTheOperatorDecides(t *testing.T) {
	ctx := context.Background()
	t.Run("adopt", func(t *testing.T) {
		underBoth(t, enrichment.Config{}, func(w *world) {
			run, sub := w.heldInDoubt()
			w.must(w.life.svc.Adopt(ctx, sub, w.sim.Ledger().Submissions[0].EnrichmentID))
			w.sleep(time.Second)
			w.wantJob(ana, liwanag.JobEnriched, "")
			w.wantRun(run, workflow.StatusCompleted)
			if err := w.life.svc.Adopt(ctx, sub, w.sim.Ledger().Submissions[0].EnrichmentID); liwanag.ClassOf(err) != liwanag.Conflict {
				t.Errorf("adopted again: %v", err)
			}
			w.wantPaidOnce()
		})
	})
	t.Run("resubmit", func(t *testing.T) {
		underBoth(t, enrichment.Config{}, func(w *world) {
			run, sub := w.heldInDoubt()
			w.must(w.life.svc.Resubmit(ctx, sub, "not in the dashboard"))
			w.sleep(5 * time.Minute)
			w.wantSubmissions(run, liwanag.SubmissionSuperseded, liwanag.SubmissionSettled)
			w.wantJob(ana, liwanag.JobEnriched, "")
			w.wantAccepted(2, ana) // it was there after all
		})
	})
	t.Run("fail", func(t *testing.T) {
		underBoth(t, enrichment.Config{}, func(w *world) {
			run, sub := w.heldInDoubt()
			w.must(w.life.svc.Fail(ctx, sub, "gave up"))
			w.wantReserved(0)
			w.wantSubmissions(run, liwanag.SubmissionSettled)
			w.sleep(time.Second)
			w.wantJob(ana, liwanag.JobFailed, liwanag.CodeOperatorFailed)
			w.wantRun(run, workflow.StatusFailed)
			// What was paid for is applied all the same.
			w.must(w.sim.ResendWebhook(w.sim.Ledger().Submissions[0].EnrichmentID))
			w.sleep(time.Minute)
			w.wantJob(ana, liwanag.JobEnriched, "")
			w.wantPaidOnce()
		})
	})
}

func TestRow15_TheOperatorDecidesAfterTheRunHasEnded(t *testing.T) {
	ctx := context.Background()
	t.Run("adopt", func(t *testing.T) {
		underBoth(t, enrichment.Config{WebhookTimeout: 2 * time.Hour}, func(w *world) {
			run, sub := w.heldInDoubt()
			w.sleep(2 * time.Hour)
			w.wantRun(run, workflow.StatusTimedOut)
			w.wantJob(ana, liwanag.JobHeld, "unreachable")
			w.must(w.life.svc.Adopt(ctx, sub, w.sim.Ledger().Submissions[0].EnrichmentID))
			w.sleep(time.Second)
			if j := w.wantJob(ana, liwanag.JobEnriched, ""); !j.Late {
				t.Error("the job does not say that it is late")
			}
			w.wantPaidOnce()
		})
	})
	t.Run("resubmit", func(t *testing.T) {
		underBoth(t, enrichment.Config{WebhookTimeout: 2 * time.Hour}, func(w *world) {
			run, sub := w.heldInDoubt()
			w.sleep(2 * time.Hour)
			w.must(w.life.svc.Resubmit(ctx, sub, "not in the dashboard"))
			w.sleep(10 * time.Minute)
			w.wantSubmissions(run, liwanag.SubmissionSuperseded, liwanag.SubmissionSettled)
			w.wantRun(run, workflow.StatusTimedOut)
			w.wantJob(ana, liwanag.JobEnriched, "")
		})
	})
}

func TestRow15_APublicAddressThatNeverWasProvenHolds(t *testing.T) {
	inWorld(t, enrichment.Config{OnAmbiguous: enrichment.Hold}, simulator.Config{}, func(w *world) {
		w.fault(simulator.Fault{Action: simulator.ActionResetWithoutAccepting, Count: 1})
		run := w.signUp(ana)[0]
		w.sleep(2 * time.Hour)
		w.wantSubmissions(run, liwanag.SubmissionHeld)
		w.wantReserved(1)
		w.wantAccepted(0, ana)
	})
}

func TestWhatCameBackForWantOfCreditsGoesOnWithSpending(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		w.fault(simulator.Fault{Action: simulator.ActionCreditsInsufficient, Count: 1})
		emails := []string{ana, cid, dea, "eli+found@example.net"}
		w.signUp(emails...)
		w.sleep(5 * time.Minute)
		w.must(w.life.svc.Resume(context.Background()))
		w.sleep(3 * time.Minute)
		for _, e := range emails {
			w.wantJob(e, liwanag.JobEnriched, "")
		}
		w.wantBooks()
	})
}

func TestRow18_CreditsRunOutPartWay(t *testing.T) {
	underBoth(t, enrichment.Config{}, func(w *world) {
		w.fault(simulator.Fault{Action: simulator.ActionCreditsInsufficient, Count: 1})
		emails := []string{ana, cid, dea, "eli+found@example.net"}
		run := w.signUp(emails...)[0]
		w.sleep(5 * time.Minute)
		enriched, pending := 0, 0
		for _, e := range emails {
			switch j := w.job(e); j.Status {
			case liwanag.JobEnriched:
				enriched++
			case liwanag.JobPending:
				pending++
				if !j.RunID.IsZero() {
					t.Errorf("%s is still in the batch of the run that has ended", e)
				}
			}
		}
		if enriched == 0 || pending == 0 || enriched+pending != len(emails) {
			t.Errorf("%d enriched, %d pending", enriched, pending)
		}
		w.wantRun(run, workflow.StatusCompleted)
		spending, err := w.life.store.Ledger.Spending(context.Background())
		w.must(err)
		if !spending.Paused || spending.Reason != liwanag.WaitingCredits {
			t.Errorf("the credit gate is open: %+v", spending)
		}
		runs, err := w.life.svc.RunScheduledBatch(context.Background(), false)
		w.must(err)
		if len(runs) != 1 {
			t.Fatalf("%d runs scheduled", len(runs))
		}
		w.sleep(time.Minute)
		w.wantRun(runs[0], workflow.StatusWaiting)
		w.sleep(30 * time.Minute)
		for _, e := range emails {
			w.wantJob(e, liwanag.JobEnriched, "")
		}
		w.wantFired(simulator.ActionCreditsInsufficient)
		w.wantBooks()
		if w.meter.get("duplicate") != 0 {
			t.Error("somebody was paid for twice")
		}
	})
}

var four = []string{ana, cid, dea, "eli+found@example.net"}

// count says how many of the four were found, and how many failed for good.
func (w *world) count(code string) (enriched, failed int) {
	for _, e := range four {
		switch j := w.job(e); {
		case j.Status == liwanag.JobEnriched:
			enriched++
		case j.Status == liwanag.JobFailed && j.Failure.Code == code && j.RetryAt.IsZero():
			failed++
		default:
			w.t.Errorf("%s is %s %q", e, j.Status, j.Failure.Code)
		}
	}
	return enriched, failed
}

func TestRow18a_CanceledOrIncomplete(t *testing.T) {
	t.Run("canceled", func(t *testing.T) {
		underBoth(t, enrichment.Config{}, func(w *world) {
			w.fault(simulator.Fault{Action: simulator.ActionStatusCanceled, Count: 1})
			run := w.signUp(four...)[0]
			w.sleep(5 * time.Minute)
			if enriched, failed := w.count(liwanag.CodeProviderCanceled); enriched == 0 || failed == 0 {
				t.Errorf("%d enriched, %d failed", enriched, failed)
			}
			w.wantRun(run, workflow.StatusCompleted)
			w.wantPaidOnce()
		})
	})
	t.Run("rows missing", func(t *testing.T) {
		underBoth(t, enrichment.Config{}, func(w *world) {
			w.fault(simulator.Fault{Action: simulator.ActionRowsMissing, Count: 1})
			w.signUp(four...)
			w.sleep(5 * time.Minute)
			if enriched, failed := w.count(liwanag.CodeMissingRecord); enriched != 3 || failed != 1 {
				t.Errorf("%d enriched, %d failed", enriched, failed)
			}
			w.wantBooks()
		})
	})
	t.Run("one record bad", func(t *testing.T) {
		underBoth(t, enrichment.Config{}, func(w *world) {
			w.fault(simulator.Fault{Action: simulator.ActionRecordBad, Email: "dea", Value: "anonymous"})
			w.signUp(four...)
			w.sleep(5 * time.Minute)
			if enriched, failed := w.count(liwanag.CodeMissingRecord); enriched != 3 || failed != 1 {
				t.Errorf("%d enriched, %d failed", enriched, failed)
			}
			if d := w.deliveries()[0]; d.State != liwanag.DeliveryQuarantined || d.Note != "foreign_record" {
				t.Errorf("the raw body is not kept: %s %q", d.State, d.Note)
			}
			w.wantFired(simulator.ActionRecordBad)
		})
	})
	t.Run("a foreign record", func(t *testing.T) {
		underBoth(t, enrichment.Config{}, func(w *world) {
			w.fault(simulator.Fault{Action: simulator.ActionRowsExtra, Count: 1})
			w.signUp(four...)
			w.sleep(5 * time.Minute)
			if enriched, _ := w.count(""); enriched != 4 {
				t.Errorf("%d enriched", enriched)
			}
			if d := w.deliveries()[0]; d.State != liwanag.DeliveryQuarantined || d.Note != "foreign_record" {
				t.Errorf("not quarantined: %s %q", d.State, d.Note)
			}
			w.wantBooks()
		})
	})
}

func TestRow19_WebhookAfterTheTimeout(t *testing.T) {
	underBoth(t, enrichment.Config{}, func(w *world) {
		w.fault(simulator.Fault{Action: simulator.ActionWebhookLate, Delay: 25 * time.Hour})
		w.fault(simulator.Fault{Action: simulator.ActionGet5xx, Status: 503, For: 30 * time.Hour})
		run := w.signUp(ana)[0]
		w.sleep(24*time.Hour + 10*time.Minute)
		w.wantRun(run, workflow.StatusTimedOut)
		w.wantJob(ana, liwanag.JobFailed, liwanag.CodeWebhookTimeout)
		w.wantSubmissions(run, liwanag.SubmissionAccepted)
		w.sleep(time.Hour)
		if j := w.wantJob(ana, liwanag.JobEnriched, ""); !j.Late {
			t.Error("the job does not say that it is late")
		}
		w.wantRun(run, workflow.StatusTimedOut)
		w.wantFired(simulator.ActionWebhookLate, simulator.ActionGet5xx)
		w.wantPaidOnce()
	})
}

func TestRow19_TheSweepGoesOnFetchingWhatTimedOut(t *testing.T) {
	underBoth(t, enrichment.Config{}, func(w *world) {
		w.silence()
		w.fault(simulator.Fault{Action: simulator.ActionGet5xx, Status: 503, For: 30 * time.Hour})
		run := w.signUp(ana)[0]
		w.sleep(25 * time.Hour)
		w.wantRun(run, workflow.StatusTimedOut)
		w.sleep(24 * time.Hour)
		w.wantJob(ana, liwanag.JobEnriched, "")
		w.wantRun(run, workflow.StatusTimedOut)
		w.wantPaidOnce()
	})
}

func TestRow20_WebhookAfterSupersession(t *testing.T) {
	underBoth(t, watchful(enrichment.Config{}), func(w *world) {
		w.fault(simulator.Fault{Action: simulator.ActionAcceptThenReset, Count: 1})
		w.fault(simulator.Fault{Action: simulator.ActionContactNever, Count: 1})
		w.fault(simulator.Fault{Action: simulator.ActionWebhookLate, Delay: 2 * time.Hour, Count: 1})
		run := w.signUp(ana)[0]
		w.sleep(90 * time.Minute)
		w.wantSubmissions(run, liwanag.SubmissionSuperseded, liwanag.SubmissionSettled)
		first := w.wantJob(ana, liwanag.JobEnriched, "")
		w.sleep(2 * time.Hour)
		w.wantSubmissions(run, liwanag.SubmissionSettled, liwanag.SubmissionSettled)
		again := w.wantJob(ana, liwanag.JobEnriched, "")
		if again.EnrichmentID != first.EnrichmentID || again.Credits != 2 || w.meter.get("duplicate") != 1 {
			t.Errorf("the first result did not win: %+v, %d duplicates", again, w.meter.get("duplicate"))
		}
		w.wantBooks()
	})
}

func TestRow25_FetchAfterThreeMonths(t *testing.T) {
	underBoth(t, enrichment.Config{WebhookTimeout: time.Hour}, func(w *world) {
		w.silence()
		w.fault(simulator.Fault{Action: simulator.ActionGet5xx, Status: 503, For: 91 * 24 * time.Hour})
		run := w.signUp(ana)[0]
		w.sleep(2 * time.Hour)
		w.wantJob(ana, liwanag.JobFailed, liwanag.CodeWebhookTimeout)
		w.stopFor(91 * 24 * time.Hour)
		w.sleep(time.Hour)
		j := w.wantJob(ana, liwanag.JobFailed, liwanag.CodeExpired)
		if !j.RetryAt.IsZero() {
			t.Error("it would be submitted again by itself")
		}
		w.wantSubmissions(run, liwanag.SubmissionSettled)
		w.wantReserved(0)
		w.wantAccepted(1, ana)
	})
}

func TestRow25_ItExpiresWhileItsRunStillWaits(t *testing.T) {
	inWorld(t, enrichment.Config{WebhookTimeout: 100 * 24 * time.Hour}, simulator.Config{}, func(w *world) {
		w.silence()
		w.fault(simulator.Fault{Action: simulator.ActionGet5xx, Status: 503, For: 91 * 24 * time.Hour})
		run := w.signUp(ana)[0]
		w.sleep(time.Minute)
		w.wantJob(ana, liwanag.JobSubmitted, "")
		w.stopFor(91 * 24 * time.Hour)
		w.sleep(2 * time.Hour)
		w.wantSubmissions(run, liwanag.SubmissionSettled)
		w.wantRun(run, workflow.StatusFailed)
		w.wantJob(ana, liwanag.JobFailed, liwanag.CodeExpired)
		w.wantReserved(0)
	})
}
