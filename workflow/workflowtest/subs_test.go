package workflowtest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/workflowtest"
)

type draft struct {
	Round    int
	Approved bool
}

var reviewed = workflow.Event[bool]{Name: "reviewed"}

// review is drafted again and again until a person approves, for regions at once.
func review(broken *bool) *workflow.Workflow[[]string] {
	wf := workflow.New[[]string]("review")
	each := workflow.Map(wf, "region", workflow.Each(workflow.Input(wf)), func(b *workflow.Workflow[string]) *workflow.Result[draft] {
		return workflow.Repeat(b, "round", 3, nil, func(b *workflow.Workflow[draft]) *workflow.Result[draft] {
			verdict := workflow.WaitFor(b, "verdict", reviewed, 24*time.Hour)
			return workflow.Step(b, "note", func(ctx context.Context, d draft) (draft, error) {
				return draft{d.Round + 1, verdict.Output(ctx)}, nil
			})
		}, func(d draft) bool { return d.Approved })
	}, workflow.AtMost(2))
	workflow.Do(wf, "check", func(context.Context, []string) error {
		if *broken {
			return errors.New("broken")
		}
		return nil
	})
	workflow.Step(wf, "sum", func(ctx context.Context, in []string) (said []string, err error) {
		for it, err := range each.All(ctx) {
			if err != nil {
				return nil, err
			}
			said = append(said, fmt.Sprint(in[it.Index], it.Output, it.Status))
		}
		return said, nil
	})
	return wf
}

// say sends verdicts to rounds.
func say(at time.Duration, ids ...string) workflowtest.Act {
	return workflowtest.Do(at, func(t testing.TB, on workflow.Runner) {
		for _, id := range ids {
			if _, err := reviewed.Send(context.Background(), on, id, "s", at > time.Hour); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestSubRunsInVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := false
		run := workflowtest.Run(t, review(&broken), []string{"north", "south"},
			say(time.Hour, "run/region[0]/round[0]", "run/region[1]/round[0]"),
			say(2*time.Hour, "run/region[0]/round[1]", "run/region[1]/round[1]"))
		if run.Status != workflow.StatusCompleted || string(run.Output) != `["north{2 true}completed","south{2 true}completed"]` {
			t.Errorf("%s %s %v", run.Status, run.Output, run.Failure)
		}
		want := `0s      started
0s      region waits
2h      region ok
2h      check #1 ok
2h      sum #1 ok
2h      completed
`
		if got := workflowtest.Transcript(run); got != want {
			t.Errorf("%s", got)
		}
	})
}

func TestARetryInVirtualTimeRunsOnlyTheBadSubRunsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken, tried := true, map[int]int{}
		wf := workflow.New[[]int]("items")
		each := workflow.Map(wf, "each", workflow.Each(workflow.Input(wf)), func(b *workflow.Workflow[int]) *workflow.Result[int] {
			return workflow.Step(b, "x", func(ctx context.Context, n int) (int, error) {
				if tried[n]++; broken && n == 3 {
					return 0, errors.New("no")
				}
				return n, nil
			})
		}, workflow.AtMost(1))
		workflow.Step(wf, "sum", func(ctx context.Context, _ []int) (sum int, err error) {
			for it := range each.All(ctx) {
				sum += it.Output
			}
			return sum, nil
		})
		run := workflowtest.Run(t, wf, []int{1, 2, 3, 4},
			workflowtest.Do(time.Minute, func(t testing.TB, on workflow.Runner) {
				run, err := on.Describe(context.Background(), workflowtest.RunID)
				if want := "1 of 4 failed, 0 are tolerated; each[2]/x: no"; err != nil || run.Failure == nil || run.Failure.Message != want {
					t.Errorf("%v %v", run.Failure, err)
				}
				broken = false
			}), workflowtest.Retry(2*time.Minute, ""))
		if string(run.Output) != "10" || fmt.Sprint(tried) != "map[1:1 2:1 3:2 4:1]" {
			t.Errorf("%s %s %v", run.Status, run.Output, tried)
		}
	})
}

func TestACancelInVirtualTimeReachesSubRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := false
		run := workflowtest.Run(t, review(&broken), []string{"a", "b", "c"}, workflowtest.Cancel(time.Hour, "enough"),
			workflowtest.Do(2*time.Hour, func(t testing.TB, on workflow.Runner) {
				for _, id := range []string{"run/region[0]", "run/region[1]/round[0]"} {
					if sub, err := on.Describe(context.Background(), id); err != nil || sub.Status != workflow.StatusCanceled {
						t.Errorf("%s is %s, %v", id, sub.Status, err)
					}
				}
				if _, err := on.Describe(context.Background(), "run/region[2]"); !errors.Is(err, workflow.ErrNotFound) {
					t.Error(err)
				}
			}))
		if run.Status != workflow.StatusCanceled || run.EndedAt.Sub(run.CreatedAt) != time.Hour {
			t.Errorf("%s after %s", run.Status, run.EndedAt.Sub(run.CreatedAt))
		}
	})
}
