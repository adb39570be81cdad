package enrichment_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich"
	"github.com/liwanag/liwanag/fullenrich/simulator"
	"github.com/liwanag/liwanag/workflow"
)

// pauses stop spending for a while, each for another reason.
var pauses = map[liwanag.Waiting]func(w *world){
	"by hand": func(w *world) { w.must(w.life.svc.Pause(context.Background(), "red button")) },
	"fault":   refusing(400, "error.enrichment.webhook_url"),
	"key":     refusing(401, "error.api.key"),
	"credits": refusing(402, ""),
}

func refusing(status int, code string) func(w *world) {
	return func(w *world) {
		w.fault(simulator.Fault{Action: simulator.ActionRefuse, Status: status, Code: code, Count: 1})
	}
}

// paused waits until spending is; the balance check ends a pause for credits.
func (w *world) paused() {
	w.t.Helper()
	for range 110 {
		if w.spending().Paused {
			return
		}
		w.sleep(6 * time.Second)
	}
	w.t.Fatal("spending never paused")
}

// wantSentIn makes sure that the last submission of a run goes out within a time.
func (w *world) wantSentIn(run liwanag.ID, d time.Duration) {
	w.t.Helper()
	w.sleep(d)
	subs := w.submissions(run)
	if last := subs[len(subs)-1]; last.State != liwanag.SubmissionAccepted && last.State != liwanag.SubmissionSettled {
		w.t.Errorf("%s later the last submission is %s (%s)", d, last.State, last.Cause)
	}
}

func TestResumeWakesWhatWaitsAtOnce(t *testing.T) {
	for reason, pause := range pauses {
		for kind, meet := range answered {
			for how, resume := range map[string]func(w *world){
				"here":            func(w *world) { w.must(w.life.svc.Resume(context.Background())) },
				"on another node": func(w *world) { w.must(w.life.all[1].Resume(context.Background())) },
				"after a restart": func(w *world) {
					w.stop()
					w.boot()
					w.must(w.life.svc.Resume(context.Background()))
				},
			} {
				if how != "here" && reason != "by hand" {
					continue // where one resumes does not depend on the reason
				}
				t.Run(fmt.Sprintf("%s %s %s", reason, kind, how), func(t *testing.T) {
					onNodes(t, 2, watchful(enrichment.Config{}), simulator.Config{}, func(w *world) {
						run := meet(w, func() { pause(w) })
						w.paused()
						w.sleep(10 * time.Second)
						w.wantAccepted(0, ana, ben)
						resume(w)
						w.wantSentIn(run, 7*time.Second)
						w.wantAccepted(1, ana, ben)
					})
				})
			}
		}
	}
}

// Whoever resumes may end before it has woken anybody.
func TestWhoResumesAndDiesIsFinishedByTheNextProcess(t *testing.T) {
	for kind, meet := range answered {
		t.Run(kind, func(t *testing.T) {
			inWorld(t, enrichment.Config{SweepEvery: time.Hour, ProbeEvery: 20 * time.Second}, simulator.Config{}, func(w *world) {
				run := meet(w, func() { w.must(w.life.svc.Pause(context.Background(), "")) })
				if kind == "resubmission" {
					w.sleep(time.Hour) // of the sweep
				}
				w.sleep(10 * time.Second)
				w.wantAccepted(0, ana)
				w.life.store.killAt(afterCommit, "resume")
				ended := make(chan struct{})
				go func(life *life) {
					defer close(ended)
					_ = life.svc.Resume(context.Background())
				}(w.life)
				w.killedThenRebooted()
				<-ended
				w.wantSentIn(run, 5*time.Second)
				w.wantAccepted(1, ana, ben)
			})
		})
	}
}

func TestWhoFoundThePauseBeforeItEndedDoesNotWaitForItAfterwards(t *testing.T) {
	for kind, meet := range answered {
		t.Run(kind, func(t *testing.T) {
			inWorld(t, enrichment.Config{SweepEvery: time.Hour, ProbeEvery: 20 * time.Second}, simulator.Config{}, func(w *world) {
				run := meet(w, func() {
					w.must(w.life.svc.Pause(context.Background(), ""))
					w.life.store.pauseAfter("spending", 2*time.Second)
				})
				if kind == "resubmission" {
					w.sleep(10 * time.Minute)
				}
				for range 100 { // until it stands between the look and the note
					if w.sleep(100 * time.Millisecond); w.life.store.stands() {
						break
					}
				}
				w.must(w.life.svc.Resume(context.Background()))
				w.wantSentIn(run, 8*time.Second)
			})
		})
	}
}

