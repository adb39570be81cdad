package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// bulkFlags name one run, or select many.
type bulkFlags struct {
	ID       string        `arg:"" optional:"" name:"run" id:"run" help:"Id of the run; left out: all that the flags select."`
	Workflow string        `name:"workflow" help:"All of this workflow."`
	Status   string        `name:"status" enum:",pending,running,waiting,failed,timed_out,canceled" default:"" help:"All that are pending, running, waiting, failed, timed_out or canceled."`
	Query    string        `name:"query" short:"q" help:"All that an enrichment id names, or an address that they look up."`
	Since    time.Duration `name:"since" help:"All created within this time, such as 24h."`
	All      bool          `name:"all" help:"All of them."`
	attributeFlag
	DryRun bool `name:"dry-run" help:"Only count."`
	Yes    bool `name:"yes" short:"y" help:"Do not ask."`
}

func (f *bulkFlags) selects() bool {
	return f.Workflow != "" || f.Status != "" || f.Query != "" || f.Since > 0 || len(f.Attribute) > 0 || f.All
}

// check refuses what names no run and selects none, or both.
func (f *bulkFlags) check(verb string) error {
	switch {
	case f.ID == "" && !f.selects():
		return usage("liwanag runs "+verb+" RUN, or --status, --workflow, --query, --since, --attribute or --all", "which runs?")
	case f.ID != "" && (f.selects() || f.DryRun):
		return usage("liwanag runs "+verb+" "+f.ID, "flags select many runs, an id names one")
	}
	return nil
}

// bulk counts the runs, asks, and acts on no more than were counted. Done says
// what became of them, such as "canceled".
func (p *program) bulk(f bulkFlags, verb, done, reason string, act func(runapi.BulkAct) (api.RetriedRuns, error)) error {
	selected := runapi.BulkAct{Workflow: f.Workflow, Status: f.Status, Q: f.Query, Attribute: f.Attribute, Reason: reason}
	if f.Since > 0 {
		selected.Since = time.Now().Add(-f.Since)
	}
	count := selected
	count.DryRun = true
	counted, err := act(count)
	if err != nil {
		return err
	}
	if f.DryRun || counted.Matched == 0 {
		_, err = fmt.Fprintf(p.out, "%s to %s\n%s", plural(counted.Matched, "run"), verb, retryCost(counted))
		return err
	}
	fmt.Fprint(p.err, retryCost(counted))
	if !f.Yes {
		if agreed, err := p.agrees(fmt.Sprintf("%s %s? [y/N] ", capital(verb), plural(counted.Matched, "run"))); err != nil || !agreed {
			return errors.Join(err, errors.New("nothing was done"))
		}
	}
	selected.Expect = counted.Matched
	result, err := act(selected)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.out, "%s %s\n", plural(result.Done, "run"), done)
	failed := result.Matched - result.Done
	for _, f := range result.Failed {
		fmt.Fprintf(p.err, "%s: %s\n", f.ID, f.Detail)
	}
	if failed > 0 {
		return fmt.Errorf("%s could not be done\n  Try: the same once more", plural(failed, "run"))
	}
	return nil
}

// retryCost says in words what a retry orders; nothing for a cancel.
func retryCost(r api.RetriedRuns) string {
	if r.Lookups == nil || r.Credits == nil {
		return ""
	}
	return cost(api.EnrichedMany{Count: *r.Lookups, Credits: *r.Credits, Balance: r.Balance, BalanceAt: r.BalanceAt,
		BudgetLeft: r.BudgetLeft}) + "\n"
}

func capital(word string) string { return string(word[0]-'a'+'A') + word[1:] }
