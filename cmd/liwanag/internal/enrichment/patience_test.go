package enrichment_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich"
	"github.com/liwanag/liwanag/fullenrich/simulator"
	"github.com/liwanag/liwanag/internal/sqlitedb"
	"github.com/liwanag/liwanag/workflow"
)

func TestWhatPilesUpWhileSpendingIsPausedStaysWithinTheBudgetOfADay(t *testing.T) {
	takesSeconds(t)
	inWorld(t, enrichment.Config{CreditBudget: 2, BatchSize: 2, SweepEvery: time.Hour},
		simulator.Config{}, func(w *world) {
			ctx := context.Background()
			w.must(w.life.svc.Pause(ctx, "a long weekend"))
			var emails []string
			for day := range 3 {
				for i := range 2 {
					emails = append(emails, fmt.Sprintf("p%d.%d+found@gmail.com", day, i))
				}
				w.signUp(emails[2*day:]...)
				w.sleep(24 * time.Hour)
			}
			w.must(w.life.svc.Resume(ctx))
			for day := 1; day <= 3; day++ {
				w.sleep(6 * time.Hour)
				if n := len(w.sim.Ledger().Submissions); n != day {
					t.Errorf("%d batches of 2 were sent after %d days of a budget of 2", n, day)
				}
				w.sleep(18 * time.Hour)
			}
			w.wantAccepted(1, emails...)
			w.wantPaidOnce()
		})
}

func TestLimitsThatBecameSmallerStrandNoBatch(t *testing.T) {
	takesSeconds(t)
	for name, smaller := range map[string]enrichment.Config{"in flight": {BatchSize: 1, MaxInFlight: 1},
		"budget": {BatchSize: 1, CreditBudget: 1}} {
		t.Run(name, func(t *testing.T) {
			smaller.SweepEvery, smaller.ProbeEvery = time.Hour, time.Hour
			inWorld(t, enrichment.Config{SweepEvery: time.Hour}, simulator.Config{}, func(w *world) {
				w.must(w.life.svc.Pause(context.Background(), "for now"))
				emails := []string{"a+found@gmail.com", "b+found@gmail.com", "c+found@gmail.com"}
				w.signUp(emails...)
				w.sleep(time.Hour)
				w.cfg = smaller
				w.stopFor(24 * time.Hour)
				w.must(w.life.svc.Resume(context.Background()))
				w.sleep(4 * 24 * time.Hour)
				w.wantAccepted(1, emails...)
				w.wantPaidOnce()
			})
		})
	}
}

func TestRunsInLineLookRarelyAndAllGetTheirTurn(t *testing.T) {
	inWorld(t, enrichment.Config{BatchSize: 1, MaxInFlight: 1, FetchSchedule: []time.Duration{10 * time.Minute}},
		simulator.Config{}, func(w *world) {
			w.silence()
			var emails []string
			for i := range 12 {
				emails = append(emails, fmt.Sprintf("p%d@gmail.com", i))
			}
			runs := w.signUp(emails...)
			w.sleep(10 * time.Minute)
			looks := 0
			for _, run := range runs {
				got, err := w.life.engine.Describe(context.Background(), run.String())
				w.must(err)
				for _, h := range got.History {
					if h.Type == workflow.HistoryStepSnoozed {
						looks++
					}
				}
			}
			if looks < 12 || looks > 160 {
				t.Errorf("12 runs in line looked %d times in 10 minutes", looks)
			}
			w.sleep(12 * 13 * time.Minute)
			w.wantAccepted(1, emails...)
			w.wantPaidOnce()
		})
}

func TestAnOperatorsPauseOfDaysIsLookedAtMoreAndMoreRarely(t *testing.T) {
	takesSeconds(t)
	inWorld(t, enrichment.Config{SweepEvery: time.Hour}, simulator.Config{}, func(w *world) {
		ctx := context.Background()
		w.must(w.life.svc.Pause(ctx, "red button"))
		run := w.signUp(ana)[0]
		w.sleep(48 * time.Hour)
		got, err := w.life.engine.Describe(ctx, run.String())
		w.must(err)
		if n := len(got.History); n > 48*12+60 {
			t.Errorf("%d items of history", n)
		}
		w.must(w.life.svc.Resume(ctx))
		w.sleep(10 * time.Minute)
		w.wantJob(ana, liwanag.JobEnriched, "")
	})
}

