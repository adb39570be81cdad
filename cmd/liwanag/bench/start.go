package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/store/postgres"
	"github.com/liwanag/liwanag/workflow"
)

// pairs is how often the two rates are measured, in turns.
const pairs = 10

// shop is a program with orders, beside whose rows runs are started.
type shop struct {
	pool  *pgxpool.Pool
	st    *postgres.Store
	wf    *workflow.Workflow[string]
	n     atomic.Int64
	begun sync.Map // by run: where it says that it begins
}

// starts measures a start in the transaction that inserts an order: its rate beside that of the
// order's row alone, and how soon the run begins after the commit.
func starts(ctx context.Context, s settings) (err error) {
	if s.cluster == nil {
		return errors.New("start: a transaction of the program is PostgreSQL's\n  Try: bench start -store postgres")
	}
	sh, err := openShop(ctx, s)
	if err != nil {
		return err
	}
	defer sh.pool.Close()
	defer func() { err = errors.Join(err, sh.st.Close()) }()
	n, conc := cmp.Or(s.n, 4000), cmp.Or(s.conc, 16)
	var ratios []float64
	for range pairs {
		alone, err := loop(n, conc, func() error { return sh.order(ctx, false, nil) })
		if err != nil {
			return err
		}
		with, err := loop(n, conc, func() error { return sh.order(ctx, true, nil) })
		if err != nil {
			return err
		}
		ratios = append(ratios, alone.Seconds()/with.Seconds())
		fmt.Printf("order %6.0f/s   order and start %6.0f/s   %.2f\n", float64(n)/alone.Seconds(), float64(n)/with.Seconds(),
			ratios[len(ratios)-1])
	}
	slices.Sort(ratios)
	fmt.Printf("median of %d pairs %.2f, from %.2f to %.2f\n", pairs, (ratios[pairs/2-1]+ratios[pairs/2])/2, ratios[0], ratios[pairs-1])
	return sh.latencies(ctx)
}

func openShop(ctx context.Context, s settings) (*shop, error) {
	url, err := s.cluster.create(ctx, "starts")
	if err != nil {
		return nil, err
	}
	sh := &shop{}
	if sh.st, err = postgres.Open(ctx, url); err != nil {
		return nil, err
	}
	if sh.pool, err = pgxpool.New(ctx, url+"&pool_max_conns=16"); err != nil {
		return nil, errors.Join(err, sh.st.Close())
	}
	_, err = sh.pool.Exec(ctx, "CREATE TABLE orders (id text PRIMARY KEY, customer text NOT NULL, euros bigint NOT NULL)")
	sh.wf = workflow.New[string]("ship-order")
	workflow.Do(sh.wf, "begin", func(ctx context.Context, _ string) error {
		if begun, ok := sh.begun.LoadAndDelete(workflow.InfoFrom(ctx).RunID); ok {
			begun.(chan time.Time) <- time.Now()
		}
		return nil
	})
	return sh, err
}

// order inserts an order in a transaction, and starts its run if that is wanted. Who hands a channel in
// is told when the run begins.
func (sh *shop) order(ctx context.Context, start bool, begun chan time.Time) error {
	id := fmt.Sprintf("order-%d", sh.n.Add(1))
	if begun != nil {
		sh.begun.Store(id, begun)
	}
	return pgx.BeginFunc(ctx, sh.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "INSERT INTO orders VALUES ($1, $2, $3)", id, "ada@shop.example", 42); err != nil || !start {
			return err
		}
		return sh.wf.Start(ctx, sh.st.In(tx), id, "ada@shop.example")
	})
}

// latencies measures from the commit to the first step of the run, one order at a time.
func (sh *shop) latencies(ctx context.Context) error {
	if _, err := sh.pool.Exec(ctx, "TRUNCATE wf_post, orders"); err != nil {
		return err
	}
	eng, err := engine.New(engine.Config{Store: sh.st, Definitions: []workflow.Definition{sh.wf}})
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- eng.Run(running) }()
	for _, c := range []struct {
		what   string
		n      int
		posted bool
	}{{"with Posted", 500, true}, {"without", 60, false}} {
		var all []time.Duration
		for range c.n {
			begun := make(chan time.Time, 1)
			if err = sh.order(ctx, true, begun); err != nil {
				break
			}
			committed := time.Now()
			if c.posted {
				sh.st.Posted()
			}
			all = append(all, (<-begun).Sub(committed))
		}
		if err == nil {
			fmt.Printf("commit to begun, %-12s p50 %s, p99 %s of %d\n", c.what, quantile(all, 0.5).Round(time.Millisecond/10),
				quantile(all, 0.99).Round(time.Millisecond/10), c.n)
		}
	}
	stop()
	return errors.Join(err, <-ended)
}
