package storetest

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

var bounds = map[string]func(t *testing.T, h Harness){
	"an entry takes the place of the one it goes on with": folded,
	"an entry stands for itself when something came":      notFolded,
	"what was kept apart before is read folded":           foldedWhenRead,
	"a claim brings small runs whole, and rows of others": smallRuns,
	"a claim of what is big reads little":                 bigRuns,
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

// Releases before folding kept every snooze: the next one takes the place of them all.
func foldedWhenRead(t *testing.T, h Harness) {
	b := open(t, h)
	const polls = workflow.KeptApart + 20
	lease := b.start("run-1")
	p := store.Progress{Append: []store.Entry{completed("a", "1")}}
	for n := 1; n <= polls; n++ {
		e := b.snoozed(n)
		e.Count, e.First = 0, time.Time{}
		p.Append = append(p.Append, e)
	}
	b.commit(lease, p)
	for n := polls; n <= polls+1; n++ {
		c := b.get("run-1")
		if len(c.History) != 1+workflow.KeptApart {
			t.Fatalf("%d entries are read", len(c.History))
		}
		got, want := c.History[workflow.KeptApart], b.snoozed(n)
		want.Seq, want.Count, want.First = int64(n+2), n-workflow.KeptApart+1, began.Add(workflow.KeptApart*time.Minute)
		same(t, "folded entry", got, want)
		gapFree(t, c)
		one := b.snoozed(n + 1)
		one.Count = 0
		one = one.After(got)
		one.Folds = got.Seq
		lease = next(lease)
		b.commit(lease, store.Progress{Append: []store.Entry{one}, Park: &store.Park{Kind: store.ParkSnooze, Step: "poll", Until: began}})
		if n == polls {
			claimed := b.want(store.Wanted{Runs: 1, New: 1, Old: 1, Bytes: 1 << 20})
			if len(claimed) != 1 || len(claimed[0].History) != 1+workflow.KeptApart {
				t.Fatalf("a claim finds %+v", claimed)
			}
			lease = claimed[0].Lease
			lease.Token--
		}
	}
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

// startBig creates a run of so many entries of so many bytes, which waits for answer.
func (b *bench) startBig(id string, entries, bytes int) {
	b.t.Helper()
	var all []store.Entry
	for range entries {
		all = append(all, completed("a", fmt.Sprintf("%q", strings.Repeat("x", bytes))))
	}
	b.commit(b.start(id), store.Progress{Append: all, Park: b.wait("answer")})
}

func smallRuns(t *testing.T, h Harness) {
	b := open(t, h)
	b.create("newcomer")
	b.startBig("small", 2, 100)
	b.startBig("payload", 1, 5000)
	b.startBig("entries", 30, 1)
	b.startBig("inbox", 1, 1)
	b.startBig("signals", 1, 1)
	for _, id := range []string{"small", "payload", "entries"} {
		b.deliver(id, "s1", "answer")
	}
	large := workflow.Signal{ID: "s1", Event: "answer", Payload: json.RawMessage(fmt.Sprintf("%05000d", 1))}
	_, err := b.s.Deliver(t.Context(), "inbox", large, b.now)
	b.ok(err)
	for i := range 12 {
		b.deliver("signals", fmt.Sprint("s", i), "answer")
	}
	claimed := b.want(store.Wanted{Runs: 10, New: 10, Old: 10, Bytes: 4000})
	if len(claimed) != 6 {
		t.Fatalf("claimed %v", idsOf(claimed))
	}
	for _, c := range claimed {
		if small := c.Run.ID == "newcomer" || c.Run.ID == "small"; c.Whole != small {
			t.Errorf("%s is whole: %v", c.Run.ID, c.Whole)
		}
		if c.Whole {
			b.isWhole(c)
			continue
		}
		if len(c.History)+len(c.Signals) > 0 {
			t.Errorf("%s comes with %d entries and %d signals", c.Run.ID, len(c.History), len(c.Signals))
		}
		same(t, "the claimed row", c.Run, b.get(c.Run.ID).Run)
	}
}

// bigRuns counts what is allocated, so that a store which reads what it leaves out is
// seen.
func bigRuns(t *testing.T, h Harness) {
	const runs, entries, bytes = 64, 8, 50_000
	b := open(t, h)
	for i := range runs {
		id := fmt.Sprint("run-", i)
		b.startBig(id, entries, bytes)
		b.deliver(id, "s1", "answer")
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	claimed := b.want(store.Wanted{Runs: runs, New: runs, Old: runs, Bytes: 32 << 10})
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > runs*entries*bytes/8 {
		t.Errorf("a claim allocated %d bytes", took)
	}
	if len(claimed) != runs {
		t.Fatalf("%d claimed", len(claimed))
	}
	for _, c := range claimed {
		if c.Whole || len(c.History) > 0 {
			t.Errorf("%s: whole %v, %d entries", c.Run.ID, c.Whole, len(c.History))
		}
	}
}
