package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
)

type subscribersTag struct {
	clientFlags
	IDs    []string `arg:"" optional:"" name:"id" id:"subscriber" help:"Ids or addresses of subscribers; left out: all that the flags select."`
	Add    []string `name:"add" placeholder:"TAG" sep:"none" help:"A tag to add; may be repeated."`
	Remove []string `name:"remove" placeholder:"TAG" sep:"none" help:"A tag to take away, whoever gave it; may be repeated."`
	subscriberFilter
	DryRun bool `name:"dry-run" help:"Only count."`
	Yes    bool `name:"yes" short:"y" help:"Do not ask."`
	showFlag
}

// Run adds tags to people and takes some away. It counts, and asks, unless ids name them.
func (c *subscribersTag) Run(p *program) error {
	filter := c.filter()
	switch {
	case len(c.Add)+len(c.Remove) == 0:
		return usage("liwanag subscribers tag --view NAME --add TAG", "--add or --remove is needed")
	case (len(c.IDs) > 0) == !filter.IsZero():
		return usage("liwanag subscribers tag --status enriched --add TAG", "either ids or flags that select are needed")
	}
	client, err := c.dial()
	if err != nil {
		return err
	}
	var total api.TaggedMany
	requests := []api.TagMany{{Filter: &filter, Add: c.Add, Remove: c.Remove}}
	if len(c.IDs) > 0 {
		requests = nil
		for ids := range slices.Chunk(c.IDs, 500) {
			requests = append(requests, api.TagMany{IDs: ids, Add: c.Add, Remove: c.Remove})
		}
	}
	if len(c.IDs) == 0 || c.DryRun {
		for i := range requests {
			ask := requests[i]
			ask.DryRun = true
			counted, err := api.TagSubscribers.Call(p.ctx, client, ask)
			if err != nil {
				return err
			}
			requests[i].Expect = &counted.Count
			total.Count += counted.Count
		}
		total.DryRun = c.DryRun
		if !c.DryRun && !c.Yes && total.Count > 0 {
			if agreed, err := p.agrees("Tag " + people(total.Count) + "? [y/N] "); err != nil || !agreed {
				return errors.Join(err, errors.New("nothing was tagged"))
			}
		}
	}
	if !c.DryRun {
		total = api.TaggedMany{}
		for _, ask := range requests {
			done, err := api.TagSubscribers.Call(p.ctx, client, ask)
			if err != nil {
				return err
			}
			total.Count, total.Changed = total.Count+done.Count, total.Changed+done.Changed
		}
	}
	switch {
	case c.Output == "json":
		return printJSON(p.out, total)
	case c.DryRun:
		_, err = fmt.Fprintf(p.out, "%s would be tagged\n", people(total.Count))
	default:
		_, err = fmt.Fprintf(p.out, "%s tagged, %d of them changed\n", people(total.Count), total.Changed)
	}
	return err
}
