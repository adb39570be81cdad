package storetest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

var inbox = map[string]func(t *testing.T, h Harness){
	"an awaited event makes a run due, another does not":            awaited,
	"an event of the same name twice wakes once it is awaited":      twoOfTheSame,
	"a signal id counts once in a run":                              duplicate,
	"one of many equal signals at once is the first":                duplicateRace,
	"an event between decision and park keeps the run from parking": eventBeforePark,
	"a cancel between decision and park keeps the run from parking": cancelBeforePark,
	"a run that its node keeps learns what came from every write":   newsWhileKept,
	"an event to an ended run is kept as late":                      lateEvent,
	"a due run is not put off by an event or a cancel":              notPutOff,
}

func awaited(t *testing.T, h Harness) {
	b := open(t, h)
	b.startWaiting("run-1", "enrichment-complete", "other")
	b.notDue("a waiting run")
	for _, event := range []string{"complete", "enrichment", "enrichment-complete2", `"`, ""} {
		b.deliver("run-1", "for "+event, event)
		b.notDue("after " + event)
	}
	same(t, "receipt", b.deliver("run-1", "s1", "enrichment-complete"), workflow.Receipt{})
	same(t, "park", b.get("run-1").Run.Park.Until, b.now)
	c := b.claimOne("run-1")
	same(t, "signals", len(c.Signals), 6)
	gapFree(t, c)
}

func twoOfTheSame(t *testing.T, h Harness) {
	b := open(t, h)
	b.startWaiting("run-1", "answer")
	b.deliver("run-1", "s1", "answer")
	b.deliver("run-1", "s2", "answer")
	c := b.claimOne("run-1")
	b.commit(c.Lease, store.Progress{Decided: 2, Append: []store.Entry{{Kind: store.EntryCompleted, Step: "wait", At: b.now,
		StartedSeq: c.Run.Park.Seq, Consumed: []string{"s1"}}}, Park: b.wait("other")})
	c = b.get("run-1")
	same(t, "first", c.Signals[0].ConsumedBy, "wait")
	same(t, "second", c.Signals[1].ConsumedBy, "")
	b.notDue("a run that decided on both")
}

func duplicate(t *testing.T, h Harness) {
	b := open(t, h)
	b.startWaiting("run-1", "answer")
	b.startWaiting("run-2", "answer")
	b.deliver("run-1", "s1", "other")
	before := b.get("run-1")
	again := signal("s1", "answer")
	again.Payload = []byte(`"another"`)
	receipt, err := b.s.Deliver(t.Context(), "run-1", again, b.now)
	b.ok(err)
	same(t, "receipt", receipt, workflow.Receipt{Duplicate: true})
	same(t, "run", b.get("run-1"), before)
	same(t, "the id in another run", b.deliver("run-2", "s1", "other"), workflow.Receipt{})
	b.notDue("after the repeat of another event")
}

func duplicateRace(t *testing.T, h Harness) {
	b := open(t, h)
	b.startWaiting("run-1", "answer")
	var first atomic.Int32
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			receipt, err := b.s.Deliver(t.Context(), "run-1", signal("s1", "answer"), b.now)
			if err != nil {
				t.Error(err)
			}
			if !receipt.Duplicate {
				first.Add(1)
			}
		})
	}
	wg.Wait()
	c := b.get("run-1")
	if first.Load() != 1 || len(c.Signals) != 1 || c.Run.InboxSeq != 1 {
		t.Errorf("%d were first, %d are kept, inbox %d", first.Load(), len(c.Signals), c.Run.InboxSeq)
	}
	gapFree(t, c)
}

func eventBeforePark(t *testing.T, h Harness) {
	b := open(t, h)
	lease := b.start("run-1")
	b.deliver("run-1", "s1", "answer")
	came := store.Signal{Signal: signal("s1", "answer"), Seq: 2, At: b.now}
	news := b.commit(lease, store.Progress{Decided: 0, Append: []store.Entry{completed("a", "1")}, Park: b.wait("answer")})
	same(t, "news", news, store.News{InboxSeq: 1, Signals: []store.Signal{came}})
	kept := b.get("run-1")
	same(t, "what was decided is written", len(kept.History), 1)
	same(t, "the park is not", kept.Run.Park, store.Park{})
	gapFree(t, kept)
	b.deliver("run-1", "s2", "answer")
	again := b.commit(next(lease), store.Progress{Decided: 1, Known: 2, Park: b.wait("another")})
	came = store.Signal{Signal: signal("s2", "answer"), Seq: 4, At: b.now}
	same(t, "only what was not known", again, store.News{InboxSeq: 2, Signals: []store.Signal{came}})
	b.commit(next(next(lease)), store.Progress{Decided: 2, Known: 4, Park: b.wait("another")})
	b.notDue("a park decided on all that came")
}

func cancelBeforePark(t *testing.T, h Harness) {
	b := open(t, h)
	lease := b.start("run-1")
	b.ok(b.s.Cancel(t.Context(), "run-1", "no longer wanted", b.now))
	news := b.commit(lease, store.Progress{Decided: 0, Park: b.wait("answer")})
	same(t, "news", news, store.News{InboxSeq: 1, Canceled: true})
	b.commit(next(lease), store.Progress{Decided: 1, Canceled: true, Park: &store.Park{}})
	b.claimOne("run-1")
}

func newsWhileKept(t *testing.T, h Harness) {
	b := open(t, h)
	lease := b.start("run-1")
	same(t, "nothing came", b.commit(lease, store.Progress{Append: []store.Entry{completed("a", "1")}}), store.News{})
	b.deliver("run-1", "s1", "answer")
	b.notDue("an event to a run that its node keeps")
	came := store.Signal{Signal: signal("s1", "answer"), Seq: 3, At: b.now}
	same(t, "an event came", b.commit(next(lease), store.Progress{Append: []store.Entry{completed("b", "1")}}),
		store.News{InboxSeq: 1, Signals: []store.Signal{came}})
	b.ok(b.s.Cancel(t.Context(), "run-1", "stop", b.now))
	b.notDue("a cancel of a run that its node keeps")
	same(t, "a cancel came", b.commit(next(next(lease)),
		store.Progress{Decided: 1, Known: 3, Append: []store.Entry{completed("c", "1")}}), store.News{InboxSeq: 2, Canceled: true})
	gapFree(t, b.get("run-1"))
}

func lateEvent(t *testing.T, h Harness) {
	b := open(t, h)
	b.startEnded("run-1", store.Completed)
	same(t, "first", b.deliver("run-1", "s1", "answer"), workflow.Receipt{Late: true})
	same(t, "repeat", b.deliver("run-1", "s1", "answer"), workflow.Receipt{Late: true, Duplicate: true})
	c := b.get("run-1")
	same(t, "signals", c.Signals, []store.Signal{{Signal: signal("s1", "answer"), Seq: 3, At: b.now, Late: true}})
	same(t, "ending", c.Run.EndedSeq, int64(2))
	gapFree(t, c)
	b.notDue("an ended run")
}

func notPutOff(t *testing.T, h Harness) {
	b := open(t, h)
	b.startWaiting("run-1", "answer")
	until := b.get("run-1").Run.Park.Until
	b.now = until.Add(time.Hour)
	b.deliver("run-1", "s1", "answer")
	b.ok(b.s.Cancel(t.Context(), "run-1", "stop", b.now))
	same(t, "until", b.get("run-1").Run.Park.Until, until)
}
