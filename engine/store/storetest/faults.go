package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/liwanag/liwanag/engine/store"
)

var faults = map[string]func(t *testing.T, h Harness){
	"a cancelled context among fifty changes is told the truth": cancelledAmongFifty,
	"a failing neighbor in a commit harms no change":            failingNeighbors,
	"a full disk is told to each, half a change never lands":    fullDisk,
	"a closed store never says not found":                       closed,
	"what was acknowledged is there after a restart":            restarted,
}

func (b *bench) stillThere(id string) bool {
	b.t.Helper()
	_, err := b.s.Get(context.Background(), id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		b.t.Error(err)
	}
	return err == nil
}

func cancelledAmongFifty(t *testing.T, h Harness) {
	b := open(t, h)
	for round := range 20 {
		var wg sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		begin := make(chan struct{})
		for i := range 50 {
			wg.Go(func() {
				id := fmt.Sprintf("run-%d-%d", round, i)
				<-begin
				if i != 25 {
					if err := b.s.Create(t.Context(), b.fresh(id)); err != nil {
						t.Error(err)
					}
					return
				}
				err := b.s.Create(ctx, b.fresh(id))
				if err != nil && !errors.Is(err, context.Canceled) {
					t.Errorf("the canceled change: %v", err)
				}
				if b.stillThere(id) != (err == nil) {
					t.Errorf("the canceled change was told %v", err)
				}
			})
		}
		wg.Go(func() { <-begin; cancel() })
		close(begin)
		wg.Wait()
		for i := range 50 {
			if id := fmt.Sprintf("run-%d-%d", round, i); i != 25 && !b.stillThere(id) {
				t.Errorf("%s is gone", id)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.s.Create(ctx, b.fresh("never")); !errors.Is(err, context.Canceled) || b.stillThere("never") {
		t.Errorf("a change whose context was canceled before: %v", err)
	}
}

func failingNeighbors(t *testing.T, h Harness) {
	for name, neighbor := range h.Neighbors {
		t.Run(name, func(t *testing.T) {
			b := open(t, h)
			var wg sync.WaitGroup
			for i := range 60 {
				wg.Go(func() {
					if i%10 == 5 {
						if err := neighbor(t.Context(), b.s); err == nil {
							t.Error("the neighbor did not fail")
						}
						return
					}
					id := fmt.Sprintf("run-%d", i)
					r := b.fresh(id)
					r.Owner = b.node.Epoch
					if err := b.s.Create(t.Context(), r); err != nil {
						t.Error(err)
					}
					if _, err := b.s.Commit(t.Context(), store.Lease{RunID: id, Epoch: b.node.Epoch, Token: 1},
						store.Progress{Append: []store.Entry{completed("a", "1")}, Park: b.wait("answer"), Now: b.now}); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			for i := range 60 {
				if i%10 != 5 {
					gapFree(t, b.get(fmt.Sprintf("run-%d", i)))
				}
			}
		})
	}
}

func fullDisk(t *testing.T, h Harness) {
	if h.FillDisk == nil {
		t.Log("the store has no disk")
		return
	}
	b := open(t, h)
	lease := b.start("busy")
	b.startWaiting("waiting", "answer")
	before := b.get("busy")
	free := h.FillDisk(t, b.s)
	big := completed("a", fmt.Sprintf("%060000d", 1))
	create := func(id string) error {
		r := b.fresh(id)
		r.Input = big.Output
		err := b.s.Create(t.Context(), r)
		for _, sentinel := range []error{store.ErrExists, store.ErrNotFound, store.ErrLeaseLost, store.ErrClosed} {
			if errors.Is(err, sentinel) {
				t.Errorf("a full disk is told as %v", sentinel)
			}
		}
		if b.stillThere(id) != (err == nil) {
			t.Errorf("%s was told %v", id, err)
		}
		return err
	}
	for n := 0; create(fmt.Sprintf("filler-%d", n)) == nil; n++ {
		if n == 1000 {
			t.Fatal("the disk does not fill")
		}
	}
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			if err := create(fmt.Sprintf("run-%d", i)); err == nil {
				t.Error("a change that needs space landed on a full disk")
			}
		})
	}
	wg.Go(func() {
		p := store.Progress{Append: []store.Entry{big, big}, Park: b.wait("answer"), Now: b.now}
		if _, err := b.s.Commit(t.Context(), lease, p); err == nil || errors.Is(err, store.ErrLeaseLost) {
			t.Errorf("Commit on a full disk: %v", err)
		}
	})
	wg.Wait()
	same(t, "the run of the failed commit", b.get("busy"), before)
	free()
	b.commit(lease, store.Progress{Append: []store.Entry{big, big}, Park: b.wait("answer")})
	b.deliver("waiting", "s1", "answer")
	gapFree(t, b.get("busy"))
	gapFree(t, b.get("waiting"))
}

func closed(t *testing.T, h Harness) {
	if h.Close == nil {
		t.Fatal("the harness cannot close the store")
	}
	b := open(t, h)
	lease := b.start("run-1")
	h.Close(t, b.s)
	ctx := t.Context()
	errs := b.calls(ctx, "run-1")
	errs["Create"] = b.s.Create(ctx, b.fresh("run-2"))
	_, errs["Commit"] = b.s.Commit(ctx, lease, store.Progress{})
	_, _, errs["Claim"] = b.s.Claim(ctx, b.node, store.Want(1, enrich), b.now)
	_, _, errs["List"] = b.s.List(ctx, store.Query{Limit: 1})
	_, errs["Counts"] = b.s.Counts(ctx)
	_, errs["Heartbeat"] = b.s.Heartbeat(ctx, "node", 0)
	_, errs["Prune"] = b.s.Prune(ctx, b.now, 1)
	for method, err := range errs {
		b.is(method, err, store.ErrClosed)
		if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrLeaseLost) {
			t.Errorf("%s: %v", method, err)
		}
	}
}

func restarted(t *testing.T, h Harness) {
	if h.Restart == nil {
		t.Log("the store ends with the process")
		return
	}
	b := open(t, h)
	b.startWaiting("waiting", "answer")
	b.deliver("waiting", "s0", "other")
	lease := b.start("owned")
	b.startEnded("ended", store.Failed)
	kept := map[string]store.Claimed{}
	for _, id := range []string{"waiting", "owned", "ended"} {
		kept[id] = b.get(id)
	}
	b.s = h.Restart(t, b.s)
	for id, want := range kept {
		same(t, id, b.get(id), want)
	}
	dead := b.node
	b.node = b.heartbeat("node-b")
	if b.node.Epoch <= dead.Epoch {
		t.Fatalf("epoch %d after %d", b.node.Epoch, dead.Epoch)
	}
	b.refusedCommits(lease, "a node of the process before")
	c := b.claimOne("owned")
	if !c.TakenOver || c.Run.Takeovers != 1 {
		t.Errorf("%+v", c)
	}
	b.deliver("waiting", "s1", "answer")
	b.claimOne("waiting")
}
