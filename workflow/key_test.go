package workflow_test

import (
	"context"
	"testing"

	"github.com/liwanag/liwanag/workflow"
)

// keyOf is the key that a step of this name is told.
func keyOf(t *testing.T, step string, c workflow.Call) (key string) {
	t.Helper()
	wf := workflow.New[in]("w")
	workflow.Step(wf, step, func(ctx context.Context, _ in) (int, error) {
		key = workflow.InfoFrom(ctx).IdempotencyKey
		return 0, nil
	})
	c.Attempt, c.Input = 1, []byte(`{}`)
	if _, err := wf.Plan().Nodes[0].Invoke(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	return key
}

func TestNoTwoStepsHaveAnIdempotencyKeyInCommon(t *testing.T) {
	parts := []string{"a", "b", "a/b", "b/a", "/", "a/", "/a", "%", "%2F", "a%2Fb", "%25", "a%b", "a//b", "é", "load[3]"}
	seen := map[string][3]string{}
	for _, namespace := range append(parts, "") {
		for _, run := range parts {
			for _, step := range parts {
				who := [3]string{namespace, run, step}
				key := keyOf(t, step, workflow.Call{RunID: run, Namespace: namespace})
				if other, taken := seen[key]; taken {
					t.Errorf("%q and %q have the key %q", other, who, key)
				}
				seen[key] = who
			}
		}
	}
}

func TestAnIdempotencyKeyIsReadable(t *testing.T) {
	for want, c := range map[string]workflow.Call{
		"run_1/send":          {RunID: "run_1"},
		"/eu/run_1/send":      {RunID: "run_1", Namespace: "eu"},
		"a%2Fb%25/send":       {RunID: "a/b%"},
		"/e%2Fu/load[3]/send": {RunID: "load[3]", Namespace: "e/u"},
		"a/b%/send":           {RunID: "a/b%", OldKey: true},
		"old/send":            {RunID: "old", Namespace: "eu", OldKey: true},
	} {
		if got := keyOf(t, "send", c); got != want {
			t.Errorf("the key is %q, want %q", got, want)
		}
	}
}
