package main

import (
	"fmt"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/workflow/runapi"
)

type deliveriesCommand struct {
	List   deliveriesList   `cmd:"" help:"List the webhooks that came in, newest first."`
	Show   deliveriesShow   `cmd:"" help:"Show one, with its body while it is kept."`
	Replay deliveriesReplay `cmd:"" help:"Take deliveries in once more, as their sources are set up now."`
}

type deliveriesList struct {
	clientFlags
	outputFlag
	pageFlags
	Source string `name:"source" id:"source" help:"Of this source, or fullenrich; left out: of all sources."`
	State  string `name:"state" enum:",accepted,ignored,rejected,refused,stored,sent,settled,quarantined,unmatched" default:"" help:"accepted, ignored, rejected or refused; from FullEnrich stored, sent, settled, quarantined or unmatched."`
}

// Run lists deliveries.
func (c *deliveriesList) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	type d = api.Delivery
	count := func(n int) string {
		if n == 0 {
			return ""
		}
		return fmt.Sprint(n)
	}
	columns := []column[d]{
		{"id", func(x d) string { return x.ID }},
		{"source", func(x d) string { return x.Source }},
		{"state", func(x d) string { return x.State }},
		{"received", func(x d) string { return clock(x.ReceivedAt) }},
		{"bytes", func(x d) string { return fmt.Sprint(x.Size) }},
		{"created", func(x d) string { return count(x.Created) }},
		{"updated", func(x d) string { return count(x.Updated) }},
		{"unsubscribed", func(x d) string { return count(x.Unsubscribed) }},
		{"failed", func(x d) string { return count(x.Failed) }},
		{"why", func(x d) string { return x.Code }},
	}
	return list(p, c.outputFlag, c.pageFlags, columns, func(page runapi.Paging) (runapi.List[d], error) {
		return api.ListDeliveries.Call(p.ctx, client,
			api.DeliveryQuery{DeliveryFilter: api.DeliveryFilter{Source: c.Source, State: c.State}, Paging: page})
	})
}

type deliveriesShow struct {
	clientFlags
	ID string `arg:"" name:"delivery" id:"delivery" help:"Id of the delivery."`
	showFlag
}

// Run shows a delivery.
func (c *deliveriesShow) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	d, err := api.GetDelivery.Call(p.ctx, client, runapi.ID(c.ID))
	if err != nil {
		return err
	}
	return p.showDelivery(d, c.Output)
}

func (p *program) showDelivery(d api.Delivery, format string) error {
	if format == "json" {
		return printJSON(p.out, d)
	}
	people := fmt.Sprintf("%d created, %d updated, %d unsubscribed, %d failed", d.Created, d.Updated, d.Unsubscribed, d.Failed)
	if d.Source == "fullenrich" || d.State == "refused" {
		people = ""
	}
	p.fields([][2]string{{"id", d.ID}, {"source", d.Source}, {"", d.SourceID}, {"state", d.State}, {"why", d.Code},
		{"", d.Reason}, {"people", people},
		{"bytes", fmt.Sprint(d.Size)}, {"type", d.ContentType}, {"submission", d.SubmissionID}, {"enrichment", d.EnrichmentID},
		{"received", clock(d.ReceivedAt)}, {"replayed", clock(d.ReplayedAt)}})
	if d.Body != "" {
		fmt.Fprintf(p.out, "\n%s\n", printable(d.Body, "\n\t"))
	}
	return nil
}

type deliveriesReplay struct {
	clientFlags
	IDs []string `arg:"" name:"delivery" id:"delivery" help:"Ids of deliveries."`
	outputFlag
}

// Run replays deliveries; the first that cannot be replayed ends it.
func (c *deliveriesReplay) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	type d = api.Delivery
	columns := []column[d]{
		{"id", func(x d) string { return x.ID }},
		{"state", func(x d) string { return x.State }},
		{"created", func(x d) string { return fmt.Sprint(x.Created) }},
		{"updated", func(x d) string { return fmt.Sprint(x.Updated) }},
		{"unsubscribed", func(x d) string { return fmt.Sprint(x.Unsubscribed) }},
		{"failed", func(x d) string { return fmt.Sprint(x.Failed) }},
		{"why", func(x d) string { return x.Code }},
	}
	replayed := func(yield func(d, error) bool) {
		for _, id := range c.IDs {
			one, err := api.ReplayDelivery.Call(p.ctx, client, runapi.ID(id))
			if !yield(one, err) || err != nil {
				return
			}
		}
	}
	return write(p, c.outputFlag, columns, replayed)
}
