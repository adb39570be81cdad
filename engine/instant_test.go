package engine_test

import (
	"context"
	"encoding/json"
	"sync/atomic"
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

// told is a payload that counts how often it is decoded.
type told map[string]string

var decoded atomic.Int64

func (o *told) UnmarshalJSON(b []byte) error {
	decoded.Add(1)
	return json.Unmarshal(b, (*map[string]string)(o))
}

func TestAPayloadIsDecodedOnceForItsFirstReaderAndAnewForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		paid := workflow.Event[told]{Name: "paid"}
		wf := workflow.New[string]("decoding")
		came := workflow.WaitFor(wf, "a", paid, time.Hour)
		workflow.Step(wf, "b", func(ctx context.Context, _ string) (int64, error) {
			before := decoded.Load()
			came.Output(ctx)["by"] = "b"
			return decoded.Load() - before, nil
		})
		workflow.Step(wf, "c", func(ctx context.Context, _ string) (string, error) { return came.Output(ctx)["by"], nil })
		e, stop := run(t.Context(), t, memory.New(), wf)
		defer stop()
		if err := wf.Start(t.Context(), e, "r", ""); err != nil {
			t.Fatal(err)
		}
		if _, err := paid.Send(t.Context(), e, "r", "s1", told{"by": "Ann"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		r := checkCompleted(t, e, "r")
		if again, by := string(r.Steps[1].Output), string(r.Steps[2].Output); again != "0" || by != `"Ann"` {
			t.Errorf("the first reader decodes %s times, the next one reads %s", again, by)
		}
	})
}
