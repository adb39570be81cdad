package enrichment_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich/simulator"
	"github.com/liwanag/liwanag/workflow"
)

// The rows of the failure table that begin with FullEnrich's answer.

// refusingDial fails the first n connections as a host that is not there does.
type refusingDial struct {
	n    int
	next http.RoundTripper
}

func (d *refusingDial) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost && d.n > 0 {
		d.n--
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	return d.next.RoundTrip(r)
}

func TestRow04_ConnectFailure(t *testing.T) {
	underBoth(t, enrichment.Config{}, func(w *world) {
		dial := &refusingDial{n: 2, next: w.out}
		w.out = dial
		run := w.signUp(ana)[0]
		w.sleep(5 * time.Minute)
		if dial.n != 0 {
			t.Errorf("%d connections were not tried", dial.n)
		}
		subs := w.wantSubmissions(run, liwanag.SubmissionRefused, liwanag.SubmissionRefused, liwanag.SubmissionSettled)
		if gap := subs[2].SendingAt.Sub(subs[1].SendingAt); gap < 2*time.Second || gap > 4*time.Second {
			t.Errorf("the third attempt came %s after the second, the policy says 2s", gap)
		}
		w.wantJob(ana, liwanag.JobEnriched, "")
		w.wantPaidOnce()
	})
}

func TestRow05_OneBadAddressInABatch(t *testing.T) {
	underBoth(t, enrichment.Config{}, func(w *world) {
		w.fault(simulator.Fault{Action: simulator.ActionRefuse, Status: 400, Code: "error.reverse.email.invalid", Email: "bad@"})
		emails := []string{ana, ben, cid, "bad@example.net", dea}
		run := w.signUp(emails...)[0]
		w.sleep(10 * time.Minute)
		bad := w.wantJob("bad@example.net", liwanag.JobFailed, liwanag.CodeInvalidEmail)
		if got := w.wantRun(bad.RunID, workflow.StatusFailed); got.Failure == nil || got.Failure.Code != liwanag.CodeInvalidEmail ||
			got.Failure.Attempts != 1 {
			t.Errorf("failure %+v, want %s at the first attempt", got.Failure, liwanag.CodeInvalidEmail)
		}
		w.wantJob(ana, liwanag.JobEnriched, "")
		w.wantJob(ben, liwanag.JobNotFound, "")
		w.wantJob(cid, liwanag.JobEnriched, "")
		w.wantJob(dea, liwanag.JobEnriched, "")
		w.wantRun(run, workflow.StatusCompleted)
		w.wantAccepted(0, "bad@example.net")
		w.wantPaidOnce()
	})
}

func TestRow05a_OurOwnFaultPausesAllSpending(t *testing.T) {
	underBoth(t, enrichment.Config{}, func(w *world) {
		w.fault(simulator.Fault{Action: simulator.ActionRefuse, Status: 400, Code: "error.enrichment.webhook_url", For: 10 * time.Minute})
		run := w.signUp(ana, ben)[0]
		w.sleep(5 * time.Minute)
		other := w.signUp(cid)[0]
		w.sleep(5 * time.Minute)
		spending, err := w.life.store.Ledger.Spending(context.Background())
		w.must(err)
		if !spending.Paused || spending.Reason != liwanag.WaitingPaused || !strings.Contains(spending.Note, "error.enrichment.webhook_url") {
			t.Errorf("spending %+v", spending)
		}
		w.wantJob(ana, liwanag.JobPending, "")
		batch, err := w.life.store.Batches.Get(context.Background(), other)
		w.must(err)
		if batch.Waiting != liwanag.WaitingPaused || !batch.WaitingUntil.Equal(spending.Until) {
			t.Errorf("the other batch waits for %q until %s", batch.Waiting, batch.WaitingUntil)
		}
		w.wantSubmissions(run, liwanag.SubmissionRefused)
		w.wantSubmissions(other, liwanag.SubmissionPrepared)
		w.sleep(15 * time.Minute)
		w.wantJob(ana, liwanag.JobEnriched, "")
		w.wantJob(ben, liwanag.JobNotFound, "")
		w.wantJob(cid, liwanag.JobEnriched, "")
		w.wantPaidOnce()
	})
}

