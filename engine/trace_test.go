package engine_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/store/memory"
	"github.com/liwanag/liwanag/workflow"
)

// tracer notes what each turn goes on from.
type tracer struct {
	mu    sync.Mutex
	turns []string
	open  int
}

type turnKey struct{}

func (*tracer) RunEnded(workflow.RunRef, workflow.Status, *workflow.Failure, time.Duration) {}

func (*tracer) Starting(_ context.Context, run workflow.RunRef) string { return "start of " + run.ID }

func (tr *tracer) TurnStarted(ctx context.Context, run workflow.RunRef, carried string) (context.Context, string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.turns, tr.open = append(tr.turns, run.ID+" from "+carried), tr.open+1
	return context.WithValue(ctx, turnKey{}, len(tr.turns)), fmt.Sprint("turn ", len(tr.turns))
}

func (tr *tracer) TurnEnded(context.Context, workflow.RunRef) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.open--
}

// A trace goes with its run from the start on through a sleep to another node: each turn
// goes on from the one before.
func TestATraceGoesOnAcrossPausesAndNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wf := workflow.New[string]("traced")
		var in []any
		note := func(ctx context.Context, _ string) (int, error) {
			in = append(in, ctx.Value(turnKey{}))
			return len(in), nil
		}
		workflow.Step(wf, "first", note)
		workflow.Sleep(wf, "nap", time.Hour)
		workflow.Step(wf, "second", note)
		st, tr := memory.New(), &tracer{}
		node := func() *engine.Engine {
			e, err := engine.New(engine.Config{Store: st, Definitions: []workflow.Definition{wf}, Observers: []workflow.Observer{tr}})
			if err != nil {
				t.Fatal(err)
			}
			return e
		}
		one := node()
		stop := running(t, one)
		if err := wf.Start(t.Context(), one, "r", ""); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		stop()
		stop = running(t, node())
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		stop()
		if want := []string{"r from start of r", "r from turn 1"}; !slices.Equal(tr.turns, want) || tr.open != 0 {
			t.Errorf("turns %q, %d are open; want %q", tr.turns, tr.open, want)
		}
		if !slices.Equal(in, []any{1, 2}) {
			t.Errorf("the attempts were made in turns %v", in)
		}
	})
}
