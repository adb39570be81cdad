package examples_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/examples"
	"github.com/liwanag/liwanag/workflow"
)

var order = examples.Order{ID: "run", Email: "ada@shop.example"}

func TestAnOrderIsRemindedUntilItIsPaid(t *testing.T) {
	everywhere(t, func(t *testing.T, st store.Store) {
		d := newDiary()
		eng := begun(t, st, examples.RemindedOrder(d.mail, func(context.Context, examples.Order) error {
			d.note("ship")
			return nil
		}), order)
		pass(2*day + day/2)
		send(t, eng, examples.OrderPaid, examples.Customer("run"), "receipt 7")
		ended(t, eng, workflow.StatusCompleted)
		d.says(t, "24h ada@shop.example: please pay", "48h ada@shop.example: please pay", "60h ship",
			"60h ada@shop.example: shipped")
	})
}

func TestAnOrderThatIsCanceledOrForgottenIsNotShipped(t *testing.T) {
	everywhere(t, func(t *testing.T, st store.Store) {
		d := newDiary()
		wf := examples.RemindedOrder(d.mail, func(context.Context, examples.Order) error { return errors.New("shipped") })
		eng := begun(t, st, wf, order)
		must(t, wf.Start(t.Context(), eng, "other", examples.Order{ID: "other", Email: "bo@shop.example"}))
		pass(day / 2)
		send(t, eng, examples.OrderCanceled, examples.Customer("other"), "too dear")
		ended(t, eng, workflow.StatusCompleted)
		d.says(t, "24h ada@shop.example: please pay", "48h ada@shop.example: please pay", "72h ada@shop.example: please pay")
		if other, err := workflow.Await(t.Context(), eng, "other"); err != nil || other.Status != workflow.StatusCompleted {
			t.Errorf("the canceled order is %s, %v", other.Status, err)
		}
	})
}

func TestAnApprovalIsDecidedByAQuorumANoOrTheManager(t *testing.T) {
	approver := func(i int) string {
		return workflow.SubRunID(workflow.SubRunID("run", "verdict", 0, 0), "ask", 0, i)
	}
	manager := workflow.SubRunID("run", "verdict", 0, 1)
	type vote struct {
		by  string
		yes bool
	}
	for name, c := range map[string]struct {
		votes  []vote
		output string
	}{
		"two of three": {[]vote{{approver(0), true}, {approver(2), true}}, "true"},
		"one no":       {[]vote{{approver(0), true}, {approver(1), false}}, "false"},
		"the manager":  {[]vote{{approver(0), true}, {manager, true}}, "true"},
	} {
		t.Run(name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, st store.Store) {
				d, began := newDiary(), time.Now()
				eng := begun(t, st, examples.Approval(d.mail), examples.Request{What: "a desk",
					Approvers: []string{"ann@firm.example", "bea@firm.example", "cy@firm.example"}, Manager: "dan@firm.example"})
				for _, v := range c.votes {
					pass(day)
					send(t, eng, examples.Voted, v.by, v.yes)
				}
				if run := ended(t, eng, workflow.StatusCompleted); string(run.Output) != c.output {
					t.Errorf("approved: %s", run.Output)
				}
				if took := time.Since(began); took > 2*day+time.Minute {
					t.Errorf("decided after %s", took)
				}
				d.says(t, "0h ann@firm.example: please vote", "0h bea@firm.example: please vote", "0h cy@firm.example: please vote",
					"24h dan@firm.example: please decide")
			})
		})
	}
}

func TestADripEndsWhenTheyBuy(t *testing.T) {
	everywhere(t, func(t *testing.T, st store.Store) {
		d := newDiary()
		eng := begun(t, st, examples.Drip(d.mail), examples.Signup{Email: "eve@home.example"})
		pass(3 * day)
		send(t, eng, examples.Bought, "run", "a lamp")
		if run := ended(t, eng, workflow.StatusCompleted); run.FinishedBecause != "answered-before-discount" {
			t.Errorf("it ended because of %q", run.FinishedBecause)
		}
		d.says(t, "0h eve@home.example: welcome", "48h eve@home.example: hint")
	})
}

func TestAReviewGoesOnUntilItIsApproved(t *testing.T) {
	everywhere(t, func(t *testing.T, st store.Store) {
		eng := begun(t, st, examples.Review(func(_ context.Context, before examples.Draft) (string, error) {
			return fmt.Sprintf("%s+%s", before.Text, before.Remark), nil
		}), examples.Draft{Text: "a poem", Remark: "rhyme"})
		for round, remark := range []examples.Remark{{Text: "shorter"}, {Text: "warmer"}, {Approved: true, Text: "fine"}} {
			pass(day)
			send(t, eng, examples.Reviewed, workflow.SubRunID("run", "round", 0, round), remark)
		}
		run := ended(t, eng, workflow.StatusCompleted)
		if want := `{"Text":"a poem+rhyme+shorter+warmer","Remark":"fine","Approved":true}`; string(run.Output) != want {
			t.Errorf("the last draft: %s", run.Output)
		}
	})
}

func TestAReviewGivesUpAfterTenRounds(t *testing.T) {
	everywhere(t, func(t *testing.T, st store.Store) {
		eng := begun(t, st, examples.Review(func(context.Context, examples.Draft) (string, error) {
			return "no", nil
		}), examples.Draft{})
		for round := range 10 {
			pass(time.Hour)
			send(t, eng, examples.Reviewed, workflow.SubRunID("run", "round", 0, round), examples.Remark{Text: "again"})
		}
		if run := ended(t, eng, workflow.StatusFailed); run.Failure.Code != "not_approved" {
			t.Errorf("the run failed with %+v", run.Failure)
		}
	})
}

func TestARolloutIsPausedAndResumed(t *testing.T) {
	everywhere(t, func(t *testing.T, st store.Store) {
		d := newDiary()
		eng := begun(t, st, examples.Rollout(func(_ context.Context, place string) error {
			d.note("%s", place)
			return nil
		}), "release 7")
		pass(0)
		must(t, eng.Pause(t.Context(), "run"))
		pass(5 * day)
		d.says(t, "0h canary")
		must(t, eng.Resume(t.Context(), "run"))
		ended(t, eng, workflow.StatusCompleted)
		d.says(t, "0h canary", "120h north", "121h south")
	})
}