func TestRow06_NotNowUsesNoAttempt(t *testing.T) {
	for name, tc := range map[string]struct {
		fault   simulator.Fault
		waiting liwanag.Waiting
	}{
		"401": {simulator.Fault{Action: simulator.ActionStorm401, Method: "POST", For: 30 * time.Minute}, liwanag.WaitingKey},
		"402": {simulator.Fault{Action: simulator.ActionRefuse, Status: 402, For: 30 * time.Minute}, liwanag.WaitingCredits},
		"429": {simulator.Fault{Action: simulator.ActionStorm429, Method: "POST", For: 30 * time.Minute}, liwanag.WaitingCalls},
	} {
		t.Run(name, func(t *testing.T) {
			underBoth(t, enrichment.Config{}, func(w *world) {
				w.fault(tc.fault)
				run := w.signUp(ana)[0]
				w.sleep(20*time.Minute + 20*time.Second)
				w.wantJob(ana, liwanag.JobPending, "")
				w.wantRun(run, workflow.StatusWaiting)
				batch, err := w.life.store.Batches.Get(context.Background(), run)
				w.must(err)
				if batch.Waiting != tc.waiting || !batch.WaitingUntil.After(time.Now()) {
					t.Errorf("waits for %q until %s, want %q", batch.Waiting, batch.WaitingUntil, tc.waiting)
				}
				w.sleep(45 * time.Minute)
				w.wantJob(ana, liwanag.JobEnriched, "")
				w.wantRun(run, workflow.StatusCompleted)
				w.wantFired(tc.fault.Action)
				w.wantPaidOnce()
			})
		})
	}
}

func TestRow06_A429IsRetriedAfterThePolicysDelays(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		w.fault(simulator.Fault{Action: simulator.ActionStorm429, Method: "POST", Count: 4})
		run := w.signUp(ana)[0]
		w.sleep(5 * time.Minute)
		subs := w.submissions(run)
		if len(subs) != 5 {
			t.Fatalf("%d submissions, want 5", len(subs))
		}
		for i, want := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second} {
			if gap := subs[i+1].SendingAt.Sub(subs[i].SendingAt); gap < want || gap > want+2500*time.Millisecond {
				t.Errorf("attempt %d came after %s, want %s", i+2, gap, want)
			}
		}
		w.wantPaidOnce()
	})
}

func TestRow09_Timeout(t *testing.T) {
	t.Run("not accepted", func(t *testing.T) {
		underBoth(t, watchful(enrichment.Config{}), func(w *world) {
			w.fault(simulator.Fault{Action: simulator.ActionHangWithoutAccepting, Count: 1})
			run := w.signUp(ana)[0]
			w.sleep(59 * time.Minute)
			w.wantSubmissions(run, liwanag.SubmissionAmbiguous)
			w.sleep(10 * time.Minute)
			w.wantSubmissions(run, liwanag.SubmissionSuperseded, liwanag.SubmissionSettled)
			w.wantJob(ana, liwanag.JobEnriched, "")
			w.wantFired(simulator.ActionHangWithoutAccepting)
			w.wantPaidOnce()
		})
	})
	t.Run("accepted", func(t *testing.T) {
		underBoth(t, watchful(enrichment.Config{}), func(w *world) {
			w.fault(simulator.Fault{Action: simulator.ActionAcceptThenHang, Count: 1})
			run := w.signUp(ana)[0]
			w.sleep(5 * time.Minute)
			w.wantSubmissions(run, liwanag.SubmissionSettled)
			w.wantJob(ana, liwanag.JobEnriched, "")
			w.wantFired(simulator.ActionAcceptThenHang)
			w.wantPaidOnce()
		})
	})
}

func TestRow09a_5xxWithTheEnvelopeIsARefusal(t *testing.T) {
	underBoth(t, enrichment.Config{}, func(w *world) {
		w.fault(simulator.Fault{Action: simulator.ActionRefuse5xx, Status: 503, Code: "error.internal", Count: 2})
		run := w.signUp(ana)[0]
		w.sleep(5 * time.Minute)
		subs := w.wantSubmissions(run, liwanag.SubmissionRefused, liwanag.SubmissionRefused, liwanag.SubmissionSettled)
		if !subs[2].Supersedes.IsZero() {
			t.Error("a clear refusal was superseded: it cannot have been paid for")
		}
		w.wantJob(ana, liwanag.JobEnriched, "")
		w.wantFired(simulator.ActionRefuse5xx)
		w.wantPaidOnce()
	})
}

