package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/workflow/runapi"
)

type companiesCommand struct {
	List companiesList `cmd:"" help:"List companies, those with the most people first."`
	Show companiesShow `cmd:"" help:"Show one company."`
}

type companiesList struct {
	clientFlags
	outputFlag
	pageFlags
	subscriberFilter
}

// Run lists the companies of those who match.
func (c *companiesList) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	type co = api.Company
	columns := []column[co]{
		{"domain", func(x co) string { return x.Domain }},
		{"name", func(x co) string { return x.Name }},
		{"people", func(x co) string { return fmt.Sprint(x.People) }},
		{"headcount", func(x co) string { return countText(x.Headcount) }},
		{"industry", func(x co) string { return x.Industry }},
		{"seniorities", func(x co) string { return seniorityText(x.Seniorities) }},
		{"newest", func(x co) string { return clock(x.NewestAt) }},
	}
	return list(p, c.outputFlag, c.pageFlags, columns, func(page runapi.Paging) (runapi.List[co], error) {
		return api.ListCompanies.Call(p.ctx, client, api.CompanyQuery{SubscriberFilter: c.filter(), Paging: page})
	})
}

type companiesShow struct {
	clientFlags
	Domain string `arg:"" help:"Domain of the company."`
	showFlag
}

// Run shows a company.
func (c *companiesShow) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	found, err := api.GetCompany.Call(p.ctx, client, api.CompanyPath{Domain: c.Domain})
	if err != nil {
		return err
	}
	if c.Output == "json" {
		return printJSON(p.out, found)
	}
	p.fields([][2]string{
		{"domain", found.Domain}, {"name", found.Name}, {"people", fmt.Sprint(found.People)}, {"headcount", countText(found.Headcount)},
		{"industry", found.Industry}, {"linkedin", found.LinkedinURL}, {"seniorities", seniorityText(found.Seniorities)},
		{"newest", clock(found.NewestAt)},
	})
	return nil
}

func countText(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

// seniorityText says how many have each seniority, the most first.
func seniorityText(all map[string]int64) string {
	names := slices.Sorted(maps.Keys(all))
	slices.SortStableFunc(names, func(a, b string) int { return int(all[b] - all[a]) })
	for i, name := range names {
		names[i] = fmt.Sprintf("%s %d", name, all[name])
	}
	return strings.Join(names, ", ")
}
