package storetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

var runs = map[string]func(t *testing.T, h Harness){
	"a run is created once":                                       createdOnce,
	"ids of every length come back":                               everyID,
	"a run comes back as it was written":                          cameBack,
	"a run with an owner belongs to it from creation on":          ownedFromCreation,
	"claims are earliest first, bounded and of known definitions": claimOrder,
	"a commit needs the latest lease":                             fencedByToken,
	"a commit that landed is repeated without effect":             repeatedCommits,
	"a dead node writes and claims nothing":                       fencedByEpoch,
	"runs of a dead node are taken over":                          takeover,
	"a run is claimed once":                                       claimedOnce,
	"turns of many runs at once lose nothing":                     manyRuns,
}

func createdOnce(t *testing.T, h Harness) {
	b := open(t, h)
	b.create("run-1")
	again := b.fresh("run-1")
	again.Input = json.RawMessage(`{"n":2}`)
	b.is("second Create", b.s.Create(t.Context(), again), store.ErrExists)
	same(t, "input", string(b.get("run-1").Run.Input), `{"n":1}`)
}

func everyID(t *testing.T, h Harness) {
	b := open(t, h)
	ids := []string{"x", "fourteen-bytes", "fifteen--bytes-", "sixteen--bytes--", "run_0190163d-8694-739b-aea5-966c26f8ad91",
		"run_0190163D-8694-739B-AEA5-966C26F8AD91", "sub_0190163d-8694-739b-aea5-966c26f8ad91", "ünïcode"}
	b.create(ids...)
	for _, id := range ids {
		same(t, "id", b.get(id).Run.ID, id)
	}
}

func cameBack(t *testing.T, h Harness) {
	b := open(t, h)
	lease := b.start("run-1")
	same(t, "created", b.get("run-1").Run, store.Run{ID: "run-1", Workflow: "enrich", Version: 1, Input: json.RawMessage(`{"n":1}`),
		CreatedAt: began, StartedAt: began, Status: store.Open, Owner: b.node.Epoch, Seq: 1})
	b.deliver("run-1", "s1", "answer")
	failure := &workflow.Failure{Step: "submit", Reason: workflow.ReasonError, Code: "boom", Message: "it broke", Attempts: 2}
	entries := []store.Entry{
		completed("batch", `{"jobs":[1,2]}`),
		{Kind: store.EntrySkipped, Step: "maybe", At: began, Label: "no jobs"},
		{Kind: store.EntryRetrying, Step: "submit", Attempt: 2, At: began, StartedAt: began.Add(-time.Second), Failure: failure, NextAt: began.Add(time.Minute)},
		{Kind: store.EntryCompleted, Step: "wait", At: began, StartedAt: began, Begins: true, Consumed: []string{"s1"}, Reconciled: true},
	}
	park := store.Park{Kind: store.ParkWait, Step: "wait-more", Events: []string{"answer", `od"d`}, Until: b.now.Add(time.Hour), Since: b.now}
	news := b.commit(lease, store.Progress{Decided: 1, Append: entries, Park: &park, Attempt: 2, Begun: true,
		Takeovers: 1, StartedAt: b.now.Add(time.Hour)})
	same(t, "news", news, store.News{InboxSeq: 1})

	got := b.get("run-1")
	park.Seq = 10
	same(t, "run", got.Run, store.Run{ID: "run-1", Workflow: "enrich", Version: 1, Input: json.RawMessage(`{"n":1}`), CreatedAt: began,
		StartedAt: began, Status: store.Open, Park: park, Attempt: 2, Begun: true, Takeovers: 1, Seq: 10, InboxSeq: 1})
	entries[0].Seq, entries[1].Seq, entries[2].Seq, entries[3].Seq, entries[3].StartedSeq = 3, 4, 5, 9, 6
	same(t, "history", got.History, entries)
	same(t, "signals", got.Signals, []store.Signal{{Signal: signal("s1", "answer"), Seq: 2, At: began, ConsumedBy: "wait"}})
	gapFree(t, got)

	b.now = b.now.Add(time.Hour)
	claimed := b.claimOne("run-1")
	got.Lease, got.Run.Owner = store.Lease{RunID: "run-1", Epoch: b.node.Epoch, Token: 4}, b.node.Epoch
	same(t, "claimed", claimed, got)

	b.commit(claimed.Lease, store.Progress{Decided: 1, End: &store.Ending{Status: store.Failed, Failure: failure, Because: "enough"}})
	ended := b.get("run-1").Run
	want := got.Run
	want.Status, want.Owner, want.EndedAt, want.EndedSeq, want.Seq, want.Failure, want.Because = store.Failed, 0, b.now, 11, 11, failure,
		"enough"
	want.Attempt, want.Begun, want.Takeovers = 0, false, 0
	same(t, "ended", ended, want)
	gapFree(t, b.get("run-1"))
}

