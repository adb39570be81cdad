package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/bench/peers"
	"github.com/liwanag/liwanag/engine/store"
)

// contender is what runs W1.
type contender struct {
	name string
	slow bool // a tenth of the runs are enough to tell
	open func(ctx context.Context, name string) (peers.Runner, error)
}

// contenders are this engine, and beside it the rows that its store writes for W1
// without it, or several nodes, or the peers.
func (s settings) contenders() []contender {
	engine := func(nodes int) func(context.Context, string) (peers.Runner, error) {
		return func(ctx context.Context, name string) (peers.Runner, error) {
			p, err := s.place(ctx, name)
			if err != nil {
				return nil, err
			}
			return s.newRig(ctx, p, nodes, (*rig).definition)
		}
	}
	all := []contender{{name: "liwanag", open: engine(1)}}
	if s.nodes > 1 {
		all = append(all, contender{name: fmt.Sprintf("liwanag, %d nodes", s.nodes), open: engine(s.nodes)})
	}
	if s.peers {
		for _, peer := range peers.PostgreSQL() {
			all = append(all, contender{peer.Name, true, func(ctx context.Context, name string) (peers.Runner, error) {
				url, err := s.cluster.create(ctx, name)
				if err != nil {
					return nil, err
				}
				return peer.Open(ctx, url)
			}})
		}
	}
	if s.orphans > 0 {
		return append(all, contender{name: fmt.Sprintf("among %d orphans", s.orphans), open: s.amongOrphans})
	}
	if s.nodes == 1 && !s.peers {
		all = append(all, contender{name: "the store's rows alone", open: s.openRows})
	}
	return all
}

// w1 is a closed loop of runs, for each contender and number of clients.
func w1(ctx context.Context, s settings) error {
	n := cmp.Or(s.n, 20_000)
	stopProfile, err := s.profile()
	if err != nil {
		return err
	}
	defer stopProfile()
	fmt.Printf("W1 on %s, about %d runs a row\n", s.store, n)
	fmt.Printf("%-26s %8s %10s %12s %12s %8s\n", "", "clients", "runs/s", "CPU µs/run", "and server's", "ratio")
	all := s.contenders()
	best := make([]rate, len(all))
	for i, conc := range s.concs() {
		var first rate
		for j, c := range all {
			got, err := s.measure(ctx, c, fmt.Sprintf("w1_%d_%d", i, j), n, conc)
			if err != nil {
				return fmt.Errorf("%s, %d clients: %w", c.name, conc, err)
			}
			if j == 0 {
				first = got
			}
			if got.perSecond > best[j].perSecond {
				best[j] = got
			}
			fmt.Printf("%-26s %8d %10.0f %12.0f %12.0f %8.2f\n", c.name, conc, got.perSecond, got.cpu, got.server, first.perSecond/got.perSecond)
		}
	}
	for j, c := range all[1:] {
		fmt.Printf("best of each: liwanag %.0f, %s %.0f runs/s: %.2f times as many\n", best[0].perSecond, c.name,
			best[j+1].perSecond, best[0].perSecond/best[j+1].perSecond)
	}
	return nil
}

// measure runs a contender in a database of its own: conc runs to warm up, then
// those that count. An outcome counts only when the contender's records agree.
func (s settings) measure(ctx context.Context, c contender, name string, n, conc int) (got rate, err error) {
	r, err := c.open(ctx, name)
	if err != nil {
		return rate{}, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if c.slow {
		n = max(n/10, 4*conc)
	}
	one := func() error { return r.One(ctx) }
	if _, err := loop(conc, conc, one); err != nil {
		return rate{}, err
	}
	if got, err = s.rateOf(n, conc, one); err != nil {
		return rate{}, err
	}
	return got, r.Check(ctx, conc+n)
}

// amongOrphans is one engine, and due runs of both classes that it does not hold.
func (s settings) amongOrphans(ctx context.Context, name string) (peers.Runner, error) {
	p, err := s.place(ctx, name)
	if err != nil {
		return nil, err
	}
	r, err := s.newRig(ctx, p, 1, (*rig).definition)
	if err != nil {
		return nil, err
	}
	var made atomic.Int64
	_, err = loop(s.orphans, 256, func() error {
		n, now := made.Add(1), time.Now()
		run := store.Run{ID: fmt.Sprintf("orphan-%d", n), Workflow: orphan, Version: 1, Status: store.Open, Seq: 1, CreatedAt: now}
		if run.Park.Until = now; n%2 == 0 {
			run.StartedAt = now
		}
		return r.nodes[0].store.Create(ctx, run)
	})
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// orphan is the workflow of runs that nobody holds.
const orphan = "orphan"
