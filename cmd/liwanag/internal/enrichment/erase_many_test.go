package enrichment_test

import (
	"context"
	"strings"
	"testing"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich/simulator"
)

// Of many people as much is forgotten as of one: rows, files and lookups, with those of their mailboxes.
func TestManyAreErasedWithTheirMailboxesAndFiles(t *testing.T) {
	inWorld(t, enrichment.Config{}, simulator.Config{}, func(w *world) {
		ctx := context.Background()
		w.signUp(ana, ben)
		const text = "email,name\n" + ana + ",Ana\n" + ben + ",Ben\nother@example.net,O\n"
		file := w.file([]byte(text), 20)
		scrubs := 0
		w.life.svc.ScrubWith(func(context.Context) error { scrubs++; return nil })
		ids := []liwanag.ID{w.subscriber(ana).ID, w.subscriber(ben).ID}
		jobs := append(w.jobs(ana), w.jobs(ben)...)
		rows, err := w.life.svc.EraseAll(ctx, append(ids, ids[0], liwanag.NewID(liwanag.SubscriberKind)), &liwanag.Suppression{Reason: "asked"})
		w.must(err)
		if rows != 2 || scrubs != 0 {
			t.Errorf("%d rows, %d scrubs before the end", rows, scrubs)
		}
		w.must(w.life.svc.Scrub(ctx))
		people, _, err := w.life.store.Subscribers.List(ctx, liwanag.SubscriberFilter{}, liwanag.Page{})
		w.must(err)
		suppressed, _, err := w.life.store.Suppressions.List(ctx, liwanag.Page{})
		w.must(err)
		if len(people) != 0 || len(suppressed) != 2 || suppressed[0].Email != "" || suppressed[0].Reason != "asked" || len(jobs) != 2 {
			t.Errorf("%d people, %+v, %d jobs", len(people), suppressed, len(jobs))
		}
		for _, email := range []string{ana, ben} {
			if got := w.contents(file); strings.Contains(got, email) {
				t.Errorf("the file names %s: %q", email, got)
			}
		}
		if again, err := w.life.svc.EraseAll(ctx, ids, nil); again != 0 || err != nil {
			t.Errorf("once more: %d %v", again, err)
		}
	})
}