func TestRow09b_5xxWithoutTheEnvelopeNotAccepted(t *testing.T) {
	script := func(w *world) liwanag.ID {
		w.fault(simulator.Fault{Action: simulator.ActionRefuse5xx, Status: 502, Count: 1})
		return w.signUp(ana)[0]
	}
	t.Run("standard", func(t *testing.T) {
		inWorld(t, watchful(enrichment.Config{PaidRetry: enrichment.Standard}), simulator.Config{}, func(w *world) {
			run := script(w)
			w.sleep(5 * time.Minute)
			subs := w.wantSubmissions(run, liwanag.SubmissionRefused, liwanag.SubmissionSettled)
			if subs[1].Supersedes != subs[0].ID {
				t.Error("the retry does not say what it supersedes")
			}
			w.wantJob(ana, liwanag.JobEnriched, "")
			w.wantPaidOnce()
		})
	})
	t.Run("strict", func(t *testing.T) {
		inWorld(t, watchful(enrichment.Config{PaidRetry: enrichment.Strict}), simulator.Config{}, func(w *world) {
			run := script(w)
			w.sleep(59 * time.Minute)
			w.wantSubmissions(run, liwanag.SubmissionAmbiguous)
			w.sleep(10 * time.Minute)
			w.wantSubmissions(run, liwanag.SubmissionSuperseded, liwanag.SubmissionSettled)
			w.wantJob(ana, liwanag.JobEnriched, "")
			w.wantPaidOnce()
		})
	})
}

func TestRow09c_5xxWithoutTheEnvelopeAccepted(t *testing.T) {
	script := func(w *world) liwanag.ID {
		w.fault(simulator.Fault{Action: simulator.ActionAcceptThen502, Count: 1})
		return w.signUp(ana)[0]
	}
	t.Run("standard", func(t *testing.T) {
		inWorld(t, enrichment.Config{PaidRetry: enrichment.Standard}, simulator.Config{}, func(w *world) {
			run := script(w)
			w.sleep(30 * time.Minute)
			subs := w.wantSubmissions(run, liwanag.SubmissionSettled, liwanag.SubmissionSettled)
			if subs[1].Supersedes != subs[0].ID {
				t.Error("the second payment is not linked to the first")
			}
			w.wantAccepted(2, ana)
			if w.meter.get("duplicate") != 1 {
				t.Errorf("%d duplicates counted, want 1", w.meter.get("duplicate"))
			}
			if j := w.wantJob(ana, liwanag.JobEnriched, ""); j.Credits != 2 {
				t.Errorf("the job cost %d, want 2", j.Credits)
			}
			w.wantRun(run, workflow.StatusCompleted)
			w.wantBooks()
		})
	})
	t.Run("strict", func(t *testing.T) {
		inWorld(t, enrichment.Config{PaidRetry: enrichment.Strict}, simulator.Config{}, func(w *world) {
			run := script(w)
			w.sleep(30 * time.Minute)
			w.wantSubmissions(run, liwanag.SubmissionSettled)
			w.wantJob(ana, liwanag.JobEnriched, "")
			w.wantFired(simulator.ActionAcceptThen502)
			w.wantPaidOnce()
		})
	})
}

func TestRow10_200WithoutAnID(t *testing.T) {
	for _, action := range []simulator.Action{simulator.ActionAnswerWithoutID, simulator.ActionAnswerNonJSON,
		simulator.ActionAnswerTruncated} {
		t.Run(string(action)+" adopted", func(t *testing.T) {
			underBoth(t, enrichment.Config{}, func(w *world) {
				w.fault(simulator.Fault{Action: action, Count: 1})
				run := w.signUp(ana)[0]
				w.sleep(5 * time.Minute)
				w.wantSubmissions(run, liwanag.SubmissionSettled)
				w.wantJob(ana, liwanag.JobEnriched, "")
				w.wantFired(action)
				w.wantPaidOnce()
			})
		})
		t.Run(string(action)+" held", func(t *testing.T) {
			underBoth(t, enrichment.Config{}, func(w *world) {
				w.fault(simulator.Fault{Action: action, Count: 1})
				w.fault(simulator.Fault{Action: simulator.ActionContactNever})
				w.fault(simulator.Fault{Action: simulator.ActionWebhookNever})
				run := w.signUp(ana)[0]
				w.sleep(2 * time.Hour)
				w.wantSubmissions(run, liwanag.SubmissionHeld)
				w.wantJob(ana, liwanag.JobHeld, "no_id")
				w.wantAccepted(1, ana)
			})
		})
	}
}

