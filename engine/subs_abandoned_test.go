package engine_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

func TestOnlyWhatAnAbandonedEngineHadInHandIsDoneTwice(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		const items, atMost, before = 200, 8, 60
		var mu sync.Mutex
		begun, held, first := map[int]int{}, 0, true
		wf := etl(func(ctx context.Context, _ string, _ file) (row, error) {
			mu.Lock()
			begun[workflow.InfoFrom(ctx).Index]++
			hold := first && len(begun) > before
			if hold {
				held++
			}
			mu.Unlock()
			if hold {
				<-ctx.Done()
				return row{}, ctx.Err()
			}
			return row{1}, nil
		}, workflow.AtMost(atMost))
		cfg := engine.Config{Store: st, Definitions: []workflow.Definition{wf}, Concurrency: 2 * atMost, StopTimeout: time.Nanosecond}
		e, stop := serving(t, cfg)
		if err := wf.Start(t.Context(), e, "r", import_{items}); err != nil {
			t.Fatal(err)
		}
		await(t, "all that may be open to be in hand", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return held == atMost
		})
		stop()
		mu.Lock()
		first = false
		mu.Unlock()
		if got := agree(t, st, "r", 0, "load"); got[store.Completed] != before || got[store.Open] != atMost {
			t.Errorf("when the engine was abandoned: %v", got)
		}
		e, _ = serving(t, cfg)
		run := endOf(t, e, "r")
		if run.Status != workflow.StatusCompleted || string(run.Output) != `{"N":200}` {
			t.Fatalf("%s %s %v", run.Status, run.Output, run.Failure)
		}
		if got := agree(t, st, "r", 0, "load"); got[store.Completed] != items || len(got) != 1 {
			t.Error(got)
		}
		twice := 0
		for i, n := range begun {
			if twice += n - 1; n > 2 {
				t.Errorf("item %d was begun %d times", i, n)
			}
		}
		if len(begun) != items || twice != atMost {
			t.Errorf("%d items were begun, %d of them twice", len(begun), twice)
		}
	})
}
