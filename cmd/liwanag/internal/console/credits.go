package console

import (
	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func (c *Console) registerCredits() {
	c.handle("GET /credits", c.credits)
	c.handle("GET /audit", c.audit)
}

// creditsView is what the page of credits shows.
type creditsView struct {
	*visit
	Credits api.Credits
	Month   glance
}

func (c *Console) credits(v *visit) error {
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
	return v.show(200, frame{Title: "Credits", Nav: "/credits", Charts: true}, creditsPage(view))
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
