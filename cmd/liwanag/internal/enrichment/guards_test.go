package enrichment_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich"
	"github.com/liwanag/liwanag/fullenrich/simulator"
	"github.com/liwanag/liwanag/workflow"
)

// Tests of single guards: each turns red when its guard is taken away.

func TestOnlyOneOfManyExecutionsPosts(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		ctx := context.Background()
		run := w.signUp(ana)[0]
		w.must(w.life.svc.Pause(ctx, "keep it prepared"))
		w.sleep(10 * time.Second)
		sub := w.wantSubmissions(run, liwanag.SubmissionPrepared)[0]
		w.must(w.life.svc.Resume(ctx))
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if err := w.life.work.Transmit(ctx, sub); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		w.wantSubmissions(run, liwanag.SubmissionAccepted) // none of the others has taken it for unsent
		w.wantJob(ana, liwanag.JobSubmitted, "")
		w.sleep(2 * time.Hour)
		w.wantJob(ana, liwanag.JobEnriched, "")
		w.wantPaidOnce()
	})
}

func TestAResultThatComesWhileTheRunBacksOffStopsThePaying(t *testing.T) {
	inWorld(t, enrichment.Config{PaidRetry: enrichment.Standard}, simulator.Config{Speed: 20}, func(w *world) {
		w.fault(simulator.Fault{Action: simulator.ActionAcceptThen502})
		run := w.signUp(ana)[0]
		w.sleep(10 * time.Minute)
		w.wantJob(ana, liwanag.JobEnriched, "")
		if got := w.wantRun(run, workflow.StatusCompleted); got.FinishedBecause != "no-jobs-left" {
			t.Errorf("finished because %q", got.FinishedBecause)
		}
		// Attempts come 0, 1, 3, 7 and 15 s after the first; the result after at most 5 s.
		if n := len(w.sim.Ledger().Submissions); n > 3 {
			t.Errorf("%d submissions were paid for, although the first result came after the third", n)
		}
		w.wantBooks()
	})
}

func TestAResultWhoseStepFailedIsApplied(t *testing.T) {
	for name, tc := range map[string]struct {
		faults int
		soon   liwanag.SubmissionState
	}{
		"by the run's end": {3, liwanag.SubmissionSettled},
		"by the sweep":     {3 + 10, liwanag.SubmissionAccepted}, // the end's attempts too
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
				w.life.store.failNext("delivery.settled", tc.faults)
				run := w.signUp(ana)[0]
				w.sleep(7 * time.Minute)
				w.wantRun(run, workflow.StatusFailed)
				w.wantSubmissions(run, tc.soon)
				w.sleep(10 * time.Minute)
				if j := w.wantJob(ana, liwanag.JobEnriched, ""); !j.Late {
					t.Error("the job does not say that it is late")
				}
				w.wantRun(run, workflow.StatusFailed)
				w.wantPaidOnce()
			})
		})
	}
}

func TestAnAnswerIsRecordedWhenTheDatabaseIsBack(t *testing.T) {
	underBoth(t, enrichment.Config{}, func(w *world) {
		w.silence()
		w.life.store.failNext("submission.accepted", 20)
		run := w.signUp(ana)[0]
		w.sleep(10 * time.Second)
		w.wantSubmissions(run, liwanag.SubmissionSending)
		w.sleep(20 * time.Second)
		w.wantSubmissions(run, liwanag.SubmissionAccepted) // it was never in doubt: no webhook came
		w.wantAccepted(1, ana)
	})
}

func TestAnOutcomeThatCannotBeStoredIsNeverSentAgain(t *testing.T) {
	underBoth(t, watchful(enrichment.Config{}), func(w *world) {
		w.life.store.failNext("submission.accepted", 40) // the step gives up before
		run := w.signUp(ana)[0]
		w.sleep(10 * time.Minute)
		w.wantSubmissions(run, liwanag.SubmissionSettled)
		w.wantJob(ana, liwanag.JobEnriched, "")
		w.wantRun(run, workflow.StatusCompleted)
		w.wantPaidOnce()
	})
}

