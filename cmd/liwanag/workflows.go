package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/app"
	"github.com/liwanag/liwanag/workflow/runapi"
)

type workflowsCommand struct {
	List workflowsList `cmd:"" help:"List the definitions."`
	Show workflowsShow `cmd:"" help:"Show a definition: steps, retry policies, waits, conditions."`
}

// definitionFlags are the settings that show in a definition.
type definitionFlags struct {
	WebhookTimeout time.Duration `name:"webhook-timeout" env:"LIWANAG_WEBHOOK_TIMEOUT" default:"24h" help:"Longest wait for a result."`
}

type workflowsList struct {
	definitionFlags
	outputFlag
}

// Run lists the definitions this program holds; it needs no server.
func (c *workflowsList) Run(p *program) error {
	columns := []column[app.Workflow]{
		{"name", func(w app.Workflow) string { return w.Name }},
		{"version", func(w app.Workflow) string { return strconv.Itoa(w.Version) }},
		{"steps", func(w app.Workflow) string {
			var names []string
			for _, s := range w.Steps {
				if s.Kind != "finish" {
					names = append(names, s.Name)
				}
			}
			return strings.Join(names, " → ")
		}},
	}
	return list(p, c.outputFlag, pageFlags{All: true}, columns, func(runapi.Paging) (runapi.List[app.Workflow], error) {
		return runapi.List[app.Workflow]{Items: app.Workflows(c.WebhookTimeout)}, nil
	})
}

type workflowsShow struct {
	definitionFlags
	Name   string `arg:"" optional:"" default:"subscriber-enrichment" help:"Name of the workflow."`
	Format string `name:"format" enum:"text,mermaid,json" default:"text" help:"text, mermaid or json."`
}

// notFound is a thing that is not there, without a server having said so.
type notFound struct{ text string }

func (e *notFound) Error() string { return e.text }

// Run shows a definition; it needs no server.
func (c *workflowsShow) Run(p *program) error {
	for _, w := range app.Workflows(c.WebhookTimeout) {
		if w.Name != c.Name {
			continue
		}
		switch c.Format {
		case "mermaid":
			_, err := fmt.Fprint(p.out, w.Mermaid)
			return err
		case "json":
			return printJSON(p.out, w)
		}
		_, err := fmt.Fprint(p.out, w.Text())
		return err
	}
	return &notFound{fmt.Sprintf("there is no workflow %q\n  Try: liwanag workflows list", c.Name)}
}
