package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/workflow/runapi"
)

type viewsCommand struct {
	List   viewsList   `cmd:"" help:"List the saved views, by name."`
	Save   viewsSave   `cmd:"" help:"Save a filter of subscribers under a name, for --view."`
	Remove viewsRemove `cmd:"" help:"Remove a saved view."`
}

type viewsList struct {
	clientFlags
	outputFlag
}

// Run lists views.
func (c *viewsList) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	type v = api.View
	return list(p, c.outputFlag, pageFlags{All: true}, []column[v]{
		{"name", func(x v) string { return x.Name }},
		{"filter", func(x v) string { return filterText(x.Filter) }},
		{"order", func(x v) string { return strings.TrimSpace(x.Sort + " " + x.Order) }},
		{"columns", func(x v) string { return strings.Join(x.Columns, ",") }},
		{"updated", func(x v) string { return clock(x.UpdatedAt) }},
		{"id", func(x v) string { return x.ID }},
	}, func(runapi.Paging) (runapi.List[v], error) {
		return api.ListViews.Call(p.ctx, client, runapi.NoInput{})
	})
}

// filterText is a filter as one says it in JSON.
func filterText(f api.SubscriberFilter) string {
	b, _ := json.Marshal(f) // texts, numbers and times: it can be encoded
	return string(b)
}

type viewsSave struct {
	clientFlags
	Name string `arg:"" help:"Name of the view."`
	subscriberFilter
	subscriberOrder
	Columns []string `name:"columns" help:"That it shows, as the export names them, with commas between them."`
	Replace bool     `name:"replace" help:"Take the place of a view of this name."`
	showFlag
}

// Run saves a view.
func (c *viewsSave) Run(p *program) error {
	filter := c.filter()
	if filter.IsZero() {
		return usage(`liwanag views save "VPs in Germany" --seniority VP --country Germany`, "a view of everybody is none: flags that select are needed")
	}
	client, err := c.dial()
	if err != nil {
		return err
	}
	saved, err := api.SaveView.Call(p.ctx, client, api.SaveViewRequest{Name: c.Name, Filter: filter,
		Sort: c.Sort, Order: c.Order, Columns: c.Columns, Replace: c.Replace})
	if err != nil {
		return err
	}
	if c.Output == "json" {
		return printJSON(p.out, saved)
	}
	_, err = fmt.Fprintf(p.out, "%s saved: %s\n", saved.Name, filterText(saved.Filter))
	return err
}

type viewsRemove struct {
	clientFlags
	Name string `arg:"" help:"Name or id of the view."`
	Yes  bool   `name:"yes" short:"y" help:"Do not ask."`
}

// Run removes a view.
func (c *viewsRemove) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	if !c.Yes {
		if agreed, err := p.agrees("Remove it? [y/N] "); err != nil || !agreed {
			return errors.Join(err, errors.New("nothing was removed"))
		}
	}
	if _, err := api.RemoveView.Call(p.ctx, client, runapi.ID(c.Name)); err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.out, c.Name+" removed")
	return err
}
