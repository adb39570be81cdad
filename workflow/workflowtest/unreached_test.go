package workflowtest_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/workflowtest"
)

func TestWhatNoTestReachedIsListed(t *testing.T) {
	judged := func() *workflow.Workflow[int] {
		wf := workflow.New[int]("judged")
		worth := workflow.Step(wf, "appraise", func(_ context.Context, euros int) (int, error) {
			if euros < 0 {
				return 0, errors.New("no such thing")
			}
			return euros, nil
		})
		workflow.Do(wf, "insure", func(context.Context, int) error { return nil },
			workflow.If(worth, "valuable", func(euros int) bool { return euros > 100 }))
		workflow.FinishIf(wf, worth, "nothing-to-send", func(euros int) bool { return euros == 0 })
		workflow.FailIf(wf, worth, "too-dear", func(euros int) bool { return euros > 9000 }, "refused")
		workflow.Do(wf, "send", func(context.Context, int) error { return nil })
		workflow.OnError(wf, func(context.Context, int, workflow.Failure) error { return nil })
		return wf
	}
	for _, c := range []struct {
		inputs []int
		want   []string
	}{
		{nil, []string{"appraise", "insure", "insure: valuable always held", "the end nothing-to-send", "the end too-dear", "send", "on-error"}},
		{[]int{5}, []string{"insure", "the end nothing-to-send", "the end too-dear", "on-error"}},
		{[]int{500}, []string{"insure: valuable always held", "the end nothing-to-send", "the end too-dear", "on-error"}},
		{[]int{5, -1, 500}, []string{"the end nothing-to-send", "the end too-dear"}},
		{[]int{0, 500, 9001}, nil},
	} {
		var runs []workflow.Run
		for _, euros := range c.inputs {
			synctest.Test(t, func(t *testing.T) { runs = append(runs, workflowtest.Run(t, judged(), euros)) })
		}
		if got := workflowtest.Unreached(judged(), runs...); !slices.Equal(got, c.want) {
			t.Errorf("%v: unreached %q, want %q", c.inputs, got, c.want)
		}
	}
}
