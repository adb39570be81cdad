package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/workflow/runapi"
)

type suppressionsCommand struct {
	Add    suppressionsAdd    `cmd:"" help:"Suppress an address, or a domain with its subdomains: nobody brings it in again."`
	List   suppressionsList   `cmd:"" help:"List suppressed addresses and domains, newest first."`
	Remove suppressionsRemove `cmd:"" help:"Let an address or a domain in again. Nobody is looked up by it."`
}

type suppressionsAdd struct {
	clientFlags
	What   string `arg:"" name:"address" help:"An e-mail address, or a domain."`
	Reason string `name:"reason" help:"No personal data."`
	showFlag
}

// Run suppresses an address or a domain.
func (c *suppressionsAdd) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	wanted := api.NewSuppression{Domain: c.What, Reason: c.Reason}
	if strings.Contains(c.What, "@") {
		wanted.Email, wanted.Domain = c.What, ""
	}
	one, err := api.AddSuppression.Call(p.ctx, client, wanted)
	if err != nil {
		return err
	}
	if c.Output == "json" {
		return printJSON(p.out, one)
	}
	rows := int64(0)
	if one.Rows != nil {
		rows = int64(*one.Rows)
	}
	_, err = fmt.Fprintf(p.out, "%s suppressed, %s marked\n", one.ID, plural(rows, "row"))
	return err
}

type suppressionsList struct {
	clientFlags
	outputFlag
	pageFlags
}

// Run lists suppressions.
func (c *suppressionsList) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	type s = api.Suppression
	return list(p, c.outputFlag, c.pageFlags, []column[s]{
		{"id", func(x s) string { return x.ID }},
		{"email", func(x s) string { return x.Email }},
		{"domain", func(x s) string { return x.Domain }},
		{"reason", func(x s) string { return x.Reason }},
		{"created", func(x s) string { return clock(x.CreatedAt) }},
	}, func(page runapi.Paging) (runapi.List[s], error) {
		return api.ListSuppressions.Call(p.ctx, client, api.SuppressionQuery{Paging: page})
	})
}

type suppressionsRemove struct {
	clientFlags
	ID  string `arg:"" help:"Id of the suppression."`
	Yes bool   `name:"yes" short:"y" help:"Do not ask."`
}

// Run removes a suppression.
func (c *suppressionsRemove) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	if !c.Yes {
		if agreed, err := p.agrees("Let it in again? [y/N] "); err != nil || !agreed {
			return errors.Join(err, errors.New("nothing was removed"))
		}
	}
	if _, err := api.RemoveSuppression.Call(p.ctx, client, runapi.ID(c.ID)); err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.out, c.ID+" removed")
	return err
}
