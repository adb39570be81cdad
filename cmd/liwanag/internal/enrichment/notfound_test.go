package enrichment_test

import (
	"context"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich/simulator"
)

func TestWhomNobodyFoundLatelyIsNotAskedForAgain(t *testing.T) {
	inWorld(t, enrichment.Config{ReuseNotFound: 48 * time.Hour}, simulator.Config{}, func(w *world) {
		w.signUp("ana+notfound@gmail.com")
		w.sleep(time.Hour)
		w.wantJob("ana+notfound@gmail.com", liwanag.JobNotFound, "")
		person := []liwanag.ID{w.subscriber("ana+notfound@gmail.com").ID}
		would := func(again bool) enrichment.EnrichResult {
			out, err := w.life.svc.WouldEnrich(context.Background(), person, again)
			w.must(err)
			return out[0].Result
		}
		out, err := w.life.svc.Enrich(context.Background(), person, false)
		w.must(err)
		if out[0].Result != enrichment.EnrichNotFound || would(false) != enrichment.EnrichNotFound {
			t.Errorf("a not-found of an hour ago: %s, counted as %s", out[0].Result, would(false))
		}
		w.sleep(time.Hour)
		w.wantAccepted(1, "ana+notfound@gmail.com")
		if got := would(true); got != enrichment.EnrichStarted {
			t.Errorf("asked for again: %s", got)
		}
		w.sleep(46*time.Hour + time.Minute)
		if got := would(false); got != enrichment.EnrichStarted {
			t.Errorf("a not-found of two days ago: %s", got)
		}
	})
}
