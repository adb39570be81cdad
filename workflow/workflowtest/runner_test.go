package workflowtest_test

import (
	"testing"

	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/runnertest"
	"github.com/liwanag/liwanag/workflow/workflowtest"
)

func TestTheRunnerKeepsTheRulesOfEveryRunner(t *testing.T) {
	runnertest.Run(t, runnertest.Config{New: newHarness})
}

func newHarness(t *testing.T, defs ...workflow.Definition) runnertest.Harness {
	r, err := workflowtest.NewRunner(defs...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return runnertest.Harness{Runner: r}
}
