package engine_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/engine/store/memory"
	"github.com/liwanag/liwanag/workflow"
)

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