func TestAConfirmedKeyWakesWhatWaitsForIt(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		ctx := context.Background()
		pauses["key"](w)
		run := w.signUp(ana)[0]
		w.paused()
		w.sleep(10 * time.Second)
		w.must(w.life.svc.KeyConfirmed(ctx))
		w.wantSentIn(run, 7*time.Second)
		w.must(w.life.svc.Pause(ctx, "by hand"))
		w.must(w.life.svc.KeyConfirmed(ctx))
		if !w.spending().Paused {
			t.Error("a confirmed key ended an operator's pause")
		}
	})
}

func TestAToppedUpBalanceWakesWhatWaitsForIt(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprintf("restart %t", restart), func(t *testing.T) {
			inWorld(t, watchful(enrichment.Config{BatchSize: 1}), simulator.Config{Balance: -1}, func(w *world) {
				ctx := context.Background()
				w.must(w.life.store.Write(ctx, func(tx *datastore.Tx) error {
					return tx.Ledger.SetSpending(liwanag.Spending{Paused: true, Reason: liwanag.WaitingCredits, At: time.Now(),
						Until: time.Now().Add(time.Hour)})
				}))
				runs := w.signUp(ana, ben)
				w.sleep(12 * time.Minute)
				w.must(w.sim.SetBalance(100))
				if restart {
					w.stop()
					w.boot()
				}
				w.sleep(2 * time.Minute)
				for _, run := range runs {
					w.wantSentIn(run, 0)
				}
			})
		})
	}
}

func TestALargerBudgetWakesAsManyAsItHasRoomFor(t *testing.T) {
	inWorld(t, enrichment.Config{BatchSize: 1, CreditBudget: 1}, simulator.Config{}, func(w *world) {
		var people []string
		for i := range 12 {
			people = append(people, fmt.Sprintf("p%02d+found@example.net", i))
		}
		w.signUp(people...)
		w.sleep(10 * time.Minute)
		w.stop()
		w.cfg.CreditBudget = 4
		w.boot()
		w.sleep(10 * time.Minute)
		if spent := w.sim.Ledger().Totals.Credits; spent != 4 {
			t.Errorf("%d credits were spent, the budget is 4 now", spent)
		}
		if n := w.life.woken.count(); n != 3 {
			t.Errorf("%d runs were woken for a room of 3", n)
		}
	})
}

func TestResumeLetsOneTryWhetherFullEnrichIsBack(t *testing.T) {
	inWorld(t, enrichment.Config{BatchSize: 1}, simulator.Config{}, func(w *world) {
		w.fault(simulator.Fault{Action: simulator.ActionRefuse5xx, Status: 503, Code: "error.internal", For: 20 * time.Second})
		var people []string
		for i := range 20 {
			people = append(people, fmt.Sprintf("p%02d+found@example.net", i))
		}
		w.signUp(people...)
		w.sleep(21 * time.Second)
		w.wantAccepted(0, people...)
		w.must(w.life.svc.Resume(context.Background()))
		w.sleep(time.Second)
		if n := len(w.sim.Ledger().Submissions); n == 0 {
			t.Error("nobody tried")
		}
		w.sleep(10 * time.Minute)
		w.wantAccepted(1, people...)
	})
}

