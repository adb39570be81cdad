package engine_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/engine/store/memory"
	"github.com/liwanag/liwanag/workflow"
)

func TestAnEventAtTheInstantOfADeadlineWins(t *testing.T) {
	look := workflow.Reconcile(workflow.Schedule{Offsets: []time.Duration{7 * time.Minute}},
		func(context.Context, string) (string, bool, error) { return "", false, nil })
	for name, opts := range map[string][]workflow.StepOption{"a wait": nil, "a wait that looks": {look}} {
		for range 50 { // who is woken first at an instant is chance
			synctest.Test(t, func(t *testing.T) {
				paid := workflow.Event[string]{Name: "paid"}
				wf := workflow.New[string]("punctual")
				workflow.WaitFor(wf, "a", paid, time.Hour, opts...)
				e, stop := run(t.Context(), t, memory.New(), wf)
				defer stop()
				sent := make(chan error, 1)
				go func() {
					time.Sleep(time.Hour)
					_, err := paid.Send(t.Context(), e, "r", "s1", "now")
					sent <- err
				}()
				if err := wf.Start(t.Context(), e, "r", ""); err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * time.Hour)
				if err := <-sent; err != nil {
					t.Errorf("%s: %v", name, err)
				}
				checkCompleted(t, e, "r")
			})
		}
	}
}