func ownedFromCreation(t *testing.T, h Harness) {
	b := open(t, h)
	lease := b.start("run-1")
	b.notDue("a run that its creator owns")
	b.commit(lease, store.Progress{Append: []store.Entry{completed("batch", "1")}})
	b.notDue("a run that its owner keeps")
	same(t, "history", len(b.get("run-1").History), 1)
}

func claimOrder(t *testing.T, h Harness) {
	b := open(t, h)
	for i, id := range []string{"third", "first", "second", "later", "last"} {
		until := b.now.Add(time.Duration([]int{30, 10, 20, 40, 50}[i]) * time.Minute)
		b.commit(b.start(id), store.Progress{Park: &store.Park{Kind: store.ParkSleep, Step: "nap", Until: until, Since: b.now}})
	}
	orphan := b.fresh("orphan")
	orphan.Version = 2
	b.ok(b.s.Create(t.Context(), orphan))

	claim := func(n int) ([]string, time.Time) {
		claimed, next, err := b.s.Claim(t.Context(), b.node, store.Want(n, store.Definition{Workflow: "other", Version: 1}, enrich), b.now)
		b.ok(err)
		return idsOf(claimed), next
	}
	ids, next := claim(10)
	same(t, "before the first", ids, []string(nil))
	same(t, "next", next, began.Add(10*time.Minute))
	b.now = b.now.Add(30 * time.Minute)
	ids, _ = claim(2)
	same(t, "two of three", ids, []string{"first", "second"})
	ids, next = claim(2)
	same(t, "the third", ids, []string{"third"})
	same(t, "next", next, began.Add(40*time.Minute))
	b.now = b.now.Add(time.Hour)
	_, next = claim(10)
	same(t, "next of none", next, time.Time{})
	same(t, "a run of a definition that nobody holds", b.get("orphan").Run.Owner, int64(0))
}

func fencedByToken(t *testing.T, h Harness) {
	b := open(t, h)
	b.create("run-1")
	first := b.claimOne("run-1").Lease
	b.commit(first, store.Progress{Park: &store.Park{Until: b.now}})
	b.refusedCommits(next(first), "a lease that was given back")
	second := b.claimOne("run-1").Lease
	b.refusedCommits(first, "a lease of the claim before")
	b.refusedCommits(next(first), "a lease of the claim before, after its last commit")
	b.commit(second, store.Progress{Append: []store.Entry{completed("batch", "1")}})
	b.commit(next(second), store.Progress{End: &store.Ending{Status: store.Completed}})
	b.refusedCommits(next(next(second)), "a lease on a run that has ended")
	b.refusedCommits(store.Lease{RunID: "nobody", Epoch: b.node.Epoch, Token: 1}, "a lease on no run")
}

// repeatedCommits repeats each kind of commit as a caller does whom the answer did
// not reach.
func repeatedCommits(t *testing.T, h Harness) {
	b := open(t, h)
	twice := func(l store.Lease, p store.Progress, want store.News) {
		t.Helper()
		p.Append = []store.Entry{completed("a", "1")}
		b.commit(l, p)
		before := b.get(l.RunID)
		same(t, "news", b.commit(l, p), want)
		same(t, "the run", b.get(l.RunID), before)
	}
	lease := b.start("run-1")
	twice(lease, store.Progress{}, store.News{})
	came := store.Signal{Signal: signal("s1", "answer"), Seq: 3, At: began}
	b.deliver("run-1", "s1", "answer")
	kept := store.News{InboxSeq: 1, Signals: []store.Signal{came}}
	twice(next(lease), store.Progress{Park: b.wait("answer")}, kept)
	lease = next(next(lease))
	twice(lease, store.Progress{Decided: 1, Park: b.wait("more")}, store.News{InboxSeq: 1})
	b.deliver("run-1", "s2", "more")
	same(t, "what came after the park", b.commit(lease, store.Progress{Decided: 1, Park: b.wait("more")}), store.News{InboxSeq: 1})
	_, err := b.s.Commit(t.Context(), lease, store.Progress{Decided: 1, Now: b.now})
	b.is("a commit that keeps a run which was parked", err, store.ErrLeaseLost)
	lease = b.claimOne("run-1").Lease
	twice(lease, store.Progress{Decided: 2, End: &store.Ending{Status: store.Failed}}, store.News{InboxSeq: 2})
	gapFree(t, b.get("run-1"))

	stale := b.start("run-2")
	b.ok(b.s.Terminate(t.Context(), "run-2", workflow.Failure{Reason: workflow.ReasonCanceled}, b.now))
	b.ok(b.s.Reopen(t.Context(), "run-2", store.Reopening{From: "a", Seq: b.get("run-2").Run.Seq}, b.now))
	b.claimOne("run-2")
	b.refusedCommits(stale, "the lease before a termination and a claim by the same node")
}

