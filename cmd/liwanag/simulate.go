package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/app"
)

type simulateCommand struct {
	Addr    string  `name:"addr" default:"127.0.0.1:8486" placeholder:"HOST:PORT" help:"Address to serve; port 0 takes a free one."`
	Dir     string  `name:"dir" placeholder:"DIR" help:"Where its state is kept. Default: in memory."`
	Key     string  `name:"key" default:"fe_sim_key" help:"The API key it knows."`
	Seed    int64   `name:"seed" help:"Decides people, outcomes and durations."`
	Speed   float64 `name:"speed" default:"1" help:"Divides every duration: a contact takes 30 to 90 s at 1."`
	Balance float64 `name:"balance" default:"100000" help:"Credits of the account."`
	Found   float64 `name:"found" default:"0.6" help:"Share of addresses that belong to somebody, 0 to 1."`
	Retries int     `name:"webhook-retries" default:"5" help:"How often a webhook is repeated that is not taken; a minute apart at speed 1."`

	UntilStdinCloses bool `name:"until-stdin-closes" hidden:"" help:"End with whoever started it, and not before."`
}

// Run simulates until a signal comes.
func (c *simulateCommand) Run(p *program) error {
	ctx := p.ctx
	if c.UntilStdinCloses {
		// A signal from the keyboard goes to the whole family: its head decides
		// when the partner may leave. Then it leaves at once, since nobody listens
		// any more and its state survives that.
		signal.Ignore(syscall.SIGINT, syscall.SIGTERM)
		ctx = context.WithoutCancel(ctx)
		go func() {
			_, _ = io.Copy(io.Discard, p.in)
			os.Exit(exitDone)
		}()
	}
	balance := c.Balance
	if balance == 0 {
		balance = -1 // the simulator's word for an empty account
	}
	retries := c.Retries
	if retries == 0 {
		retries = -1 // its word for never
	}
	s, err := app.NewSimulator(ctx, app.SimulatorConfig{Addr: c.Addr, Dir: c.Dir, Key: c.Key, Seed: c.Seed,
		Speed: c.Speed, Balance: balance, Found: c.Found, Retries: retries})
	if err != nil {
		return err
	}
	fmt.Fprintln(p.out, s.BaseURL())
	if !c.UntilStdinCloses {
		fmt.Fprintf(p.err, "This is a pretended FullEnrich. Try: FULLENRICH_BASE_URL=%s FULLENRICH_API_KEY=%s "+
			"liwanag serve\n", s.BaseURL(), c.Key)
	}
	return s.Run(ctx)
}
