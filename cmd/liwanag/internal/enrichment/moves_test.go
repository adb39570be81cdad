package enrichment_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich/simulator"
	"github.com/liwanag/liwanag/workflow"
)

// Moves of submissions that happen on no row of the failure table, or too fast
// there to be seen.

const eva = "eva+slow+found@example.net" // FullEnrich takes a quarter of an hour for her

// inDoubt signs people up and loses the answer and every webhook.
func (w *world) inDoubt(emails ...string) liwanag.ID {
	w.t.Helper()
	w.fault(simulator.Fault{Action: simulator.ActionAcceptThenReset, Count: 1})
	w.fault(simulator.Fault{Action: simulator.ActionContactNever})
	w.fault(simulator.Fault{Action: simulator.ActionWebhookNever})
	run := w.signUp(emails...)[0]
	w.sleep(10 * time.Second)
	w.wantSubmissions(run, liwanag.SubmissionAmbiguous)
	return run
}

var held = enrichment.Config{OnAmbiguous: enrichment.Hold, AmbiguityGrace: time.Minute}

func TestAHeldSubmissionThatIsAdoptedWaitsForItsResult(t *testing.T) {
	inWorld(t, held, simulator.Config{}, func(w *world) {
		run := w.inDoubt(eva)
		w.sleep(2 * time.Minute)
		sub := w.wantSubmissions(run, liwanag.SubmissionHeld)[0]
		w.wantJob(eva, liwanag.JobHeld, "policy")
		w.wantReserved(1)
		w.must(w.life.svc.Adopt(context.Background(), sub.ID, w.sim.Ledger().Submissions[0].EnrichmentID))
		w.wantSubmissions(run, liwanag.SubmissionAccepted)
		w.wantJob(eva, liwanag.JobSubmitted, "")
		w.wantReserved(1)
		w.sleep(time.Hour)
		w.wantSubmissions(run, liwanag.SubmissionSettled)
		w.wantJob(eva, liwanag.JobEnriched, "")
		w.wantRun(run, workflow.StatusCompleted)
		w.wantPaidOnce()
	})
}

func TestARefusalThatComesAfterTheDoubtEndsIt(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		w.fault(simulator.Fault{Action: simulator.ActionRefuse5xx, Status: 503, Code: "error.internal", Count: 1})
		slow := &slowWriter{delay: 5 * time.Second, held: make(chan struct{}), next: w.out}
		w.out = slow
		run := w.signUp(ana)[0]
		<-slow.held
		taken, err := w.life.work.TakeOver(context.Background(), run)
		w.must(err)
		if taken.State != liwanag.SubmissionAmbiguous {
			t.Errorf("it is %s", taken.State)
		}
		w.sleep(5 * time.Minute)
		w.wantSubmissions(run, liwanag.SubmissionRefused, liwanag.SubmissionSettled)
		w.wantJob(ana, liwanag.JobEnriched, "")
		w.wantPaidOnce()
	})
}

func TestAPreparedSubmissionOfACanceledRunIsReleased(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		ctx := context.Background()
		w.must(w.life.svc.Pause(ctx, "keep it prepared"))
		run := w.signUp(ana)[0]
		w.sleep(10 * time.Second)
		w.wantSubmissions(run, liwanag.SubmissionPrepared)
		w.wantReserved(1)
		w.must(w.life.svc.CancelRun(ctx, run.String(), "not wanted"))
		w.sleep(time.Second)
		if sub := w.wantSubmissions(run, liwanag.SubmissionRefused)[0]; sub.Cause != "run_ended" {
			t.Errorf("cause %q", sub.Cause)
		}
		w.wantJob(ana, liwanag.JobCanceled, liwanag.CodeCanceled)
		w.wantReserved(0)
		w.must(w.life.svc.Resume(ctx))
		w.enrich(ana, false, enrichment.EnrichStarted)
		w.sleep(5 * time.Minute)
		w.wantJob(ana, liwanag.JobEnriched, "")
		w.wantPaidOnce()
	})
}

func TestASubmissionWhoseRunEndsWhileItIsOnTheWireIsHeld(t *testing.T) {
	inWorld(t, watchful(enrichment.Config{AmbiguityGrace: time.Minute}), simulator.Config{}, func(w *world) {
		w.fault(simulator.Fault{Action: simulator.ActionResetWithoutAccepting, Count: 1})
		run := w.signUp(ana)[0]
		w.sleep(10 * time.Second)
		w.life.store.killAt(afterCommit, "submission.sending")
		w.killedThenRebooted()
		w.wantSubmissions(run, liwanag.SubmissionSuperseded, liwanag.SubmissionSending)
		w.must(w.life.engine.Terminate(context.Background(), run.String(), "no handlers"))
		w.sleep(30 * time.Minute)
		subs := w.wantSubmissions(run, liwanag.SubmissionSuperseded, liwanag.SubmissionHeld)
		w.wantJob(ana, liwanag.JobHeld, subs[1].Cause)
		w.wantReserved(1)
	})
}

func TestASubmissionInDoubtCanBeGivenUp(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		run := w.inDoubt(ana)
		sub := w.submissions(run)[0]
		w.must(w.life.svc.Fail(context.Background(), sub.ID, "gave up"))
		w.sleep(time.Second)
		w.wantSubmissions(run, liwanag.SubmissionSettled)
		w.wantJob(ana, liwanag.JobFailed, liwanag.CodeOperatorFailed)
		w.wantRun(run, workflow.StatusFailed)
		w.wantReserved(0)
	})
}

func TestGivenResultsSettleASubmissionWhateverIsKnownOfIt(t *testing.T) {
	given := func(w *world, run liwanag.ID) {
		_, err := w.life.svc.Emit(context.Background(), run, "by hand",
			json.RawMessage(`[{"input":{"email":"`+ana+`"},"profile":{"full_name":"Ana Santos"}}]`))
		w.must(err)
		w.sleep(time.Second)
		subs := w.submissions(run)
		if last := subs[len(subs)-1]; last.State != liwanag.SubmissionSettled {
			w.t.Errorf("it is %s", last.State)
		}
		w.wantJob(ana, liwanag.JobEnriched, "")
		w.wantRun(run, workflow.StatusCompleted)
		w.wantReserved(0)
	}
	t.Run("ambiguous", func(t *testing.T) {
		inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
			given(w, w.inDoubt(ana))
		})
	})
	t.Run("held", func(t *testing.T) {
		inWorld(t, held, simulator.Config{}, func(w *world) {
			run := w.inDoubt(ana)
			w.sleep(2 * time.Minute)
			w.wantSubmissions(run, liwanag.SubmissionHeld)
			given(w, run)
		})
	})
	t.Run("sending", func(t *testing.T) {
		inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
			run := w.inDoubt(ana)
			w.fault(simulator.Fault{Action: simulator.ActionHangWithoutAccepting, Count: 1})
			var sent sync.WaitGroup
			sent.Go(func() {
				if err := w.life.svc.Resubmit(context.Background(), w.submissions(run)[0].ID, "not in the dashboard"); err != nil {
					t.Error(err)
				}
			})
			w.sleep(time.Second)
			w.wantSubmissions(run, liwanag.SubmissionSuperseded, liwanag.SubmissionSending)
			given(w, run)
			sent.Wait() // no answer came
			w.wantSubmissions(run, liwanag.SubmissionSuperseded, liwanag.SubmissionSettled)
			w.wantReserved(0)
		})
	})
}
