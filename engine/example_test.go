package engine_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/store/sqlite"
	"github.com/liwanag/liwanag/workflow"
)

// Order is the input of a run.
type Order struct {
	ID    string
	Euros int
}

type Label struct{ Number string }

type Pickup struct{ By string }

// PickedUp resumes a run; the courier's webhook sends it.
var PickedUp = workflow.Event[Pickup]{Name: "picked-up"}

// shipOrder is the whole flow, in order.
func shipOrder() *workflow.Workflow[Order] {
	wf := workflow.New[Order]("ship-order", workflow.Version(1))

	label := workflow.Step(wf, "print-label", func(ctx context.Context, o Order) (Label, error) {
		if workflow.InfoFrom(ctx).Attempt == 1 {
			return Label{}, errors.New("out of paper")
		}
		return Label{Number: "L-" + o.ID}, nil
	}, workflow.Retry{MaxAttempts: 5, Backoff: workflow.Exponential, InitialDelay: 10 * time.Millisecond, MaxDelay: time.Second})

	value := workflow.Step(wf, "appraise", func(_ context.Context, o Order) (int, error) { return o.Euros, nil })

	workflow.Step(wf, "insure", func(_ context.Context, o Order) (string, error) { return "P-" + o.ID, nil },
		workflow.If(value, "worth-insuring", func(euros int) bool { return euros > 100 }))

	picked := workflow.WaitFor(wf, "wait-for-pickup", PickedUp, 24*time.Hour)

	workflow.Step(wf, "notify", func(ctx context.Context, _ Order) (string, error) {
		return label.Output(ctx).Number + " taken by " + picked.Output(ctx).By, nil
	})
	return wf
}

// process is what one process does with the file: open it, run the engine, do
// the work, stop.
func process(path string, work func(ctx context.Context, eng *engine.Engine) error) error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	st, err := sqlite.Open(ctx, path)
	if err != nil {
		return err
	}
	defer st.Close()
	eng, err := engine.New(engine.Config{Store: st, Definitions: []workflow.Definition{shipOrder()}})
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- eng.Run(ctx) }()
	err = work(ctx, eng)
	stop() // running steps end first
	return errors.Join(err, <-ended)
}

// until looks at a run until it is as wanted.
func until(ctx context.Context, on workflow.Runner, runID string, wanted func(workflow.Run) bool) (workflow.Run, error) {
	for {
		run, err := on.Describe(ctx, runID)
		if err != nil || wanted(run) {
			return run, err
		}
		time.Sleep(time.Millisecond)
	}
}

// A run outlives the process that started it: the first one stops while the run
// waits, the second one goes on with it.
func Example() {
	dir, err := os.MkdirTemp("", "workflows")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "workflows.db")

	err = process(path, func(ctx context.Context, eng *engine.Engine) error {
		if err := shipOrder().Start(ctx, eng, "order-7", Order{ID: "7", Euros: 20}); err != nil {
			return err
		}
		run, err := until(ctx, eng, "order-7", func(r workflow.Run) bool {
			return r.WaitingFor != nil && r.WaitingFor.Kind == workflow.WaitEvent
		})
		if err == nil {
			fmt.Println(run.Status, "in", run.WaitingFor.Step)
		}
		return err
	})
	if err != nil {
		log.Fatal(err)
	}

	err = process(path, func(ctx context.Context, eng *engine.Engine) error {
		if _, err := PickedUp.Send(ctx, eng, "order-7", "scan-1", Pickup{By: "van 3"}); err != nil {
			return err
		}
		run, err := until(ctx, eng, "order-7", func(r workflow.Run) bool { return r.Status.Ended() })
		for _, s := range run.Steps {
			fmt.Println(s.Name, s.Status)
		}
		fmt.Println(run.Status, string(run.Output))
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// waiting in wait-for-pickup
	// print-label completed
	// appraise completed
	// insure skipped
	// wait-for-pickup completed
	// notify completed
	// completed "L-7 taken by van 3"
}