func TestAPublicAddressCountsOnlyAfterAnAuthenticWebhook(t *testing.T) {
	inWorld(t, watchful(enrichment.Config{PublicURL: "https://liwanag.example"}), simulator.Config{}, func(w *world) {
		w.fault(simulator.Fault{Action: simulator.ActionResetWithoutAccepting, Count: 1})
		run := w.signUp(ana)[0]
		w.sleep(2 * time.Hour)
		if sub := w.wantSubmissions(run, liwanag.SubmissionHeld)[0]; sub.Cause != "unproven" {
			t.Errorf("held because of %q", sub.Cause)
		}
		w.signUp(ben) // its webhook proves the address
		w.sleep(5 * time.Minute)
		w.wantJob(ben, liwanag.JobNotFound, "")
		w.fault(simulator.Fault{Action: simulator.ActionResetWithoutAccepting, Count: 1})
		run = w.signUp(cid)[0]
		w.sleep(2 * time.Hour)
		w.wantSubmissions(run, liwanag.SubmissionSuperseded, liwanag.SubmissionSettled)
		w.wantJob(cid, liwanag.JobEnriched, "")
		w.wantAccepted(0, ana)
		w.wantAccepted(1, ben, cid)
	})
}

func TestABreakerSparesTheAttemptsOfManyRuns(t *testing.T) {
	inWorld(t, enrichment.Config{BatchSize: 1}, simulator.Config{}, func(w *world) {
		w.fault(simulator.Fault{Action: simulator.ActionRefuse5xx, Status: 503, Code: "error.internal", For: 40 * time.Second})
		var emails []string
		for i := range 20 {
			emails = append(emails, fmt.Sprintf("p%02d+found@example.net", i))
		}
		w.signUp(emails...)
		w.sleep(20 * time.Minute)
		if refused := w.meter.get("submission refused"); refused > 16 {
			t.Errorf("%d paid calls were tried while FullEnrich was down; each run has five attempts", refused)
		}
		for _, e := range emails {
			if j := w.wantJob(e, liwanag.JobEnriched, ""); j.Retries != 0 {
				t.Errorf("the run of %s failed", e)
			}
		}
		w.wantPaidOnce()
	})
}

func TestNoCallIsMadeInTheLastTwoSecondsOfAMinute(t *testing.T) {
	inWorld(t, enrichment.Config{CallsPerMinute: 3}, simulator.Config{}, func(w *world) {
		ctx, cfg := context.Background(), w.cfg
		take := enrichment.CallBudget(w.life.store.Store, cfg)
		next := time.Now().Truncate(time.Minute).Add(time.Minute)
		for range 3 {
			w.must(take(ctx))
		}
		if err := take(ctx); liwanag.ClassOf(err) != liwanag.Unavailable {
			t.Errorf("a fourth call in a minute of three: %v", err)
		}
		time.Sleep(time.Until(next.Add(58 * time.Second)))
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if err := take(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a call in the last two seconds: %v", err)
		}
		if err := take(ctx); err != nil {
			t.Errorf("a call that waits for the next minute: %v", err)
		}
		if now, minute := time.Now(), next.Add(time.Minute); now.Before(minute) || now.Sub(minute) > time.Second {
			t.Errorf("it was made at %s, the minute begins at %s", now, minute)
		}
	})
}

func TestABalanceOfZeroStopsSpendingUntilThereAreCredits(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{Balance: -1}, func(w *world) {
		ctx := context.Background()
		w.signUp(ana)
		w.sleep(3 * time.Minute)
		if j := w.wantJob(ana, liwanag.JobPending, ""); !j.RunID.IsZero() {
			t.Error("the job is still in its batch")
		}
		spending, err := w.life.store.Ledger.Spending(ctx)
		w.must(err)
		if !spending.Paused || spending.Reason != liwanag.WaitingCredits {
			t.Errorf("spending %+v", spending)
		}
		w.sleep(30 * time.Minute)
		runs, err := w.life.svc.RunScheduledBatch(ctx, false)
		w.must(err)
		w.sleep(30 * time.Minute)
		if got := w.submissions(runs[0]); len(got) != 1 || got[0].State != liwanag.SubmissionPrepared {
			t.Errorf("something was sent without credits: %+v", got)
		}
		w.must(w.sim.SetBalance(100))
		w.sleep(30 * time.Minute)
		w.wantJob(ana, liwanag.JobEnriched, "")
		w.wantBooks()
	})
}

func TestWithoutAKeyJobsWait(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		work, err := enrichment.NewEnricher(w.life.store.Store, nil, w.cfg)
		w.must(err)
		ctx := context.Background()
		w.must(w.life.svc.Pause(ctx, "keep it prepared"))
		run := w.signUp(ana)[0]
		w.sleep(10 * time.Second)
		w.must(work.Transmit(ctx, w.submissions(run)[0]))
		w.wantSubmissions(run, liwanag.SubmissionPrepared)
	})
}

func TestWithoutAKeyNoWebhookIsTaken(t *testing.T) {
	inWorld(t, enrichment.Config{Keys: []fullenrich.Secret{""}}, simulator.Config{}, func(w *world) {
		body := []byte(`{}`)
		if err := w.life.svc.Receive(context.Background(), "token", false, fullenrich.Sign("", body), body); !errors.Is(err,
			enrichment.ErrNoKey) {
			t.Errorf("%v", err)
		}
		if n := len(w.deliveries()); n != 0 {
			t.Errorf("%d deliveries were stored", n)
		}
	})
}

