package storetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

var nodes = map[string]func(t *testing.T, h Harness){
	"nodes live side by side and keep their epochs":             sideBySide,
	"claims of two nodes at once never give a run twice":        claimedByOne,
	"a node whose lease is over writes and claims nothing":      leaseOver,
	"runs that a silent node owned or parked go on elsewhere":   silentNode,
	"what is left to other nodes one of them takes":             leftToOthers,
	"a node that resigned is dead at once":                      resigned,
	"nodes are known by name":                                   roster,
	"what one node makes due wakes another":                     wakes,
	"what comes by one node is not slept over by the other":     notSleptOver,
	"turns of many runs at once over two nodes lose nothing":    manyRunsOverTwo,
	"a run that two nodes create at once is created by one":     createdByOne,
	"a run that one node terminates is lost to the node it had": terminatedElsewhere,
	"sub-runs that end on two nodes are each counted once":      subRunsOverTwo,
}

// short is a lease that a test waits for the end of.
const short = 300 * time.Millisecond

// pair opens a store and another over what it keeps, each with a live node.
func pair(t *testing.T, h Harness) (a, b *bench) {
	t.Helper()
	a = &bench{t: t, h: h, s: h.Open(t), now: began}
	b = &bench{t: t, h: h, s: h.Another(t, a.s), now: began}
	a.node, b.node = a.register("node-a", time.Hour), b.register("node-b", time.Hour)
	return a, b
}

func (b *bench) register(name string, lease time.Duration) store.Node {
	b.t.Helper()
	node, err := b.s.Heartbeat(b.t.Context(), name, lease)
	b.ok(err)
	if node.Renew <= 0 || node.Renew > lease/2 {
		b.t.Errorf("a lease of %s is to be renewed after %s", lease, node.Renew)
	}
	return node
}

// eventually claims until there is something, or too much time has passed.
func (b *bench) eventually(n int) []store.Claimed {
	b.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if claimed := b.claim(n); len(claimed) > 0 {
			return claimed
		}
	}
	b.t.Fatal("nothing is due")
	return nil
}

func sideBySide(t *testing.T, h Harness) {
	a, b := pair(t, h)
	if a.node.Epoch == b.node.Epoch || a.node.Epoch == 0 {
		t.Fatalf("epochs %d and %d", a.node.Epoch, b.node.Epoch)
	}
	for range 3 {
		same(t, "epoch after a renewal", a.register("node-a", time.Hour).Epoch, a.node.Epoch)
	}
	lease := a.start("run-1")
	b.create("run-2")
	b.notDueBut("run-2", "another node's run")
	a.commit(lease, store.Progress{Append: []store.Entry{completed("a", "1")}, Park: a.wait("answer")})
	b.deliver("run-1", "s1", "answer")
	c := b.claimOne("run-1")
	same(t, "taken over", c.TakenOver, false)
	same(t, "history", len(c.History), 1)
	a.refusedCommits(next(lease), "the owner before")
	same(t, "owner", a.get("run-1").Run.Owner, b.node.Epoch)
}

// notDueBut claims all that is due, which is one run alone.
func (b *bench) notDueBut(id, why string) {
	b.t.Helper()
	if got := idsOf(b.claim(10)); !slices.Equal(got, []string{id}) {
		b.t.Fatalf("%s: claimed %v", why, got)
	}
}

