package enrichment_test

import (
	"context"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich/simulator"
	"github.com/liwanag/liwanag/workflow"
)

// The rows of the failure table that end a process.

const ana, ben, cid, dea = "ana+found@example.net", "ben+notfound@example.net", "cid+found@example.net", "dea+found@example.net"

func TestRow01_CrashBeforePrepareCommits(t *testing.T) {
	underBoth(t, enrichment.Config{}, func(w *world) {
		w.life.store.killAt(beforeCommit, "submission.insert")
		run := w.signUp(ana)[0]
		w.killedThenRebooted()
		w.sleep(5 * time.Minute)
		w.wantJob(ana, liwanag.JobEnriched, "")
		w.wantSubmissions(run, liwanag.SubmissionSettled)
		w.wantRun(run, workflow.StatusCompleted)
		w.wantPaidOnce()
	})
}

func TestRow02_CrashBetweenPrepareAndSending(t *testing.T) {
	underBoth(t, enrichment.Config{}, func(w *world) {
		w.life.store.killAt(afterCommit, "submission.insert")
		run := w.signUp(ana)[0]
		<-w.life.store.killed
		prepared := w.wantSubmissions(run, liwanag.SubmissionPrepared)
		w.killedThenRebooted()
		w.sleep(5 * time.Minute)
		w.wantJob(ana, liwanag.JobEnriched, "")
		if got := w.wantSubmissions(run, liwanag.SubmissionSettled); got[0].ID != prepared[0].ID {
			t.Errorf("another submission was made")
		}
		w.wantPaidOnce()
	})
}

func TestRow03_CrashAfterSendingBeforeConnecting(t *testing.T) {
	underBoth(t, watchful(enrichment.Config{}), func(w *world) {
		w.life.store.killAt(afterCommit, "submission.sending")
		run := w.signUp(ana)[0]
		w.killedThenRebooted()
		w.sleep(59 * time.Minute)
		if sub := w.wantSubmissions(run, liwanag.SubmissionAmbiguous)[0]; sub.Cause != "lost_worker" {
			t.Errorf("cause %q", sub.Cause)
		}
		w.wantJob(ana, liwanag.JobSubmitted, "")
		w.wantAccepted(0, ana)
		w.sleep(10 * time.Minute)
		subs := w.wantSubmissions(run, liwanag.SubmissionSuperseded, liwanag.SubmissionSettled)
		if subs[1].Supersedes != subs[0].ID {
			t.Errorf("the resubmission supersedes %q", subs[1].Supersedes)
		}
		w.wantJob(ana, liwanag.JobEnriched, "")
		w.wantRun(run, workflow.StatusCompleted)
		w.wantPaidOnce()
	})
}

func TestRow07_ResetAfterWritingNotAccepted(t *testing.T) {
	underBoth(t, watchful(enrichment.Config{}), func(w *world) {
		w.fault(simulator.Fault{Action: simulator.ActionResetWithoutAccepting, Count: 1})
		run := w.signUp(ana)[0]
		w.sleep(59 * time.Minute)
		w.wantSubmissions(run, liwanag.SubmissionAmbiguous)
		w.wantReserved(1)
		w.sleep(10 * time.Minute)
		w.wantSubmissions(run, liwanag.SubmissionSuperseded, liwanag.SubmissionSettled)
		w.wantJob(ana, liwanag.JobEnriched, "")
		w.wantFired(simulator.ActionResetWithoutAccepting)
		w.wantPaidOnce()
	})
}

func TestRow08_ResetAfterAcceptanceIsAdoptedByTheBeacon(t *testing.T) {
	underBoth(t, enrichment.Config{}, func(w *world) {
		w.fault(simulator.Fault{Action: simulator.ActionAcceptThenReset, Count: 1})
		// A slow neighbor keeps the batch open for 15 minutes after the first contact.
		run := w.signUp(ana, "eva+slow+found@example.net")[0]
		w.sleep(2 * time.Minute)
		w.wantSubmissions(run, liwanag.SubmissionAccepted)
		if w.meter.get("adopted beacon") != 1 {
			t.Errorf("not adopted by the beacon: %v", w.meter.n)
		}
		w.sleep(20 * time.Minute)
		w.wantSubmissions(run, liwanag.SubmissionSettled)
		w.wantJob(ana, liwanag.JobEnriched, "")
		w.wantFired(simulator.ActionAcceptThenReset)
		w.wantPaidOnce()
	})
}

func TestRow08_ResetAfterAcceptanceIsAdoptedByTheWebhook(t *testing.T) {
	underBoth(t, enrichment.Config{}, func(w *world) {
		w.fault(simulator.Fault{Action: simulator.ActionAcceptThenReset, Count: 1})
		w.fault(simulator.Fault{Action: simulator.ActionContactNever})
		run := w.signUp(ana)[0]
		w.sleep(5 * time.Minute)
		w.wantSubmissions(run, liwanag.SubmissionSettled)
		w.wantJob(ana, liwanag.JobEnriched, "")
		w.wantRun(run, workflow.StatusCompleted)
		if w.meter.get("adopted webhook") != 1 {
			t.Errorf("not adopted by the webhook: %v", w.meter.n)
		}
		w.wantPaidOnce()
	})
}

