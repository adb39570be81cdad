package console

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func (c *Console) registerRuns() {
	c.handle("GET /runs", c.runs)
	c.handle("GET /runs/cancel", func(v *visit) error { return c.confirmBulk(v, bulkCancel, nil) })
	c.handle("GET /runs/retry", func(v *visit) error { return c.confirmBulk(v, bulkRetry, nil) })
	c.handle("POST /runs/cancel", func(v *visit) error { return c.bulk(v, bulkCancel) })
	c.handle("POST /runs/retry", func(v *visit) error { return c.bulk(v, bulkRetry) })
}

var (
	runStatuses  = []string{"pending", "running", "waiting", "completed", "failed", "timed_out", "canceled"}
	sinceChoices = []choice{{"", "Any time"}, {"1h", "Last hour"}, {"24h", "Last 24 hours"}, {"168h", "Last 7 days"}, {"720h", "Last 30 days"}}
)

// runsView is what the list of runs shows.
type runsView struct {
	*visit
	List runapi.List[runapi.Run]
	Tabs []choice // workflows, and all of them
}

// param is what the filter says of a field.
func (v *visit) param(name string) string { return v.URL.Query().Get(name) }

// anyWorkflow is the tab of all workflows.
const anyWorkflow = "any"

func (v *visit) runFilter() (f runapi.RunFilter, err error) {
	if err = v.filter(&f); f.Workflow == anyWorkflow {
		f.Workflow = ""
	}
	return f, err
}

// filtered says whether any of the names is in the address.
func (v *visit) filtered(names ...string) bool {
	for _, n := range names {
		if v.param(n) != "" {
			return true
		}
	}
	return false
}

func (c *Console) runs(v *visit) error {
	view := runsView{visit: v}
	var err error
	if view.Tabs, err = workflowTabs(v); err != nil {
		return err
	}
	// Messages are many: one sees lookups until one asks for more.
	if len(view.Tabs) > 1 && !v.filtered("workflow", "q", "attribute") {
		q := v.URL.Query()
		q.Set("workflow", view.Tabs[0].Value)
		v.URL.RawQuery = q.Encode()
	}
	filter, err := v.runFilter()
	if err != nil {
		return err
	}
	if view.List, err = runapi.ListRuns.Call(v.Context(), v.api, runapi.RunQuery{RunFilter: filter, Paging: v.page()}); err != nil {
		return err
	}
	return v.show(http.StatusOK, frame{Title: "Runs", Nav: "/runs"}, runsPage(view))
}

// workflowTitles are what people call our workflows.
var workflowTitles = map[string]string{"subscriber-enrichment": "Lookups", "webhook-out": "Webhooks out"}

// workflowTabs are the workflows and all of them; none when there is one workflow.
func workflowTabs(v *visit) (tabs []choice, err error) {
	all, err := runapi.ListWorkflows.Call(v.Context(), v.api, runapi.NoInput{})
	if err != nil {
		return nil, err
	}
	for _, w := range all.Items {
		if tab := (choice{w.Name, firstOf(workflowTitles[w.Name], w.Name)}); !slices.Contains(tabs, tab) {
			tabs = append(tabs, tab)
		}
	}
	if len(tabs) < 2 {
		return nil, nil
	}
	return append(tabs, choice{anyWorkflow, "All"}), nil
}

// tab is the one that is open.
func (v runsView) tab() string { return firstOf(v.param("workflow"), anyWorkflow) }

// bulkAct is what can be done to all runs that a filter selects.
type bulkAct struct {
	Path, Title, Button, Class string
	About                      string
	Done                       string // past participle
	Reasoned                   bool
	do                         func(*visit, runapi.BulkAct) (api.RetriedRuns, error)
}

var (
	bulkCancel = bulkAct{
		Path: "/runs/cancel", Title: "Cancel runs", Button: "Cancel", Class: "danger", Done: "canceled", Reasoned: true,
		About: "Only runs that have not ended can be canceled. What was paid for stays paid; results that come later are still stored.",
		do: func(v *visit, b runapi.BulkAct) (api.RetriedRuns, error) {
			result, err := runapi.CancelRuns.Call(v.Context(), v.api, b)
			return api.RetriedRuns{BulkResult: result}, err
		},
	}
	bulkRetry = bulkAct{
		Path: "/runs/retry", Title: "Retry runs", Button: "Retry", Class: "primary", Done: "retried",
		About: "Only runs that failed, timed out or were canceled can be retried. Each goes on from the step " +
			"where it stopped; a paid call that was accepted is not made again.",
		do: func(v *visit, b runapi.BulkAct) (api.RetriedRuns, error) {
			return api.RetryRuns.Call(v.Context(), v.api, b)
		},
	}
)

// bulkView is what is asked before a bulk act.
type bulkView struct {
	*visit
	Act     bulkAct
	Filter  runapi.RunFilter
	Counted api.RetriedRuns    // what a dry run said
	Result  *runapi.BulkResult // of an act that is done
	Reason  string
}

// cost is what the act orders; empty for a cancel.
func (v bulkView) cost() string { return costWords(v.Counted) }

