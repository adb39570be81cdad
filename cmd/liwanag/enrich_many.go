package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
	"github.com/liwanag/liwanag/workflow/runapi"
)

type subscribersEnrich struct {
	clientFlags
	IDs []string `arg:"" optional:"" name:"id" id:"subscriber" help:"Ids of subscribers; left out: all that the flags select."`
	subscriberFilter
	Again  bool   `name:"again" help:"Pay once more even if there is a young result."`
	Cap    *int64 `name:"cap" placeholder:"CREDITS" help:"What they may cost; whoever is above it is left out (cap)."`
	DryRun bool   `name:"dry-run" help:"Only count, and say what it costs."`
	Yes    bool   `name:"yes" short:"y" help:"Do not ask."`
	outputFlag
}

// selects says whether flags select people.
func (c *subscribersEnrich) selects() bool { return !c.filter().IsZero() }

// requests are what is asked of the server: ids have a limit a call.
func (c *subscribersEnrich) requests() (all []api.EnrichMany) {
	if len(c.IDs) > 0 {
		for piece := range slices.Chunk(c.IDs, 500) {
			all = append(all, api.EnrichMany{IDs: piece, Again: c.Again, Cap: c.Cap})
		}
		return all
	}
	filter := c.filter()
	return []api.EnrichMany{{Filter: &filter, Again: c.Again, Cap: c.Cap}}
}

// Run makes new lookups. One id is its own confirmation; of more it counts, says
// what they cost, and asks.
func (c *subscribersEnrich) Run(p *program) error {
	if (len(c.IDs) > 0) == c.selects() {
		return usage("liwanag subscribers enrich --status failed", "either ids or flags that select are needed")
	}
	client, err := c.dial()
	if err != nil {
		return err
	}
	requests := c.requests()
	if len(c.IDs) != 1 || c.DryRun || c.Cap != nil {
		total, err := count(p, client, requests)
		switch {
		case err != nil:
			return err
		case c.DryRun && c.Output == "json":
			return printJSON(p.out, total)
		case c.DryRun || total.Count == 0 && c.selects():
			_, err = fmt.Fprintln(p.out, cost(total))
			return err
		}
		fmt.Fprintln(p.err, cost(total))
		if !c.Yes && total.Count > 0 {
			if agreed, err := p.agrees("Order them? [y/N] "); err != nil || !agreed {
				return errors.Join(err, errors.New("nothing was ordered"))
			}
		}
	}
	return c.order(p, client, requests)
}

// count asks what requests would order, and makes each expect it.
func count(p *program, client *apiclient.Client, requests []api.EnrichMany) (total api.EnrichedMany, err error) {
	total.LeftOut = map[string]int64{}
	for i := range requests {
		if requests[i].Cap != nil { // of all of them together
			left := max(*requests[i].Cap-total.Count, 0)
			requests[i].Cap = &left
		}
		ask := requests[i]
		ask.DryRun = true
		counted, err := api.EnrichSubscribers.Call(p.ctx, client, ask)
		if err != nil {
			return total, err
		}
		for result, n := range counted.LeftOut {
			total.LeftOut[result] += n
		}
		requests[i].Expect = &counted.Count
		total = api.EnrichedMany{Count: total.Count + counted.Count, Credits: total.Credits + counted.Credits, LeftOut: total.LeftOut,
			DryRun: true, Balance: counted.Balance, BalanceAt: counted.BalanceAt, BudgetLeft: counted.BudgetLeft, Items: counted.Items}
	}
	return total, nil
}

// cost says in words what lookups cost.
func cost(t api.EnrichedMany) string {
	text := fmt.Sprintf("%s: %s at most", plural(t.Count, "lookup"), plural(t.Credits, "credit"))
	var beside []string
	if t.Balance != nil {
		beside = append(beside, fmt.Sprintf("FullEnrich had %.0f at %s", *t.Balance, clock(t.BalanceAt)))
	}
	if t.BudgetLeft != nil {
		beside = append(beside, fmt.Sprintf("today's budget for what nobody confirms stays at %d", *t.BudgetLeft))
	}
	if len(beside) > 0 {
		text += " (" + strings.Join(beside, "; ") + ")"
	}
	var left []string
	for _, result := range slices.Sorted(maps.Keys(t.LeftOut)) {
		left = append(left, fmt.Sprintf("%d %s", t.LeftOut[result], result))
	}
	if len(left) > 0 {
		text += "\nnot looked up: " + strings.Join(left, ", ")
	}
	return text
}

func (c *subscribersEnrich) order(p *program, client *apiclient.Client, requests []api.EnrichMany) error {
	type e = api.Enriched
	missing := 0
	columns := []column[e]{
		{"id", func(x e) string { return x.SubscriberID }},
		{"result", func(x e) string { return x.Result }},
		{"run", func(x e) string { return x.RunID }},
	}
	err := list(p, c.outputFlag, pageFlags{All: true}, columns, func(runapi.Paging) (page runapi.List[e], err error) {
		got, err := api.EnrichSubscribers.Call(p.ctx, client, requests[0])
		for _, item := range got.Items {
			if item.Result == "not_found" {
				missing++
			}
		}
		page.Items = got.Items
		if requests = requests[1:]; len(requests) > 0 {
			page.NextCursor = "more" // ids have no pages of their own
		}
		return page, err
	})
	if err == nil && missing > 0 {
		return &notFound{fmt.Sprintf("%s not there\n  Try: liwanag subscribers list", plural(int64(missing), "subscriber"))}
	}
	return err
}
