package main

import (
	"fmt"
	"strconv"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/workflow/runapi"
)

type creditsCommand struct {
	clientFlags
	showFlag
}

// Run shows the account and the day.
func (c *creditsCommand) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	money, err := api.GetCredits.Call(p.ctx, client, runapi.NoInput{})
	if err != nil {
		return err
	}
	return p.showCredits(money, c.Output)
}

func (p *program) showCredits(c api.Credits, format string) error {
	if format == "json" {
		return printJSON(p.out, c)
	}
	balance, budget := "FullEnrich has not told it yet", "no limit"
	if c.Balance != nil {
		balance = strconv.FormatFloat(*c.Balance, 'f', -1, 64) + " at FullEnrich, as of " + clock(c.BalanceAt)
	}
	if c.Budget != nil {
		budget = fmt.Sprintf("%d a day for what nobody confirms, %d left", *c.Budget, *c.BudgetLeft)
	}
	spending := "goes on"
	if c.Paused {
		spending = "paused (" + c.PausedReason + "): " + c.PausedNote
		if !c.PausedUntil.IsZero() {
			spending += ", until " + clock(c.PausedUntil)
		}
	}
	p.fields([][2]string{{"balance", balance}, {"day", c.Day + " UTC"}, {"spent", fmt.Sprint(c.Spent)},
		{"reserved", fmt.Sprint(c.Reserved)}, {"unconfirmed", fmt.Sprint(c.Unconfirmed)}, {"budget", budget}, {"spending", spending}})
	return nil
}

type submissionsBudget struct {
	clientFlags
	showFlag
	Credits string `arg:"" name:"credits" help:"Credits a UTC day; 0 for no limit, default for what the settings say."`
	Reason  string `name:"reason" help:"Kept in the audit trail."`
}

// Run changes the budget of a day.
func (c *submissionsBudget) Run(p *program) error {
	request := api.BudgetRequest{Reason: c.Reason}
	if c.Credits != "default" {
		n, err := strconv.ParseInt(c.Credits, 10, 64)
		if err != nil || n < 0 {
			return usage("liwanag submissions budget 500", "%q is neither a number of credits nor default", c.Credits)
		}
		request.Credits = &n
	}
	client, err := c.dial()
	if err != nil {
		return err
	}
	money, err := api.SetBudget.Call(p.ctx, client, request)
	if err != nil {
		return err
	}
	return p.showCredits(money, c.Output)
}

type submissionsStopped struct {
	clientFlags
	outputFlag
	Resume *string `name:"resume" xor:"act" placeholder:"SOURCE" help:"Go on with this source."`
	Drop   *string `name:"drop" xor:"act" placeholder:"SOURCE" help:"Cancel its lookups that wait; later ones wait, too."`
	Reason string  `name:"reason" help:"Kept in the audit trail."`
}

// Run lists the sources whose lookups wait, or acts on one.
func (c *submissionsStopped) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	switch {
	case c.Resume != nil:
		if _, err := api.ResumeSource.Call(p.ctx, client, api.SourceRequest{Source: *c.Resume, Reason: c.Reason}); err != nil {
			return err
		}
		_, err = fmt.Fprintf(p.out, "The lookups of %q go on.\n", printable(*c.Resume, ""))
		return err
	case c.Drop != nil:
		s, err := api.DropSource.Call(p.ctx, client, api.SourceRequest{Source: *c.Drop, Reason: c.Reason})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(p.out, "%s of %q canceled; later ones wait.\n", plural(s.Dropped, "lookup"), printable(*c.Drop, ""))
		return err
	}
	type s = api.StoppedSource
	share := func(f float64) string { return strconv.FormatFloat(100*f, 'f', 1, 64) + " %" }
	columns := []column[s]{
		{"source", func(x s) string { return x.Source }},
		{"found lately", func(x s) string { return share(x.LatestRate) }},
		{"before", func(x s) string { return share(x.BeforeRate) }},
		{"since", func(x s) string { return clock(x.StoppedAt) }},
	}
	return list(p, c.outputFlag, pageFlags{All: true}, columns, func(runapi.Paging) (runapi.List[s], error) {
		return api.ListStoppedSources.Call(p.ctx, client, runapi.NoInput{})
	})
}
