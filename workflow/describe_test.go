package workflow_test

import (
	"context"
	"encoding/json"
	"flag"
	"strings"
	"testing"
	"time"

	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/workflowtest"
)

// golden files are rewritten with -update.
var _ = flag.Bool("update", false, "rewrite golden files")

// drawn is a plan with everything that a description or a drawing shows.
func drawn() *workflow.Plan {
	wf := workflow.New[in]("ship-order", workflow.Version(3), workflow.RunTimeout(48*time.Hour))
	label := workflow.Step(wf, "print-label", returns(1), workflow.Timeout(30*time.Second), workflow.Within(time.Hour),
		workflow.Retry{MaxAttempts: 5, InitialDelay: time.Second, MaxDelay: time.Minute, Jitter: 0.1, RetryOn: []int{429, 503}})
	workflow.FinishIf(wf, label, `nothing "to" ship`, func(n int) bool { return n == 0 })
	workflow.Step(wf, "insure", returns("x"), workflow.AtMostOnce,
		workflow.If(label, "worth > 100 & <fragile> #1", func(n int) bool { return n > 100 }))
	workflow.WaitFor(wf, "wait-for-pickup", alpha, 24*time.Hour, workflow.Reconcile(
		workflow.Schedule{Offsets: []time.Duration{time.Hour}},
		func(context.Context, in) (string, bool, error) { return "", false, nil },
		workflow.Retry{MaxAttempts: 3, Backoff: workflow.Linear, InitialDelay: time.Second}, workflow.Timeout(10*time.Second)))
	workflow.WaitForAll(wf, "wait-for-papers", 90*time.Minute, []workflow.AnyEvent{alpha, beta}, workflow.ContinueOnTimeout,
		workflow.If(label, "abroad", func(n int) bool { return n > 100 }))
	workflow.WaitForAny(wf, "wait-for-either", 90*time.Second, []workflow.AnyEvent{alpha, beta})
	workflow.Sleep(wf, "cool-off", 10*time.Minute, workflow.If(label, "hot", func(n int) bool { return n > 100 }))
	workflow.OnError(wf, func(context.Context, in, workflow.Failure) error { return nil },
		workflow.Retry{MaxAttempts: 10, Backoff: workflow.Constant, InitialDelay: time.Second})
	workflow.OnCancel(wf, func(context.Context, in, string) error { return nil })
	return wf.Plan()
}

func bare() *workflow.Plan {
	wf := workflow.New[in]("bare")
	workflow.Step(wf, "only", returns(1))
	return wf.Plan()
}

func TestAPlanIsDescribedAsData(t *testing.T) {
	for name, p := range map[string]*workflow.Plan{"ship-order": drawn(), "bare": bare()} {
		var b strings.Builder
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(p.Describe()); err != nil {
			t.Fatal(err)
		}
		workflowtest.Golden(t, "testdata/"+name+".json", b.String())
	}
}

func TestAPlanIsDrawnAsMermaid(t *testing.T) {
	for name, p := range map[string]*workflow.Plan{"ship-order": drawn(), "bare": bare(), "every": every()} {
		workflowtest.Golden(t, "testdata/"+name+".mmd", p.Mermaid())
	}
}

// TestADrawingIsConnected reads a drawing as Mermaid does: every line is a node,
// an edge or a subgraph, labels are quoted whole, and every node but the start is
// reached by an edge.
func TestADrawingIsConnected(t *testing.T) {
	for _, p := range []*workflow.Plan{drawn(), bare(), every()} {
		nodes, reached := map[string]bool{"steps": true}, map[string]bool{"start": true, "steps": true}
		for i, line := range strings.Split(strings.TrimSpace(p.Mermaid()), "\n") {
			line = strings.TrimSpace(line)
			from, to, edge := strings.Cut(line, "> ")
			switch {
			case i == 0 && line == "flowchart TD", line == "end", strings.HasPrefix(line, "subgraph steps["):
			case edge && strings.HasSuffix(from, "-"):
				reached[to] = true
				if id, _, _ := strings.Cut(from, " "); !nodes[id] && id != "steps" {
					t.Errorf("%s: an edge from %s, which is not drawn yet", p.Name, id)
				}
			default:
				at := strings.IndexAny(line, "[({")
				if at < 0 || strings.Count(line, `"`)%2 != 0 || strings.Contains(line, `\`) {
					t.Fatalf("%s: the line %s is not Mermaid", p.Name, line)
				}
				nodes[line[:at]] = true
			}
		}
		for id := range nodes {
			if !reached[id] {
				t.Errorf("%s: no way leads to %s", p.Name, id)
			}
		}
		for id := range reached {
			if !nodes[id] {
				t.Errorf("%s: a way leads to %s, which is not drawn", p.Name, id)
			}
		}
	}
}
