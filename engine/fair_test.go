package engine_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/engine/store/memory"
	"github.com/liwanag/liwanag/workflow"
)

// order is what ran, in order.
type order struct {
	mu  sync.Mutex
	ran []string
}

func (o *order) add(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ran = append(o.ran, id)
}

func (o *order) all() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.ran)
}

func (o *order) at(id string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, r := range o.ran {
		if r == id {
			return i
		}
	}
	return -1
}

// TestAFloodOfNewcomersHoldsUpNothingThatGoesOn floods engines with few slots.
func TestAFloodOfNewcomersHoldsUpNothingThatGoesOn(t *testing.T) {
	for _, slots := range []int{1, 2, 5} {
		t.Run(fmt.Sprint(slots), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { flooded(t, slots) })
		})
	}
}

// flooded starts one run that waits, one that sleeps, and 300 newcomers, and sees in
// which order they have their turns.
func flooded(t *testing.T, slots int) {
	var o order
	flood, wait, sleep := workflow.New[string]("flood"), workflow.New[string]("wait"), workflow.New[string]("sleep")
	work := func(ctx context.Context, _ string) (int, error) {
		o.add(workflow.InfoFrom(ctx).RunID)
		time.Sleep(time.Second)
		return 0, nil
	}
	workflow.Step(flood, "a", work)
	workflow.WaitFor(wait, "w", done, time.Hour)
	workflow.Step(wait, "a", work)
	workflow.Sleep(sleep, "s", 100*time.Millisecond)
	workflow.Step(sleep, "a", work)
	e, err := engine.New(engine.Config{Store: memory.New(), Definitions: []workflow.Definition{flood, wait, sleep}, Concurrency: slots})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	defer func() { stop(); <-ended }()
	start := func(wf *workflow.Workflow[string], id string) {
		if err := wf.Start(t.Context(), e, id, ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Microsecond)
	}
	start(wait, "waits")
	start(sleep, "sleeps")
	time.Sleep(time.Millisecond)
	for i := range 300 { // ids the other way round
		start(flood, fmt.Sprintf("flood-%03d", 999-i))
	}
	time.Sleep(10500 * time.Millisecond)
	before := len(o.all())
	if _, err := done.Send(t.Context(), e, "waits", "s", "x"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(5 * time.Second)
	if at := o.at("sleeps"); at < 0 || at > slots+1 {
		t.Errorf("the sleep went on as number %d", at)
	}
	if at := o.at("waits"); at < 0 || at > before+slots+1 {
		t.Errorf("the event was served as number %d, it came after %d", at, before)
	}
	newcomers := slices.DeleteFunc(o.all(), func(id string) bool { return !strings.HasPrefix(id, "flood") })
	if !slices.IsSortedFunc(newcomers, func(a, b string) int { return strings.Compare(b, a) }) {
		t.Errorf("the newcomers ran in another order than they came: %v", newcomers)
	}
}

// TestARunThatKillsItsWorkersHarmsNoInnocent lets the node die a moment after a
// poisonous step begins, as often as that happens.
func TestARunThatKillsItsWorkersHarmsNoInnocent(t *testing.T) {
	for _, slots := range []int{1, 2, 8, 256} {
		t.Run(fmt.Sprint(slots), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { poisoned(t, slots) })
		})
	}
}

func poisoned(t *testing.T, slots int) {
	durable := memory.New()
	begins := make(chan struct{}, 10)
	fn := func(ctx context.Context, in string) (int, error) {
		if in == "poison" {
			begins <- struct{}{}
			time.Sleep(24 * time.Hour)
		}
		time.Sleep(20 * time.Second)
		return workflow.InfoFrom(ctx).Attempt, nil
	}
	plain := workflow.New[string]("plain")
	workflow.Step(plain, "a", fn, workflow.Timeout(time.Hour))
	starter := mustNew(t, durable, plain)
	start := func(id, in string) {
		if err := plain.Start(t.Context(), starter, id, in); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	start("poison-1", "poison")
	start("poison-2", "poison")
	innocents := min(2*slots, 50)
	for i := range innocents {
		start(fmt.Sprint("plain-", i), "")
	}
	deaths := 0
	for deaths < 30 && diesOf(t, begins, engine.Config{Store: durable, Definitions: []workflow.Definition{plain}, Concurrency: slots}) {
		deaths++
	}
	for _, id := range []string{"poison-1", "poison-2"} {
		if r := describe(t, starter, id); r.Status != workflow.StatusFailed || r.Failure.Code != workflow.CodeCrashLoop {
			t.Errorf("after %d deaths the poison is %s, %+v", deaths, r.Status, r.Failure)
		}
	}
	for i := range innocents {
		if r := describe(t, starter, fmt.Sprint("plain-", i)); r.Status != workflow.StatusCompleted {
			t.Errorf("an innocent is %s, %+v", r.Status, r.Failure)
		}
	}
	time.Sleep(24 * time.Hour) // the abandoned steps end
}

// diesOf runs a node until a poisonous step begins, and cuts it off from its store; or
// until none has begun for two hours.
func diesOf(t *testing.T, begins chan struct{}, cfg engine.Config) (died bool) {
	f := &faulty{Store: cfg.Store}
	cfg.Store = f
	e, err := engine.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	select {
	case <-begins:
		died = true
		time.Sleep(100 * time.Millisecond)
		f.mu.Lock()
		f.cut = true
		f.mu.Unlock()
	case <-time.After(2 * time.Hour):
	}
	stop()
	<-ended
	for len(begins) > 0 {
		<-begins
	}
	return died
}

// TestSuspectsAreExecutedOneAtATimeAndHoldUpNobody gives suspects long timeouts.
func TestSuspectsAreExecutedOneAtATimeAndHoldUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := memory.New()
		var mu sync.Mutex
		var at []time.Duration
		begun := time.Now()
		wf := workflow.New[string]("w")
		workflow.Step(wf, "a", func(ctx context.Context, in string) (int, error) {
			if in == "suspect" {
				mu.Lock()
				at = append(at, time.Since(begun).Round(time.Second))
				mu.Unlock()
				time.Sleep(48 * time.Hour) // whatever its timeout is
			}
			return 1, nil
		}, workflow.Timeout(time.Hour))
		suspects(t, st, "s1", "s2", "s3")
		e, err := engine.New(engine.Config{Store: st, Definitions: []workflow.Definition{wf}, Concurrency: 1})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- e.Run(ctx) }()
		time.Sleep(10 * time.Minute)
		if err := wf.Start(t.Context(), e, "innocent", ""); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		checkCompleted(t, e, "innocent")
		time.Sleep(3 * time.Hour)
		mu.Lock()
		if got := fmt.Sprint(at); got != "[1s 1h0m1s 2h0m1s]" {
			t.Errorf("suspects began at %s", got)
		}
		mu.Unlock()
		stop()
		<-ended
		time.Sleep(72 * time.Hour)
	})
}

