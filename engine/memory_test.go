package engine_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/engine/store/memory"
	"github.com/liwanag/liwanag/workflow"
)

// getting counts the runs that are read one by one.
type getting struct {
	*memory.Store
	gets atomic.Int64
}

func (c *getting) Get(ctx context.Context, id string) (store.Claimed, error) {
	c.gets.Add(1)
	return c.Store.Get(ctx, id)
}

func TestSmallRunsAreReadWithTheirClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wf := workflow.New[string]("w")
		workflow.Step(wf, "a", func(_ context.Context, in string) (string, error) { return in, nil })
		workflow.WaitFor(wf, "w", done, time.Hour)
		workflow.Step(wf, "b", func(context.Context, string) (int, error) { return 1, nil })
		st := &getting{Store: memory.New()}
		e, stop := run(t.Context(), t, st, wf)
		defer stop()
		for id, want := range map[string]int64{"small": 0, "big": 1} {
			in := id
			if id == "big" {
				in = strings.Repeat("x", workflow.MaxPayload-10)
			}
			if err := wf.Start(t.Context(), e, id, in); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			st.gets.Store(0)
			if _, err := done.Send(t.Context(), e, id, "s", "x"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			if got := st.gets.Load(); got != want {
				t.Errorf("the %s run was read %d times beside its claims", id, got)
			}
			checkCompleted(t, e, id)
		}
	})
}

// TestBigRunsAreInMemoryAFewAtATime makes runs due at once that are as big as runs may
// be, and a small one behind them.
func TestBigRunsAreInMemoryAFewAtATime(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what takes seconds")
	}
	synctest.Test(t, func(t *testing.T) {
		big, small := workflow.New[string]("big"), workflow.New[string]("small")
		for i := range 15 {
			workflow.Step(big, fmt.Sprint("s", i), func(context.Context, string) (string, error) {
				return strings.Repeat("x", workflow.MaxPayload-10), nil
			})
		}
		var now, most atomic.Int64
		for _, wf := range []*workflow.Workflow[string]{big, small} {
			workflow.WaitFor(wf, "w", done, time.Hour)
			workflow.Step(wf, "last", func(_ context.Context, in string) (int, error) {
				if in == "big" {
					most.Store(max(most.Load(), now.Add(1)))
					defer now.Add(-1)
				}
				time.Sleep(time.Second)
				return 1, nil
			})
		}
		e, stop := run(t.Context(), t, memory.New(), big, small)
		defer stop()
		const n = 150
		for i := range n {
			if err := big.Start(t.Context(), e, fmt.Sprint("big-", i), "big"); err != nil {
				t.Fatal(err)
			}
		}
		if err := small.Start(t.Context(), e, "small", "small"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		for i := range n {
			if _, err := done.Send(t.Context(), e, fmt.Sprint("big-", i), "s", "x"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := done.Send(t.Context(), e, "small", "s", "x"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(1500 * time.Millisecond)
		checkCompleted(t, e, "small")
		time.Sleep(time.Minute)
		for i := range n {
			checkCompleted(t, e, fmt.Sprint("big-", i))
		}
		if got := most.Load(); got < 40 || got > 70 {
			t.Errorf("%d big runs were in memory at once", got)
		}
	})
}

// cutting is a store whose reads bring one event at a time of those that no wait has
// consumed, as others do of an inbox that is fuller than it may be.
type cutting struct{ *memory.Store }

func (c cutting) Claim(ctx context.Context, n store.Node, w store.Wanted, now time.Time) ([]store.Claimed, time.Time, error) {
	w.Bytes = 0
	return c.Store.Claim(ctx, n, w, now)
}

func (c cutting) Get(ctx context.Context, id string) (store.Claimed, error) {
	got, err := c.Store.Get(ctx, id)
	kept := got.Signals[:0]
	waiting := 0
	for _, s := range got.Signals {
		if s.ConsumedBy == "" {
			waiting++
		}
		if s.ConsumedBy != "" || waiting == 1 {
			kept = append(kept, s)
		}
	}
	got.Signals, got.Cut = kept, waiting > 1
	return got, err
}

func TestEventsThatThereWasNoRoomForAreReadWhenOthersAreConsumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wf := workflow.New[string]("w")
		workflow.Sleep(wf, "first", time.Hour)
		for i := range 4 {
			workflow.WaitFor(wf, fmt.Sprint("w", i), done, 24*time.Hour)
		}
		e, stop := run(t.Context(), t, cutting{memory.New()}, wf)
		defer stop()
		if err := wf.Start(t.Context(), e, "r", ""); err != nil {
			t.Fatal(err)
		}
		for i := range 4 {
			if _, err := done.Send(t.Context(), e, "r", fmt.Sprint("s", i), "x"); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Hour + time.Second)
		checkCompleted(t, e, "r")
	})
}
