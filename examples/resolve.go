package examples

import (
	"context"
	"encoding/json"

	"github.com/liwanag/liwanag/workflow"
)

// Transfer shows a step that runs at most once: when its process is lost inside of it, the
// run fails with reason unknown, and a person who has looked says what happened.
func Transfer(pay func(ctx context.Context, p Payout) (transfer string, err error)) *workflow.Workflow[Payout] {
	wf := workflow.New[Payout]("transfer")
	paid := workflow.Step(wf, "pay", pay, workflow.AtMostOnce)
	workflow.Step(wf, "receipt", func(ctx context.Context, p Payout) (string, error) {
		return p.To + " got " + paid.Output(ctx), nil
	})
	return wf
}

// FoundTransfer is what the person says who found the transfer in the bank's list.
func FoundTransfer(ctx context.Context, on workflow.Resolver, runID, transfer, who string) error {
	output, err := json.Marshal(transfer)
	if err != nil {
		return err
	}
	return on.Resolve(ctx, runID, "pay", workflow.Resolution{Output: output, Who: who, Why: "the bank's list"})
}