func TestFaultsOfTheConfigurationAreRefusedAtStart(t *testing.T) {
	if _, err := enrichment.NewEnricher(nil, nil, enrichment.Config{BatchSize: 1000}); err == nil {
		t.Error("a batch of 1000 was accepted")
	}
}

func TestActsOnUnknownOrSettledSubmissionsAreRefused(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		ctx := context.Background()
		run := w.signUp(ana)[0]
		w.sleep(5 * time.Minute)
		settled := w.wantSubmissions(run, liwanag.SubmissionSettled)[0].ID
		for name, act := range map[string]func(liwanag.ID) error{
			"adopt":    func(id liwanag.ID) error { return w.life.svc.Adopt(ctx, id, someEnrichment) },
			"resubmit": func(id liwanag.ID) error { return w.life.svc.Resubmit(ctx, id, "") },
			"fail":     func(id liwanag.ID) error { return w.life.svc.Fail(ctx, id, "") },
		} {
			if err := act(liwanag.NewID(liwanag.SubmissionKind)); !errors.Is(err, liwanag.ErrNotFound) {
				t.Errorf("%s of an unknown one: %v", name, err)
			}
			if err := act(settled); !errors.Is(err, liwanag.ErrState) {
				t.Errorf("%s of a settled one: %v", name, err)
			}
		}
		if err := w.life.svc.Adopt(ctx, settled, "not a uuid"); !errors.Is(err, liwanag.ErrInvalidID) {
			t.Errorf("adopt with a bad id: %v", err)
		}
		w.wantPaidOnce()
	})
}

// spy keeps the webhook token of each submission that goes out.
type spy struct {
	mu     sync.Mutex
	tokens map[string]string // by the submission's name
	next   http.RoundTripper
}

func (s *spy) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		var order struct {
			Name       string `json:"name"`
			WebhookURL string `json:"webhook_url"`
		}
		if err := json.Unmarshal(raw, &order); err != nil {
			return nil, err
		}
		s.mu.Lock()
		s.tokens[order.Name] = strings.TrimPrefix(order.WebhookURL, publicURL+"/webhooks/fullenrich/")
		s.mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(raw))
	}
	return s.next.RoundTrip(r)
}

func TestABodyAtTheTokenOfAnotherSubmissionIsQuarantined(t *testing.T) {
	for _, contact := range []bool{false, true} {
		t.Run(fmt.Sprintf("of a contact %t", contact), func(t *testing.T) {
			inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
				listen := &spy{tokens: map[string]string{}, next: w.out}
				w.out = listen
				w.fault(simulator.Fault{Action: simulator.ActionAcceptThenReset})
				w.fault(simulator.Fault{Action: simulator.ActionContactNever})
				w.fault(simulator.Fault{Action: simulator.ActionWebhookNever})
				first := w.signUp(ana)[0]
				w.sleep(5 * time.Second)
				second := w.signUp(cid)[0]
				w.sleep(2 * time.Minute)
				a, b := w.wantSubmissions(first, liwanag.SubmissionAmbiguous)[0], w.wantSubmissions(second, liwanag.SubmissionAmbiguous)[0]
				body, err := json.Marshal(map[string]any{"id": w.sim.Ledger().Submissions[0].EnrichmentID, "name": a.Name, "status": "FINISHED",
					"data": []any{map[string]any{"input": map[string]string{"email": ana}, "custom": map[string]string{"lw_submission": a.ID.String()}}}})
				w.must(err)
				w.must(w.life.svc.Receive(context.Background(), listen.tokens[b.Name], contact, fullenrich.Sign(w.key, body), body))
				w.sleep(time.Minute)
				w.wantSubmissions(second, liwanag.SubmissionAmbiguous)
				w.wantJob(cid, liwanag.JobSubmitted, "")
				got := w.deliveries()
				if contact && len(got) != 0 || !contact &&
					(len(got) != 1 || got[0].State != liwanag.DeliveryQuarantined || got[0].Note != "foreign_enrichment") {
					t.Errorf("deliveries: %+v", got)
				}
			})
		})
	}
}

