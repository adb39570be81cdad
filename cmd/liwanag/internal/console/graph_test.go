package console

import (
	"slices"
	"testing"

	"github.com/liwanag/liwanag/workflow"
)

func TestAGraphHasAllPartsOfADefinition(t *testing.T) {
	g := drawGraph(definition{storyAnswer(), countAnswers()})
	var titles []string
	for i, b := range g.Boxes {
		titles = append(titles, b.Kind+" "+b.Title+" "+b.Runs)
		if b.Y < 0 || b.Y+b.H > g.Height || b.X < 0 || b.X+b.W > graphWidth {
			t.Errorf("%+v is outside", b)
		}
		for _, other := range g.Boxes[i+1:] {
			if b.X < other.X+other.W && other.X < b.X+b.W && b.Y < other.Y+other.H && other.Y < b.Y+b.H {
				t.Errorf("%s lies on %s", b.Title, other.Title)
			}
		}
	}
	for _, want := range []string{"pill start ", "step batch ", "ask nothing-to-do? ", "step submit 2 running",
		"ask slowly? ", "step pause ", "step result 1,234 waiting",
		"pill completed 99", "handler on-error ", "pill failed or timed out 3", "pill canceled "} {
		if !slices.Contains(titles, want) {
			t.Errorf("no %q among %q", want, titles)
		}
	}
	dotted := 0
	for _, w := range g.Ways {
		if w.Dotted {
			dotted++
		}
	}
	if dotted != 2 {
		t.Errorf("%d dotted ways", dotted)
	}
}

func TestPoliciesAreSaidInWords(t *testing.T) {
	s := storyAnswer().Steps
	for got, want := range map[string]string{
		retryWords(s[0]):     "5 attempts, exponential from 1s to 1m, ±10 %; on HTTP 429, 503",
		retryWords(s[2]):     "never: at most once",
		retryWords(s[5]):     "one attempt",
		deadlineWords(s[4]):  "within 24h, then times out; looks by itself",
		kindWords(s[4]):      "wait for any of enrichment-complete, given-up",
		conditionWords(s[3]): "if slowly, by the output of submit",
		stepNames(definition{Description: workflow.Description{Steps: s}}): "batch → submit → pause → result → settle",
	} {
		if got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}
