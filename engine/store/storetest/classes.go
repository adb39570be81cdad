package storetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

var classes = map[string]func(t *testing.T, h Harness){
	"newcomers and runs that go on have room of their own": classRoom,
	"each class is claimed earliest first":                 earliestFirst,
	"what a dead node had not begun goes back untouched":   notBegun,
	"what dies with its node twice is a suspect":           suspects,
	"due runs that nobody holds hide none":                 orphans,
	"an inbox takes so many signals":                       fullInbox,
	"thousands of definitions are no hindrance":            manyDefinitions,
}

func (b *bench) want(w store.Wanted) []store.Claimed {
	b.t.Helper()
	w.Definitions = []store.Definition{enrich}
	claimed, _, err := b.s.Claim(b.t.Context(), b.node, w, b.now)
	b.ok(err)
	return claimed
}

// newcomer creates a run that was queued at the given second.
func (b *bench) newcomer(id string, second int) {
	b.t.Helper()
	r := b.fresh(id)
	r.CreatedAt = began.Add(time.Duration(second) * time.Second)
	r.Park.Until = r.CreatedAt
	b.ok(b.s.Create(b.t.Context(), r))
}

// napping creates a run that goes on at the given second.
func (b *bench) napping(id string, second int) {
	b.t.Helper()
	b.commit(b.start(id), store.Progress{Park: &store.Park{Kind: store.ParkSleep, Step: "nap",
		Until: began.Add(time.Duration(second) * time.Second), Since: began}})
}

func classRoom(t *testing.T, h Harness) {
	b := open(t, h)
	for i := range 5 {
		b.newcomer(fmt.Sprint("new-", i), i)
		b.napping(fmt.Sprint("old-", i), 10+i)
	}
	b.now = began.Add(time.Minute)
	got := b.want(store.Wanted{Runs: 4, New: 1, Old: 4})
	same(t, "one newcomer among four", idsOf(got), []string{"new-0", "old-0", "old-1", "old-2"})
	for _, c := range got {
		same(t, c.Run.ID+" is new", c.New, strings.HasPrefix(c.Run.ID, "new"))
		same(t, c.Run.ID+" has begun", c.Run.StartedAt.IsZero(), false)
	}
	same(t, "newcomers alone", idsOf(b.want(store.Wanted{Runs: 2, New: 2})), []string{"new-1", "new-2"})
	same(t, "those that go on alone", idsOf(b.want(store.Wanted{Runs: 1, Old: 1})), []string{"old-3"})
	same(t, "no more than room for it", len(b.want(store.Wanted{Runs: 2, New: 2, Old: 2})), 2)
	same(t, "the last", len(b.claim(10)), 1)
}

func earliestFirst(t *testing.T, h Harness) {
	b := open(t, h)
	for i, second := range []int{3, 1, 2, 0} { // and ids the other way round
		b.newcomer(fmt.Sprint("new-", 9-second), second)
		b.napping(fmt.Sprint("old-", 9-second), 10+[]int{3, 1, 2, 0}[i])
	}
	b.now = began.Add(time.Minute)
	var got []string
	for range 8 {
		got = append(got, idsOf(b.claim(1))...)
	}
	same(t, "order", got, []string{"new-9", "new-8", "new-7", "new-6", "old-9", "old-8", "old-7", "old-6"})
}

func notBegun(t *testing.T, h Harness) {
	b := open(t, h)
	queued := b.fresh("queued") // owned by its node, without a slot
	queued.Owner, queued.Park.Until = b.node.Epoch, b.now
	b.ok(b.s.Create(t.Context(), queued))
	b.node = b.heartbeat("node-1")
	c := b.claimOne("queued")
	if c.TakenOver || c.Run.Takeovers != 0 || !c.New {
		t.Errorf("a run that had not begun: %+v", c)
	}
	b.node = b.heartbeat("node-2")
	if c = b.claimOne("queued"); !c.TakenOver || c.Run.Takeovers != 1 || c.New {
		t.Errorf("a run that had: %+v", c)
	}
	for n := range 3 { // without saying that an attempt begins
		b.node = b.heartbeat(fmt.Sprint("node-", 3+n))
		if c = b.claimOne("queued"); c.TakenOver || c.Run.Takeovers != 1 {
			t.Errorf("a run whose attempt had not begun: %+v", c)
		}
	}
}