// costWords say what lookups cost; empty without any.
func costWords(c api.RetriedRuns) string {
	if c.Lookups == nil || c.Credits == nil {
		return ""
	}
	text := fmt.Sprintf("%s: %s at most", plural(*c.Lookups, "lookup", "lookups"), plural(*c.Credits, "credit", "credits"))
	if c.Balance != nil {
		text += fmt.Sprintf("; FullEnrich had %s at %s", number(int64(*c.Balance)), full(c.BalanceAt))
	}
	if c.BudgetLeft != nil {
		text += fmt.Sprintf("; %s of today’s budget are left", number(*c.BudgetLeft))
	}
	return text + "."
}

// confirmBulk counts, and asks. The filter's times are fixed here, so that what is
// done is what was counted.
func (c *Console) confirmBulk(v *visit, act bulkAct, fault error) error {
	filter, err := v.runFilter()
	if err != nil {
		return err
	}
	counted, err := act.do(v, bulkOf(filter, func(b *runapi.BulkAct) { b.DryRun = true }))
	if err != nil {
		return err
	}
	view := bulkView{visit: v, Act: act, Filter: filter, Counted: counted, Reason: v.PostFormValue("reason")}
	f := frame{Title: act.Title, Nav: "/runs", Crumbs: []crumb{{"Runs", "/runs?" + v.URL.RawQuery}}}
	status := http.StatusOK
	if fault != nil {
		f.Fault = faultOf(fault)
		status = f.Fault.Status
	}
	return v.show(status, f, bulkPage(view))
}

func bulkOf(f runapi.RunFilter, with func(*runapi.BulkAct)) runapi.BulkAct {
	b := runapi.BulkAct{Workflow: f.Workflow, Status: f.Status, Since: f.Since, Until: f.Until, Q: f.Q, Attribute: f.Attribute}
	with(&b)
	return b
}

// bulk does it, if no more runs match than were counted.
func (c *Console) bulk(v *visit, act bulkAct) error {
	if err := v.form(); err != nil {
		return err
	}
	expect, err := strconv.ParseInt(v.PostForm.Get("expect"), 10, 64)
	if err != nil || expect <= 0 {
		return &apiclient.Problem{Problem: api.Problem{Status: http.StatusBadRequest, Code: "malformed",
			Detail: "the form does not say how many runs were counted"}}
	}
	// The form's filter takes the place of the address's, for the page that follows.
	q := url.Values{}
	for _, name := range []string{"workflow", "status", "since", "until", "q"} {
		if value := v.PostForm.Get(name); value != "" {
			q.Set(name, value)
		}
	}
	if list := v.PostForm["attribute"]; len(list) > 0 {
		q["attribute"] = list
	}
	v.URL.RawQuery = q.Encode()
	filter, err := v.runFilter()
	if err != nil {
		return err
	}
	result, err := act.do(v, bulkOf(filter, func(b *runapi.BulkAct) { b.Expect, b.Reason = expect, v.PostForm.Get("reason") }))
	if err != nil {
		return c.confirmBulk(v, act, err)
	}
	if len(result.Failed) == 0 {
		return v.goTo(address("/runs", q), fmt.Sprintf("%s %s.", plural(result.Done, "run", "runs"), act.Done))
	}
	view := bulkView{visit: v, Act: act, Filter: filter, Result: &result.BulkResult}
	return v.show(http.StatusOK, frame{Title: act.Title, Nav: "/runs", Crumbs: []crumb{{"Runs", address("/runs", q)}}}, bulkPage(view))
}

// attributes are what the address filters by.
func (v *visit) attributes() []string {
	return slices.DeleteFunc(slices.Clone(v.URL.Query()["attribute"]), func(text string) bool { return text == "" })
}

// withoutAttribute is the address without one of them.
func (v *visit) withoutAttribute(text string) string {
	q := v.URL.Query()
	q["attribute"] = slices.DeleteFunc(v.attributes(), func(one string) bool { return one == text })
	q.Del("cursor")
	return address(v.URL.Path, q)
}

// havingAttribute is the list of runs with an attribute.
func havingAttribute(text string) string {
	return address("/runs", url.Values{"workflow": {anyWorkflow}, "attribute": {text}})
}

// asText is a time for a form field that is read again; empty for none.
func asText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return iso(t)
}

// now says in a few words where a run stands.
func runNow(r runapi.Run) string {
	switch w := r.WaitingFor; {
	case r.NoDefinition != "":
		return "no definition"
	case r.CancelRequested && !r.Ended():
		return "is being canceled"
	case r.Paused:
		return "paused by hand"
	case w != nil:
		return waitingWords(*w)
	case r.Failure != nil && r.Failure.Step != "":
		return r.Failure.Step + ": " + firstOf(r.Failure.Message, r.Failure.Code, string(r.Failure.Reason))
	case r.Failure != nil:
		return firstOf(r.Failure.Message, r.Failure.Code, string(r.Failure.Reason))
	case r.FinishedBecause != "":
		return "ended early: " + words(r.FinishedBecause)
	}
	return ""
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