// refusedCommits checks that no kind of commit writes anything with the lease.
func (b *bench) refusedCommits(l store.Lease, why string) {
	b.t.Helper()
	before, _ := b.s.Get(b.t.Context(), l.RunID)
	for kind, p := range map[string]store.Progress{
		"keep": {},
		"park": {Park: b.wait("answer")},
		"end":  {End: &store.Ending{Status: store.Completed}},
	} {
		p.Now, p.Append, p.Attempt = b.now, []store.Entry{completed("stale", "1")}, 7
		_, err := b.s.Commit(b.t.Context(), l, p)
		b.is(why+", "+kind, err, store.ErrLeaseLost)
	}
	after, _ := b.s.Get(b.t.Context(), l.RunID)
	same(b.t, why+": the run", after, before)
}

func fencedByEpoch(t *testing.T, h Harness) {
	b := open(t, h)
	lease := b.start("run-1")
	b.create("run-2")
	dead := b.node
	b.node = b.heartbeat("node-b")
	if b.node.Epoch <= dead.Epoch {
		t.Fatalf("epoch %d after %d", b.node.Epoch, dead.Epoch)
	}
	b.refusedCommits(lease, "a dead node before the takeover")
	_, _, err := b.s.Claim(t.Context(), dead, store.Want(10, enrich), b.now)
	b.is("a claim by a dead node", err, store.ErrLeaseLost)
	r := b.fresh("run-3")
	r.Owner = dead.Epoch
	b.is("a creation for a dead node", b.s.Create(t.Context(), r), store.ErrLeaseLost)
	same(t, "the run of a dead node", b.stillThere("run-3"), false)
	for range 2 {
		claimed := b.claim(1)
		if len(claimed) != 1 || claimed[0].TakenOver != (claimed[0].Run.ID == "run-1") {
			t.Errorf("claimed %+v", claimed)
		}
	}
	b.refusedCommits(lease, "a dead node after the takeover")
}

func takeover(t *testing.T, h Harness) {
	b := open(t, h)
	b.startWaiting("run-1", "answer")
	b.deliver("run-1", "s1", "answer")
	first := b.claimOne("run-1")
	b.node = b.heartbeat("node-1")
	c := b.claimOne("run-1")
	if !c.TakenOver || c.Run.Takeovers != 1 || c.Lease.Token != first.Lease.Token+2 || c.Lease.Epoch != b.node.Epoch {
		t.Errorf("takeover: %v %d %+v", c.TakenOver, c.Run.Takeovers, c.Lease)
	}
	same(t, "park", c.Run.Park, first.Run.Park)
	same(t, "signals", len(c.Signals), 1)
	b.notDue("a run that was taken over")
	b.commit(c.Lease, store.Progress{Decided: 1, Takeovers: 0, Park: b.wait("more")})
	same(t, "takeovers after progress", b.get("run-1").Run.Takeovers, 0)
	b.node = b.heartbeat("node-2")
	b.notDue("a waiting run of a dead node")
}

func claimedOnce(t *testing.T, h Harness) {
	b := open(t, h)
	for i := range 40 {
		b.create(fmt.Sprintf("run-%02d", i))
	}
	var mu sync.Mutex
	var got []string
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				claimed, _, err := b.s.Claim(t.Context(), b.node, store.Want(3, enrich), b.now)
				if err != nil {
					t.Error(err)
				}
				if len(claimed) == 0 {
					return
				}
				mu.Lock()
				got = append(got, idsOf(claimed)...)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.Sort(got)
	if len(slices.Compact(slices.Clone(got))) != 40 || len(got) != 40 {
		t.Errorf("claimed %v", got)
	}
}

// manyRuns drives runs through a whole life at once, so that their changes share
// commits.
func manyRuns(t *testing.T, h Harness) {
	b := open(t, h)
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			id := fmt.Sprintf("run-%02d", i)
			r := b.fresh(id)
			r.Owner, r.StartedAt = b.node.Epoch, b.now
			steps := []func() error{
				func() error { return b.s.Create(t.Context(), r) },
				func() error {
					_, err := b.s.Commit(t.Context(), store.Lease{RunID: id, Epoch: b.node.Epoch, Token: 1},
						store.Progress{Append: []store.Entry{completed("batch", "1")}, Now: b.now})
					return err
				},
				func() error {
					_, err := b.s.Deliver(t.Context(), id, signal("s1", "answer"), b.now)
					return err
				},
				func() error {
					_, err := b.s.Commit(t.Context(), store.Lease{RunID: id, Epoch: b.node.Epoch, Token: 2}, store.Progress{Decided: 1, Now: b.now,
						Append: []store.Entry{{Kind: store.EntryCompleted, Step: "wait", At: b.now, Begins: true, Consumed: []string{"s1"}}},
						End:    &store.Ending{Status: store.Completed}})
					return err
				},
			}
			for n, step := range steps {
				if err := step(); err != nil {
					t.Errorf("%s step %d: %v", id, n, err)
				}
			}
		})
	}
	wg.Wait()
	for i := range 60 {
		c := b.get(fmt.Sprintf("run-%02d", i))
		if c.Run.Status != store.Completed || len(c.History) != 2 || c.Signals[0].ConsumedBy != "wait" {
			t.Errorf("%+v", c)
		}
		gapFree(t, c)
	}
}
