package main

import (
	"fmt"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/workflow/runapi"
)

type pruneCommand struct {
	clientFlags
	showFlag
}

// Run deletes what is older than it is kept, now.
func (c *pruneCommand) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	pruned, err := api.Prune.Call(p.ctx, client, runapi.NoInput{})
	if err != nil {
		return err
	}
	if c.Output == "json" {
		return printJSON(p.out, pruned)
	}
	_, err = fmt.Fprintf(p.out, "runs, files and webhooks that ended before %s are deleted\n", clock(pruned.Before))
	return err
}