func TestRow12_WebhookBeforeTheAnswer(t *testing.T) {
	underBoth(t, enrichment.Config{}, func(w *world) {
		w.fault(simulator.Fault{Action: simulator.ActionWebhookBeforeAnswer})
		run := w.signUp(ana, ben)[0]
		w.sleep(time.Minute)
		w.wantSubmissions(run, liwanag.SubmissionSettled)
		w.wantJob(ana, liwanag.JobEnriched, "")
		w.wantJob(ben, liwanag.JobNotFound, "")
		w.wantRun(run, workflow.StatusCompleted)
		w.wantFired(simulator.ActionWebhookBeforeAnswer)
		w.wantPaidOnce()
	})
}

// slowWriter holds the first POST back before its first byte leaves, as a node
// that is paused after its commit does.
type slowWriter struct {
	delay time.Duration
	held  chan struct{}
	next  http.RoundTripper
	used  bool
}

func (s *slowWriter) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost && !s.used {
		s.used = true
		close(s.held)
		time.Sleep(s.delay)
	}
	return s.next.RoundTrip(r)
}

func TestRow21_ThePausedSendersPOSTIsAdoptedByItsToken(t *testing.T) {
	for name, delay := range map[string]time.Duration{"a little late": 5 * time.Second, "too late": 15 * time.Second} {
		t.Run(name, func(t *testing.T) {
			underBoth(t, watchful(enrichment.Config{}), func(w *world) {
				slow := &slowWriter{delay: delay, held: make(chan struct{}), next: w.out}
				w.out = slow
				run := w.signUp(ana)[0]
				<-slow.held
				// Another execution takes over while the first still sleeps.
				taken, err := w.life.work.TakeOver(context.Background(), run)
				w.must(err)
				if taken.State != liwanag.SubmissionAmbiguous || taken.Cause != "lost_worker" {
					t.Errorf("the second execution found %s %q and did not leave it alone", taken.State, taken.Cause)
				}
				w.sleep(5 * time.Minute)
				if delay < 10*time.Second {
					w.wantSubmissions(run, liwanag.SubmissionSettled)
				} else {
					w.wantAccepted(0, ana)
					w.sleep(time.Hour + 10*time.Minute)
					w.wantSubmissions(run, liwanag.SubmissionSuperseded, liwanag.SubmissionSettled)
				}
				w.wantJob(ana, liwanag.JobEnriched, "")
				w.wantPaidOnce()
			})
		})
	}
}

func TestAfterTheLastAttemptThePersonGetsANewJob(t *testing.T) {
	underBoth(t, enrichment.Config{}, func(w *world) {
		w.fault(simulator.Fault{Action: simulator.ActionRefuse5xx, Status: 503, Code: "error.internal", For: 2 * time.Minute})
		run := w.signUp(ana)[0]
		w.sleep(time.Minute)
		failed := w.wantJob(ana, liwanag.JobFailed, liwanag.CodeProviderUnavailable)
		if got := w.wantRun(run, workflow.StatusFailed); got.Failure.Attempts != 5 {
			t.Errorf("failed after %d attempts, want 5", got.Failure.Attempts)
		}
		if wait := failed.RetryAt.Sub(failed.EndedAt); wait != 5*time.Minute {
			t.Errorf("retried after %s, want 5m", wait)
		}
		w.sleep(10 * time.Minute)
		again := w.wantJob(ana, liwanag.JobEnriched, "")
		if again.ID == failed.ID || again.RunID == run || again.Retries != 1 {
			t.Errorf("no new job: %+v", again)
		}
		w.wantPaidOnce()
	})
}

func TestADownPartnerLeavesNobodyWithoutAJob(t *testing.T) {
	underBoth(t, enrichment.Config{}, func(w *world) {
		w.fault(simulator.Fault{Action: simulator.ActionRefuse5xx, Status: 503, Code: "error.internal", For: time.Hour})
		emails := []string{ana, ben, cid, dea}
		for _, e := range emails {
			w.signUp(e)
			w.sleep(10 * time.Second)
		}
		w.sleep(3 * time.Hour)
		for _, e := range emails {
			if s := w.job(e).Status; s != liwanag.JobEnriched && s != liwanag.JobNotFound {
				t.Errorf("%s is %s", e, s)
			}
		}
		w.wantPaidOnce()
	})
}
