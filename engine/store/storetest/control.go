package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

var control = map[string]func(t *testing.T, h Harness){
	"a cancel is recorded once and makes a run due":       cancelOnce,
	"an ending that does not know of a cancel is refused": canceledMeanwhile,
	"a woken run is due, and nothing else changes":        hurried,
	"a wake wins over a park that is being decided":       hurriedMeanwhile,
	"a terminated run is ended and its owner fenced":      terminated,
	"a reopened run begins anew where it is told":         reopened,
	"only the ended run that was read is reopened":        notReopened,
	"no run is found where there is none":                 notFound,
}

func cancelOnce(t *testing.T, h Harness) {
	b := open(t, h)
	b.startWaiting("run-1", "answer")
	for range 2 {
		b.ok(b.s.Cancel(t.Context(), "run-1", "no longer wanted", b.now))
	}
	c := b.claimOne("run-1")
	if !c.Run.Canceled || c.Run.InboxSeq != 1 {
		t.Errorf("%+v", c.Run)
	}
	same(t, "history", c.History, []store.Entry{{Seq: 3, Kind: store.EntryCancel, Label: "no longer wanted", At: b.now}})
	gapFree(t, c)
	b.startEnded("run-2", store.Completed)
	b.is("Cancel of an ended run", b.s.Cancel(t.Context(), "run-2", "", b.now), store.ErrEnded)
}

func canceledMeanwhile(t *testing.T, h Harness) {
	b := open(t, h)
	lease := b.start("run-1")
	b.ok(b.s.Cancel(t.Context(), "run-1", "stop", b.now))
	before := b.get("run-1")
	end := store.Progress{Append: []store.Entry{completed("a", "1")}, End: &store.Ending{Status: store.Completed}, Now: b.now}
	_, err := b.s.Commit(t.Context(), lease, end)
	b.is("Commit", err, store.ErrCanceled)
	same(t, "run", b.get("run-1"), before)
	end.Canceled, end.Decided = true, 1
	b.commit(lease, end)
	same(t, "status", b.get("run-1").Run.Status, store.Completed)
}

func hurried(t *testing.T, h Harness) {
	b := open(t, h)
	for _, kind := range []store.ParkKind{store.ParkRetry, store.ParkSnooze, store.ParkWait} {
		id := string(kind)
		park := b.wait("answer")
		park.Kind = kind
		b.commit(b.start(id), store.Progress{Attempt: 2, Park: park})
		want := b.get(id)
		for range 2 {
			b.ok(b.s.Hurry(t.Context(), id))
		}
		want.Run.Park.Until = time.Time{}
		same(t, id, b.get(id), want)
		c := b.claimOne(id)
		same(t, "the claimed park", c.Run.Park, want.Run.Park)
		b.commit(c.Lease, store.Progress{Decided: c.Run.InboxSeq, Attempt: 2, Park: park})
		b.notDue("a park after a wake")
	}
	park := b.wait()
	park.Kind = store.ParkSleep
	b.commit(b.start("sleep"), store.Progress{Park: park})
	asleep := b.get("sleep")
	b.ok(b.s.Hurry(t.Context(), "sleep"))
	same(t, "a run that sleeps", b.get("sleep"), asleep)
	b.startEnded("ended", store.Failed)
	b.is("Hurry of an ended run", b.s.Hurry(t.Context(), "ended"), store.ErrEnded)
	b.notDue("a run that sleeps")
}

func hurriedMeanwhile(t *testing.T, h Harness) {
	b := open(t, h)
	lease := b.start("run-1")
	park := &store.Park{Kind: store.ParkSnooze, Step: "a", Until: b.now.Add(time.Hour), Since: b.now}
	b.ok(b.s.Hurry(t.Context(), "run-1"))
	b.deliver("run-1", "s1", "answer")
	news := b.commit(lease, store.Progress{Park: park})
	if !store.Woken(0, news.InboxSeq) || len(news.Signals) != 1 {
		t.Errorf("the commit is told %+v", news)
	}
	same(t, "owner", b.get("run-1").Run.Owner, b.node.Epoch)
	b.deliver("run-1", "s2", "answer")
	again := b.commit(next(lease), store.Progress{Decided: news.InboxSeq, Known: news.Signals[0].Seq, Park: park})
	if store.Woken(news.InboxSeq, again.InboxSeq) || again.InboxSeq == news.InboxSeq {
		t.Errorf("an event looks like a wake: %+v after %+v", again, news)
	}
	b.commit(next(next(lease)), store.Progress{Decided: again.InboxSeq, Park: park})
	b.notDue("a run parked after a wake")
	gapFree(t, b.get("run-1"))
}