func TestARetriedRunTakesBackNothingThatItWillNotSend(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		ctx := context.Background()
		w.fault(simulator.Fault{Action: simulator.ActionWebhookLate, Delay: 26 * time.Hour, Count: 1})
		w.fault(simulator.Fault{Action: simulator.ActionGet5xx, Status: 503, For: 24*time.Hour + 10*time.Minute})
		w.fault(simulator.Fault{Action: simulator.ActionRowsMissing})
		run := w.signUp(ana)[0]
		w.sleep(27 * time.Hour)
		w.wantFired(simulator.ActionRowsMissing)
		w.wantRun(run, workflow.StatusTimedOut)
		w.wantJob(ana, liwanag.JobFailed, liwanag.CodeWebhookTimeout)
		w.must(w.life.svc.RetryRun(ctx, run.String(), ""))
		w.sleep(time.Hour)
		w.wantRun(run, workflow.StatusCompleted)
		_, err := w.life.svc.RunScheduledBatch(ctx, false)
		w.must(err)
		w.sleep(time.Hour)
		w.wantJob(ana, liwanag.JobFailed, liwanag.CodeWebhookTimeout)
		w.wantAccepted(1, ana)
	})
}

func TestAFetchThatCouldNotBeMadeIsRepeatedSoon(t *testing.T) {
	inWorld(t, watchful(enrichment.Config{}), simulator.Config{}, func(w *world) {
		w.silence()
		w.fault(simulator.Fault{Action: simulator.ActionGet5xx, Status: 503, For: 15 * time.Minute})
		run := w.signUp(ana)[0]
		w.sleep(time.Minute)
		w.must(w.life.svc.CancelRun(context.Background(), run.String(), "not wanted"))
		w.sleep(12 * time.Minute)
		w.wantFired(simulator.ActionGet5xx)
		w.wantJob(ana, liwanag.JobCanceled, liwanag.CodeCanceled)
		w.sleep(10 * time.Minute)
		w.wantJob(ana, liwanag.JobEnriched, "")
		w.wantPaidOnce()
	})
}

func TestAnOperatorsResubmissionOutlivesItsEndedRun(t *testing.T) {
	takesSeconds(t)
	inWorld(t, enrichment.Config{OnAmbiguous: enrichment.Hold}, simulator.Config{}, func(w *world) {
		w.silence()
		w.fault(simulator.Fault{Action: simulator.ActionResetWithoutAccepting, Count: 1})
		run := w.signUp(ana)[0]
		w.sleep(25 * time.Hour)
		w.wantRun(run, workflow.StatusTimedOut)
		sub := w.wantSubmissions(run, liwanag.SubmissionHeld)[0]
		w.fault(simulator.Fault{Action: simulator.ActionGet5xx, Status: 503, For: 40 * time.Minute})
		w.must(w.life.svc.Resubmit(context.Background(), sub.ID, "the dashboard shows nothing"))
		w.sleep(35 * time.Minute)
		w.wantSubmissions(run, liwanag.SubmissionSuperseded, liwanag.SubmissionAccepted)
		w.wantJob(ana, liwanag.JobSubmitted, "")
		w.sleep(20 * time.Minute)
		w.wantJob(ana, liwanag.JobEnriched, "")
		w.wantPaidOnce()
	})
}

func TestASweepAtTheEndOfEachMinuteSendsResubmissions(t *testing.T) {
	inWorld(t, watchful(enrichment.Config{OnAmbiguous: enrichment.Hold}), simulator.Config{}, func(w *world) {
		w.stopFor(58*time.Second + 500*time.Millisecond) // no call is made in a minute's last two seconds
		w.fault(simulator.Fault{Action: simulator.ActionResetWithoutAccepting, Count: 1})
		run := w.signUp(ana)[0]
		w.sleep(150 * time.Minute) // the run itself looks hourly
		sub := w.wantSubmissions(run, liwanag.SubmissionHeld)[0]
		w.must(w.life.svc.Resubmit(context.Background(), sub.ID, "the dashboard shows nothing"))
		w.wantSubmissions(run, liwanag.SubmissionSuperseded, liwanag.SubmissionPrepared)
		w.sleep(5 * time.Minute)
		w.wantSubmissions(run, liwanag.SubmissionSuperseded, liwanag.SubmissionSettled)
		w.wantPaidOnce()
	})
}

