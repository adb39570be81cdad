package enrichment_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich/simulator"
	"github.com/liwanag/liwanag/workflow"
)

func (w *world) subscriber(email string) liwanag.Subscriber {
	w.t.Helper()
	s, err := w.life.store.Subscribers.ByEmail(context.Background(), email)
	w.must(err)
	return s
}

func (w *world) enrich(email string, again bool, want enrichment.EnrichResult) liwanag.ID {
	w.t.Helper()
	out, err := w.life.svc.Enrich(context.Background(), []liwanag.ID{w.subscriber(email).ID}, again)
	w.must(err)
	if out[0].Result != want {
		w.t.Errorf("enrich %s (again %v): %s, want %s", email, again, out[0].Result, want)
	}
	return out[0].RunID
}

func (w *world) wantWouldOrder(run liwanag.ID, want int64) {
	w.t.Helper()
	n, err := w.life.svc.WouldOrder(context.Background(), run.String())
	w.must(err)
	if n != want {
		w.t.Errorf("a retry would order %d lookups, want %d", n, want)
	}
}

func TestCancelBeforeSending(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		run := w.signUp(ana)[0]
		w.sleep(time.Second)
		w.must(w.life.svc.CancelRun(context.Background(), run.String(), "not wanted"))
		w.sleep(time.Hour)
		w.wantRun(run, workflow.StatusCanceled)
		w.wantJob(ana, liwanag.JobCanceled, liwanag.CodeCanceled)
		w.wantAccepted(0, ana)
		w.enrich(ana, false, enrichment.EnrichStarted)
		w.sleep(5 * time.Minute)
		w.wantJob(ana, liwanag.JobEnriched, "")
		w.wantPaidOnce()
	})
}

func TestCancelWhileFullEnrichWorks(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		run := w.signUp(ana)[0]
		w.sleep(10 * time.Second)
		w.must(w.life.svc.CancelRun(context.Background(), run.String(), "not wanted"))
		w.sleep(time.Second)
		w.wantRun(run, workflow.StatusCanceled)
		w.wantJob(ana, liwanag.JobCanceled, liwanag.CodeCanceled)
		w.enrich(ana, false, enrichment.EnrichInFlight) // it is paid for: another one would be paid twice
		w.sleep(5 * time.Minute)
		if j := w.wantJob(ana, liwanag.JobEnriched, ""); !j.Late {
			t.Error("the job does not say that it is late")
		}
		w.wantRun(run, workflow.StatusCanceled)
		w.wantPaidOnce()
	})
}

func TestCancelWhileFullEnrichWorksAndTheWebhookIsLost(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		w.silence()
		run := w.signUp(ana)[0]
		w.sleep(10 * time.Second)
		w.must(w.life.svc.CancelRun(context.Background(), run.String(), "not wanted"))
		w.sleep(20 * time.Minute)
		w.wantJob(ana, liwanag.JobEnriched, "")
		w.wantPaidOnce()
	})
}

func TestACanceledSubmissionInDoubtIsNotSentAgain(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		w.fault(simulator.Fault{Action: simulator.ActionResetWithoutAccepting, Count: 1})
		run := w.signUp(ana)[0]
		w.sleep(time.Minute)
		w.must(w.life.svc.CancelRun(context.Background(), run.String(), "not wanted"))
		w.sleep(5 * time.Hour)
		w.wantAccepted(0, ana)
		w.wantJob(ana, liwanag.JobCanceled, liwanag.CodeCanceled)
		w.wantSubmissions(run, liwanag.SubmissionAmbiguous)
	})
}

func TestARetriedRunTakesItsJobsBack(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		w.fault(simulator.Fault{Action: simulator.ActionRefuse5xx, Status: 503, Code: "error.internal", For: time.Minute})
		run := w.signUp(ana)[0]
		w.sleep(90 * time.Second)
		w.wantRun(run, workflow.StatusFailed)
		failed := w.wantJob(ana, liwanag.JobFailed, liwanag.CodeProviderUnavailable)
		w.wantWouldOrder(run, 1)
		w.wantJob(ana, liwanag.JobFailed, liwanag.CodeProviderUnavailable)
		w.must(w.life.svc.RetryRun(context.Background(), run.String(), ""))
		w.sleep(time.Hour)
		if j := w.wantJob(ana, liwanag.JobEnriched, ""); j.ID != failed.ID {
			t.Error("it is another job")
		}
		w.wantRun(run, workflow.StatusCompleted)
		w.wantPaidOnce()
		if err := w.life.svc.RetryRun(context.Background(), run.String(), ""); !errors.Is(err, workflow.ErrNotEnded) {
			t.Errorf("a completed run was retried: %v", err)
		}
	})
}

