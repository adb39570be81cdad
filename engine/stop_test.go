package engine_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/engine/store/memory"
	"github.com/liwanag/liwanag/workflow"
)

// nap is a workflow of one step that takes a while.
func nap(d time.Duration) *workflow.Workflow[string] {
	wf := workflow.New[string]("nap")
	workflow.Step(wf, "nap", func(ctx context.Context, _ string) (int, error) {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(d):
			return 1, nil
		}
	}, workflow.Timeout(2*d))
	return wf
}

func TestAStopEndsInTimeAlthoughTheStoreTakesNoChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &faulty{Store: memory.New()}
		wf := nap(10 * time.Second)
		e, err := engine.New(engine.Config{Store: f, Definitions: []workflow.Definition{wf}, Concurrency: 1, StopTimeout: 20 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- e.Run(ctx) }()
		synctest.Wait()
		for i := range 2 { // one executes, one is queued
			if err := wf.Start(ctx, e, fmt.Sprint("r", i), ""); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		f.mu.Lock()
		f.full = true
		f.mu.Unlock()
		begun := time.Now()
		stop()
		select {
		case err := <-ended:
			if took := time.Since(begun); err != nil || took > 20*time.Second {
				t.Errorf("Run: %v after %s", err, took)
			}
		case <-time.After(time.Hour):
			t.Fatal("Run does not return")
		}
	})
}

// slowCreate lets a creation take a while.
type slowCreate struct{ store.Store }

func (s slowCreate) Create(ctx context.Context, r store.Run) error {
	time.Sleep(5 * time.Second)
	return s.Store.Create(ctx, r)
}

func TestARunThatIsCreatedDuringAStopIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := memory.New()
		wf := nap(time.Minute)
		e, stop := run(t.Context(), t, slowCreate{st}, wf)
		var starting sync.WaitGroup
		starting.Go(func() {
			if err := wf.Start(t.Context(), e, "r", ""); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		time.Sleep(4500 * time.Millisecond)
		stop()
		starting.Wait()
		c, err := st.Get(t.Context(), "r")
		if err != nil || c.Run.Owner != 0 {
			t.Errorf("%+v, %v", c.Run, err)
		}
		next, stopNext := run(t.Context(), t, st, wf)
		time.Sleep(2 * time.Minute)
		if r := checkCompleted(t, next, "r"); r.Steps[0].Attempts[0].N != 1 {
			t.Errorf("attempt %d, although none was begun before", r.Steps[0].Attempts[0].N)
		}
		stopNext()
	})
}

// leased is a store whose nodes must renew their lease.
type leased struct {
	store.Store
	mu    sync.Mutex
	node  store.Node
	last  time.Time
	beats int
	fails bool
}

func (l *leased) Heartbeat(ctx context.Context, name string, lease time.Duration) (node store.Node, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.beats++
	if l.fails {
		return node, errInjected
	}
	if l.node.Epoch == 0 || time.Since(l.last) >= lease {
		if l.node, err = l.Store.Heartbeat(ctx, name, lease); err != nil {
			return node, err
		}
	}
	l.last, l.node.Renew = time.Now(), lease/3
	return l.node, nil
}

func (l *leased) set(fails bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fails = fails
}

func TestALeaseIsRenewedWhateverTheClockSaysAndWhileAStopWaitsForSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &leased{Store: memory.New()}
		var behind time.Duration
		var mu sync.Mutex
		wf := nap(30 * time.Second)
		e, err := engine.New(engine.Config{Store: st, Definitions: []workflow.Definition{wf}, Now: func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return time.Now().Add(-behind)
		}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- e.Run(ctx) }()
		synctest.Wait()
		epoch := st.node.Epoch
		mu.Lock()
		behind = 24 * time.Hour
		mu.Unlock()
		time.Sleep(time.Minute)
		if err := wf.Start(ctx, e, "r", ""); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if st.node.Epoch != epoch {
			t.Errorf("the node lost its lease: epoch %d, then %d", epoch, st.node.Epoch)
		}
		c, err := st.Get(t.Context(), "r")
		if err != nil || len(c.History) != 1 || c.Run.Status != store.Completed && c.Run.Owner != 0 {
			t.Errorf("the outcome of the step that ran during the stop: %+v, %v", c, err)
		}
		beats := st.beats
		time.Sleep(time.Hour)
		if st.beats != beats {
			t.Error("a stopped engine renews its lease")
		}
	})
}

func TestANodeThatLostItsLeaseLetsGoAndGoesOnAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &leased{Store: memory.New()}
		var mu sync.Mutex
		ran := map[string]int{}
		wf := workflow.New[string]("w")
		workflow.Step(wf, "a", func(ctx context.Context, _ string) (int, error) {
			mu.Lock()
			ran[workflow.InfoFrom(ctx).RunID]++
			mu.Unlock()
			time.Sleep(30 * time.Second)
			return 1, nil
		})
		e, err := engine.New(engine.Config{Store: st, Definitions: []workflow.Definition{wf}, Concurrency: 1})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- e.Run(ctx) }()
		synctest.Wait()
		for _, id := range []string{"r1", "r2"} {
			if err := wf.Start(ctx, e, id, ""); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		st.set(true)
		time.Sleep(20 * time.Second)
		st.set(false)
		time.Sleep(5 * time.Minute)
		for _, id := range []string{"r1", "r2"} {
			checkCompleted(t, e, id)
		}
		if ran["r1"] != 2 || ran["r2"] != 1 {
			t.Errorf("the run that executed ran twice, the one that was queued once: %v", ran)
		}
		stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	})
}

func TestANodeWhoseLeaseIsOverdueBeginsNoStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &leased{Store: memory.New()}
		began := time.Now()
		var mu sync.Mutex
		var second []time.Duration
		times := func() []time.Duration {
			mu.Lock()
			defer mu.Unlock()
			return second
		}
		wf := workflow.New[string]("w")
		workflow.Step(wf, "a", func(context.Context, string) (int, error) {
			time.Sleep(30 * time.Second)
			return 1, nil
		})
		workflow.Step(wf, "b", func(context.Context, string) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			second = append(second, time.Since(began))
			return 1, nil
		})
		e, stop := run(t.Context(), t, st, wf)
		if err := wf.Start(t.Context(), e, "r", ""); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		st.set(true)
		time.Sleep(time.Minute)
		if got := times(); len(got) != 0 {
			t.Errorf("a node whose lease is overdue began a step after %s", got)
		}
		st.set(false)
		time.Sleep(time.Minute)
		if got := times(); len(got) != 1 {
			t.Errorf("the step began %d times", len(got))
		}
		checkCompleted(t, e, "r")
		stop()
	})
}
