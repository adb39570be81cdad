// Package storetest is the suite that every store passes. One file a topic; the
// tests are named after the behavior they prove.
package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

// Harness opens the store under test. Only Open is required; what a store does
// not have, such as a disk, it leaves nil.
type Harness struct {
	// Open returns a new, empty store, closed by the end of the test.
	Open func(t *testing.T) store.Store
	// Close closes a store; every later call must fail with store.ErrClosed.
	Close func(t *testing.T, s store.Store)
	// Restart closes the store, as the end of a process does, and opens what it
	// kept.
	Restart func(t *testing.T, s store.Store) store.Store
	// Another opens what a store keeps from another process, which is a node of its
	// own. nil: the store is for one process at a time.
	Another func(t *testing.T, s store.Store) store.Store
	// Neighbors are changes of the application that share commits with the
	// store's and fail: by a constraint, by a panic. Each must fail.
	Neighbors map[string]func(ctx context.Context, s store.Store) error
	// FillDisk lets writes fail for want of space until free is called.
	FillDisk func(t *testing.T, s store.Store) (free func())
}

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	groups := []map[string]func(t *testing.T, h Harness){runs, inbox, control, lists, faults, bounds, classes, definitions, subs,
		steering, attributes, first, schedules}
	if h.Another != nil {
		groups = append(groups, nodes)
	}
	for _, group := range groups {
		for name, test := range group {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t, h)
			})
		}
	}
}

// began is when every test begins, in the resolution that stores keep.
var began = time.Date(2026, 11, 22, 10, 0, 0, 123456000, time.UTC)

var enrich = store.Definition{Workflow: "enrich", Version: 1}

// bench is a store with a live node and a clock.
type bench struct {
	t    *testing.T
	h    Harness
	s    store.Store
	node store.Node
	now  time.Time
}

func open(t *testing.T, h Harness) *bench {
	t.Helper()
	b := &bench{t: t, h: h, s: h.Open(t), now: began}
	b.node = b.heartbeat("node-a")
	return b
}

func (b *bench) heartbeat(name string) store.Node {
	b.t.Helper()
	// No test of a bench outlasts it, on a busy machine either.
	node, err := b.s.Heartbeat(b.t.Context(), name, 5*time.Minute)
	b.ok(err)
	if node.Epoch == 0 || node.Name != name {
		b.t.Fatalf("Heartbeat: %+v", node)
	}
	return node
}

func (b *bench) ok(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) is(what string, err, want error) {
	b.t.Helper()
	if !errors.Is(err, want) {
		b.t.Errorf("%s: got %v, want %v", what, err, want)
	}
}

// fresh is a run that nobody owns.
func (b *bench) fresh(id string) store.Run {
	return store.Run{ID: id, Workflow: enrich.Workflow, Version: enrich.Version, Input: json.RawMessage(`{"n":1}`),
		CreatedAt: b.now, Status: store.Open, Seq: 1}
}

func (b *bench) create(ids ...string) {
	b.t.Helper()
	for _, id := range ids {
		b.ok(b.s.Create(b.t.Context(), b.fresh(id)))
	}
}

// start creates a run that the node owns.
func (b *bench) start(id string) store.Lease {
	b.t.Helper()
	r := b.fresh(id)
	r.Owner, r.StartedAt = b.node.Epoch, b.now
	b.ok(b.s.Create(b.t.Context(), r))
	return store.Lease{RunID: id, Epoch: b.node.Epoch, Token: 1}
}

// startWaiting creates a run that is parked for a day at a wait for events.
func (b *bench) startWaiting(id string, events ...string) {
	b.t.Helper()
	b.commit(b.start(id), store.Progress{Park: b.wait(events...)})
}

func (b *bench) startEnded(id string, status store.Status) {
	b.t.Helper()
	b.commit(b.start(id), store.Progress{End: &store.Ending{Status: status}})
}

func (b *bench) wait(events ...string) *store.Park {
	return &store.Park{Kind: store.ParkWait, Step: "wait", Events: events, Until: b.now.Add(24 * time.Hour), Since: b.now}
}