func TestARetriedRunLeavesAPersonWithAnOpenJobAlone(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		w.fault(simulator.Fault{Action: simulator.ActionRefuse5xx, Status: 503, Code: "error.internal", For: time.Minute})
		run := w.signUp(ana, ben)[0]
		w.sleep(90 * time.Second)
		other := w.enrich(ana, false, enrichment.EnrichStarted)
		w.wantWouldOrder(run, 1)
		w.must(w.life.svc.RetryRun(context.Background(), run.String(), "batch-pending-jobs"))
		w.sleep(time.Hour)
		if j := w.wantJob(ana, liwanag.JobEnriched, ""); j.RunID != other {
			t.Error("two runs had the person's job")
		}
		w.wantJob(ben, liwanag.JobNotFound, "")
		w.wantPaidOnce()
	})
}

func TestARetriedRunNeverPaysForWhatWasAccepted(t *testing.T) {
	takesSeconds(t)
	for _, from := range []string{"", "submit-to-fullenrich", "batch-pending-jobs"} {
		t.Run("from "+from, func(t *testing.T) {
			inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
				w.silence()
				w.fault(simulator.Fault{Action: simulator.ActionGet5xx, Status: 503, For: 24*time.Hour + 20*time.Minute})
				run := w.signUp(ana)[0]
				w.sleep(24*time.Hour + 10*time.Minute)
				w.wantRun(run, workflow.StatusTimedOut)
				w.wantJob(ana, liwanag.JobFailed, liwanag.CodeWebhookTimeout)
				w.wantWouldOrder(run, 0)
				w.must(w.life.svc.RetryRun(context.Background(), run.String(), from))
				w.sleep(time.Minute)
				w.wantJob(ana, liwanag.JobSubmitted, "")
				w.sleep(time.Hour)
				w.wantJob(ana, liwanag.JobEnriched, "")
				w.wantRun(run, workflow.StatusCompleted)
				w.wantPaidOnce()
			})
		})
	}
}

func TestAYoungResultIsUsedAgainInsteadOfPaidFor(t *testing.T) {
	inWorld(t, enrichment.Config{ReuseResults: 24 * time.Hour, SweepEvery: time.Hour}, simulator.Config{}, func(w *world) {
		w.signUp(ana)
		w.sleep(5 * time.Minute)
		first := w.wantJob(ana, liwanag.JobEnriched, "")
		if run := w.enrich(ana, false, enrichment.EnrichReused); !run.IsZero() {
			t.Error("a reused result has a run")
		}
		if j := w.wantJob(ana, liwanag.JobEnriched, ""); j.ID == first.ID || j.Credits != 0 {
			t.Errorf("job %+v", j)
		}
		w.wantAccepted(1, ana)
		w.sleep(25 * time.Hour)
		w.enrich(ana, false, enrichment.EnrichStarted)
		w.sleep(5 * time.Minute)
		w.wantAccepted(2, ana)
		w.enrich(ana, true, enrichment.EnrichStarted)
		w.enrich(ana, true, enrichment.EnrichOpen)
		w.sleep(5 * time.Minute)
		w.wantAccepted(3, ana)
		w.wantBooks()
	})
}

func TestAnOlderResultNeverOverwritesANewerOne(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		w.fault(simulator.Fault{Action: simulator.ActionWebhookLate, Delay: 30 * time.Hour, Count: 1})
		w.fault(simulator.Fault{Action: simulator.ActionGet5xx, Status: 503, For: 24*time.Hour + 10*time.Minute})
		w.signUp(ana)
		w.sleep(25 * time.Hour)
		w.wantJob(ana, liwanag.JobFailed, liwanag.CodeWebhookTimeout)
		w.enrich(ana, true, enrichment.EnrichStarted)
		w.sleep(10 * time.Minute)
		newer := w.subscriber(ana)
		w.sleep(10 * time.Hour)
		if got := w.subscriber(ana); !got.ResultAt.Equal(newer.ResultAt) {
			t.Errorf("the result of %s was overwritten by that of %s", newer.ResultAt, got.ResultAt)
		}
		if n := len(w.sim.Ledger().Submissions); n != 2 {
			t.Errorf("%d submissions", n)
		}
		w.wantBooks()
	})
}

// byHand are results of ana's as an operator gives them.
var byHand = json.RawMessage(`[{"input":{"email":"` + ana + `"},"profile":{"full_name":"Ana Santos"}}]`)

// emit sends an operator's event to a run.
func (w *world) emit(run liwanag.ID, results json.RawMessage) workflow.Receipt {
	receipt, err := w.life.svc.Emit(context.Background(), run, "by hand", results)
	w.must(err)
	return receipt
}

func TestResultsThatAnOperatorGivesEndTheWait(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		w.silence()
		run := w.signUp(ana)[0]
		w.sleep(5 * time.Minute)
		if r := w.emit(run, byHand); r.Duplicate || r.Late {
			t.Errorf("receipt %+v", r)
		}
		w.sleep(time.Second)
		w.wantJob(ana, liwanag.JobEnriched, "")
		got := w.wantRun(run, workflow.StatusCompleted)
		if s := w.subscriber(ana); s.Summary.FullName != "Ana Santos" {
			t.Errorf("subscriber %+v", s.Summary)
		}
		if text := string(got.Events[0].Data); strings.Contains(text, "ana") || strings.Contains(text, "Santos") {
			t.Errorf("the event holds personal data: %s", text)
		}
		if r := w.emit(run, json.RawMessage(`[]`)); !r.Duplicate {
			t.Errorf("the second event of one id: %+v", r)
		}
	})
}

