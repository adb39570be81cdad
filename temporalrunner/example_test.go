package temporalrunner_test

import (
	"context"
	"fmt"

	"github.com/liwanag/liwanag/temporalrunner"
	"github.com/liwanag/liwanag/workflow"
)

// A program that runs its workflows on the Temporal server which TEMPORAL_ADDRESS
// and TEMPORAL_NAMESPACE name.
func Example() {
	type Order struct{ Customer string }
	wf := workflow.New[Order]("order")
	workflow.Step(wf, "confirm", func(_ context.Context, in Order) (string, error) {
		return "confirmed for " + in.Customer, nil
	})

	ctx := context.Background()
	c, err := temporalrunner.Dial(ctx, temporalrunner.DialConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	r, err := temporalrunner.New(temporalrunner.Config{Client: c, Definitions: []workflow.Definition{wf}})
	if err != nil {
		fmt.Println(err)
		return
	}
	go func() { _ = r.Run(ctx) }()
	if err := wf.Start(ctx, r, "order-17", Order{"Ada"}); err != nil {
		fmt.Println(err)
	}
}

// The faults of a configuration come all at once.
func ExampleNew() {
	empty := workflow.New[int]("empty")
	_, err := temporalrunner.New(temporalrunner.Config{Definitions: []workflow.Definition{empty, empty}, Concurrency: -1})
	fmt.Println(err)
	// Output:
	// temporalrunner: a Client is needed. Try: temporalrunner.Dial
	// temporalrunner: concurrency -1, lease 0s and stop timeout 0s must not be negative
	// workflow "empty" has no steps
	// workflow "empty" has no steps
	// workflow "empty": version 1 is defined twice
}
