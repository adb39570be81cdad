package storetest

import (
	"testing"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

// Those that completed, and no others, are reopened to be undone, in batches: none begins
// beside them, and the run is woken when a batch has ended.
func subRunsUndone(t *testing.T, h Harness) {
	b := open(t, h)
	b.commit(b.start("r"), store.Progress{Open: opening(4, 4, 4), Park: b.joining()})
	b.claimOfSubs(3, store.Completed)
	b.claimOfSubs(1, store.Failed)
	c := b.claimOne("r")
	b.commit(c.Lease, store.Progress{Decided: c.Run.InboxSeq, Close: true})
	undo := opening(0, 2, 0)
	undo.Again, undo.Undo = true, true
	b.commit(next(c.Lease), store.Progress{Decided: c.Run.InboxSeq, Open: undo})
	g, err := b.s.Group(t.Context(), "r")
	b.ok(err)
	want := store.Group{Step: "load", Workflow: enrich.Workflow, Version: enrich.Version, Total: 4, AtMost: 2, Next: 4, Canceled: 1, Again: 3,
		Stopped: true}
	if g == nil || *g != want {
		t.Fatalf("%+v, want %+v", g, want)
	}
	reopen := func(id string, undo bool, want error) {
		t.Helper()
		r := store.Reopening{From: workflow.UndoName, Seq: b.get(id).Run.Seq, Undo: undo}
		b.is("Reopen "+id, b.s.Reopen(t.Context(), id, r, b.now), want)
	}
	var completed, failed []string
	rows, err := b.s.Subs(t.Context(), store.SubQuery{Parent: "r", Step: "load", Rows: true})
	b.ok(err)
	for _, r := range rows {
		if r.Run.Status == store.Completed {
			completed = append(completed, r.Run.ID)
		} else {
			failed = append(failed, r.Run.ID)
		}
	}
	reopen(failed[0], true, store.ErrNotEnded)
	reopen(completed[0], false, store.ErrNotEnded)
	reopen(completed[0], true, nil)
	reopen(completed[0], true, store.ErrNotEnded)
	reopen(completed[1], true, nil)
	b.commit(store.Lease{RunID: "r", Epoch: c.Lease.Epoch, Token: c.Lease.Token + 2},
		store.Progress{Decided: c.Run.InboxSeq, Park: b.joining()})
	b.claimOfSubs(1, store.Canceled)
	if got := b.get("r").Run.InboxSeq; got != c.Run.InboxSeq {
		t.Error("the run was woken before its batch had ended")
	}
	b.claimOfSubs(1, store.Failed)
	g, err = b.s.Group(t.Context(), "r")
	want.Canceled, want.Failed, want.Again = 2, 1, 1
	if b.ok(err); g == nil || *g != want || b.get("r").Run.InboxSeq == c.Run.InboxSeq {
		t.Errorf("%+v, want %+v", g, want)
	}
}
