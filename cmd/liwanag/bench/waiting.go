package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/bench/shape"
)

// waiting is W3 and W4: it parks runs, lets a process of its own hold them, and
// measures that process; then kills it and measures its successor.
func waiting(ctx context.Context, s settings) error {
	n := cmp.Or(s.n, 100_000)
	p, err := s.place(ctx, "waiting")
	if err != nil {
		return err
	}
	ids, empty, err := s.park(ctx, p, n)
	if err != nil {
		return err
	}
	full, err := p.size(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%d runs parked: %d bytes on disk a run\n", n, (full-empty)/int64(n))
	holder, err := hold(ctx, p)
	if err != nil {
		return err
	}
	defer holder.kill()
	before := holder.cpu()
	const idle = 10 * time.Second
	time.Sleep(idle)
	used := holder.cpu() - before
	fmt.Printf("idle: resident %d MB, processor %.2f %% of a core over %s\n", holder.rss()>>20, 100*used.Seconds()/idle.Seconds(), idle)
	wakes := min(n/4, 1000)
	if err := holder.wake(ids[:wakes], n); err != nil {
		return err
	}
	holder.kill()
	begun := time.Now()
	next, err := hold(ctx, p)
	if err != nil {
		return err
	}
	defer next.kill()
	serving := time.Since(begun)
	if _, err := next.resume(ids[wakes]); err != nil {
		return err
	}
	fmt.Printf("after SIGKILL: serving in %s (of it %s in the process), first event resumed after %s, resident %d MB\n",
		serving.Round(time.Millisecond), next.opened, time.Since(begun).Round(time.Millisecond), next.rss()>>20)
	return next.wake(ids[wakes+1:2*wakes], n)
}

// wake resumes runs one at a time and prints how long that took.
func (h *holder) wake(ids []string, waiting int) error {
	var all []time.Duration
	for _, id := range ids {
		took, err := h.resume(id)
		if err != nil {
			return err
		}
		all = append(all, took)
	}
	fmt.Printf("event to durable completion with %d waiting, %d one at a time: first %s  p50 %s  p99 %s\n",
		waiting, len(all), all[0].Round(10*time.Microsecond), quantile(all, 0.5), quantile(all, 0.99))
	return nil
}

// park fills the database with n runs that wait, and returns their ids and how
// many bytes it was on disk without them.
func (s settings) park(ctx context.Context, p place, n int) (ids []string, empty int64, err error) {
	r, err := s.newRig(ctx, p, 1, (*rig).definition)
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if empty, err = p.size(ctx); err != nil {
		return nil, 0, err
	}
	ids = make([]string, n)
	next := make(chan int, n)
	for i := range n {
		ids[i] = shape.NewRunID()
		next <- i
	}
	_, err = loop(n, 256, func() error {
		id := ids[<-next]
		parked := r.parked.Of(id)
		if err := r.wf.Start(ctx, r.next(), id, struct{}{}); err != nil {
			return err
		}
		return shape.Await(ctx, parked)
	})
	return ids, empty, err
}

// growth compares the cost of a run with few and with many runs in the table.
func growth(ctx context.Context, s settings) (err error) {
	n := cmp.Or(s.n, 100_000)
	p, err := s.place(ctx, "growth")
	if err != nil {
		return err
	}
	r, err := s.newRig(ctx, p, s.nodes, (*rig).definition)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	fmt.Printf("%12s %12s %14s %14s\n", "runs before", "runs/s", "CPU µs/run", "and server's")
	const slice = 5000
	one := func() error { return r.One(ctx) }
	done := 0
	for done <= n {
		got, err := s.rateOf(slice, 256, one)
		if err != nil {
			return err
		}
		fmt.Printf("%12d %12.0f %14.0f %14.0f\n", done, got.perSecond, got.cpu, got.server)
		done += slice
		if done == n+slice {
			break
		}
		fill := max(min(n/4, n-done), 0)
		if _, err := loop(fill, 256, one); err != nil {
			return err
		}
		done += fill
	}
	return r.Check(ctx, done)
}
