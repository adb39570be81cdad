package examples_test

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/engine/store/sqlite"
	"github.com/liwanag/liwanag/examples"
	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/workflowtest"
)

var _ = flag.Bool("update", false, "rewrite golden files")

func TestAnOrderAndItsRunAreThereTogetherOrNeitherIs(t *testing.T) {
	onSQLite(t, func(t *testing.T, st *sqlite.Store) {
		eng, _ := running(t, st, examples.Fulfil())
		place := func(ref workflow.Ref[examples.Order]) error { return examples.PlaceOrder(t.Context(), st, ref, order) }
		if err := place(workflow.Ref[examples.Order]{Name: "no-such"}); !errors.Is(err, workflow.ErrUnknownWorkflow) {
			t.Errorf("a start that is refused: %v", err)
		}
		must(t, place(workflow.Ref[examples.Order]{Name: "fulfil"})) // the row of the first is not there
		if place(workflow.Ref[examples.Order]{Name: "fulfil"}) == nil {
			t.Error("an order was placed twice")
		}
		if run := ended(t, eng, workflow.StatusCompleted); string(run.Output) != "1" {
			t.Errorf("booked: %s", run.Output)
		}
		var orders, bookings int
		must(t, st.Read(t.Context(), func(tx *sql.Tx) error {
			return tx.QueryRow("SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM bookings)").Scan(&orders, &bookings)
		}))
		if orders != 1 || bookings != 1 {
			t.Errorf("%d orders, %d bookings", orders, bookings)
		}
	})
}

func TestAPriceIsAwaitedAndReadAsItsType(t *testing.T) {
	everywhere(t, func(t *testing.T, st store.Store) {
		quote := examples.NewQuote(func(context.Context, examples.Parcel) (string, error) { return "noted", nil })
		eng, _ := running(t, st, quote)
		if cents, err := quote.Ask(t.Context(), eng, "run", examples.Parcel{Kilos: 3}); cents != 800 || err != nil {
			t.Errorf("%d cents, %v", cents, err)
		}
		if run := ended(t, eng, workflow.StatusCompleted); string(run.Output) != "800" {
			t.Errorf("the run's output is %s", run.Output)
		}
		if _, err := quote.Ask(t.Context(), eng, "heavy", examples.Parcel{Kilos: 31}); !errors.Is(err, workflow.ErrNoOutput) {
			t.Errorf("a run that failed: %v", err)
		}
	})
}

func TestATransferOfALostProcessIsResolvedByAPerson(t *testing.T) {
	everywhere(t, func(t *testing.T, st store.Store) {
		calls, inside, lost := 0, make(chan struct{}), make(chan struct{})
		wf := examples.Transfer(func(context.Context, examples.Payout) (string, error) {
			calls++
			close(inside)
			<-lost
			return "", errors.New("lost")
		})
		first, stop := running(t, st, wf)
		must(t, wf.Start(t.Context(), first, "run", examples.Payout{To: "gus@home.example", Cents: 100}))
		<-inside
		stop() // its time is over while the step still runs
		defer close(lost)

		second, _ := running(t, st, wf)
		if run := ended(t, second, workflow.StatusFailed); run.Failure.Reason != workflow.ReasonUnknown {
			t.Fatalf("the run failed with %+v", run.Failure)
		}
		must(t, examples.FoundTransfer(t.Context(), second, "run", "T-9", "ann@firm.example"))
		run := ended(t, second, workflow.StatusCompleted)
		if string(run.Output) != `"gus@home.example got T-9"` || calls != 1 {
			t.Errorf("%s, after %d calls", run.Output, calls)
		}
	})
}

// Fourteen days pass at once; the transcript says what happened when.
func TestADripInVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run := workflowtest.Run(t, examples.Drip(newDiary().mail), examples.Signup{Email: "eve@home.example"})
		workflowtest.Golden(t, "testdata/drip.golden", workflowtest.Transcript(run))
	})
}

func TestUrgentTicketsOfACustomerAreFound(t *testing.T) {
	everywhere(t, func(t *testing.T, st store.Store) {
		wf := examples.Triage(func(text string) bool { return strings.Contains(text, "fire") })
		eng, _ := running(t, st, wf)
		for id, ticket := range map[string]examples.Ticket{"cold": {Customer: "7", Text: "it is cold"},
			"run": {Customer: "7", Text: "it is on fire"}, "other": {Customer: "8", Text: "fire"}} {
			must(t, examples.Complain(t.Context(), eng, wf, id, ticket))
		}
		pass(day)
		if ids, err := examples.UrgentOf(t.Context(), eng, "7"); err != nil || !slices.Equal(ids, []string{"run"}) {
			t.Errorf("urgent are %v, %v", ids, err)
		}
		send(t, eng, examples.Answered, "run", "ann")
		ended(t, eng, workflow.StatusCompleted)
		if ids, err := examples.UrgentOf(t.Context(), eng, "7"); err != nil || len(ids) > 0 {
			t.Errorf("urgent are %v, %v", ids, err)
		}
	})
}

func TestTheFirstReadingStartsTheDayAndTheOthersReachIt(t *testing.T) {
	everywhere(t, func(t *testing.T, st store.Store) {
		d := newDiary()
		wf := examples.Daily(func(_ context.Context, sensor string, sum int) error { d.note("%s: %d", sensor, sum); return nil })
		eng, _ := running(t, st, wf)
		for _, r := range []examples.Reading{{"roof", "08:00", 3}, {"roof", "08:00", 3}, {"roof", "20:00", 4}, {"roof", "20:00", 4}} {
			must(t, examples.Take(t.Context(), eng, wf, "run", r))
			pass(day / 4)
		}
		ended(t, eng, workflow.StatusCompleted)
		d.says(t, "12h roof: 7")
	})
}

func TestAStepFindsItsTenantAndNoneOfASuspendedOneBegins(t *testing.T) {
	everywhere(t, func(t *testing.T, st store.Store) {
		eng, stop := runningAround(t, st, examples.ForTenants(func(runID string) string { return runID },
			func(tenant string) bool { return tenant == "gone" }), examples.Greet())
		defer stop()
		must(t, examples.Greet().Start(t.Context(), eng, "run", "ada"))
		must(t, examples.Greet().Start(t.Context(), eng, "gone", "bo"))
		if run := ended(t, eng, workflow.StatusCompleted); string(run.Output) != `"hello ada, from run"` {
			t.Errorf("the greeting is %s", run.Output)
		}
		if run, err := workflow.Await(t.Context(), eng, "gone"); err != nil || run.Status != workflow.StatusFailed {
			t.Errorf("the run of the suspended tenant is %s, %v", run.Status, err)
		}
	})
}