func TestRow11_CrashAfterTheAnswerBeforeItsOutcome(t *testing.T) {
	underBoth(t, enrichment.Config{}, func(w *world) {
		w.life.store.killAt(beforeCommit, "submission.accepted")
		run := w.signUp(ana)[0]
		w.killedThenRebooted()
		w.sleep(5 * time.Minute)
		w.wantSubmissions(run, liwanag.SubmissionSettled)
		w.wantJob(ana, liwanag.JobEnriched, "")
		w.wantRun(run, workflow.StatusCompleted)
		w.wantPaidOnce()
	})
}

func TestRow16_CrashBetweenTheDeliveryAndOurAnswer(t *testing.T) {
	underBoth(t, enrichment.Config{}, func(w *world) {
		w.life.store.killAt(afterCommit, "delivery.insert")
		run := w.signUp(ana)[0]
		w.killedThenRebooted()
		w.sleep(10 * time.Minute)
		w.wantJob(ana, liwanag.JobEnriched, "")
		w.wantRun(run, workflow.StatusCompleted)
		if got := w.deliveries(); len(got) != 1 || got[0].State != liwanag.DeliverySettled {
			t.Errorf("deliveries: %+v", got)
		}
		repeated := false
		for _, hook := range w.sim.Ledger().Webhooks {
			repeated = repeated || hook.Kind == "batch" && hook.State == "delivered" && len(hook.Attempts) == 2
		}
		if !repeated {
			t.Errorf("FullEnrich did not repeat the delivery: %+v", w.sim.Ledger().Webhooks)
		}
		w.wantPaidOnce()
	})
}

func TestRow16a_CrashAfterOurAnswerBeforeTheEvent(t *testing.T) {
	underBoth(t, enrichment.Config{}, func(w *world) {
		// The worker's first transaction reads the submission and, the id being
		// known, writes nothing: the event comes after it.
		stored := false
		w.life.store.killWhen(afterCommit, func(ops string) bool {
			if ops == " prove delivery.insert " {
				stored = true
				return false
			}
			return stored && ops == " submission.get "
		})
		run := w.signUp(ana)[0]
		<-w.life.store.killed
		if got := w.deliveries(); len(got) != 1 || got[0].State != liwanag.DeliveryStored {
			t.Errorf("deliveries at death: %+v", got)
		}
		if got := w.wantRun(run, workflow.StatusWaiting); len(got.Events) != 0 {
			t.Errorf("events at death: %+v", got.Events)
		}
		w.killedThenRebooted()
		w.sleep(time.Second)
		w.wantJob(ana, liwanag.JobEnriched, "")
		w.wantRun(run, workflow.StatusCompleted)
		w.wantPaidOnce()
	})
}

func TestRow17_CrashDuringSettle(t *testing.T) {
	for _, when := range []moment{beforeCommit, afterCommit} {
		t.Run(string(when), func(t *testing.T) {
			underBoth(t, enrichment.Config{}, func(w *world) {
				w.life.store.killAt(when, "delivery.settled")
				run := w.signUp(ana, ben)[0]
				w.killedThenRebooted()
				w.sleep(5 * time.Minute)
				w.wantJob(ana, liwanag.JobEnriched, "")
				w.wantJob(ben, liwanag.JobNotFound, "")
				w.wantRun(run, workflow.StatusCompleted)
				w.wantSubmissions(run, liwanag.SubmissionSettled)
				w.wantPaidOnce()
			})
		})
	}
}

func TestAKillAtAnyTransactionLosesNobodyAndPaysOnce(t *testing.T) {
	takesSeconds(t)
	for _, op := range []string{"submission.insert", "submission.sending", "submission.accepted", "delivery.insert", "delivery.sent",
		"submission.settled", "delivery.settled"} {
		for _, when := range []moment{beforeCommit, afterCommit} {
			t.Run(op+" "+string(when), func(t *testing.T) {
				inWorld(t, watchful(enrichment.Config{}), simulator.Config{}, func(w *world) {
					w.life.store.killAt(when, op)
					run := w.signUp(ana, ben)[0]
					w.killedThenRebooted()
					w.sleep(2 * time.Hour)
					w.wantJob(ana, liwanag.JobEnriched, "")
					w.wantJob(ben, liwanag.JobNotFound, "")
					w.wantRun(run, workflow.StatusCompleted)
					w.wantPaidOnce()
				})
			})
		}
	}
}

func TestACrashBetweenSignUpAndStartLosesNobody(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		w.must(w.life.store.Write(context.Background(), func(tx *datastore.Tx) error {
			stored, err := tx.Subscribers.Upsert([]liwanag.SignUp{{ID: liwanag.NewID(liwanag.SubscriberKind), EmailKey: ana, Email: ana,
				EmailType: liwanag.Personal, At: time.Now()}})
			if err != nil {
				return err
			}
			_, err = w.life.svc.Enroll(tx, []enrichment.Enrollment{{SubscriberID: stored[0].ID}})
			return err
		}))
		w.stop() // before anybody called Start
		w.boot()
		w.sleep(5 * time.Minute)
		w.wantJob(ana, liwanag.JobEnriched, "")
		w.wantPaidOnce()
	})
}