func TestARunThatEndsInDoubtLeavesItsJobsToTheOperator(t *testing.T) {
	underBoth(t, enrichment.Config{WebhookTimeout: 30 * time.Minute}, func(w *world) {
		w.fault(simulator.Fault{Action: simulator.ActionAcceptThenReset, Count: 1})
		w.fault(simulator.Fault{Action: simulator.ActionContactNever, Count: 1})
		w.fault(simulator.Fault{Action: simulator.ActionWebhookLate, Delay: 3 * time.Hour, Count: 1})
		run := w.signUp(ana)[0]
		w.sleep(2 * time.Hour)
		w.wantRun(run, workflow.StatusTimedOut)
		w.wantSubmissions(run, liwanag.SubmissionHeld)
		w.wantJob(ana, liwanag.JobHeld, "no_answer")
		if got := w.enrich(ana, false, enrichment.EnrichOpen); got != run {
			t.Errorf("the open job is of run %s", got)
		}
		w.sleep(2 * time.Hour)
		if j := w.wantJob(ana, liwanag.JobEnriched, ""); !j.Late {
			t.Error("the job does not say that it is late")
		}
		w.wantPaidOnce()
	})
}

func TestAResultWithAnotherEnrichmentIDIsQuarantined(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		listen := &spy{tokens: map[string]string{}, next: w.out}
		w.out = listen
		w.silence()
		run := w.signUp(ana)[0]
		w.sleep(time.Minute)
		sub := w.wantSubmissions(run, liwanag.SubmissionAccepted)[0]
		body := []byte(`{"id":"` + someEnrichment + `","name":"` + sub.Name + `","status":"FINISHED","data":[]}`)
		w.must(w.life.svc.Receive(context.Background(), listen.tokens[sub.Name], false, fullenrich.Sign(w.key, body), body))
		w.sleep(time.Second)
		w.wantSubmissions(run, liwanag.SubmissionAccepted)
		w.wantJob(ana, liwanag.JobSubmitted, "")
		if got := w.deliveries(); len(got) != 1 || got[0].State != liwanag.DeliveryQuarantined || got[0].Note != "other_enrichment" {
			t.Errorf("deliveries: %+v", got)
		}
	})
}

func TestTheSecondPaymentIsAccountedForAfterTheRunIsCompleted(t *testing.T) {
	underBoth(t, watchful(enrichment.Config{}), func(w *world) {
		w.fault(simulator.Fault{Action: simulator.ActionAcceptThenReset, Count: 1})
		w.fault(simulator.Fault{Action: simulator.ActionContactNever})
		w.fault(simulator.Fault{Action: simulator.ActionWebhookLate, Delay: 62 * time.Minute, Count: 1})
		w.fault(simulator.Fault{Action: simulator.ActionWebhookNever, Nth: 2})
		run := w.signUp(ana)[0]
		w.sleep(65 * time.Minute) // the first one's webhook has come after the second was sent
		w.wantSubmissions(run, liwanag.SubmissionSettled, liwanag.SubmissionAccepted)
		w.wantJob(ana, liwanag.JobEnriched, "")
		w.wantRun(run, workflow.StatusCompleted)
		w.sleep(time.Hour)
		w.wantSubmissions(run, liwanag.SubmissionSettled, liwanag.SubmissionSettled)
		if w.meter.get("duplicate") != 1 {
			t.Errorf("%d duplicates counted", w.meter.get("duplicate"))
		}
		w.wantFired(simulator.ActionWebhookNever)
		w.wantBooks()
	})
}

func TestAnOperatorsPauseIsEndedByTheOperatorAlone(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{Balance: -1}, func(w *world) {
		ctx := context.Background()
		w.must(w.life.svc.Pause(ctx, "red button"))
		w.signUp(ana)
		w.sleep(time.Hour) // the balance check finds 0, and then 100
		w.must(w.sim.SetBalance(100))
		w.sleep(time.Hour)
		spending, err := w.life.store.Ledger.Spending(ctx)
		w.must(err)
		if !spending.Paused || !spending.Until.IsZero() || spending.Note != "red button" {
			t.Errorf("spending %+v", spending)
		}
		w.wantAccepted(0, ana)
	})
}

func TestAResubmissionWhoseSenderIsLostIsHeld(t *testing.T) {
	underBoth(t, watchful(enrichment.Config{}), func(w *world) {
		w.fault(simulator.Fault{Action: simulator.ActionResetWithoutAccepting, Count: 1})
		run := w.signUp(ana)[0]
		w.sleep(10 * time.Minute)
		w.life.store.killAt(afterCommit, "submission.sending")
		w.killedThenRebooted()
		w.wantSubmissions(run, liwanag.SubmissionSuperseded, liwanag.SubmissionSending)
		w.sleep(6 * time.Hour)
		w.wantSubmissions(run, liwanag.SubmissionSuperseded, liwanag.SubmissionHeld)
		w.wantJob(ana, liwanag.JobHeld, "doubt_twice")
		w.wantAccepted(0, ana)
	})
}