func claimedByOne(t *testing.T, h Harness) {
	a, b := pair(t, h)
	for i := range 60 {
		a.create(fmt.Sprintf("run-%02d", i))
	}
	var mu sync.Mutex
	owners := map[string]int64{}
	var wg sync.WaitGroup
	for i := range 8 {
		n := []*bench{a, b}[i%2]
		wg.Go(func() {
			for {
				claimed, _, err := n.s.Claim(t.Context(), n.node, store.Want(3, enrich), n.now)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				for _, c := range claimed {
					if owner, twice := owners[c.Run.ID]; twice {
						t.Errorf("%s is owned by %d and %d", c.Run.ID, owner, n.node.Epoch)
					}
					owners[c.Run.ID] = n.node.Epoch
				}
				left := len(owners) < 60
				mu.Unlock()
				if !left || err != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	for id, owner := range owners {
		same(t, "owner of "+id, b.get(id).Run.Owner, owner)
	}
}

func leftToOthers(t *testing.T, h Harness) {
	a, b := pair(t, h)
	a.create("new")
	a.startWaiting("woken", "answer")
	a.deliver("woken", "s1", "answer")
	a.create("another")
	both := []string{"new", "woken"}
	w := store.Want(10, enrich)
	w.Except = both
	if claimed, _, err := a.s.Claim(t.Context(), a.node, w, a.now); err != nil || !slices.Equal(idsOf(claimed), []string{"another"}) {
		t.Errorf("claimed %q, %v", idsOf(claimed), err)
	}
	if got := idsOf(b.claim(10)); len(got) != 2 || !slices.Contains(got, both[0]) || !slices.Contains(got, both[1]) {
		t.Errorf("another node claimed %q", got)
	}
}

func leaseOver(t *testing.T, h Harness) {
	a, b := pair(t, h)
	lease := a.start("run-1")
	other := a.fresh("other") // which nobody takes over
	other.Workflow, other.Owner = "nobody's", a.node.Epoch
	a.ok(a.s.Create(t.Context(), other))
	a.register("node-a", short)
	if c := b.eventually(10); len(c) != 1 || !c[0].TakenOver || c[0].Run.Takeovers != 1 {
		t.Fatalf("taken over: %+v", c)
	}
	a.refusedCommits(lease, "after the takeover")
	a.refusedCommits(store.Lease{RunID: "other", Epoch: a.node.Epoch, Token: 1}, "before any takeover")
	b.create("run-2")
	_, _, err := a.s.Claim(t.Context(), a.node, store.Want(10, enrich), a.now)
	a.is("Claim", err, store.ErrLeaseLost)
	r := a.fresh("run-3")
	r.Owner = a.node.Epoch
	a.is("Create", a.s.Create(t.Context(), r), store.ErrLeaseLost)
	same(t, "the run of a dead node", a.stillThere("run-3"), false)
	dead := a.node
	a.node = a.register("node-a", time.Hour)
	if a.node.Epoch == dead.Epoch {
		t.Fatalf("epoch %d after its lease was over", a.node.Epoch)
	}
	a.refusedCommits(lease, "the epoch before, though its node lives again")
	a.claimOne("run-2")
}

func silentNode(t *testing.T, h Harness) {
	a, b := pair(t, h)
	a.startWaiting("waiting", "answer")
	a.commit(a.start("asleep"), store.Progress{Park: &store.Park{Kind: store.ParkSleep, Step: "nap",
		Until: a.now.Add(time.Minute), Since: a.now}})
	for i := range 25 {
		a.start(fmt.Sprintf("owned-%02d", i))
	}
	a.register("node-a", short)
	taken := 0
	for taken < 25 {
		claimed := b.eventually(10)
		for _, c := range claimed {
			same(t, "taken over "+c.Run.ID, c.TakenOver, true)
		}
		taken += len(claimed)
	}
	b.notDue("a waiting run of a dead node")
	b.deliver("waiting", "s1", "answer")
	b.claimOne("waiting")
	b.now = b.now.Add(time.Minute)
	same(t, "taken over", b.claimOne("asleep").TakenOver, false)
}

func resigned(t *testing.T, h Harness) {
	a, b := pair(t, h)
	r, ok := a.s.(store.Resigner)
	if !ok {
		t.Fatal("the leases of this store outlive a process, and cannot be given up")
	}
	lease := a.start("run-1")
	b.notDue("a run of a live node")
	a.ok(r.Resign(t.Context(), a.node))
	a.refusedCommits(lease, "a node that resigned")
	if c := b.eventually(10); len(c) != 1 || !c[0].TakenOver {
		t.Errorf("taken over: %+v", c)
	}
	if again := a.register("node-a", time.Hour); again.Epoch == a.node.Epoch {
		t.Error("a node that resigned came back with its epoch")
	}
}

func roster(t *testing.T, h Harness) {
	a, b := pair(t, h)
	r, ok := b.s.(store.Roster)
	if !ok {
		t.Fatal("this store does not know the names of nodes")
	}
	all, err := r.Nodes(t.Context())
	b.ok(err)
	same(t, "nodes", all, []store.Node{{Name: "node-a", Epoch: a.node.Epoch}, {Name: "node-b", Epoch: b.node.Epoch}})
	a.start("run-1")
	a.register("node-a", short)
	b.eventually(1) // which takes a run over when the lease of its node is over
	all, err = r.Nodes(t.Context())
	b.ok(err)
	same(t, "nodes", all, []store.Node{{Name: "node-a", Epoch: a.node.Epoch, Dead: true}, {Name: "node-b", Epoch: b.node.Epoch}})
}

func wakes(t *testing.T, h Harness) {
	a, b := pair(t, h)
	w, ok := b.s.(store.Waker)
	if !ok {
		t.Fatal("nothing wakes the nodes of this store")
	}
	wake := w.Wake()
	a.startWaiting("run-1", "answer")
	for _, do := range []struct {
		what string
		id   string
		do   func()
	}{
		{"an event", "run-1", func() { a.deliver("run-1", "s1", "answer") }},
		{"a creation", "run-2", func() { a.create("run-2") }},
	} {
		b.notDue("before " + do.what)
		do.do()
		deadline := time.After(20 * time.Second)
		for claimed := []string(nil); !slices.Contains(claimed, do.id); {
			select {
			case <-wake:
				claimed = idsOf(b.claim(10))
			case <-deadline:
				t.Fatalf("%s wakes no other node", do.what)
			}
		}
	}
}

func notSleptOver(t *testing.T, h Harness) {
	a, b := pair(t, h)
	var wg sync.WaitGroup
	for i := range 60 {
		id := fmt.Sprintf("run-%02d", i)
		lease := a.start(id)
		var news store.News
		wg.Go(func() {
			var err error
			if news, err = a.s.Commit(t.Context(), lease, store.Progress{Park: a.wait("answer"), Now: a.now}); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if _, err := b.s.Deliver(t.Context(), id, signal("s1", "answer"), b.now); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		told := news.InboxSeq == 1 && len(news.Signals) == 1
		due := len(b.claim(10)) == 1
		if told == due {
			t.Errorf("%s: its node was told: %t, it is due: %t", id, told, due)
		}
		gapFree(t, b.get(id))
	}
}

func manyRunsOverTwo(t *testing.T, h Harness) {
	a, b := pair(t, h)
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			id, owner, other := fmt.Sprintf("run-%02d", i), a, b
			if i%2 == 1 {
				owner, other = b, a
			}
			if err := owner.liveThrough(t.Context(), id, other); err != nil {
				t.Errorf("%s: %v", id, err)
			}
		})
	}
	wg.Wait()
	for i := range 60 {
		c := a.get(fmt.Sprintf("run-%02d", i))
		if c.Run.Status != store.Completed || len(c.History) != 3 || len(c.Signals) != 2 {
			t.Errorf("%+v", c)
		}
		gapFree(t, c)
	}
}

// liveThrough drives a run that this node owns to its end, while events come by
// another node.
func (b *bench) liveThrough(ctx context.Context, id string, other *bench) error {
	r := b.fresh(id)
	r.Owner, r.StartedAt = b.node.Epoch, b.now
	if err := b.s.Create(ctx, r); err != nil {
		return err
	}
	events := make(chan error, 2)
	for _, signalID := range []string{"s1", "s2"} {
		go func() {
			_, err := other.s.Deliver(ctx, id, signal(signalID, "answer"), b.now)
			events <- err
		}()
	}
	lease := store.Lease{RunID: id, Epoch: b.node.Epoch, Token: 1}
	for _, step := range []string{"a", "b"} {
		if _, err := b.s.Commit(ctx, lease, store.Progress{Append: []store.Entry{completed(step, "1")}, Now: b.now}); err != nil {
			return err
		}
		lease = next(lease)
	}
	for range 2 {
		if err := <-events; err != nil {
			return err
		}
	}
	news, err := b.s.Commit(ctx, lease,
		store.Progress{Append: []store.Entry{completed("c", "1")}, Now: b.now, End: &store.Ending{Status: store.Completed}})
	if err == nil && (news.InboxSeq != 2 || len(news.Signals) != 2) {
		return fmt.Errorf("the ending was told %+v", news)
	}
	return err
}

func createdByOne(t *testing.T, h Harness) {
	a, b := pair(t, h)
	var wg sync.WaitGroup
	var mu sync.Mutex
	created := map[string]int{}
	for i := range 40 {
		for _, n := range []*bench{a, b} {
			// In opposite orders, so that each waits for the other.
			id := fmt.Sprintf("run-%02d", i)
			if n == b {
				id = fmt.Sprintf("run-%02d", 39-i)
			}
			wg.Go(func() {
				switch err := n.s.Create(t.Context(), n.fresh(id)); err {
				case nil:
					mu.Lock()
					created[id]++
					mu.Unlock()
				case store.ErrExists:
				default:
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	for i := range 40 {
		id := fmt.Sprintf("run-%02d", i)
		same(t, "creations of "+id, created[id], 1)
	}
}

func terminatedElsewhere(t *testing.T, h Harness) {
	a, b := pair(t, h)
	lease := a.start("run-1")
	b.ok(b.s.Terminate(t.Context(), "run-1", workflow.Failure{Reason: workflow.ReasonCanceled}, b.now))
	a.refusedCommits(lease, "a run that was terminated elsewhere")
	same(t, "status", a.get("run-1").Run.Status, store.Canceled)
}
