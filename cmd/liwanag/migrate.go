package main

import (
	"fmt"

	"github.com/liwanag/liwanag/internal/app"
)

type migrateCommand struct {
	DatabaseURL string `name:"database-url" env:"DATABASE_URL" default:"sqlite:liwanag.db" placeholder:"URL" help:"The database: sqlite:PATH."`
}

// Run migrates.
func (c *migrateCommand) Run(p *program) error {
	path, err := app.Migrate(p.ctx, c.DatabaseURL)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.out, "%s is up to date\n", path)
	return nil
}
