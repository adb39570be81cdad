package engine_test

import (
	"context"
	"errors"
	"flag"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/store/memory"
	"github.com/liwanag/liwanag/workflow"
)

// golden files are rewritten with -update.
var _ = flag.Bool("update", false, "rewrite golden files")

var done = workflow.Event[string]{Name: "done"}

func TestARunGoesThroughStepsRetriesAndAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fails := 2
		wf := workflow.New[string]("demo")
		a := workflow.Step(wf, "a", func(context.Context, string) (int, error) { return 7, nil })
		workflow.Step(wf, "b", func(ctx context.Context, in string) (int, error) {
			if fails > 0 {
				fails--
				return 0, errors.New("busy")
			}
			return a.Output(ctx) + len(in), nil
		}, workflow.Retry{MaxAttempts: 5, InitialDelay: time.Second})
		w := workflow.WaitFor(wf, "wait", done, 24*time.Hour)
		workflow.Step(wf, "c", func(ctx context.Context, _ string) (string, error) { return w.Output(ctx) + "!", nil })

		ctx, stop := context.WithCancel(t.Context())
		e, err := engine.New(engine.Config{Store: memory.New(), Definitions: []workflow.Definition{wf}})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error)
		go func() { ended <- e.Run(ctx) }()
		synctest.Wait()
		if err := wf.Start(ctx, e, "r1", "xyz"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		r, _ := e.Describe(ctx, "r1")
		if r.Status != workflow.StatusWaiting || r.WaitingFor.Step != "wait" {
			t.Errorf("%+v", r)
		}
		if _, err := done.Send(ctx, e, "r1", "s1", "hello"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		r, _ = e.Describe(ctx, "r1")
		if r.Status != workflow.StatusCompleted || string(r.Output) != `"hello!"` {
			t.Errorf("%+v", r)
		}
		for i, h := range r.History {
			t.Log(h.Seq, h.Type, h.Step, h.Attempt, string(h.Data))
			if h.Seq != int64(i+1) {
				t.Errorf("history has a gap at %d", i+1)
			}
		}
		stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	})
}
