package console

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func (c *Console) registerRun() {
	c.handle("GET /runs/{id}", func(v *visit) error { return c.run(v, nil) })
	c.handle("POST /runs/{id}/cancel", func(v *visit) error {
		return c.act(v, "Asked the run to end.", func(id string) error {
			_, err := runapi.CancelRun.Call(v.Context(), v.api,
				runapi.To(id, &runapi.CancelRunRequest{Reason: v.PostForm.Get("reason"), Force: v.PostForm.Has("force")}))
			return err
		})
	})
	c.handle("POST /runs/{id}/retry", func(v *visit) error {
		return c.act(v, "The run goes on.", func(id string) error {
			_, err := runapi.RetryRun.Call(v.Context(), v.api, runapi.To(id, &runapi.RetryRunRequest{From: v.PostForm.Get("from")}))
			return err
		})
	})
	c.handle("POST /runs/{id}/wake", func(v *visit) error {
		return c.act(v, "The run goes on now.", func(id string) error {
			_, err := runapi.WakeRun.Call(v.Context(), v.api, runapi.ID(id))
			return err
		})
	})
	c.handle("POST /runs/{id}/events", c.sendEvent)
}

// act does something to a run and goes back to it; the page tells what did not work.
func (c *Console) act(v *visit, done string, do func(id string) error) error {
	if err := v.form(); err != nil {
		return err
	}
	id := v.PathValue("id")
	if err := do(id); err != nil {
		return c.run(v, err)
	}
	return v.goTo(under("/runs", id), done)
}

func (c *Console) sendEvent(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	event := runapi.SendEventRequest{ID: strings.TrimSpace(v.PostForm.Get("event")), Type: v.PostForm.Get("type")}
	if data := bytes.TrimSpace([]byte(v.PostForm.Get("data"))); len(data) > 0 {
		if !json.Valid(data) {
			return c.run(v, &apiclient.Problem{Problem: api.Problem{Status: http.StatusUnprocessableEntity,
				Code: "invalid_json", Detail: "the event’s data is no JSON\n  Try: {} for none"}})
		}
		event.Data = data
	}
	receipt, err := runapi.SendEvent.Call(v.Context(), v.api, runapi.To(v.PathValue("id"), event))
	if err != nil {
		return c.run(v, err)
	}
	return v.goTo(under("/runs", v.PathValue("id")), receiptWords(receipt))
}

func receiptWords(r runapi.EventReceipt) string {
	switch {
	case r.Duplicate:
		return "An event with this id came before: the first one counts."
	case r.Late:
		return "The event is kept, but the run had ended: it is late."
	}
	return "The run has the event."
}

// runView is what the page of a run shows.
type runView struct {
	*visit
	Run         runapi.RunDetail
	History     []workflow.HistoryItem // the last of it
	Earlier     int64                  // entries before History
	Definition  workflow.Description   // empty when the server does not hold the run's version
	Submissions []api.Submission
	People      people
	Why         api.Why
	Subs        runapi.List[runapi.Run] // the first of those that belong to it
}

// mostHistory is how many entries of a history a page shows.
const mostHistory = 500

// run shows a run; fault is of an action that did not work.
func (c *Console) run(v *visit, fault error) error {
	view, err := readRun(v, v.PathValue("id"))
	if err != nil {
		return err
	}
	f := frame{Title: shortID(view.Run.ID), Here: under("/runs", view.Run.ID), Nav: "/runs", Crumbs: []crumb{{"Runs", "/runs"}}}
	status := http.StatusOK
	if fault != nil {
		f.Fault = faultOf(fault)
		status = f.Fault.Status
	}
	return v.show(status, f, runPage(view))
}

