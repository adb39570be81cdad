package app

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/graceful"
	"github.com/liwanag/liwanag/fullenrich/simulator"
)

// SimulatorConfig configures a Simulator. Only Addr has no default.
type SimulatorConfig struct {
	Addr    string  // HOST:PORT; port 0 takes a free one
	Dir     string  // keeps the state; empty: in memory
	Key     string  // the API key; default simulator.DefaultKey
	Seed    int64   // decides people, outcomes and durations
	Speed   float64 // divides every duration; default 1
	Balance float64 // credits; default 100,000
	Found   float64 // share of unmarked addresses that belong to somebody; default 0.6
	Retries int     // how often a webhook that was not taken is repeated; default 5, negative for never
}

// Simulator is a pretended FullEnrich, as a server of its own.
type Simulator struct {
	server   *simulator.Server
	listener net.Listener
}

// NewSimulator opens the simulator's address and state.
func NewSimulator(ctx context.Context, c SimulatorConfig) (*Simulator, error) {
	cfg := simulator.Config{Dir: c.Dir, Seed: c.Seed, Speed: c.Speed, Balance: c.Balance, FoundShare: c.Found, Retries: c.Retries}
	if c.Key != "" {
		cfg.Keys = []string{c.Key}
	}
	if err := cfg.Validate(); err != nil {
		return nil, &UsageError{err}
	}
	l, err := listen(ctx, "the simulator", c.Addr, "--addr 127.0.0.1:0 takes a free port")
	if err != nil {
		return nil, err
	}
	server, err := simulator.New(cfg)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &Simulator{server: server, listener: l}, nil
}

// BaseURL is what FULLENRICH_BASE_URL is set to.
func (s *Simulator) BaseURL() string { return "http://" + s.listener.Addr().String() + "/api/v2" }

// Run serves until ctx ends, then closes the simulator. Requests that are still
// under way after a second are cut off.
func (s *Simulator) Run(ctx context.Context) error {
	closed := make(chan error, 1)
	context.AfterFunc(ctx, func() { closed <- s.server.Close() }) // ends hanging answers too
	if err := graceful.Serve(ctx, newHTTPServer(s.server), s.listener, time.Second); ctx.Err() == nil {
		return errors.Join(err, s.server.Close())
	}
	return <-closed
}
