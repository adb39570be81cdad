package httpapi

import (
	"context"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

func TestCreditsShowWhatIsKnown(t *testing.T) {
	w := newWorld(t)
	w.must(w.service.SetBudget(t.Context(), new(int64(100))))
	set := func(change func(datastore.LedgerTx) error) {
		t.Helper()
		w.must(w.store.Write(context.Background(), func(tx *datastore.Tx) error { return change(tx.Ledger) }))
	}
	read := func() api.Credits { return answerOf[api.Credits](w, w.call("GET", "/api/v1/credits", ""), 200) }
	now := w.clock.now().UTC()
	if c := read(); c.Balance != nil || !c.BalanceAt.IsZero() || c.Budget == nil || *c.Budget != 100 || c.Paused ||
		c.Day != now.Format(time.DateOnly) {
		t.Errorf("at first: %+v", c)
	}
	set(func(l datastore.LedgerTx) error {
		return l.AddCredits(liwanag.Credits{Day: liwanag.DayOf(now), Reserved: 7, Spent: 3})
	})
	set(func(l datastore.LedgerTx) error { return l.SetBalance(liwanag.Balance{Credits: 0, At: now}) })
	if c := read(); c.Balance == nil || *c.Balance != 0 || c.BalanceAt.IsZero() || c.Reserved != 7 || c.Spent != 3 {
		t.Errorf("an empty account: %+v", c)
	}
	for _, tc := range []struct {
		until  time.Time
		paused bool
	}{{time.Time{}, true}, {now.Add(time.Hour), true}, {now.Add(-time.Hour), false}} {
		set(func(l datastore.LedgerTx) error {
			return l.SetSpending(liwanag.Spending{Paused: true, Reason: liwanag.WaitingCredits, Note: "empty", Until: tc.until, At: now})
		})
		if c := read(); c.Paused != tc.paused || (c.PausedReason == "credits") != tc.paused || (c.PausedNote == "empty") != tc.paused {
			t.Errorf("paused until %s: %+v", tc.until, c)
		}
	}
}
