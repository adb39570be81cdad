package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

var subs = map[string]func(t *testing.T, h Harness){
	"sub-runs begin and end within their counters":            subRuns,
	"sub-runs that end at once are each counted once":         subRunsAtOnce,
	"sub-runs of an earlier opening are counted and reopened": subRunsAgain,
	"sub-runs that completed are reopened to be undone":       subRunsUndone,
	"sub-runs are terminated and pruned with their run":       subRunsWithTheirRun,
	"a sub-run's end is counted once, however often it lands": subRunLandsOnce,
}

// opening begins sub-runs of the step load.
func opening(total, atMost, count int) *store.Opening {
	return &store.Opening{Count: count, Group: store.Group{Step: "load", Workflow: enrich.Workflow, Version: enrich.Version, Total: total,
		AtMost: atMost}}
}

func (b *bench) joining() *store.Park {
	return &store.Park{Kind: store.ParkSubs, Step: "load", Since: b.now, Until: b.now.Add(time.Hour)}
}

// counts checks that the counters of a run tell of its rows, and returns them.
func (b *bench) counts(id string) store.Group {
	b.t.Helper()
	g, err := b.s.Group(b.t.Context(), id)
	b.ok(err)
	if g == nil {
		b.t.Fatalf("%s has no sub-runs", id)
	}
	rows, err := b.s.Subs(b.t.Context(), store.SubQuery{Parent: id, Step: g.Step, Generation: g.Generation, Rows: true})
	b.ok(err)
	open, completed := 0, 0
	for i, r := range rows {
		if want := workflow.SubRunID(id, g.Step, g.Generation, i); r.Run.ID != want || !r.Run.Sub || r.Run.Input != nil {
			b.t.Errorf("sub-run number %d is %s %v %s", i, r.Run.ID, r.Run.Sub, r.Run.Input)
		}
		switch r.Run.Status {
		case store.Open:
			open++
		case store.Completed:
			completed++
		}
	}
	if bad := len(rows) - open - completed; g.Next != len(rows) || g.Open != open || g.Completed != completed ||
		g.Failed+g.Canceled+g.Again != bad ||
		g.Open > g.AtMost {
		b.t.Errorf("%d rows, %d of them open and %d completed, are counted as %+v", len(rows), open, completed, *g)
	}
	return *g
}

// endSub claims what is due and ends it.
func (b *bench) endAll(status store.Status) (ended int) {
	b.t.Helper()
	for _, c := range b.claim(100) {
		if c.Run.Sub {
			b.commit(c.Lease, store.Progress{Decided: c.Run.InboxSeq, End: &store.Ending{Status: status}})
			ended++
		} else { // the run around, which has nothing to decide here
			b.commit(c.Lease, store.Progress{Decided: c.Run.InboxSeq, Park: b.joining()})
		}
	}
	return ended
}

func subRuns(t *testing.T, h Harness) {
	b := open(t, h)
	l := b.start("r")
	b.commit(l, store.Progress{Append: []store.Entry{completed("list", "7")}, Open: opening(7, 3, 3), Park: b.joining()})
	if g := b.counts("r"); g.Open != 3 || g.Total != 7 {
		t.Errorf("%+v", g)
	}
	for left := 7; left > 0; {
		n := b.endAll(store.Completed)
		if left -= n; n == 0 {
			t.Fatalf("%d are left, and nothing is due", left)
		}
		if g := b.counts("r"); g.Completed != 7-left || g.Open != min(3, left) {
			t.Errorf("%d are left: %+v", left, g)
		}
	}
	c := b.claimOne("r") // woken by the last one
	if c.Run.InboxSeq != 1 || c.Run.Park.Seq == 0 {
		t.Errorf("%+v", c.Run)
	}
	// What came since is seen first: the park is refused.
	if news := b.commit(c.Lease, store.Progress{Decided: 0, Park: b.joining()}); news.InboxSeq != 1 || len(news.Signals) != 0 {
		t.Errorf("%+v", news)
	}
	b.commit(next(c.Lease), store.Progress{Decided: 1, Close: true, Append: []store.Entry{{Kind: store.EntryCompleted, Step: "load", At: b.now,
		StartedAt: b.now, StartedSeq: c.Run.Park.Seq}}, End: &store.Ending{Status: store.Completed}})
	if g, err := b.s.Group(t.Context(), "r"); g != nil || err != nil {
		t.Errorf("%+v %v", g, err)
	}
	gapFree(t, b.get("r"))
	gapFree(t, b.get("r/load[4]"))
	page, _, err := b.s.List(t.Context(), store.Query{Now: b.now})
	b.ok(err)
	counts, err := b.s.Counts(t.Context())
	b.ok(err)
	if len(page) != 1 || len(counts) != 1 || counts[0].Runs != 1 {
		t.Errorf("listed %d, counted %+v", len(page), counts)
	}
	below, more, err := b.s.List(t.Context(), store.Query{Parent: "r", Limit: 4, Now: b.now})
	b.ok(err)
	rest, last, err := b.s.List(t.Context(), store.Query{Parent: "r", Limit: 4, Cursor: more, Now: b.now})
	b.ok(err)
	if len(below) != 4 || below[3].ID != "r/load[3]" || len(rest) != 3 || rest[0].ID != "r/load[4]" || last != "" {
		t.Errorf("%d and %d are listed: %+v", len(below), len(rest), below)
	}
	some, err := b.s.Subs(t.Context(), store.SubQuery{Parent: "r", Step: "load", From: 3, Limit: 2, Status: []store.Status{store.Completed}})
	b.ok(err)
	if len(some) != 2 || some[0].Run.ID != "r/load[3]" || !some[1].Whole {
		t.Errorf("%v", idsOf(some))
	}
}

