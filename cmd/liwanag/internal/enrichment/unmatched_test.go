package enrichment_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich"
	"github.com/liwanag/liwanag/fullenrich/simulator"
)

// lost sends a signed result under a token that nobody knows.
func (w *world) lost(token string, n int) {
	w.t.Helper()
	body := []byte(fmt.Sprintf(`{"id":"0c9d6c1e-5a55-4a0e-9b2f-%012d","status":"FINISHED","data":[]}`, n))
	err := w.life.svc.Receive(context.Background(), token, false, fullenrich.Sign(w.key, body), body)
	if !errors.Is(err, enrichment.ErrUnknownToken) {
		w.t.Fatal(err)
	}
}

func TestOneBodyUnderManyUnknownTokensIsKeptOnce(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		for i := range 50 {
			w.lost(fmt.Sprint("token", i), 1)
		}
		w.lost("token", 2)
		if got := w.deliveries(); len(got) != 2 {
			t.Errorf("%d are kept", len(got))
		}
	})
}

func TestNoMoreUnmatchedResultsAreKeptThanTheCapAtAnyTime(t *testing.T) {
	inWorld(t, enrichment.Config{SweepEvery: time.Hour}, simulator.Config{}, func(w *world) {
		for i := range 1010 {
			w.lost("token", i)
		}
		count, cursor := 0, ""
		for {
			page, next, err := w.life.store.Deliveries.List(context.Background(), liwanag.DeliveryFilter{}, liwanag.Page{Limit: 500, Cursor: cursor})
			w.must(err)
			count += len(page)
			if cursor = next; next == "" {
				break
			}
		}
		if count != 1000 {
			t.Errorf("%d are kept", count)
		}
	})
}

func TestATokenIsKnownBeforeItsBodyIs(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		w.signUp(ana)
		w.sleep(5 * time.Minute)
		hooks := w.sim.Ledger().Webhooks
		if len(hooks) == 0 {
			t.Fatal("no webhook address was given")
		}
		for token, want := range map[string]bool{strings.TrimSuffix(hooks[0].URL[len(publicURL+"/webhooks/fullenrich/"):],
			"/contact"): true, "": false, "guess": false} {
			if known, err := w.life.svc.Knows(context.Background(), token); err != nil || known != want {
				t.Errorf("%q: %v %v", token, known, err)
			}
		}
	})
}

func TestATokenExpiresAfterNinetyDays(t *testing.T) {
	takesSeconds(t)
	inWorld(t, enrichment.Config{SweepEvery: 24 * time.Hour}, simulator.Config{}, func(w *world) {
		w.signUp(ana)
		w.sleep(5 * time.Minute)
		token := strings.TrimSuffix(w.sim.Ledger().Webhooks[0].URL[len(publicURL+"/webhooks/fullenrich/"):], "/contact")
		known := func(want bool) {
			t.Helper()
			if known, err := w.life.svc.Knows(context.Background(), token); err != nil || known != want {
				t.Errorf("after %s: %v %v", time.Since(w.born), known, err)
			}
		}
		w.sleep(89 * 24 * time.Hour)
		known(true)
		before := len(w.deliveries())
		w.sleep(24 * time.Hour)
		known(false)
		w.lost(token, 1)
		if got := w.deliveries(); len(got) != before+1 {
			t.Errorf("%d are kept, and %d were", len(got), before)
		}
	})
}
