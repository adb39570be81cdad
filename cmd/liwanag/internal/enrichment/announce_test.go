package enrichment_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich/simulator"
)

// wantSilence counts how often silent webhooks were announced.
func (w *world) wantSilence(topics []liwanag.Topic, want int) {
	w.t.Helper()
	silent := slices.DeleteFunc(topics, func(t liwanag.Topic) bool { return t != liwanag.TopicWebhooksSilent })
	if len(silent) != want {
		w.t.Errorf("silent webhooks were announced %d times, want %d", len(silent), want)
	}
}

func TestWebhooksThatDoNotComeAreAnnouncedOnceADay(t *testing.T) {
	takesSeconds(t)
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		topics := w.listen()
		w.fault(simulator.Fault{Action: simulator.ActionContactNever})
		w.fault(simulator.Fault{Action: simulator.ActionWebhookNever})
		for _, person := range []string{ana, cid} {
			w.signUp(person)
			w.sleep(time.Hour)
		}
		w.sleep(3 * time.Hour)
		w.wantSilence(topics(), 0) // two results tell nothing
		w.signUp(dea)
		w.sleep(3 * time.Hour)
		w.wantJob(dea, liwanag.JobEnriched, "")
		w.wantSilence(topics(), 1)
		w.sleep(24 * time.Hour) // some of it is another day
		w.wantSilence(topics(), 2)
		w.sleep(48 * time.Hour)
		w.wantSilence(topics(), 2) // nothing was fetched since
	})
}

func TestOneWebhookThatComesIsNoSilence(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		topics := w.listen()
		for _, person := range []string{ana, cid, dea} {
			w.silence()
			w.signUp(person)
			w.sleep(30 * time.Minute)
		}
		w.signUp(ben)
		w.sleep(4 * time.Hour)
		w.wantFired(simulator.ActionWebhookNever)
		w.wantSilence(topics(), 0)
	})
}

func TestTheFailureOfWhoWasErasedIsNoNews(t *testing.T) {
	takesSeconds(t)
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		topics := w.listen()
		w.silence()
		w.fault(simulator.Fault{Action: simulator.ActionGet5xx, Status: 503, For: 25 * time.Hour})
		w.signUp(ana, cid)
		w.sleep(10 * time.Second)
		w.must(errOf(w.life.svc.Erase(context.Background(), w.subscriber(ana).ID)))
		w.sleep(24*time.Hour + 10*time.Minute)
		w.wantJob(cid, liwanag.JobFailed, liwanag.CodeWebhookTimeout)
		w.wantTopics(topics(), liwanag.TopicEnrichmentFailed) // of the other
	})
}