func (b *bench) claim(n int) []store.Claimed {
	b.t.Helper()
	w := store.Want(n, enrich)
	w.Bytes = 1 << 20
	claimed, _, err := b.s.Claim(b.t.Context(), b.node, w, b.now)
	b.ok(err)
	for _, c := range claimed {
		b.isWhole(c)
	}
	return claimed
}

// isWhole checks that a claim read what Get reads.
func (b *bench) isWhole(c store.Claimed) {
	b.t.Helper()
	whole := b.get(c.Run.ID)
	whole.Lease, whole.TakenOver, whole.New = c.Lease, c.TakenOver, c.New
	same(b.t, "what was claimed", c, whole)
}

func (b *bench) claimOne(id string) store.Claimed {
	b.t.Helper()
	claimed := b.claim(10)
	if len(claimed) != 1 || claimed[0].Run.ID != id {
		b.t.Fatalf("claimed %v, want %s alone", idsOf(claimed), id)
	}
	return claimed[0]
}

func (b *bench) notDue(why string) {
	b.t.Helper()
	if got := idsOf(b.claim(10)); len(got) != 0 {
		b.t.Fatalf("%s: claimed %v", why, got)
	}
}

func (b *bench) commit(l store.Lease, p store.Progress) store.News {
	b.t.Helper()
	p.Now = b.now
	news, err := b.s.Commit(b.t.Context(), l, p)
	b.ok(err)
	return news
}

// next is the lease after a commit that kept the run.
func next(l store.Lease) store.Lease {
	l.Token++
	return l
}

func (b *bench) deliver(runID, signalID, event string) workflow.Receipt {
	b.t.Helper()
	receipt, err := b.s.Deliver(b.t.Context(), runID, signal(signalID, event), b.now)
	b.ok(err)
	return receipt
}

func (b *bench) get(id string) store.Claimed {
	b.t.Helper()
	c, err := b.s.Get(b.t.Context(), id)
	b.ok(err)
	return c
}

func signal(id, event string) workflow.Signal {
	return workflow.Signal{ID: id, Event: event, Payload: json.RawMessage(fmt.Sprintf(`{"from":%q}`, id))}
}

func completed(step string, output string) store.Entry {
	return store.Entry{Kind: store.EntryCompleted, Step: step, Attempt: 1, At: began, StartedAt: began, Output: json.RawMessage(output)}
}

func idsOf(claimed []store.Claimed) (ids []string) {
	for _, c := range claimed {
		ids = append(ids, c.Run.ID)
	}
	return ids
}

// same fails the test when two values differ, and prints both.
func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

// gapFree checks that what is known of a run stands for the numbers 1 to Seq,
// each once.
func gapFree(t *testing.T, c store.Claimed) {
	t.Helper()
	begun := map[int64]bool{} // numbers of waits and sleeps that began with a park
	numbers := []int64{1}
	add := func(last, width int64) {
		for n := last - width + 1; n <= last; n++ {
			numbers = append(numbers, n)
		}
	}
	for _, e := range c.History {
		add(e.Seq, e.Width()+int64(max(e.Count, 1))-1)
		if e.StartedSeq != 0 && !e.Begins {
			begun[e.StartedSeq] = true
		}
	}
	for _, s := range c.Signals {
		add(s.Seq, 1)
	}
	if c.Run.Park.Seq != 0 {
		begun[c.Run.Park.Seq] = true
	}
	for n := range begun {
		numbers = append(numbers, n)
	}
	if c.Run.EndedSeq != 0 {
		numbers = append(numbers, c.Run.EndedSeq)
	}
	slices.Sort(numbers)
	for i, n := range numbers {
		if n != int64(i+1) {
			t.Errorf("run %s: its numbers are %v", c.Run.ID, numbers)
			return
		}
	}
	if int64(len(numbers)) != c.Run.Seq {
		t.Errorf("run %s: its numbers are %v, its Seq is %d", c.Run.ID, numbers, c.Run.Seq)
	}
}
