package examples

import (
	"context"
	"time"

	"github.com/liwanag/liwanag/workflow"
)

// Region is what a report is made of.
type Region struct{ Name string }

// RegionReport is a definition of its own, which is also started by itself, with the
// handle of what it yields.
func RegionReport(count func(context.Context, Region) (int, error),
	forget func(Region) error) (*workflow.Workflow[Region], *workflow.Result[int]) {
	wf := workflow.New[Region]("region-report")
	workflow.Sleep(wf, "until-figures-are-in", time.Hour)
	sum := workflow.Step(wf, "count", count)
	workflow.OnCancel(wf, func(_ context.Context, r Region, _ string) error { return forget(r) })
	return wf, sum
}

// Family shows a parent with children of another definition: one for each region; it waits
// for all, and a cancel of the parent reaches them.
func Family(region *workflow.Workflow[Region], sum *workflow.Result[int]) *workflow.Workflow[[]Region] {
	wf := workflow.New[[]Region]("report")
	regions := workflow.Each(workflow.Input(wf))
	reports := workflow.Map(wf, "region", regions, func(b *workflow.Workflow[Region]) *workflow.Result[int] {
		return workflow.Child(b, "report", region, sum, func(_ context.Context, r Region) Region { return r })
	})
	workflow.Step(wf, "total", func(ctx context.Context, _ []Region) (total int, err error) {
		for r, err := range reports.All(ctx) {
			if err != nil {
				return 0, err
			}
			total += r.Output
		}
		return total, nil
	})
	return wf
}
