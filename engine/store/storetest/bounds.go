package storetest

import (
	"testing"
	"time"

	"github.com/liwanag/liwanag/engine/store"
)

var bounds = map[string]func(t *testing.T, h Harness){
	"an entry takes the place of the one it goes on with": folded,
	"an entry stands for itself when something came":      notFolded,
}

// snoozed is an entry of a step that was not ready, for the n-th time.
func (b *bench) snoozed(n int) store.Entry {
	e := store.Entry{Kind: store.EntrySnoozed, Step: "poll", Attempt: 1, At: began.Add(time.Duration(n) * time.Minute), StartedAt: began,
		NextAt: began.Add(time.Duration(n+1) * time.Minute)}
	if n > 1 {
		e.Count, e.First = n, began.Add(time.Minute)
	}
	return e
}

func folded(t *testing.T, h Harness) {
	b := open(t, h)
	lease := b.start("run-1")
	b.commit(lease, store.Progress{Append: []store.Entry{completed("a", "1"), b.snoozed(1)}})
	for n := 2; n <= 5; n++ {
		lease = next(lease)
		e := b.snoozed(n)
		e.Folds = int64(n + 1)
		b.commit(lease, store.Progress{Append: []store.Entry{e}})
		b.commit(lease, store.Progress{Append: []store.Entry{e}}) // repeated, since its answer was lost
	}
	c := b.get("run-1")
	want := b.snoozed(5)
	want.Seq = 7
	if len(c.History) != 2 {
		t.Fatalf("%d entries: %+v", len(c.History), c.History)
	}
	same(t, "folded entry", c.History[1], want)
	gapFree(t, c)
}

func notFolded(t *testing.T, h Harness) {
	b := open(t, h)
	lease := b.start("run-1")
	b.commit(lease, store.Progress{Append: []store.Entry{b.snoozed(1)}})
	b.deliver("run-1", "s1", "answer")
	e := b.snoozed(2)
	e.Folds = 2
	b.commit(next(lease), store.Progress{Append: []store.Entry{e}})
	c := b.get("run-1")
	if len(c.History) != 2 || c.History[1].Count != 0 || !c.History[1].First.IsZero() || c.History[1].Seq != 4 {
		t.Errorf("%+v", c.History)
	}
	gapFree(t, c)
}
