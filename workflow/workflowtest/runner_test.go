package workflowtest_test

import (
	"context"
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

func TestKeysBeginWithTheNamespaceOfTheRunner(t *testing.T) {
	key := make(chan string, 1)
	wf := workflow.New[string]("informed")
	workflow.Step(wf, "a", func(ctx context.Context, _ string) (string, error) {
		key <- workflow.InfoFrom(ctx).IdempotencyKey
		return "", nil
	})
	r, err := workflowtest.NewRunner(wf)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.Namespace = "eu"
	if err := wf.Start(t.Context(), r, "b", "x"); err != nil {
		t.Fatal(err)
	}
	if got := <-key; got != "/eu/b/a" {
		t.Errorf("the key is %q", got)
	}
}
