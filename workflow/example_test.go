package workflow_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/workflowtest"
)

type Order struct{ ID string }
type Label struct{ Number string }
type Pickup struct{ By string }
type Receipt struct{ Text string }

// PickedUp resumes a run; the courier's webhook sends it.
var PickedUp = workflow.Event[Pickup]{Name: "picked-up"}

func printLabel(ctx context.Context, o Order) (Label, error) { return Label{"L-" + o.ID}, nil }

func notify(ctx context.Context, l Label, p Pickup) (Receipt, error) {
	return Receipt{l.Number + " taken by " + p.By}, nil
}

// ended runs a definition on a small runner in memory, does something to the run
// from outside, and waits for its end.
func ended(wf *workflow.Workflow[Order], meanwhile func(on workflow.Runner)) workflow.Run {
	runner, err := workflowtest.NewRunner(wf)
	if err != nil {
		log.Fatal(err)
	}
	defer runner.Close()
	ctx := context.Background()
	if err := wf.Start(ctx, runner, "run-1", Order{ID: "7"}); err != nil {
		log.Fatal(err)
	}
	if meanwhile != nil {
		meanwhile(runner)
	}
	for {
		run, err := runner.Describe(ctx, "run-1")
		if err != nil {
			log.Fatal(err)
		}
		if run.Status.Ended() {
			return run
		}
		time.Sleep(time.Millisecond)
	}
}

func send[T any](event workflow.Event[T], payload T) func(workflow.Runner) {
	return func(on workflow.Runner) {
		if _, err := event.Send(context.Background(), on, "run-1", "delivery-1", payload); err != nil {
			log.Fatal(err)
		}
	}
}

// The whole flow stands in one constructor, in order.
func Example() {
	wf := workflow.New[Order]("ship-order")
	label := workflow.Step(wf, "print-label", printLabel, workflow.Retry{MaxAttempts: 5, InitialDelay: time.Second})
	picked := workflow.WaitFor(wf, "wait-for-pickup", PickedUp, 24*time.Hour)
	workflow.Step(wf, "notify", func(ctx context.Context, o Order) (Receipt, error) {
		return notify(ctx, label.Output(ctx), picked.Output(ctx))
	})

	run := ended(wf, send(PickedUp, Pickup{By: "van 3"}))
	fmt.Println(run.Status, string(run.Output))
	// Output: completed {"Text":"L-7 taken by van 3"}
}

// A failed attempt is tried again as the policy says.
func ExampleStep() {
	wf := workflow.New[Order]("print")
	workflow.Step(wf, "print-label", func(ctx context.Context, o Order) (Label, error) {
		if workflow.InfoFrom(ctx).Attempt < 3 {
			return Label{}, errors.New("out of paper")
		}
		return printLabel(ctx, o)
	}, workflow.Retry{MaxAttempts: 5, Backoff: workflow.Exponential, InitialDelay: time.Millisecond})

	run := ended(wf, nil)
	for _, a := range run.Steps[0].Attempts {
		fmt.Printf("%d %q\n", a.N, a.Error)
	}
	fmt.Println(run.Status, string(run.Output))
	// Output:
	// 1 "out of paper"
	// 2 "out of paper"
	// 3 ""
	// completed {"Number":"L-7"}
}

// A wait ends with its event; one that came early is taken at once.
func ExampleWaitFor() {
	wf := workflow.New[Order]("pick-up")
	picked := workflow.WaitFor(wf, "wait-for-pickup", PickedUp, 24*time.Hour)
	workflow.Step(wf, "print", func(ctx context.Context, o Order) (string, error) {
		return "order " + o.ID + " taken by " + picked.Output(ctx).By, nil
	})

	run := ended(wf, send(PickedUp, Pickup{By: "van 3"}))
	fmt.Println(string(run.Output), "consumed by", run.Events[0].ConsumedBy)
	// Output: "order 7 taken by van 3" consumed by wait-for-pickup
}

// A step with a condition is skipped unless it holds.
func ExampleIf() {
	wf := workflow.New[Order]("insure")
	worth := workflow.Step(wf, "appraise", func(context.Context, Order) (int, error) { return 20, nil })
	insurance := workflow.Step(wf, "insure", func(context.Context, Order) (string, error) { return "P-1", nil },
		workflow.If(worth, "worth-insuring", func(euros int) bool { return euros > 100 }))
	workflow.Step(wf, "report", func(ctx context.Context, _ Order) (bool, error) {
		_, insured := insurance.Lookup(ctx)
		return insured, nil
	})

	run := ended(wf, nil)
	fmt.Println(run.Steps[1].Name, run.Steps[1].Status+":", run.Steps[1].SkippedBecause)
	fmt.Println("insured:", string(run.Output))
	// Output:
	// insure skipped: worth-insuring
	// insured: false
}