func subRunsAtOnce(t *testing.T, h Harness) {
	b := open(t, h)
	b.commit(b.start("r"), store.Progress{Open: opening(60, 60, 60), Park: b.joining()})
	claimed := b.claim(100)
	var all sync.WaitGroup
	for i, c := range claimed {
		all.Go(func() {
			status := store.Completed
			if i%3 == 0 {
				status = store.Failed
			}
			p := store.Progress{End: &store.Ending{Status: status}, Now: b.now}
			if _, err := b.s.Commit(t.Context(), c.Lease, p); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if g := b.counts("r"); len(claimed) != 60 || g.Open != 0 || g.Completed != 40 || g.Failed != 20 {
		t.Errorf("%d: %+v", len(claimed), g)
	}
	if c := b.claimOne("r"); c.Run.InboxSeq == 0 {
		t.Error("the run was not woken")
	}
}

func subRunsAgain(t *testing.T, h Harness) {
	b := open(t, h)
	b.commit(b.start("r"), store.Progress{Open: opening(4, 4, 4), Park: b.joining()})
	b.claimOfSubs(4, store.Failed)
	c := b.claimOne("r")
	b.commit(c.Lease, store.Progress{Decided: c.Run.InboxSeq, Stop: true})
	if g := b.counts("r"); !g.Stopped || g.Failed != 4 {
		t.Errorf("%+v", g)
	}
	b.commit(next(c.Lease), store.Progress{Decided: c.Run.InboxSeq, Close: true, End: &store.Ending{Status: store.Failed}})
	sub := b.get("r/load[2]")
	b.is("Reopen without a run around", b.s.Reopen(t.Context(), "r/load[2]", store.Reopening{From: "x", Seq: sub.Run.Seq}, b.now),
		store.ErrNotEnded)
	b.ok(b.s.Reopen(t.Context(), "r", store.Reopening{From: "load", Seq: b.get("r").Run.Seq}, b.now))
	c = b.claimOne("r")
	again := opening(5, 2, 0)
	again.Again = true
	b.commit(c.Lease, store.Progress{Decided: c.Run.InboxSeq, Open: again})
	if g := b.counts("r"); g.Again != 4 || g.Next != 4 || g.Total != 5 || g.Open != 0 {
		t.Errorf("%+v", g)
	}
	b.ok(b.s.Reopen(t.Context(), "r/load[2]", store.Reopening{From: "x", Seq: sub.Run.Seq}, b.now))
	if g := b.counts("r"); g.Again != 3 || g.Open != 1 {
		t.Errorf("%+v", g)
	}
	b.commit(next(c.Lease), store.Progress{Decided: c.Run.InboxSeq, Park: b.joining()})
	b.claimOfSubs(1, store.Completed)
	// There is room for one that has not begun, and others are to be reopened.
	if g := b.counts("r"); g.Completed != 1 || g.Open != 1 || g.Next != 5 || b.get("r").Run.InboxSeq == c.Run.InboxSeq {
		t.Errorf("%+v", g)
	}
}

// claimOfSubs claims so many sub-runs and ends them.
func (b *bench) claimOfSubs(n int, status store.Status) {
	b.t.Helper()
	claimed := b.claim(n)
	if len(claimed) != n {
		b.t.Fatalf("claimed %v, want %d sub-runs", idsOf(claimed), n)
	}
	for _, c := range claimed {
		b.commit(c.Lease, store.Progress{Decided: c.Run.InboxSeq, End: &store.Ending{Status: status}})
	}
}

func subRunsWithTheirRun(t *testing.T, h Harness) {
	b := open(t, h)
	for _, id := range []string{"r", "q"} {
		b.commit(b.start(id), store.Progress{Open: opening(3, 3, 3), Park: b.joining()})
	}
	for _, c := range b.claim(100) {
		b.commit(c.Lease, store.Progress{Open: opening(2, 2, 2), Park: b.joining()})
	}
	for _, c := range b.claim(100) { // of the third level
		b.commit(c.Lease, store.Progress{Append: []store.Entry{completed("x", "1")}, Park: b.wait("never")})
	}
	f := workflow.Failure{Reason: workflow.ReasonCanceled, Message: "enough"}
	// A sub-run alone: it has failed.
	b.ok(b.s.Terminate(t.Context(), "r/load[1]/load[0]", f, b.now))
	if g := b.counts("r/load[1]"); g.Failed != 1 || g.Open != 1 || b.get("r/load[1]").Run.InboxSeq != 1 {
		t.Errorf("%+v", g)
	}
	b.ok(b.s.Terminate(t.Context(), "r/load[2]", f, b.now))
	if got := b.get("r/load[2]/load[1]").Run; got.Status != store.Canceled || got.Failure == nil {
		t.Errorf("%+v", got)
	}
	b.ok(b.s.Terminate(t.Context(), "r", f, b.now))
	for i := range 3 {
		for j := range 2 {
			id := fmt.Sprintf("r/load[%d]/load[%d]", i, j)
			if got := b.get(id); got.Run.Status != store.Canceled {
				t.Errorf("%s is %s", id, got.Run.Status)
			}
			gapFree(t, b.get(id))
			if got := b.get("q" + id[1:]).Run; got.Status != store.Open {
				t.Errorf("%s is %s", got.ID, got.Status)
			}
		}
		if g, err := b.s.Group(t.Context(), fmt.Sprintf("r/load[%d]", i)); g != nil || err != nil {
			t.Errorf("%+v %v", g, err)
		}
	}
	b.counts("q")
	n, err := b.s.Prune(t.Context(), b.now.Add(time.Hour), 10)
	b.ok(err)
	_, gone := b.s.Get(t.Context(), "r/load[0]/load[1]")
	b.is("Get of a pruned sub-run", gone, store.ErrNotFound)
	if left := b.get("q/load[0]/load[1]"); n != 1 || len(left.History) != 1 {
		t.Errorf("%d pruned, %+v", n, left)
	}
}

func subRunLandsOnce(t *testing.T, h Harness) {
	b := open(t, h)
	b.commit(b.start("r"), store.Progress{Open: opening(5, 1, 1), Park: b.joining()})
	c := b.claimOne("r/load[0]")
	for range 3 {
		b.commit(c.Lease, store.Progress{End: &store.Ending{Status: store.Failed}})
	}
	if g := b.counts("r"); g.Failed != 1 || g.Next != 1 { // none is tolerated, so that none follows
		t.Errorf("%+v", g)
	}
	b.claimOne("r")
}

// Two nodes end the sub-runs of several trees at once, while others are terminated:
// nothing is lost, counted twice, or waited for in a circle.
func subRunsOverTwo(t *testing.T, h Harness) {
	a, b := pair(t, h)
	const trees, items = 4, 60
	for i := range trees {
		id := fmt.Sprint("tree-", i)
		a.commit(a.start(id), store.Progress{Open: opening(items, 20, 20), Park: a.joining()})
	}
	f := workflow.Failure{Reason: workflow.ReasonCanceled, Message: "enough"}
	var all sync.WaitGroup
	var ended atomic.Int64
	for _, n := range []*bench{a, b} {
		for range 4 {
			all.Go(func() {
				for ended.Load() < (trees-1)*items && !t.Failed() {
					w := store.Want(8, enrich)
					claimed, _, err := n.s.Claim(t.Context(), n.node, w, n.now)
					if err != nil {
						t.Error(err)
					}
					for _, c := range claimed {
						p := store.Progress{Decided: c.Run.InboxSeq, Now: n.now, Park: n.joining()}
						if c.Run.Sub {
							p.Park, p.End = nil, &store.Ending{Status: store.Completed}
						}
						switch _, err := n.s.Commit(t.Context(), c.Lease, p); {
						case errors.Is(err, store.ErrLeaseLost): // of the tree that is terminated
						case err != nil:
							t.Error(err)
						case c.Run.Sub && !strings.HasPrefix(c.Run.ID, "tree-0"):
							ended.Add(1)
						}
					}
				}
			})
		}
	}
	b.ok(b.s.Terminate(t.Context(), "tree-0", f, b.now))
	all.Wait()
	for i := 1; i < trees; i++ {
		if g := a.counts(fmt.Sprint("tree-", i)); g.Completed != items || g.Open != 0 {
			t.Errorf("tree %d: %+v", i, g)
		}
	}
	below, err := b.s.Subs(t.Context(), store.SubQuery{Parent: "tree-0", Step: "load", Rows: true})
	b.ok(err)
	for _, s := range below {
		if s.Run.Status == store.Open {
			t.Errorf("%s is open", s.Run.ID)
		}
	}
}
