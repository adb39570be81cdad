package examples

import (
	"context"

	"github.com/liwanag/liwanag/engine/store/sqlite"
	"github.com/liwanag/liwanag/workflow"
)

// PlaceOrder shows a start in the program's own transaction: a row of orders and the run
// that is to fulfil it are there together, or neither is.
func PlaceOrder(ctx context.Context, st *sqlite.Store, fulfil workflow.Ref[Order], o Order) error {
	return st.Write(ctx, func(tx *sqlite.Tx) error {
		if _, err := tx.Exec("INSERT INTO orders (id, email) VALUES (?, ?)", o.ID, o.Email); err != nil {
			return err
		}
		return fulfil.Start(ctx, tx, o.ID, o)
	})
}

// Fulfil shows a step in the store's transaction: the row that it writes is committed with
// the step's outcome, so that it counts once, whatever is killed when.
func Fulfil() *workflow.Workflow[Order] {
	wf := workflow.New[Order]("fulfil")
	sqlite.Step(wf, "book", func(_ context.Context, tx *sqlite.Tx, o Order) (booked int, err error) {
		if _, err = tx.Exec("INSERT INTO bookings (order_id) VALUES (?)", o.ID); err != nil {
			return 0, err
		}
		err = tx.QueryRow("SELECT count(*) FROM bookings").Scan(&booked)
		return booked, err
	})
	return wf
}
