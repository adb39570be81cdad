package examples

import (
	"context"

	"github.com/liwanag/liwanag/workflow"
)

// Order is what a customer is to pay.
type Order struct{ ID, Email string }

// OrderPaid and OrderCanceled are what the customer does; they go to the branch that
// waits for them, see [Customer].
var (
	OrderPaid     = workflow.Event[string]{Name: "order-paid"}
	OrderCanceled = workflow.Event[string]{Name: "order-canceled"}
)

// Customer is the id of the sub-run that waits for what the customer does.
func Customer(orderID string) string { return workflow.SubRunID(orderID, "answer", 0, 0) }

// RemindedOrder shows a race between an event and a repeated reminder: the customer pays
// or cancels, is reminded every day, three times, and has a day more.
func RemindedOrder(mail Mail, ship func(context.Context, Order) error) *workflow.Workflow[Order] {
	wf := workflow.New[Order]("reminded-order")
	order := workflow.Input(wf)
	answer := workflow.Race(wf, "answer")
	customer := workflow.Branch(answer, "customer", func(b *workflow.Workflow[Order]) *workflow.Result[workflow.Arrived] {
		return workflow.WaitForAny(b, "decision", 30*day, []workflow.AnyEvent{OrderPaid, OrderCanceled})
	})
	workflow.Branch(answer, "reminders", func(b *workflow.Workflow[Order]) *workflow.Result[int] {
		sent := workflow.Repeat(b, "reminder", 3, nil, func(r *workflow.Workflow[int]) *workflow.Result[int] {
			workflow.Sleep(r, "a-day", day)
			return workflow.Step(r, "remind", func(ctx context.Context, before int) (int, error) {
				return before + 1, mail(ctx, order.Output(ctx).Email, "please pay")
			})
		}, func(sent int) bool { return sent == 3 })
		workflow.Sleep(b, "last-day", day)
		return sent
	})
	paid := workflow.If(customer, "paid", func(a workflow.Arrived) bool { _, ok := workflow.As(a, OrderPaid); return ok })
	workflow.Do(wf, "ship", ship, paid)
	workflow.Do(wf, "tell", func(ctx context.Context, o Order) error { return mail(ctx, o.Email, "shipped") }, paid)
	return wf
}