func terminated(t *testing.T, h Harness) {
	b := open(t, h)
	lease := b.start("run-1")
	failure := workflow.Failure{Reason: workflow.ReasonCanceled, Message: "by hand"}
	b.ok(b.s.Terminate(t.Context(), "run-1", failure, b.now))
	b.refusedCommits(lease, "a terminated run")
	c := b.get("run-1")
	same(t, "status", c.Run.Status, store.Canceled)
	same(t, "failure", c.Run.Failure, &failure)
	same(t, "ended", c.Run.EndedAt, b.now)
	same(t, "owner", c.Run.Owner, int64(0))
	gapFree(t, c)
	b.is("second Terminate", b.s.Terminate(t.Context(), "run-1", failure, b.now), store.ErrEnded)
	b.notDue("a terminated run")
}

func reopened(t *testing.T, h Harness) {
	b := open(t, h)
	failure := &workflow.Failure{Step: "wait", Reason: workflow.ReasonTimeout, Message: "nothing came"}
	b.startWaiting("run-1", "answer")
	b.deliver("run-1", "s1", "answer")
	c := b.claimOne("run-1")
	b.ok(b.s.Cancel(t.Context(), "run-1", "stop", b.now))
	b.commit(c.Lease, store.Progress{Decided: 2, Canceled: true, Attempt: 3, Begun: true, Append: []store.Entry{{Kind: store.EntryCompleted,
		Step: "wait", At: b.now, StartedSeq: c.Run.Park.Seq, Consumed: []string{"s1"}}},
		End: &store.Ending{Status: store.Failed, Failure: failure}})
	b.deliver("run-1", "s2", "answer")
	ended := b.get("run-1")
	b.now = b.now.Add(time.Hour)
	b.ok(b.s.Reopen(t.Context(), "run-1", store.Reopening{From: "wait", Return: []string{"s1"}, Seq: ended.Run.Seq}, b.now))

	c = b.get("run-1")
	same(t, "run", c.Run, store.Run{ID: "run-1", Workflow: "enrich", Version: 1, Input: ended.Run.Input, CreatedAt: began, StartedAt: began,
		Status: store.Open, Park: store.Park{Until: b.now}, Seq: ended.Run.Seq + 1, InboxSeq: ended.Run.InboxSeq + 1})
	last := len(c.History) - 2
	same(t, "prefix", c.History[:last], ended.History)
	same(t, "new entries", c.History[last:], []store.Entry{
		{Seq: ended.Run.EndedSeq, Kind: store.EntryEnded, Label: "failed", At: ended.Run.EndedAt, Failure: failure,
			Step: "wait", StartedSeq: 2, StartedAt: began},
		{Seq: ended.Run.Seq + 1, Kind: store.EntryReopened, Step: "wait", At: b.now}})
	for _, s := range c.Signals {
		if s.ConsumedBy != "" || s.Late {
			t.Errorf("signal %s is not back in the inbox: %+v", s.ID, s)
		}
	}
	gapFree(t, c)
	claimed := b.claimOne("run-1")
	b.commit(claimed.Lease, store.Progress{Decided: claimed.Run.InboxSeq, End: &store.Ending{Status: store.Completed}})
	gapFree(t, b.get("run-1"))
}

func notReopened(t *testing.T, h Harness) {
	b := open(t, h)
	b.startWaiting("open", "answer")
	b.startEnded("completed", store.Completed)
	b.startEnded("changed", store.TimedOut)
	read := b.get("changed").Run.Seq
	b.deliver("changed", "s1", "answer")
	for id, seq := range map[string]int64{"open": b.get("open").Run.Seq, "completed": b.get("completed").Run.Seq, "changed": read} {
		before := b.get(id)
		b.is(id, b.s.Reopen(t.Context(), id, store.Reopening{From: "a", Seq: seq}, b.now), store.ErrNotEnded)
		same(t, id, b.get(id), before)
	}
}

// calls are all methods, on a run that may not be there.
func (b *bench) calls(ctx context.Context, id string) map[string]error {
	_, get := b.s.Get(ctx, id)
	_, deliver := b.s.Deliver(ctx, id, signal("s", "e"), b.now)
	return map[string]error{
		"Get": get, "Deliver": deliver,
		"Cancel":    b.s.Cancel(ctx, id, "", b.now),
		"Hurry":     b.s.Hurry(ctx, id),
		"Terminate": b.s.Terminate(ctx, id, workflow.Failure{}, b.now),
		"Reopen":    b.s.Reopen(ctx, id, store.Reopening{}, b.now),
	}
}

func notFound(t *testing.T, h Harness) {
	b := open(t, h)
	for method, err := range b.calls(t.Context(), "nobody") {
		b.is(method, err, store.ErrNotFound)
	}
}
