package workflow_test

import (
	"strings"
	"testing"

	"github.com/liwanag/liwanag/workflow"
)

func TestFaultsOfReturnsAreReported(t *testing.T) {
	step := func(wf *workflow.Workflow[string]) *workflow.Result[string] { return workflow.Input(wf) }
	for want, returns := range map[string]func(wf *workflow.Workflow[string]){
		"given twice":                     func(wf *workflow.Workflow[string]) { workflow.Returns(wf, step(wf)); workflow.Returns(wf, step(wf)) },
		"a handle that a step has return": func(wf *workflow.Workflow[string]) { workflow.Returns[string, int](wf, nil) },
		"is of another one":               func(wf *workflow.Workflow[string]) { workflow.Returns(wf, step(workflow.New[string]("other"))) },
	} {
		wf := workflow.New[string]("returns")
		workflow.SleepUntil(wf, "nap", workflow.Input(wf), nil)
		returns(wf)
		if err := wf.Plan().Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}