// A run ends early, and well, when there is nothing more to do.
func ExampleFinishIf() {
	wf := workflow.New[Order]("restock")
	missing := workflow.Step(wf, "count", func(context.Context, Order) (int, error) { return 0, nil })
	workflow.FinishIf(wf, missing, "nothing-missing", func(n int) bool { return n == 0 })
	workflow.Step(wf, "order", printLabel)

	run := ended(wf, nil)
	fmt.Println(run.Status, run.FinishedBecause, run.Steps[1].Status)
	// Output: completed nothing-missing skipped
}

// A wait may look for its answer by itself, in case that nobody tells.
func ExampleReconcile() {
	wf := workflow.New[Order]("pick-up")
	looks := 0
	workflow.WaitFor(wf, "wait-for-pickup", PickedUp, 24*time.Hour, workflow.Reconcile(
		workflow.Schedule{Offsets: []time.Duration{time.Millisecond, 2 * time.Millisecond}},
		func(ctx context.Context, o Order) (Pickup, bool, error) {
			looks++
			return Pickup{By: "van 3"}, looks == 3, nil // asks the courier
		}))

	run := ended(wf, nil)
	fmt.Println(run.Status, "after", looks, "looks:", string(run.Output))
	// Output: completed after 3 looks: {"By":"van 3"}
}

// Returned comes instead of PickedUp when the courier finds nobody.
var Returned = workflow.Event[string]{Name: "returned"}

// The first of several events ends a wait.
func ExampleWaitForAny() {
	wf := workflow.New[Order]("deliver")
	arrived := workflow.WaitForAny(wf, "wait-for-courier", 24*time.Hour, []workflow.AnyEvent{PickedUp, Returned})
	workflow.Step(wf, "conclude", func(ctx context.Context, _ Order) (string, error) {
		if why, ok := workflow.As(arrived.Output(ctx), Returned); ok {
			return "returned: " + why, nil
		}
		return "picked up", nil
	})

	fmt.Println(string(ended(wf, send(Returned, "nobody home")).Output))
	// Output: "returned: nobody home"
}

// A wait may need every one of several events.
func ExampleWaitForAll() {
	wf := workflow.New[Order]("deliver")
	arrived := workflow.WaitForAll(wf, "wait-for-both", 24*time.Hour, []workflow.AnyEvent{PickedUp, Returned})
	workflow.Step(wf, "conclude", func(ctx context.Context, _ Order) (string, error) {
		picked, _ := workflow.As(arrived.Output(ctx), PickedUp)
		why, _ := workflow.As(arrived.Output(ctx), Returned)
		return picked.By + ", then returned: " + why, nil
	})

	run := ended(wf, func(on workflow.Runner) {
		ctx := context.Background()
		if _, err := Returned.Send(ctx, on, "run-1", "delivery-2", "nobody home"); err != nil {
			log.Fatal(err)
		}
		send(PickedUp, Pickup{By: "van 3"})(on)
	})
	fmt.Println(string(run.Output))
	// Output: "van 3, then returned: nobody home"
}

// The error handler sees the failure, and what was done until then.
func ExampleOnError() {
	wf := workflow.New[Order]("ship-order")
	label := workflow.Step(wf, "print-label", printLabel)
	workflow.Step(wf, "pay", func(context.Context, Order) (string, error) {
		return "", workflow.Permanent(errors.New("card declined"))
	}, workflow.Retry{MaxAttempts: 5})
	workflow.OnError(wf, func(ctx context.Context, o Order, f workflow.Failure) error {
		if l, printed := label.Lookup(ctx); printed {
			fmt.Println("void", l.Number, "since", f)
		}
		return nil
	}, workflow.Retry{MaxAttempts: 10, InitialDelay: time.Second})

	run := ended(wf, nil)
	fmt.Println(run.Status, "at", run.Failure.Step, "after", run.Failure.Attempts, "attempt")
	// Output:
	// void L-7 since pay: card declined
	// failed at pay after 1 attempt
}

// A step that is not ready looks again later, and no attempt is used.
func ExampleSnooze() {
	wf := workflow.New[Order]("collect")
	opens := time.Now().Add(5 * time.Millisecond)
	workflow.Step(wf, "collect", func(ctx context.Context, _ Order) (int, error) {
		if wait := time.Until(opens); wait > 0 {
			return 0, workflow.Snooze(wait)
		}
		return workflow.InfoFrom(ctx).Attempt, nil
	})

	run := ended(wf, nil)
	fmt.Println(run.Status, "at attempt", string(run.Output))
	// Output: completed at attempt 1
}
