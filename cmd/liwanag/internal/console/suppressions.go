package console

import (
	"strings"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func (c *Console) registerSuppressions() {
	c.handle("GET /suppressions", func(v *visit) error { return c.suppressions(v, nil) })
	c.handle("POST /suppressions", c.suppress)
	c.handle("POST /suppressions/{id}/remove", func(v *visit) error {
		if _, err := api.RemoveSuppression.Call(v.Context(), v.api, runapi.ID(v.PathValue("id"))); err != nil {
			return c.suppressions(v, err)
		}
		return v.goTo("/suppressions", "The suppression is removed. Nobody was looked up.")
	})
}

// suppressionsView is what the list of suppressions shows.
type suppressionsView struct {
	*visit
	List runapi.List[api.Suppression]
}

func (c *Console) suppressions(v *visit, fault error) error {
	list, err := api.ListSuppressions.Call(v.Context(), v.api, api.SuppressionQuery{Paging: v.page()})
	if err != nil {
		return err
	}
	return v.showOr(fault, frame{Title: "Suppressions", Nav: "/suppressions", Here: "/suppressions"},
		suppressionsPage(suppressionsView{v, list}))
}

// suppress takes an address, or a domain: what has no @.
func (c *Console) suppress(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	what := strings.TrimSpace(v.PostForm.Get("what"))
	wanted := api.NewSuppression{Domain: what, Reason: v.PostForm.Get("reason")}
	if strings.Contains(what, "@") {
		wanted.Email, wanted.Domain = what, ""
	}
	if _, err := api.AddSuppression.Call(v.Context(), v.api, wanted); err != nil {
		return c.suppressions(v, err)
	}
	return v.goTo("/suppressions", "Suppressed: nothing is stored for it, and nobody looked up.")
}