func TestResultsThatAnOperatorGivesAfterTheEndAreApplied(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		w.silence()
		run := w.signUp(ana)[0]
		w.sleep(time.Minute)
		w.must(w.life.svc.CancelRun(context.Background(), run.String(), "not wanted"))
		w.sleep(time.Second)
		if r := w.emit(run, byHand); !r.Late {
			t.Errorf("receipt %+v", r)
		}
		w.wantJob(ana, liwanag.JobEnriched, "")
	})
}

func TestAnOperatorGivesNoResultsOfWhatWasNotSent(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		run := w.signUp(ana)[0]
		if _, err := w.life.svc.Emit(context.Background(), run, "by hand", byHand); !errors.Is(err, liwanag.ErrState) {
			t.Errorf("%v", err)
		}
	})
}

func TestAnOperatorsEventWithoutResultsFetchesThem(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		w.silence()
		run := w.signUp(ana)[0]
		w.sleep(5 * time.Minute)
		w.emit(run, nil)
		w.sleep(time.Second)
		w.wantJob(ana, liwanag.JobEnriched, "")
		w.wantRun(run, workflow.StatusCompleted)
		w.wantPaidOnce()
	})
}

func TestTheWebhookAfterAnOperatorsEventIsAppliedAtOnce(t *testing.T) {
	inWorld(t, enrichment.Config{SweepEvery: time.Hour}, simulator.Config{}, func(w *world) {
		run := w.signUp(ana)[0]
		w.sleep(10 * time.Second)
		w.emit(run, nil)
		w.sleep(2 * time.Minute)
		w.wantJob(ana, liwanag.JobEnriched, "")
		w.wantRun(run, workflow.StatusCompleted)
		w.wantPaidOnce()
	})
}

func TestAFetchThatAnOperatorAsksForTooEarlyIsRepeated(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		w.silence()
		run := w.signUp(ana)[0]
		w.sleep(10 * time.Second)
		w.emit(run, nil)
		w.sleep(time.Minute)
		w.wantRun(run, workflow.StatusWaiting)
		w.sleep(15 * time.Minute)
		w.wantJob(ana, liwanag.JobEnriched, "")
		w.wantRun(run, workflow.StatusCompleted)
		w.wantPaidOnce()
	})
}

func TestTheTrackerKnowsAnEnrichmentForEver(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		ctx := context.Background()
		run := w.signUp(ana)[0]
		w.sleep(10 * time.Second)
		id := w.sim.Ledger().Submissions[0].EnrichmentID
		got, err := w.life.svc.Tracker(ctx, id)
		w.must(err)
		if got.RunID != run || !got.Registered || got.State != liwanag.SubmissionAccepted {
			t.Errorf("registered: %+v", got)
		}
		w.sleep(5 * time.Minute)
		if got, err = w.life.svc.Tracker(ctx, id); err != nil || got.RunID != run || got.Registered {
			t.Errorf("unregistered: %+v, %v", got, err)
		}
		if _, err := w.life.svc.Tracker(ctx, someEnrichment); !errors.Is(err, liwanag.ErrNotFound) {
			t.Errorf("never known: %v", err)
		}
	})
}

func TestAHundredCopiesOfAWebhookAreOne(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		w.fault(simulator.Fault{Action: simulator.ActionWebhookDuplicate, Times: 100})
		run := w.signUp(ana, ben)[0]
		w.sleep(30 * time.Minute)
		w.wantJob(ana, liwanag.JobEnriched, "")
		w.wantRun(run, workflow.StatusCompleted)
		if n := len(w.deliveries()); n != 1 {
			t.Errorf("%d deliveries", n)
		}
		w.wantFired(simulator.ActionWebhookDuplicate)
		w.wantPaidOnce()
	})
}

func TestJobsOfARunThatNobodyKnowsGoToTheScheduledBatch(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		ctx := context.Background()
		w.must(w.life.svc.Pause(ctx, "keep it pending"))
		run := w.signUp(ana)[0]
		w.sleep(time.Minute)
		w.must(w.life.engine.Terminate(ctx, run.String(), "no handlers")) // as --force does
		w.sleep(time.Hour)
		if j := w.wantJob(ana, liwanag.JobPending, ""); !j.RunID.IsZero() {
			t.Errorf("the job is still in the batch of run %s", j.RunID)
		}
		runs, err := w.life.svc.RunScheduledBatch(ctx, false) // before spending goes on, which starts them too
		w.must(err)
		if len(runs) != 1 {
			t.Fatalf("%d runs", len(runs))
		}
		w.must(w.life.svc.Resume(ctx))
		w.sleep(5 * time.Minute)
		w.wantJob(ana, liwanag.JobEnriched, "")
		w.wantPaidOnce()
	})
}
