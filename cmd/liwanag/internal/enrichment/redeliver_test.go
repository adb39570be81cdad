package enrichment_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich/simulator"
)

func TestAnUnmatchedDeliveryFindsItsJobWhenItIsLookedAtOnceMore(t *testing.T) {
	inWorld(t, watchful(enrichment.Config{}), simulator.Config{}, func(w *world) {
		ctx := context.Background()
		w.fault(simulator.Fault{Action: simulator.ActionTokenWrong})
		w.fault(simulator.Fault{Action: simulator.ActionGet5xx, Status: 503, For: time.Hour})
		run := w.signUp(ana)[0]
		w.sleep(10 * time.Second)
		w.must(w.life.svc.CancelRun(ctx, run.String(), "not wanted"))
		w.sleep(5 * time.Minute)
		d := w.deliveries()[0]
		if d.State != liwanag.DeliveryUnmatched || d.Note != "unplaced" {
			t.Fatalf("the delivery is %s %q", d.State, d.Note)
		}
		w.must(w.life.svc.Redeliver(ctx, d.Digest))
		w.wantJob(ana, liwanag.JobCanceled, liwanag.CodeCanceled) // its cause is not gone

		w.must(w.life.svc.RetryRun(ctx, run.String(), ""))
		w.sleep(time.Minute)
		w.must(w.life.svc.Redeliver(ctx, d.Digest))
		w.sleep(time.Minute)
		w.wantJob(ana, liwanag.JobEnriched, "")
		if err := w.life.svc.Redeliver(ctx, d.Digest); !errors.Is(err, liwanag.ErrState) {
			t.Errorf("one that was applied: %v", err)
		}
		if err := w.life.svc.Redeliver(ctx, liwanag.Digest{1}); !errors.Is(err, liwanag.ErrNotFound) {
			t.Errorf("one that never came: %v", err)
		}
		w.wantAccepted(1, ana)
	})
}
