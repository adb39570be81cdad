package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// manyFlags name people, or select many.
type manyFlags struct {
	clientFlags
	IDs []string `arg:"" optional:"" name:"id" id:"subscriber" help:"Ids or addresses of subscribers; left out: all that the flags select."`
	subscriberFilter
	Reason string `name:"reason" help:"Kept in the audit trail: no personal data."`
	DryRun bool   `name:"dry-run" help:"Only count."`
	Yes    bool   `name:"yes" short:"y" help:"Do not ask."`
}

// manyAct is what can be done to many people. Ask ends the question.
type manyAct struct {
	verb, done, ask string
	call            func(context.Context, runapi.Caller, api.ActMany) (api.ActedMany, error)
}

// requests are what is asked of the server: ids have a limit a call.
func (f *manyFlags) requests() (all []api.ActMany) {
	if len(f.IDs) == 0 {
		filter := f.filter()
		return []api.ActMany{{Filter: &filter, Reason: f.Reason}}
	}
	for ids := range slices.Chunk(f.IDs, 500) {
		all = append(all, api.ActMany{IDs: ids, Reason: f.Reason})
	}
	return all
}

// act counts, shows, asks, and acts on no others than were counted.
func (f *manyFlags) act(p *program, show showFlag, do manyAct) error {
	if (len(f.IDs) > 0) == !f.filter().IsZero() {
		return usage("liwanag subscribers "+do.verb+" --view NAME", "either ids or flags that select are needed")
	}
	client, err := f.dial()
	if err != nil {
		return err
	}
	requests := f.requests()
	total := api.ActedMany{DryRun: true}
	for i, ask := range requests {
		ask.DryRun = true
		counted, err := do.call(p.ctx, client, ask)
		if err != nil {
			return err
		}
		requests[i].Expect = &counted.Count
		total.Count, total.Rows, total.Missing = total.Count+counted.Count, total.Rows+counted.Rows, total.Missing+counted.Missing
	}
	if total.Missing > 0 {
		return &notFound{fmt.Sprintf("%s not there, and nothing was done\n  Try: liwanag subscribers list", plural(total.Missing, "subscriber"))}
	}
	if f.DryRun || total.Count == 0 {
		return f.show(p, show, total, fmt.Sprintf("%s would be %s", withRows(total), do.done))
	}
	if !f.Yes {
		agreed, err := p.agrees(fmt.Sprintf("%s %s%s? [y/N] ", capital(do.verb), withRows(total), do.ask))
		if err != nil || !agreed {
			return errors.Join(err, errors.New("nobody was "+do.done))
		}
	}
	done := api.ActedMany{}
	for _, ask := range requests {
		one, err := do.call(p.ctx, client, ask)
		if err != nil {
			return err
		}
		done.Count, done.Rows, done.Changed = done.Count+one.Count, done.Rows+one.Rows, done.Changed+one.Changed
		if len(one.Backups) > 0 { // a piece that changed nothing names none
			done.Backups = one.Backups
		}
	}
	return f.show(p, show, done, fmt.Sprintf("%s %s, %s changed%s", people(done.Count), do.done, plural(done.Changed, "row"),
		heldBy(done.Backups)))
}

func (f *manyFlags) show(p *program, show showFlag, result api.ActedMany, words string) error {
	if show.Output == "json" {
		return printJSON(p.out, result)
	}
	_, err := fmt.Fprintln(p.out, words)
	return err
}

// withRows counts people, and what else their mailboxes have.
func withRows(n api.ActedMany) string {
	if n.Rows > n.Count {
		return fmt.Sprintf("%s (%d with other addresses of their mailboxes)", people(n.Count), n.Rows)
	}
	return people(n.Count)
}
