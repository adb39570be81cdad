package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/app"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/config"
)

type serveCommand struct {
	config.Settings
}

// collectAt is how far the memory in use may grow before garbage is collected, in
// percent of what is live, unless GOGC says otherwise. Little is live in a server
// whose runs are rows, so the Go default of 100 would collect all the time: a run
// costs 211 µs of this process with it and 150 µs without (bench, w1 -store postgres).
const collectAt = 400

// Run serves until a signal comes.
func (c *serveCommand) Run(p *program) (err error) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
	log, err := app.NewLog(c.Settings, p.err, p.live)
	if err != nil {
		return err
	}
	server, err := app.New(p.ctx, app.Config{Settings: c.Settings, Log: log, Memory: app.LimitMemory()})
	if p.ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil // told to stop while it started: as good an end as any
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	fmt.Fprintf(p.out, "Liwanag %s\n", app.Version())
	public := server.PublicURL()
	fmt.Fprintf(p.out, "  console   %s/\n", public)
	fmt.Fprintf(p.out, "  API       %s/api/v1\n", public)
	fmt.Fprintf(p.out, "  docs      %s/docs\n", public)
	fmt.Fprintf(p.out, "  webhooks  %s/webhooks/\n", public)
	if public != server.URL() {
		fmt.Fprintf(p.out, "  here      %s/\n", server.URL())
	}
	if admin := server.AdminURL(); admin != "" {
		fmt.Fprintf(p.out, "  metrics   %s/metrics\n", admin)
	}
	fmt.Fprintf(p.out, "  database  %s\n", server.Database())
	if server.Engine() != config.EngineEmbedded {
		fmt.Fprintf(p.out, "  workflows %s\n", server.Engine())
	}
	if p.shows { // a person looks: the link opens the console, so it goes into no pipe and no log
		link, err := server.SignInLink(p.ctx)
		if err != nil {
			return err
		}
		if link != "" {
			fmt.Fprintf(p.out, "\nSign in with this link, once and within 15 minutes:\n  %s\n\n", link)
		}
	}
	for _, warning := range server.Warnings() {
		log.WarnContext(p.ctx, warning)
	}
	return server.Run(p.ctx)
}
