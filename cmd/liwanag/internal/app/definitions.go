package app

import (
	"fmt"
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/notify"
	"github.com/liwanag/liwanag/workflow"
)

// Workflow is a definition as data and as a drawing.
type Workflow struct {
	workflow.Description
	Mermaid string `json:"-"`
}

// Workflows are the definitions that a server runs.
func Workflows(webhookTimeout time.Duration) []Workflow {
	var all []Workflow
	for _, d := range []workflow.Definition{enrichment.New(nil, enrichment.Config{WebhookTimeout: webhookTimeout}), notify.New(nil)} {
		all = append(all, Workflow{d.Plan().Describe(), d.Plan().Mermaid()})
	}
	return all
}

// Text is the definition for people, a node a paragraph.
func (w Workflow) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, version %d\n", w.Name, w.Version)
	if w.RunTimeout != "" {
		fmt.Fprintf(&b, "  a run takes at most %s\n", w.RunTimeout)
	}
	for i, n := range w.Steps {
		fmt.Fprintf(&b, "\n%d. %s\n", i+1, n.Name)
		describe(&b, n)
	}
	for _, h := range []struct {
		when string
		node *workflow.NodeDescription
	}{{"when it fails or times out", w.OnError}, {"when it is canceled", w.OnCancel}} {
		if h.node != nil {
			fmt.Fprintf(&b, "\n%s: %s\n", h.when, h.node.Name)
			describe(&b, *h.node)
		}
	}
	return b.String()
}

func describe(b *strings.Builder, n workflow.NodeDescription) {
	line := func(format string, args ...any) { fmt.Fprintf(b, "   "+format+"\n", args...) }
	switch n.Kind {
	case workflow.KindFinish:
		then := "ends"
		if n.FailsWith != "" {
			then = "fails (" + n.FailsWith + ")"
		}
		line("%s the run here if %q holds%s", then, n.Condition, sees(n))
		return
	case workflow.KindWait:
		among := ""
		if len(n.Events) > 1 {
			among = "any of "
			if n.All {
				among = "all of "
			}
		}
		then := "then the run times out"
		if n.ContinueOnTimeout {
			then = "then the run goes on without it"
		}
		line("waits for %s%s, %s; %s", among, strings.Join(n.Events, ", "), lasts(n), then)
	case workflow.KindSleep:
		line("sleeps %s", strings.TrimSuffix(lasts(n), " at most"))
	}
	if words := n.Words(); words != "" {
		line("sub-runs: %s", words)
	}
	if n.Condition != "" {
		line("skipped unless %q holds%s", n.Condition, sees(n))
	}
	if n.Reconciles {
		line("looks for the answer by itself meanwhile, and once more at the deadline")
	}
	if n.AtMostOnce {
		line("never repeated blindly: a lost worker fails it")
	}
	if r := n.Retry; r != nil {
		line("%s", retryText(*r))
	}
	if n.Timeout != "" {
		line("an attempt takes %s at most", n.Timeout)
	}
	if n.Undo != nil {
		line("undone when the run does not end well later")
	}
}

// sees says what a condition sees.
func sees(n workflow.NodeDescription) string {
	if n.On == "" {
		return ""
	}
	return " for the output of " + n.On
}

// lasts says how long a wait or sleep lasts.
func lasts(n workflow.NodeDescription) string {
	var parts []string
	if n.Within != "" {
		parts = append(parts, n.Within+" at most")
	}
	if n.Until != "" {
		parts = append(parts, "until the time that "+n.Until+" gives")
	}
	return strings.Join(parts, " or ")
}

func retryText(r workflow.RetryDescription) string {
	text := fmt.Sprintf("%d attempts, %s from %s", r.MaxAttempts, r.Backoff, r.InitialDelay)
	if r.MaxDelay != "" {
		text += " to " + r.MaxDelay
	}
	if len(r.RetryOn) > 0 {
		text += fmt.Sprintf(", on %s", strings.Trim(strings.ReplaceAll(fmt.Sprint(r.RetryOn), " ", ", "), "[]"))
	}
	return text
}
