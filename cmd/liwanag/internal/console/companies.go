package console

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func (c *Console) registerCompanies() { c.handle("GET /companies", c.companies) }

// companiesView is what the list of companies shows.
type companiesView struct {
	selection
	List runapi.List[api.Company]
}

func (c *Console) companies(v *visit) (err error) {
	view, wanted := companiesView{}, api.CompanyQuery{Paging: v.page()}
	if view.selection, err = v.selectionOf("/companies", &wanted.SubscriberFilter); err != nil {
		return err
	}
	if view.List, err = api.ListCompanies.Call(v.Context(), v.api, wanted); err != nil {
		return err
	}
	return v.show(200, frame{Title: "Companies", Nav: "/subscribers", Crumbs: []crumb{{"Subscribers", "/subscribers"}}},
		companiesPage(view))
}

// seniorityWords say how many people of a company have each seniority, the most first.
func seniorityWords(all map[string]int64) string {
	names := slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		return cmp.Or(cmp.Compare(all[b], all[a]), cmp.Compare(a, b))
	})
	for i, name := range names {
		names[i] = number(all[name]) + " " + name
	}
	return strings.Join(names, ", ")
}