func readRun(v *visit, id string) (view runView, err error) {
	view.visit = v
	if view.Run, err = runapi.GetRun.Call(v.Context(), v.api, runapi.ID(id)); err != nil {
		return view, err
	}
	history, err := runapi.GetRunHistory.Call(v.Context(), v.api, runapi.ID(id))
	if err != nil {
		return view, err
	}
	view.History = history.Items
	if n := len(view.History); n > mostHistory {
		view.Earlier, view.History = int64(n-mostHistory), view.History[n-mostHistory:]
	}
	list, err := api.ListSubmissions.Call(v.Context(), v.api,
		api.SubmissionQuery{SubmissionFilter: api.SubmissionFilter{RunID: id}, Paging: runapi.Paging{Limit: pageSize}})
	if err != nil {
		return view, err
	}
	view.Submissions = list.Items
	if view.Subs, err = subsOfRun(v, view.Run); err != nil {
		return view, err
	}
	if view.People, err = peopleOf(v, api.SubscriberFilter{RunID: id}); err != nil {
		return view, err
	}
	if view.Why, err = whyOf(v, api.WhyRun, id); err != nil {
		return view, err
	}
	// A run may be of a version that this server no longer holds.
	view.Definition, err = runapi.GetWorkflow.Call(v.Context(), v.api,
		runapi.WorkflowVersion{WorkflowPath: runapi.WorkflowPath{Name: view.Run.Workflow}, Version: view.Run.Version})
	if err != nil && faultOf(err).Status != http.StatusNotFound {
		return view, err
	}
	return view, nil
}

// retryable says whether the run can be retried.
func (v runView) retryable() bool {
	return v.Run.Ended() && v.Run.Status != "completed" && v.Run.Parent == ""
}

// hurry names what a wake of the run does, and says what it means; empty: nothing.
func (v runView) hurry() (name, means string) {
	w := v.Run.WaitingFor
	switch {
	case w == nil || v.Run.CancelRequested:
		return "", ""
	case w.Kind == "retry":
		return "Retry now", "The next attempt is made now. It is one of those that the step’s retry policy allows."
	case w.Kind == "snooze":
		return "Try now", "The step looks now whether it can go on; no attempt is used."
	case !w.NextFetchAt.IsZero():
		return "Fetch now", "The step looks for the result now; later looks are made as planned."
	}
	return "", ""
}

// events are the types of the workflow's events.
func (v runView) events() (types []choice) {
	for _, s := range v.Definition.Steps {
		for _, e := range s.Events {
			if !slices.Contains(types, choice{e, e}) {
				types = append(types, choice{e, e})
			}
		}
	}
	return types
}

// steps are those that a retry can begin from.
func (v runView) steps() []choice {
	options := []choice{{"", "where it stopped"}}
	for _, s := range v.Run.Steps {
		if s.Kind != "handler" && !s.StartedAt.IsZero() {
			options = append(options, choice{s.Name, s.Name})
		}
	}
	return options
}

// typed is what a form had when it could not be taken.
func (v runView) typed(name, otherwise string) string {
	if v.Method == http.MethodPost && v.PostForm.Has(name) {
		return v.PostForm.Get(name)
	}
	return otherwise
}

// sortedEvents are the inbox as it came.
func (v runView) sortedEvents() []runapi.RunEvent {
	return slices.SortedStableFunc(slices.Values(v.Run.Events), func(a, b runapi.RunEvent) int { return a.ReceivedAt.Compare(b.ReceivedAt) })
}

// inDoubt are its paid calls of which nobody knows what became.
func (v runView) inDoubt() (all []api.Submission) {
	for _, s := range v.Submissions {
		if s.State == "held" || s.State == "ambiguous" {
			all = append(all, s)
		}
	}
	return all
}

// jobs is how many lookups the run's submissions carry.
func (v runView) jobs() (n int64) {
	for _, s := range v.Submissions {
		if s.Supersedes == "" {
			n += int64(s.Jobs)
		}
	}
	return n
}

// inline is JSON on one line.
func inline(raw json.RawMessage) string {
	var out bytes.Buffer
	if json.Compact(&out, raw) != nil {
		return strings.ToValidUTF8(string(raw), "�")
	}
	return out.String()
}
