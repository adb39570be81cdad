package storetest

import (
	"testing"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

// Flooded has a run whose inbox an earlier release let grow beyond its limits: flood
// writes so many events of so many bytes into it, named flood-1, flood-2 and so on, behind
// each other. Reading it brings what its waits consumed, and of the others as many as an
// inbox may hold, the earliest.
func Flooded(t *testing.T, s store.Store, flood func(id []byte, events, bytes int)) {
	b := open(t, Harness{Open: func(*testing.T) store.Store { return s }})
	const events, bytes = 3 * workflow.MaxInbox, 2000
	const room = workflow.MaxInboxBytes / bytes
	b.startWaiting("run-1", "answer")
	flood(store.PackID("run-1"), events, bytes)
	b.now = b.now.Add(48 * time.Hour)
	claimed := b.want(store.Wanted{Runs: 1, New: 1, Old: 1, Bytes: 32 << 10})
	if len(claimed) != 1 || claimed[0].Whole {
		t.Fatalf("a claim brings %v whole", idsOf(claimed))
	}
	holds := func(c store.Claimed, n int, first, last string) {
		t.Helper()
		if !c.Cut || len(c.Signals) != n || c.Signals[0].ID != first || c.Signals[n-1].ID != last {
			t.Fatalf("%d signals are read, cut: %v", len(c.Signals), c.Cut)
		}
	}
	holds(b.get("run-1"), room, "flood-1", "flood-524")
	outcome := completed("a", "1")
	outcome.Consumed = []string{"flood-2"}
	news := b.commit(claimed[0].Lease, store.Progress{Append: []store.Entry{outcome}, Decided: -1})
	if len(news.Signals) != room {
		t.Errorf("a commit brings %d signals", len(news.Signals))
	}
	holds(b.get("run-1"), room+1, "flood-1", "flood-525")
}

// Alone proves that a run without sub-runs costs no statement about any: the tables of a
// store whose counters are away are all that it needs.
func Alone(t *testing.T, s store.Store) {
	b := &bench{t: t, s: s, now: began}
	b.node = b.heartbeat("alone")
	l := b.start("r")
	b.commit(l, store.Progress{Append: []store.Entry{completed("a", "1")}})
	b.commit(next(l), store.Progress{Park: b.wait("answer")})
	b.deliver("r", "s", "answer")
	c := b.claimOne("r")
	b.commit(c.Lease, store.Progress{Decided: c.Run.InboxSeq, Park: b.wait("more")})
	b.ok(b.s.Hurry(t.Context(), "r"))
	b.ok(b.s.Cancel(t.Context(), "r", "enough", b.now))
	c = b.claimOne("r")
	b.commit(c.Lease, store.Progress{Decided: c.Run.InboxSeq, Canceled: true, End: &store.Ending{Status: store.Canceled}})
	b.ok(b.s.Reopen(t.Context(), "r", store.Reopening{From: "a", Seq: b.get("r").Run.Seq}, b.now))
	c = b.claimOne("r")
	b.commit(c.Lease, store.Progress{Decided: c.Run.InboxSeq, End: &store.Ending{Status: store.Completed}})
	page, _, err := b.s.List(t.Context(), store.Query{Now: b.now})
	b.ok(err)
	counts, err := b.s.Counts(t.Context())
	b.ok(err)
	pruned, err := b.s.Prune(t.Context(), b.now.Add(time.Hour), 10)
	b.ok(err)
	if len(page) != 1 || len(counts) != 1 || pruned != 1 {
		t.Errorf("%d listed, %+v counted, %d pruned", len(page), counts, pruned)
	}
}
