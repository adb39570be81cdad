package enrichment_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich/simulator"
	"github.com/liwanag/liwanag/workflow"
)

// wide lets many contacts fly, so that a test of batching does not wait for the
// provider's queue.
var wide = enrichment.Config{MaxInFlight: 20_000}

func addresses(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("person%05d@example.net", i)
	}
	return out
}

func TestTenThousandAddressesAreExactlyAHundredSubmissions(t *testing.T) {
	takesSeconds(t)
	inWorld(t, wide, simulator.Config{Queue: 20_000}, func(w *world) {
		emails := addresses(10_000)
		for i := 0; i < len(emails); i += 250 { // as an import does, in groups that are no multiple of a batch
			w.signUp(emails[i : i+250]...)
		}
		w.sleep(time.Hour)
		ledger := w.sim.Ledger()
		if len(ledger.Submissions) != 100 {
			t.Errorf("%d submissions", len(ledger.Submissions))
		}
		for _, s := range ledger.Submissions {
			if len(s.Records) != 100 {
				t.Errorf("a submission of %d", len(s.Records))
			}
		}
		for _, minute := range ledger.Calls {
			if minute.Total > 55 || minute.Limited > 0 {
				t.Errorf("%d calls in the minute of %s, %d refused", minute.Total, minute.Start, minute.Limited)
			}
		}
		counts, err := w.life.store.Jobs.Count(context.Background())
		w.must(err)
		if counts[liwanag.JobEnriched]+counts[liwanag.JobNotFound] != 10_000 {
			t.Errorf("jobs: %v", counts)
		}
	})
}

func TestSignUpsOfOneWindowShareABatch(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		first := w.signUp(ana)[0]
		w.sleep(1500 * time.Millisecond)
		second := w.signUp(ben)[0]
		w.sleep(time.Second)
		third := w.signUp(cid)[0]
		if first != second || second == third {
			t.Errorf("runs %s, %s, %s: want the first two alike", first, second, third)
		}
		w.sleep(5 * time.Minute)
		for _, run := range []liwanag.ID{first, third} {
			w.wantRun(run, workflow.StatusCompleted)
		}
		if n := len(w.sim.Ledger().Submissions); n != 2 {
			t.Errorf("%d submissions, want 2", n)
		}
	})
}

func TestTheRunExistsWhenTheTriggerReturns(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		run := w.signUp(ana)[0]
		got, err := w.life.engine.Describe(context.Background(), run.String())
		if err != nil || got.Status.Ended() || got.Workflow != enrichment.Name {
			t.Errorf("run %+v, %v", got, err)
		}
	})
}

func TestTheSameAddressTwiceIsOneJob(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		var all sync.WaitGroup
		runs := make([]liwanag.ID, 20)
		for i := range runs {
			all.Go(func() {
				email := ana
				if i%2 == 1 {
					email = "  ANA+found@Example.NET " // the same person
				}
				opened, err := w.trySignUp(email)
				if err != nil {
					t.Error(err)
					return
				}
				runs[i] = opened[0].RunID
			})
		}
		all.Wait()
		for _, run := range runs {
			if run != runs[0] || run.IsZero() {
				t.Errorf("run %s and run %s", run, runs[0])
			}
		}
		w.sleep(5 * time.Minute)
		counts, err := w.life.store.Jobs.Count(context.Background())
		w.must(err)
		if counts[liwanag.JobEnriched] != 1 || len(counts) != 1 {
			t.Errorf("jobs: %v", counts)
		}
		w.wantPaidOnce()
	})
}

