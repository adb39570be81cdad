package main

import (
	"fmt"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/workflow/runapi"
)

type enrichCommand struct {
	clientFlags
	showFlag
}

// Run triggers the scheduled batch.
func (c *enrichCommand) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	triggered, err := api.TriggerEnrichment.Call(p.ctx, client, runapi.NoInput{})
	if err != nil {
		return err
	}
	if c.Output == "json" {
		return printJSON(p.out, triggered)
	}
	for _, id := range triggered.RunIDs {
		if _, err := fmt.Fprintln(p.out, id); err != nil {
			return err
		}
	}
	return nil
}
