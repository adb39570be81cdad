package examples

import (
	"context"
	"time"

	"github.com/liwanag/liwanag/workflow"
)

// Payout is money for somebody.
type Payout struct {
	To    string
	Cents int
}

// Bank is what a payout talks to.
type Bank interface {
	Reserve(ctx context.Context, p Payout) (reservation string, err error)
	Release(ctx context.Context, reservation string) error
	Pay(ctx context.Context, key string, p Payout) (state string, err error)
	Book(ctx context.Context, p Payout) error
}

// PayOut shows how effects are taken back: what was reserved is released when the bank
// says by its answer, not by an error, that it did not pay, or when booking fails.
func PayOut(bank Bank) *workflow.Workflow[Payout] {
	wf := workflow.New[Payout]("payout")
	patient := workflow.Retry{MaxAttempts: 10, InitialDelay: time.Second}
	workflow.Step(wf, "reserve", bank.Reserve, patient,
		workflow.Undo(func(ctx context.Context, _ Payout, reservation string) error {
			return bank.Release(ctx, reservation)
		}, patient))
	state := workflow.Step(wf, "pay", func(ctx context.Context, p Payout) (string, error) {
		return bank.Pay(ctx, workflow.InfoFrom(ctx).IdempotencyKey, p)
	}, workflow.AtMostOnce)
	workflow.FailIf(wf, state, "not-paid", func(state string) bool { return state != "paid" }, "not_paid")
	workflow.Do(wf, "book", bank.Book, patient)
	return wf
}