func TestSingleSignUpsAtOnceFillABatchAndOpenTheNext(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		var all sync.WaitGroup
		for _, e := range addresses(150) {
			all.Go(func() {
				if _, err := w.trySignUp(e); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		w.sleep(10 * time.Minute)
		sizes := map[int]int{}
		for _, s := range w.sim.Ledger().Submissions {
			sizes[len(s.Records)]++
		}
		if len(sizes) != 2 || sizes[100] != 1 || sizes[50] != 1 {
			t.Errorf("submissions by size: %v, want one of 100 and one of 50", sizes)
		}
	})
}

func TestTheCreditBudgetHoldsAgainstManyAtOnce(t *testing.T) {
	takesSeconds(t)
	inWorld(t, enrichment.Config{CreditBudget: 130, MaxInFlight: 20_000}, simulator.Config{Queue: 20_000}, func(w *world) {
		var all sync.WaitGroup
		for _, e := range addresses(1000) {
			all.Go(func() {
				if _, err := w.trySignUp("found+found" + e); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		w.sleep(12 * time.Hour)
		if spent := w.sim.Ledger().Totals.Credits; spent != 130 {
			t.Errorf("%d credits were spent on the first day, the budget is 130", spent)
		}
		batches := map[liwanag.Waiting]int{}
		counts, err := w.life.store.Jobs.Count(context.Background())
		w.must(err)
		jobs, err := w.life.store.Jobs.OpenRuns(context.Background(), time.Now(), liwanag.ID{}, 500)
		w.must(err)
		for _, run := range jobs {
			b, err := w.life.store.Batches.Get(context.Background(), run)
			w.must(err)
			batches[b.Waiting]++
			if b.Waiting == liwanag.WaitingBudget && !b.WaitingUntil.Equal(liwanag.DayOf(time.Now()).End()) {
				t.Errorf("waits until %s", b.WaitingUntil)
			}
		}
		if counts[liwanag.JobPending] != 870 || batches[liwanag.WaitingBudget] != len(jobs) {
			t.Errorf("jobs %v, batches by what they wait for %v", counts, batches)
		}
		w.sleep(24 * time.Hour)
		if spent := w.sim.Ledger().Totals.Credits; spent != 260 {
			t.Errorf("%d credits after the second day, want 260", spent)
		}
	})
}

func TestContactsInFlightStayBelowTheCap(t *testing.T) {
	inWorld(t, enrichment.Config{BatchSize: 10, MaxInFlight: 30}, simulator.Config{}, func(w *world) {
		w.signUp(addresses(100)...)
		most := 0
		for range 240 {
			w.sleep(5 * time.Second)
			state := w.sim.State()
			most = max(most, state.InFlight+state.Queued)
		}
		if most > 30 || most < 20 {
			t.Errorf("at most %d in flight, the cap is 30", most)
		}
		counts, err := w.life.store.Jobs.Count(context.Background())
		w.must(err)
		if counts[liwanag.JobEnriched]+counts[liwanag.JobNotFound] != 100 {
			t.Errorf("jobs: %v", counts)
		}
	})
}

func TestPauseStopsAllSpendingAtOnceAndResumeLetsItGoOn(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		ctx := context.Background()
		w.must(w.life.svc.Pause(ctx, "red button"))
		run := w.signUp(ana)[0]
		w.sleep(3 * time.Hour)
		w.wantAccepted(0, ana)
		w.wantRun(run, workflow.StatusWaiting)
		w.must(w.life.svc.Resume(ctx))
		w.sleep(5 * time.Minute)
		w.wantJob(ana, liwanag.JobEnriched, "")
		w.wantPaidOnce()
	})
}

func TestTheScheduledBatchTakesWhatNoRunHolds(t *testing.T) {
	inWorld(t, enrichment.Config{BatchSize: 3}, simulator.Config{}, func(w *world) {
		ctx := context.Background()
		runs, err := w.life.svc.RunScheduledBatch(ctx, false)
		w.must(err)
		if len(runs) != 0 {
			t.Errorf("%d runs for nothing", len(runs))
		}
		runs, err = w.life.svc.RunScheduledBatch(ctx, true)
		w.must(err)
		if len(runs) != 1 {
			t.Fatalf("by hand it started %d runs, want 1", len(runs))
		}
		w.sleep(time.Second)
		if got := w.wantRun(runs[0], workflow.StatusCompleted); got.FinishedBecause != "no-pending-jobs" {
			t.Errorf("finished because %q", got.FinishedBecause)
		}
		w.must(w.life.store.Write(ctx, func(tx *datastore.Tx) error {
			var jobs []liwanag.Job
			for i, e := range addresses(7) {
				stored, err := tx.Subscribers.Upsert([]liwanag.SignUp{{ID: liwanag.NewID(liwanag.SubscriberKind), EmailKey: e,
					Email: e, EmailType: liwanag.Personal, At: time.Now()}})
				if err != nil {
					return err
				}
				jobs = append(jobs, liwanag.Job{ID: liwanag.NewID(liwanag.JobKind), SubscriberID: stored[0].ID,
					Status: liwanag.JobPending, CreatedAt: time.Now().Add(time.Duration(i))})
			}
			_, err := tx.Jobs.Insert(jobs)
			return err
		}))
		runs, err = w.life.svc.RunScheduledBatch(ctx, false)
		w.must(err)
		if len(runs) != 3 {
			t.Errorf("%d runs for 7 jobs in batches of 3", len(runs))
		}
		w.sleep(10 * time.Minute)
		counts, err := w.life.store.Jobs.Count(ctx)
		w.must(err)
		if counts[liwanag.JobEnriched]+counts[liwanag.JobNotFound] != 7 {
			t.Errorf("jobs: %v", counts)
		}
		w.wantPaidOnce()
	})
}

func TestAFullBatchDoesNotWaitForItsWindow(t *testing.T) {
	inWorld(t, enrichment.Config{BatchWindow: time.Hour}, simulator.Config{}, func(w *world) {
		w.signUp(addresses(100)...)
		w.sleep(10 * time.Second)
		if subs := w.sim.Ledger().Submissions; len(subs) != 1 {
			t.Errorf("%d submissions after ten seconds", len(subs))
		}
	})
}
