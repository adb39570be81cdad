package console

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func (c *Console) registerWorkflows() {
	c.handle("GET /workflows", c.workflows)
	c.handle("GET /workflows/{name}", c.workflow)
}

// definition is a workflow with its runs by step.
type definition struct {
	workflow.Description
	Counts []runapi.RunCount
}

func (c *Console) workflows(v *visit) error {
	all, err := runapi.ListWorkflows.Call(v.Context(), v.api, runapi.NoInput{})
	if err != nil {
		return err
	}
	list := make([]definition, len(all.Items))
	for i, w := range all.Items {
		if list[i], err = counted(v, w); err != nil {
			return err
		}
	}
	return v.show(http.StatusOK, frame{Title: "Workflows", Nav: "/workflows"}, workflowsPage(v, list))
}

func (c *Console) workflow(v *visit) error {
	version, err := strconv.Atoi(firstOf(v.param("version"), "0"))
	if err != nil || version < 0 {
		return &apiclient.Problem{Problem: api.Problem{Status: http.StatusNotFound, Code: "not_found", Detail: "no workflow has this version"}}
	}
	w, err := runapi.GetWorkflow.Call(v.Context(), v.api,
		runapi.WorkflowVersion{WorkflowPath: runapi.WorkflowPath{Name: v.PathValue("name")}, Version: version})
	if err != nil {
		return err
	}
	d, err := counted(v, w)
	if err != nil {
		return err
	}
	return v.show(http.StatusOK, frame{Title: w.Name, Nav: "/workflows", Crumbs: []crumb{{"Workflows", "/workflows"}}}, workflowPage(v, d))
}

func counted(v *visit, w workflow.Description) (definition, error) {
	counts, err := runapi.CountRuns.Call(v.Context(), v.api, runapi.WorkflowPath{Name: w.Name})
	return definition{w, counts.Items}, err
}

// runs counts the runs of this version in a status, at a step when one is given.
func (d definition) runs(step string, statuses ...string) (n int64) {
	for _, c := range d.Counts {
		for _, s := range statuses {
			if c.Version == d.Version && c.Status == s && (step == "" || c.Step == step) {
				n += c.Runs
			}
		}
	}
	return n
}

// open are the runs of this version that have not ended.
func (d definition) open() int64 { return d.runs("", "pending", "running", "waiting") }

// older are open runs of other versions, which finish as they began.
func (d definition) older() (n int64) {
	for _, c := range d.Counts {
		if c.Version != d.Version && (c.Status == "pending" || c.Status == "running" || c.Status == "waiting") {
			n += c.Runs
		}
	}
	return n
}

// standing says how many runs stand at a step; empty for none.
func (d definition) standing(step string) string {
	var parts []string
	for _, status := range []string{"pending", "running", "waiting"} {
		if n := d.runs(step, status); n > 0 {
			parts = append(parts, number(n)+" "+status)
		}
	}
	return strings.Join(parts, " · ")
}

// kindWords say what a step is.
func kindWords(s workflow.NodeDescription) string {
	switch s.Kind {
	case "wait":
		among := ""
		if len(s.Events) > 1 {
			among = map[bool]string{true: "all of ", false: "any of "}[s.All]
		}
		return "wait for " + among + strings.Join(s.Events, ", ")
	case "sleep":
		return "sleep"
	case "finish":
		if s.FailsWith != "" {
			return "fails the run: " + s.FailsWith
		}
		return "ends the run early"
	case "handler":
		return "handler"
	}
	if words := s.Words(); words != "" {
		return words
	}
	return "step"
}

// deadlineWords say how long a step may take.
func deadlineWords(s workflow.NodeDescription) string {
	var parts []string
	if s.Within != "" || s.Until != "" {
		var ends []string
		if s.Within != "" {
			ends = append(ends, map[bool]string{true: "", false: "within "}[s.Kind == "sleep"]+s.Within)
		}
		if s.Until != "" {
			ends = append(ends, "until the time that "+s.Until+" gives")
		}
		text := strings.Join(ends, " or ")
		switch {
		case s.Kind == "sleep":
		case s.ContinueOnTimeout:
			text += ", then goes on"
		default:
			text += ", then times out"
		}
		parts = append(parts, text)
	}
	if s.Timeout != "" {
		parts = append(parts, s.Timeout+" an attempt")
	}
	if s.Reconciles {
		parts = append(parts, "looks by itself")
	}
	if s.Undo != nil {
		parts = append(parts, "undone when the run does not end well later")
	}
	return strings.Join(parts, "; ")
}

// retryWords say how a step is tried again.
func retryWords(s workflow.NodeDescription) string {
	r := s.Retry
	switch {
	case s.AtMostOnce:
		return "never: at most once"
	case r == nil:
		return map[bool]string{true: "", false: "one attempt"}[s.Kind == "sleep" || s.Kind == "finish" || s.Kind == "wait"]
	}
	text := fmt.Sprintf("%d attempts, %s from %s", r.MaxAttempts, r.Backoff, r.InitialDelay)
	if r.MaxDelay != "" {
		text += " to " + r.MaxDelay
	}
	if r.Jitter > 0 {
		text += fmt.Sprintf(", ±%.0f %%", 100*r.Jitter)
	}
	if len(r.RetryOn) > 0 {
		codes := make([]string, len(r.RetryOn))
		for i, c := range r.RetryOn {
			codes[i] = strconv.Itoa(c)
		}
		text += "; on HTTP " + strings.Join(codes, ", ")
	}
	return text
}

// conditionWords say when a step is done.
func conditionWords(s workflow.NodeDescription) string {
	if s.Condition == "" {
		return ""
	}
	text := "if " + words(s.Condition)
	if s.On != "" {
		text += ", by the output of " + s.On
	}
	return text
}

// parts are the steps and handlers, as a table shows them.
func (d definition) parts() []workflow.NodeDescription {
	all := slices.Clone(d.Steps)
	for _, h := range []*workflow.NodeDescription{d.OnError, d.OnCancel} {
		if h != nil {
			all = append(all, *h)
		}
	}
	return all
}

// stepNames are the steps in order; an early finish is none.
func stepNames(d definition) string {
	var names []string
	for _, s := range d.Steps {
		if s.Kind != "finish" {
			names = append(names, s.Name)
		}
	}
	return strings.Join(names, " → ")
}

// verb is the form of a verb for a count.
func verb(n int64, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