func TestARefusedResubmissionOfAnEndedRunIsSentUnderASmallerBudget(t *testing.T) {
	inWorld(t, enrichment.Config{WebhookTimeout: 30 * time.Minute},
		simulator.Config{}, func(w *world) {
			ctx := context.Background()
			w.fault(simulator.Fault{Action: simulator.ActionResetBeforeReading, Count: 1})
			run := w.signUp(ana, ben)[0]
			w.sleep(40 * time.Minute)
			sub := w.wantSubmissions(run, liwanag.SubmissionHeld)[0]
			w.wantRun(run, workflow.StatusTimedOut)
			w.stop()
			w.cfg.WebhookTimeout = 90 * time.Hour
			w.boot()
			w.must(w.life.svc.Pause(ctx, "for a day"))
			w.must(w.life.svc.Resubmit(ctx, sub.ID, "once more"))
			w.sleep(time.Hour)
			w.cfg.CreditBudget = 1
			w.stopFor(24 * time.Hour)
			w.must(w.life.svc.Resume(ctx))
			w.sleep(50 * time.Hour)
			w.wantAccepted(1, ana, ben)
		})
}

// silentRunner is a runner that only counts who was woken.
type silentRunner struct {
	workflow.Runner
	woken []string
	err   error
}

func (r *silentRunner) Wake(_ context.Context, id string) error {
	r.woken = append(r.woken, id)
	return r.err
}

func TestTenThousandWaitingRunsAreWokenInOrderAndOnce(t *testing.T) {
	takesSeconds(t)
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		ctx := context.Background()
		batches, want := make([]liwanag.Batch, 10_000), []string{}
		for i := range batches {
			batches[i] = liwanag.Batch{RunID: liwanag.NewID(liwanag.RunKind), Size: 1, State: liwanag.BatchClosed, Started: true,
				ClosesAt: time.Now(), CreatedAt: time.Now(), Waiting: liwanag.WaitingPaused, WaitingUntil: time.Now().Add(time.Hour)}
			if i%5 == 0 {
				batches[i].Waiting = liwanag.WaitingCalls
				continue
			}
			want = append(want, batches[i].RunID.String())
		}
		w.must(w.life.store.Write(ctx, func(tx *datastore.Tx) error { return tx.Batches.Insert(batches) }))
		runner := &silentRunner{}
		svc := enrichment.NewService(w.life.work, nil, runner)
		w.must(svc.WakeWaiting(ctx))
		slices.Sort(want)
		if !slices.Equal(runner.woken, want) {
			t.Errorf("%d were woken, want %d in the order of their ids", len(runner.woken), len(want))
		}
		runner.woken, runner.err = nil, workflow.ErrEnded
		w.must(svc.WakeWaiting(ctx))
		w.must(svc.WakeWaiting(ctx))
		if len(runner.woken) != len(want) {
			t.Errorf("runs that have ended were woken %d times, want once each", len(runner.woken))
		}
	})
}

func TestWhoFindsNoRoomInTheBudgetIsNotWokenForTheSameRoom(t *testing.T) {
	inWorld(t, enrichment.Config{CreditBudget: 4}, simulator.Config{}, func(w *world) {
		ctx := context.Background()
		w.must(w.life.store.Write(ctx, func(tx *datastore.Tx) error {
			return tx.Batches.Insert([]liwanag.Batch{{RunID: liwanag.NewID(liwanag.RunKind), Size: 9, State: liwanag.BatchClosed, Started: true,
				ClosesAt: time.Now(), CreatedAt: time.Now(), Waiting: liwanag.WaitingBudget, WaitingUntil: time.Now().Add(time.Hour)}})
		}))
		runner := &silentRunner{}
		svc := enrichment.NewService(w.life.work, nil, runner)
		for range 3 {
			w.must(svc.WakeWaiting(ctx))
		}
		if len(runner.woken) != 1 {
			t.Errorf("it was woken %d times", len(runner.woken))
		}
	})
}

// careless is a partner that our client refuses to send for.
type careless struct{ *fullenrich.Client }

func (c careless) Submit(ctx context.Context, r fullenrich.SubmitRequest) (string, error) {
	r.Name = ""
	return c.Client.Submit(ctx, r)
}

func TestAPublicURLMayBeWrittenInCapitals(t *testing.T) {
	for _, url := range []string{"HTTP://127.0.0.1:8484", "Http://127.0.0.1:8484/"} {
		t.Run(url, func(t *testing.T) {
			inWorld(t, enrichment.Config{PublicURL: url}, simulator.Config{}, func(w *world) {
				w.signUp(ana)
				w.sleep(5 * time.Minute)
				w.wantJob(ana, liwanag.JobEnriched, "")
			})
		})
	}
}