// suspects are runs of the workflow w whose attempt has begun as two nodes died.
func suspects(t *testing.T, st store.Store, ids ...string) {
	t.Helper()
	node, err := st.Heartbeat(t.Context(), "dead", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for _, id := range ids {
		r := store.Run{ID: id, Workflow: "w", Version: 1, Owner: node.Epoch, Input: []byte(`"suspect"`), CreatedAt: now,
			StartedAt: now, Status: store.Open, Seq: 1}
		if err := st.Create(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		p := store.Progress{Begun: true, Takeovers: 1, Now: now}
		if _, err := st.Commit(t.Context(), store.Lease{RunID: id, Epoch: node.Epoch, Token: 1}, p); err != nil {
			t.Fatal(err)
		}
	}
}

// TestASuspectWhoseAttemptCameToAnEndGoesOnInASlot has its next step take long: the other
// suspects do not wait for that one.
func TestASuspectWhoseAttemptCameToAnEndGoesOnInASlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := memory.New()
		var long atomic.Int64
		wf := workflow.New[string]("w")
		workflow.Step(wf, "a", func(context.Context, string) (int, error) { return 1, nil })
		workflow.Step(wf, "b", func(context.Context, string) (int, error) {
			long.Add(1)
			time.Sleep(time.Hour)
			return 1, nil
		}, workflow.Timeout(2*time.Hour))
		suspects(t, st, "s1", "s2", "s3")
		e, err := engine.New(engine.Config{Store: st, Definitions: []workflow.Definition{wf}, Concurrency: 4})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- e.Run(ctx) }()
		time.Sleep(time.Minute)
		if n := long.Load(); n != 3 {
			t.Errorf("%d of 3 are at their next step", n)
		}
		stop()
		<-ended
		time.Sleep(2 * time.Hour)
	})
}

// What is started comes after what waits in the store, also where there is a place for it.
func TestWhatIsStartedDoesNotOvertakeWhatWaitsInTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var order []string
		wf := workflow.New[string]("w")
		workflow.Step(wf, "a", func(ctx context.Context, _ string) (int, error) { // one at a time: a slot of two is for newcomers
			order = append(order, workflow.InfoFrom(ctx).RunID)
			time.Sleep(time.Second)
			return 1, nil
		})
		e, err := engine.New(engine.Config{Store: memory.New(), Definitions: []workflow.Definition{wf}, Concurrency: 2})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- e.Run(ctx) }()
		synctest.Wait()
		start := func(id string) {
			time.Sleep(time.Millisecond)
			if err := wf.Start(t.Context(), e, id, ""); err != nil {
				t.Fatal(err)
			}
		}
		for _, id := range []string{"9", "8", "7", "6", "5"} {
			start(id)
		}
		time.Sleep(1500 * time.Millisecond)
		start("1")
		time.Sleep(time.Minute)
		stop()
		if err := <-ended; err != nil || !slices.Equal(order, []string{"9", "8", "7", "6", "5", "1"}) {
			t.Errorf("they began as %q, %v", order, err)
		}
	})
}

// In the index of what is due, runs of one owner take a third of the room when none of
// them has a time of its own.
func TestARunThatHasASlotFromItsCreationOnIsDueAtNoTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		st := memory.New()
		release := make(chan struct{})
		wf := workflow.New[string]("w")
		workflow.Do(wf, "work", func(context.Context, string) error {
			<-release
			return nil
		})
		e, err := engine.New(engine.Config{Store: st, Definitions: []workflow.Definition{wf}})
		must(t, err)
		ended := make(chan error)
		go func() { ended <- e.Run(ctx) }()
		synctest.Wait()
		must(t, wf.Start(ctx, e, "r", ""))
		if c, err := st.Get(ctx, "r"); err != nil || c.Run.StartedAt.IsZero() || !c.Run.Park.Until.IsZero() {
			t.Errorf("%+v, %v", c.Run, err)
		}
		close(release)
		stop()
		must(t, <-ended)
	})
}
