package engine_test

import (
	"context"
	"errors"
	"fmt"
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

// asked counts what a store is asked that tells of ends.
type asked struct {
	*memory.Store
	lists, gets, sweeps atomic.Int64
	most                atomic.Int64 // runs in one sweep
}

func (a *asked) List(ctx context.Context, q store.Query) ([]store.Run, string, error) {
	a.lists.Add(1)
	return a.Store.List(ctx, q)
}

func (a *asked) Get(ctx context.Context, id string) (store.Claimed, error) {
	a.gets.Add(1)
	return a.Store.Get(ctx, id)
}

// shared is a store whose runs end elsewhere, too: it tells of ends when it is asked.
type shared struct{ *asked }

func (s shared) Unended(ctx context.Context, ids []string) (open []string, err error) {
	if len(ids) > 1 {
		s.sweeps.Add(1)
		s.most.Store(max(s.most.Load(), int64(len(ids))))
	}
	runs, _, err := s.Store.List(ctx, store.Query{IDs: ids})
	for _, r := range runs {
		if r.Status == store.Open {
			open = append(open, r.ID)
		}
	}
	return open, err
}

func awaitAll(t *testing.T, eng *engine.Engine, ids []string) *sync.WaitGroup {
	var all sync.WaitGroup
	for _, id := range ids {
		all.Go(func() {
			run, err := workflow.Await(t.Context(), eng, id)
			if err != nil || !run.Status.Ended() {
				t.Errorf("await of %s: %s, %v", id, run.Status, err)
			}
		})
	}
	return &all
}

func startWaits(t *testing.T, eng *engine.Engine, n int) (ids []string) {
	for i := range n {
		ids = append(ids, fmt.Sprint("run-", i))
		if err := waitsOnly().Start(t.Context(), eng, ids[i], "x"); err != nil {
			t.Fatal(err)
		}
	}
	return ids
}

func waitsOnly() *workflow.Workflow[string] {
	wf := workflow.New[string]("waits")
	workflow.WaitFor(wf, "wait", done, time.Hour)
	return wf
}

func runningWaits(t *testing.T, st store.Store) *engine.Engine {
	eng, err := engine.New(engine.Config{Store: st, Definitions: []workflow.Definition{waitsOnly()}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- eng.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-over; err != nil {
			t.Error(err)
		}
	})
	return eng
}

func TestAThousandWaitersCostNoQueriesWhereEveryEndIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &asked{Store: memory.New()}
		eng := runningWaits(t, st)
		ids := startWaits(t, eng, 1000)
		all := awaitAll(t, eng, ids)
		synctest.Wait()
		lists, gets := st.lists.Load(), st.gets.Load()
		time.Sleep(time.Minute)
		if l, g := st.lists.Load()-lists, st.gets.Load()-gets; l != 0 || g != 0 {
			t.Errorf("while they waited the store was asked %d and %d times", l, g)
		}
		for _, id := range ids {
			if _, err := done.Send(t.Context(), eng, id, "s", "x"); err != nil {
				t.Fatal(err)
			}
		}
		all.Wait()
		if left := st.Awaited(); len(left) != 0 {
			t.Errorf("waiters are left: %v", left)
		}
	})
}

func TestAThousandWaitersCostOneSweepASecondWhereRunsEndElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := shared{&asked{Store: memory.New()}}
		eng := runningWaits(t, st)
		ids := startWaits(t, eng, 1000)
		all := awaitAll(t, eng, ids)
		synctest.Wait()
		lists, sweeps := st.lists.Load(), st.sweeps.Load()
		time.Sleep(10*time.Second + time.Millisecond)
		if got := st.sweeps.Load() - sweeps; got != 10 || st.most.Load() != 1000 || st.lists.Load() != lists {
			t.Errorf("in ten seconds there were %d sweeps, of up to %d runs, and %d other questions", got, st.most.Load(), st.lists.Load()-lists)
		}
		for _, id := range ids { // another process ends them
			c, err := st.Store.Get(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if err := st.Terminate(t.Context(), id, workflow.Failure{}, c.Run.CreatedAt); err != nil {
				t.Fatal(err)
			}
		}
		leave := make(chan struct{})
		go func() { all.Wait(); close(leave) }()
		<-leave
		time.Sleep(2 * time.Second)
		sweeps = st.sweeps.Load()
		time.Sleep(10 * time.Second)
		if got := st.sweeps.Load() - sweeps; got != 0 {
			t.Errorf("nobody waits, and there were %d sweeps", got)
		}
	})
}

func TestWhoeverLeavesIsForgottenAndACloseTellsTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &asked{Store: memory.New()}
		eng := runningWaits(t, st)
		startWaits(t, eng, 1)
		ctx, leave := context.WithCancel(t.Context())
		left, closed := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := workflow.Await(ctx, eng, "run-0")
			left <- err
		}()
		synctest.Wait()
		leave()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("whoever left is told %v", err)
		}
		if got := st.Awaited(); len(got) != 0 {
			t.Errorf("waiters are left: %v", got)
		}
		go func() {
			_, err := workflow.Await(t.Context(), eng, "run-0")
			closed <- err
		}()
		synctest.Wait()
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-closed; !errors.Is(err, store.ErrClosed) {
			t.Errorf("whoever waits when the store is closed is told %v", err)
		}
	})
}