func TestOnlyOneResubmissionEvenWhenItWasRefusedInBetween(t *testing.T) {
	inWorld(t, watchful(enrichment.Config{}), simulator.Config{}, func(w *world) {
		w.fault(simulator.Fault{Action: simulator.ActionResetWithoutAccepting, Count: 1})
		run := w.signUp(ana)[0]
		w.sleep(30 * time.Minute)
		w.fault(simulator.Fault{Action: simulator.ActionRefuse, Status: 502, Bare: true, Count: 1})
		w.sleep(33 * time.Minute)
		w.wantSubmissions(run, liwanag.SubmissionSuperseded, liwanag.SubmissionRefused)
		w.fault(simulator.Fault{Action: simulator.ActionResetWithoutAccepting, Count: 1})
		w.sleep(6 * time.Hour)
		w.wantSubmissions(run, liwanag.SubmissionSuperseded, liwanag.SubmissionRefused, liwanag.SubmissionHeld)
		w.wantJob(ana, liwanag.JobHeld, "doubt_twice")
	})
}

func TestTheEnrichmentOfSomebodyElseIsNotAdopted(t *testing.T) {
	inWorld(t, enrichment.Config{OnAmbiguous: enrichment.Hold}, simulator.Config{}, func(w *world) {
		ctx := context.Background()
		client, err := fullenrich.New(fullenrich.Config{BaseURL: partner + "/api/v2", Key: w.key,
			Transport: transport(func() http.RoundTripper { return w.out })})
		w.must(err)
		other, err := client.Submit(ctx,
			fullenrich.SubmitRequest{Name: "by hand", CommittedAt: time.Now(), Contacts: []fullenrich.Contact{{Email: ben}}})
		w.must(err)
		w.silence()
		w.fault(simulator.Fault{Action: simulator.ActionAcceptThenReset, Count: 1})
		run := w.signUp(ana)[0]
		w.sleep(2 * time.Hour)
		sub := w.wantSubmissions(run, liwanag.SubmissionHeld)[0]
		if err := w.life.svc.Adopt(ctx, sub.ID, other); !errors.Is(err, liwanag.ErrState) {
			t.Errorf("adopted: %v", err)
		}
		w.wantSubmissions(run, liwanag.SubmissionHeld)
		for _, s := range w.sim.Ledger().Submissions {
			if s.Name == sub.Name {
				w.must(w.life.svc.Adopt(ctx, sub.ID, s.EnrichmentID))
			}
		}
		w.sleep(time.Second)
		w.wantJob(ana, liwanag.JobEnriched, "")
	})
}

func TestTheJobOfSomebodyWhoWasErasedEndsBeforeItIsSent(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		ctx := context.Background()
		w.must(w.life.svc.Pause(ctx, "for now"))
		run := w.signUp(ana, ben)[0]
		w.sleep(10 * time.Second)
		gone := w.job(ana)
		w.must(w.life.db.Write(ctx, func(tx *sqlitedb.Tx) error {
			_, err := tx.Exec(`DELETE FROM subscriber WHERE email_key = ?`, ana)
			return err
		}))
		w.must(w.life.svc.Resume(ctx))
		w.sleep(time.Hour)
		w.wantRun(run, workflow.StatusCompleted)
		w.wantJob(ben, liwanag.JobNotFound, "")
		if j, err := w.life.store.Jobs.Get(ctx, gone.ID); err != nil || j.Status != liwanag.JobCanceled {
			t.Errorf("job %+v, %v", j, err)
		}
		w.wantAccepted(0, ana)
		w.wantPaidOnce()
	})
}

// oneBroken is a runner that cannot read one of its runs.
type oneBroken struct {
	workflow.Runner
	broken string
}

func (r oneBroken) Describe(ctx context.Context, runID string) (workflow.Run, error) {
	if runID == r.broken {
		return workflow.Run{}, errors.New("undecodable")
	}
	return r.Runner.Describe(ctx, runID)
}

func TestARunThatCannotBeReadDoesNotStrandTheJobsOfOthers(t *testing.T) {
	inWorld(t, enrichment.Config{BatchSize: 1, SweepEvery: 1000 * time.Hour}, simulator.Config{}, func(w *world) {
		ctx := context.Background()
		w.must(w.life.svc.Pause(ctx, "for now"))
		runs := w.signUp(ana, ben)
		w.sleep(time.Minute)
		for _, run := range runs {
			w.must(w.life.engine.Terminate(ctx, run.String(), "forced"))
		}
		w.sleep(time.Hour)
		svc := enrichment.NewService(w.life.work, enrichment.New(w.life.work, w.cfg), oneBroken{w.life.engine, runs[0].String()})
		once, stop := context.WithTimeout(ctx, time.Second)
		defer stop()
		w.must(svc.Run(once))
		if j := w.wantJob(ben, liwanag.JobPending, ""); !j.RunID.IsZero() {
			t.Error("the job is still in the batch of its ended run")
		}
	})
}
