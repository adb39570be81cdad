package enrichment_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/liwanag/liwanag/fullenrich/simulator"
	"github.com/liwanag/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow"
)

func TestARetriedRunOrdersNothingForWhoLeftAfterItFailed(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{FoundShare: 1}, func(w *world) {
		w.out = &refusingDial{n: 5, next: w.out}
		run := w.signUp(ana, ben)[0]
		w.sleep(time.Minute)
		w.wantRun(run, workflow.StatusFailed)
		w.suppress(ana)
		w.must(w.life.svc.RetryRun(context.Background(), run.String(), ""))
		w.sleep(2 * time.Hour)
		w.wantJob(ana, liwanag.JobCanceled, liwanag.CodeUnsubscribed)
		w.wantRun(run, workflow.StatusCompleted)
		w.wantAccepted(0, ana)
		w.wantAccepted(1, ben)
		w.wantBooks()
	})
}

func TestAResultThatComesTooLateIsNotAppliedToWhoLeft(t *testing.T) {
	inWorld(t, enrichment.Config{ProbeEvery: time.Hour}, simulator.Config{FoundShare: 1}, func(w *world) {
		topics := w.listen()
		w.fault(simulator.Fault{Action: simulator.ActionWebhookLate, Delay: 26 * time.Hour, Count: 1})
		w.fault(simulator.Fault{Action: simulator.ActionGet5xx, Status: 503, For: 24*time.Hour + 10*time.Minute})
		w.signUp(ana)
		w.sleep(25 * time.Hour)
		w.wantJob(ana, liwanag.JobFailed, liwanag.CodeWebhookTimeout)
		w.suppress(ana)
		w.sleep(2 * time.Hour)
		w.wantFired(simulator.ActionWebhookLate)
		if job := w.wantJob(ana, liwanag.JobFailed, liwanag.CodeWebhookTimeout); job.Credits != 1 {
			t.Errorf("the lookup cost %d, and 1 was charged", job.Credits)
		}
		if p := w.subscriber(ana); !p.EnrichedAt.IsZero() || p.Summary.FullName != "" {
			t.Error("a profile was applied to a person who had left")
		}
		w.wantTopics(topics(), liwanag.TopicEnrichmentFailed) // the timeout
		w.wantBooks()
	})
}

func TestWhatIsKeptForReviewNamesNobodyWhoWasErased(t *testing.T) {
	for _, action := range []simulator.Action{simulator.ActionRowsExtra, simulator.ActionShapeV1} {
		t.Run(string(action), func(t *testing.T) {
			inWorld(t, enrichment.Config{}, simulator.Config{FoundShare: 1}, func(w *world) {
				ctx := context.Background()
				w.fault(simulator.Fault{Action: action, Where: simulator.WhereWebhook, Count: 1})
				w.signUp(ana, ben)
				w.sleep(10 * time.Second)
				w.must(w.life.svc.Erase(ctx, w.subscriber(ana).ID))
				w.sleep(3 * time.Hour)
				w.wantFired(action)
				kept := 0
				for _, d := range w.deliveries() {
					if d.State != liwanag.DeliveryQuarantined {
						continue
					}
					kept++
					if d, err := w.life.store.Deliveries().Get(ctx, d.Digest); err != nil || strings.Contains(string(d.Raw), ana) {
						t.Errorf("%s, %v", d.Raw, err)
					}
				}
				if kept == 0 {
					t.Error("nothing was kept for review")
				}
				w.must(w.life.store.Scrub(ctx))
				w.wantNoTrace(ana)
				w.wantJob(ben, liwanag.JobNotFound, "")
			})
		})
	}
}
