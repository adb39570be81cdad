package main

import (
	"fmt"

	"github.com/liwanag/liwanag/internal/app"
	"github.com/liwanag/liwanag/internal/config"
)

type migrateCommand struct {
	config.Database
}

// Run migrates.
func (c *migrateCommand) Run(p *program) error {
	where, err := app.Migrate(p.ctx, c.Database)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.out, "%s is up to date\n", where)
	return nil
}
