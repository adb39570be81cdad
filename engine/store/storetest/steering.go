package storetest

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

var steering = map[string]func(t *testing.T, h Harness){
	"a paused run is claimed by nobody until it is resumed": pausedWhileParked,
	"a run that is paused while a node owns it is parked":   pausedWhileOwned,
	"a cancel and a reopening end a pause":                  pauseEnds,
	"a pause is refused of unknown and ended runs":          pauseRefused,
	"a resolved step has its outcome behind the reopening":  resolvedStep,
}

func (b *bench) pause(id string, paused bool) {
	b.t.Helper()
	b.ok(b.s.Pause(b.t.Context(), id, paused))
}

func pausedWhileParked(t *testing.T, h Harness) {
	b := open(t, h)
	b.startWaiting("r", "e")
	b.pause("r", true)
	b.pause("r", true)
	b.deliver("r", "s1", "e")
	b.ok(b.s.Hurry(t.Context(), "r"))
	b.notDue("it is paused")
	if got := b.get("r").Run; !got.Paused() || got.Owner != store.Paused {
		t.Errorf("the run: %+v", got)
	}
	if h.Restart != nil {
		b.s = h.Restart(t, b.s)
		b.node = b.heartbeat("node-b")
		b.notDue("it is paused, after a restart, too")
	}
	b.pause("r", false)
	if c := b.claimOne("r"); c.Run.Paused() || len(c.Signals) != 1 || store.Woken(0, c.Run.InboxSeq) {
		t.Errorf("the resumed run: %+v", c)
	}
	b.create("fresh")
	b.pause("fresh", true)
	b.notDue("a newcomer is paused")
	if got := b.get("fresh").Run.Derived(b.now); got != store.Pending {
		t.Errorf("the newcomer is %s", got)
	}
	b.pause("fresh", false)
	b.claimOne("fresh")
}

func pausedWhileOwned(t *testing.T, h Harness) {
	b := open(t, h)
	l := b.start("r")
	b.pause("r", true)
	news := b.commit(l, store.Progress{Park: b.wait("e")})
	if news.InboxSeq&store.PausedBit == 0 || b.get("r").Run.Owner != b.node.Epoch {
		t.Fatalf("its node hears %+v", news)
	}
	b.commit(next(l), store.Progress{Decided: news.InboxSeq, Park: &store.Park{Until: b.now}})
	b.notDue("it was parked")
	b.pause("r", false)
	c := b.claimOne("r")
	b.pause("r", true)
	b.pause("r", false) // nothing was missed
	b.commit(c.Lease, store.Progress{Decided: c.Run.InboxSeq, Park: b.wait("e")})
	if got := b.get("r").Run; got.Owner != 0 || got.Park.Kind != store.ParkWait {
		t.Errorf("the run: %+v", got)
	}
}

func pauseEnds(t *testing.T, h Harness) {
	b := open(t, h)
	b.startWaiting("r", "e")
	b.pause("r", true)
	b.ok(b.s.Cancel(t.Context(), "r", "enough", b.now))
	c := b.claimOne("r")
	if c.Run.Paused() {
		t.Errorf("the canceled run: %+v", c.Run)
	}
	b.pause("r", true)
	b.commit(c.Lease, store.Progress{Canceled: true, End: &store.Ending{Status: store.Canceled}})
	b.ok(b.s.Reopen(t.Context(), "r", store.Reopening{From: "wait", Seq: b.get("r").Run.Seq}, b.now))
	if c := b.claimOne("r"); c.Run.Paused() {
		t.Errorf("the reopened run: %+v", c.Run)
	}
}

func pauseRefused(t *testing.T, h Harness) {
	b := open(t, h)
	b.is("pause of nobody", b.s.Pause(t.Context(), "nobody", true), store.ErrNotFound)
	b.startEnded("r", store.Failed)
	b.is("pause of an ended run", b.s.Pause(t.Context(), "r", true), store.ErrEnded)
}

func resolvedStep(t *testing.T, h Harness) {
	b := open(t, h)
	b.startEnded("r", store.Failed)
	en := store.Entry{Kind: store.EntryResolved, Step: "pay", At: b.now.Add(time.Second), StartedAt: b.now.Add(time.Second),
		Output: json.RawMessage(`"paid"`), Label: `{"by":"ann"}`}
	b.ok(b.s.Reopen(t.Context(), "r", store.Reopening{From: "pay", Seq: b.get("r").Run.Seq, Resolved: &en}, b.now))
	c := b.claimOne("r")
	gapFree(t, c)
	en.Seq = c.Run.Seq
	same(t, "the last entry", c.History[len(c.History)-1], en)
	b.commit(c.Lease, store.Progress{Decided: c.Run.InboxSeq, End: &store.Ending{Status: store.Failed}})
	en.Output, en.Failure = nil, &workflow.Failure{Step: "pay", Reason: workflow.ReasonError, Message: "bounced"}
	b.ok(b.s.Reopen(t.Context(), "r", store.Reopening{From: "pay", Seq: b.get("r").Run.Seq, Resolved: &en}, b.now))
	c = b.claimOne("r")
	gapFree(t, c)
	if en.Seq = c.Run.Seq; h.Restart != nil {
		b.s = h.Restart(t, b.s)
	}
	history := b.get("r").History
	same(t, "the last entry", history[len(history)-1], en)
}
