package main

import (
	"fmt"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/app"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/config"
)

type migrateCommand struct {
	config.Database
	DryRun bool `help:"Print the SQL that would run, and change nothing."`
}

// Run migrates.
func (c *migrateCommand) Run(p *program) error {
	if c.DryRun {
		script, err := app.Pending(p.ctx, c.Database)
		fmt.Fprint(p.out, script)
		return err
	}
	where, err := app.Migrate(p.ctx, c.Database)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.out, "%s is up to date\n", where)
	return nil
}