func suspects(t *testing.T, h Harness) {
	b := open(t, h)
	for _, id := range []string{"first", "second"} {
		b.start(id)
	}
	b.node = b.heartbeat("node-1")
	for _, c := range b.claim(10) {
		b.commit(c.Lease, store.Progress{Attempt: 1, Begun: true, Takeovers: 1})
	}
	b.create("other")
	b.node = b.heartbeat("node-2")
	b.notDueBut("other", "a suspect")
	b.now = b.now.Add(store.Quarantine)
	one := b.want(store.Wanted{Runs: 5, New: 5, Old: 5, Suspects: 1})
	if len(one) != 1 || one[0].Run.Takeovers != 2 || !one[0].Run.Begun || one[0].TakenOver || one[0].Run.Attempt != 1 {
		t.Fatalf("suspects: %+v", one)
	}
	b.notDue("the other suspect")
	park := b.wait("answer")
	b.commit(one[0].Lease, store.Progress{Park: park})
	b.deliver(one[0].Run.ID, "s", "answer")
	b.claimOne(one[0].Run.ID) // which is cleared
	if two := b.want(store.Wanted{Suspects: 1}); len(two) != 1 || two[0].Run.ID == one[0].Run.ID {
		t.Errorf("the second suspect: %+v", two)
	}
}

func orphans(t *testing.T, h Harness) {
	b := open(t, h)
	for i := range 30 {
		r := b.fresh(fmt.Sprint("orphan-", i))
		r.Version, r.Park.Until = 7, b.now
		b.ok(b.s.Create(t.Context(), r))
	}
	b.notDue("an orphan")
	b.now = b.now.Add(time.Minute)
	b.notDue("an orphan, later")
	// What is due earlier than what was looked at before is found.
	b.newcomer("late", 0)
	c := b.claimOne("late")
	b.notDue("an orphan, again")
	b.commit(c.Lease, store.Progress{Park: &store.Park{Until: began.Add(time.Second)}})
	b.claimOne("late")
	b.napping("nap", 90)
	b.now = b.now.Add(time.Hour)
	b.claimOne("nap")
	b.startWaiting("waiting", "answer")
	b.ok(b.s.Hurry(t.Context(), "waiting"))
	b.claimOne("waiting")
}

func fullInbox(t *testing.T, h Harness) {
	b := open(t, h)
	b.startWaiting("run-1", "answer")
	b.startWaiting("run-2", "answer")
	for i := range workflow.MaxInbox {
		b.deliver("run-1", fmt.Sprint("s", i), "other")
	}
	before := b.get("run-1")
	_, err := b.s.Deliver(t.Context(), "run-1", signal("more", "answer"), b.now)
	b.is("a signal too many", err, store.ErrInboxFull)
	same(t, "the run", b.get("run-1"), before)
	if again := b.deliver("run-1", "s5", "other"); !again.Duplicate {
		t.Errorf("a repeat is told %+v", again)
	}
	big := signal("s", "other")
	big.Payload = []byte(`"` + strings.Repeat("x", workflow.MaxPayload-2) + `"`)
	for i := range workflow.MaxInboxBytes / workflow.MaxPayload {
		big.ID = fmt.Sprint("big-", i)
		_, err := b.s.Deliver(t.Context(), "run-2", big, b.now)
		b.ok(err)
	}
	_, err = b.s.Deliver(t.Context(), "run-2", signal("more", "answer"), b.now)
	b.is("a byte too many", err, store.ErrInboxFull)
	gapFree(t, b.get("run-2"))
}

func manyDefinitions(t *testing.T, h Harness) {
	b := open(t, h)
	b.create("run-1")
	defs := make([]store.Definition, 0, 20_001)
	for i := range 20_000 {
		defs = append(defs, store.Definition{Workflow: fmt.Sprint("w", i%100), Version: i})
	}
	claimed, _, err := b.s.Claim(t.Context(), b.node, store.Want(10, append(defs, enrich)...), b.now)
	b.ok(err)
	same(t, "claimed", idsOf(claimed), []string{"run-1"})
}
