package console

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func (c *Console) registerCredits() {
	c.handle("GET /credits", func(v *visit) error { return c.credits(v, nil) })
	c.handle("POST /credits/budget", c.setBudget)
	c.handle("POST /credits/sources/resume", c.decideSource(api.ResumeSource,
		func(api.StoppedSource) string { return "The lookups of the source go on." }))
	c.handle("POST /credits/sources/drop", c.decideSource(api.DropSource, func(s api.StoppedSource) string {
		return plural(s.Dropped, "lookup is", "lookups are") + " canceled; later ones of the source wait, too."
	}))
	c.handle("GET /audit", c.audit)
}

// creditsView is what the page of credits shows.
type creditsView struct {
	*visit
	Credits api.Credits
	Month   glance
	Stopped []api.StoppedSource
}

// setBudget changes the budget of a day; nothing typed is what the settings say.
func (c *Console) setBudget(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	request := api.BudgetRequest{Reason: v.PostForm.Get("reason")}
	if text := strings.TrimSpace(v.PostForm.Get("credits")); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			return c.credits(v, &apiclient.Problem{Problem: api.Problem{Status: http.StatusUnprocessableEntity, Code: "invalid_field",
				Detail: "the budget is no number of credits\n  Try: 1000, 0 for no limit, or nothing for what the settings say"}})
		}
		request.Credits = &n
	}
	now, err := api.SetBudget.Call(v.Context(), v.api, request)
	if err != nil {
		return c.credits(v, err)
	}
	message := "There is no budget any more."
	if now.Budget != nil {
		message = "The budget is " + plural(*now.Budget, "credit", "credits") + " a day from now on."
	}
	return v.goTo("/credits", message)
}

// decideSource lets the lookups of a stopped source go on, or drops them.
func (c *Console) decideSource(route runapi.Route[api.SourceRequest, api.StoppedSource],
	done func(api.StoppedSource) string) func(*visit) error {
	return func(v *visit) error {
		if err := v.form(); err != nil {
			return err
		}
		now, err := route.Call(v.Context(), v.api, api.SourceRequest{Source: v.PostForm.Get("source"), Reason: v.PostForm.Get("reason")})
		if err != nil {
			return c.credits(v, err)
		}
		return v.goTo(own(firstOf(v.PostForm.Get("back"), "/credits")), done(now))
	}
}

// rateWords are a rate for people.
func rateWords(rate float64) string { return strconv.FormatFloat(100*rate, 'f', 1, 64) + " %" }

func (c *Console) credits(v *visit, fault error) error {
	view := creditsView{visit: v}
	var err error
	if view.Credits, err = api.GetCredits.Call(v.Context(), v.api, runapi.NoInput{}); err != nil {
		return err
	}
	month, err := api.GetOverview.Call(v.Context(), v.api, api.OverviewRequest{Range: "30d"})
	if err != nil {
		return err
	}
	view.Month = glance{month}
	stopped, err := api.ListStoppedSources.Call(v.Context(), v.api, runapi.NoInput{})
	if err != nil {
		return err
	}
	view.Stopped = stopped.Items
	return v.showOr(fault, frame{Title: "Credits", Nav: "/credits", Here: "/credits", Charts: true}, creditsPage(view))
}

// budget is what it is now, for the form.
func (v creditsView) budget() string {
	if v.Credits.Budget == nil {
		return "0"
	}
	return number0(*v.Credits.Budget)
}

// dayWords is a day for people.
func dayWords(day string) string {
	if t, err := time.Parse(time.DateOnly, day); err == nil {
		return t.Format("2 Jan 2006")
	}
	return day
}

// left is what the budget of the day still allows.
func (v creditsView) left() int64 {
	if v.Credits.BudgetLeft == nil {
		return 0
	}
	return *v.Credits.BudgetLeft
}

// auditView is what the audit trail shows.
type auditView struct {
	*visit
	List runapi.List[api.Act]
}

func (c *Console) audit(v *visit) error {
	list, err := api.ListActs.Call(v.Context(), v.api,
		api.ActQuery{ActFilter: api.ActFilter{Subject: v.param("subject"), Act: v.param("act")}, Paging: v.page()})
	if err != nil {
		return err
	}
	return v.show(200, frame{Title: "Audit", Nav: "/audit"}, auditPage(auditView{v, list}))
}

// pageOfSubject is where an id of the audit trail leads; empty for nowhere.
func pageOfSubject(id string) string {
	for kind, path := range map[string]string{"run_": "/runs", "sub_": "/subscribers", "upl_": "/uploads",
		"sbm_": "/submissions", "src_": "/sources", "snk_": "/sinks"} {
		if len(id) > len(kind) && id[:len(kind)] == kind {
			return under(path, id)
		}
	}
	return ""
}
