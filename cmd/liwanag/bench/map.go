package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/bench/shape"
	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

// item is what a step of an item returns: 40 bytes.
type item struct {
	N    int    `json:"n"`
	Text string `json:"text"`
}

// maps is W5: a run over n items of one step each, with 8 and 256 of them at once, and
// beside it as many runs of one step on their own.
func maps(ctx context.Context, s settings) error {
	n := cmp.Or(s.n, 10_000)
	fmt.Printf("W5 on %s, %d items of one step\n", s.store, n)
	fmt.Printf("%-26s %10s %12s %12s %14s %12s\n", "", "items/s", "CPU µs/item", "and server's", "commits/item", "bytes/item")
	limits := []int{8, 256}
	if s.conc > 0 {
		limits = []int{s.conc}
	}
	for _, k := range limits {
		if err := s.mapOf(ctx, n, k); err != nil {
			return err
		}
	}
	return s.onTheirOwn(ctx, n)
}

// mapOf measures a map over n items, k of them at once.
func (s settings) mapOf(ctx context.Context, n, k int) error {
	var sum atomic.Int64
	define := func(r *rig) *workflow.Workflow[struct{}] {
		wf := workflow.New[struct{}]("map")
		each := workflow.Map(wf, "each", workflow.EachOf(workflow.Input(wf), func(struct{}) []int { return numbers(n) }),
			func(b *workflow.Workflow[int]) *workflow.Result[item] {
				return workflow.Step(b, "one", func(_ context.Context, i int) (item, error) {
					r.steps[0].Add(1)
					return item{i, "twenty-four characters ."}, nil
				})
			}, workflow.AtMost(k))
		workflow.Do(wf, "sum", func(ctx context.Context, _ struct{}) error {
			for it, err := range each.All(ctx) {
				if err != nil {
					return err
				}
				sum.Add(int64(it.Output.N))
			}
			return nil
		})
		return wf
	}
	return s.measured(ctx, fmt.Sprintf("map, %d at once", k), n, define, func(r *rig) error {
		id := shape.NewRunID()
		over := r.over.Of(id)
		if err := r.wf.Start(ctx, r.next(), id, struct{}{}); err != nil {
			return err
		}
		if err := shape.Await(ctx, over); err != nil {
			return err
		}
		if want := int64(n) * int64(n-1) / 2; sum.Load() != want || r.steps[0].Load() != int64(n) {
			return fmt.Errorf("the sum is %d instead of %d, and %d steps were executed", sum.Load(), want, r.steps[0].Load())
		}
		return nil
	})
}

// onTheirOwn measures n runs of one step, started by 256 clients.
func (s settings) onTheirOwn(ctx context.Context, n int) error {
	define := func(r *rig) *workflow.Workflow[struct{}] {
		wf := workflow.New[struct{}]("alone")
		workflow.Step(wf, "one", func(context.Context, struct{}) (item, error) {
			return item{int(r.steps[0].Add(1)), "twenty-four characters ."}, nil
		})
		return wf
	}
	return s.measured(ctx, "runs on their own", n, define, func(r *rig) error {
		_, err := loop(n, 256, func() error {
			id := shape.NewRunID()
			over := r.over.Of(id)
			if err := r.wf.Start(ctx, r.next(), id, struct{}{}); err != nil {
				return err
			}
			return shape.Await(ctx, over)
		})
		return err
	})
}

// measured runs something of n items once, in a database of its own.
func (s settings) measured(ctx context.Context, what string, n int, define func(*rig) *workflow.Workflow[struct{}],
	do func(*rig) error) (err error) {
	p, err := s.place(ctx, fmt.Sprintf("maps_%d", time.Now().UnixNano()))
	if err != nil {
		return err
	}
	r := s.bareRig(ctx, define)
	defer func() { err = errors.Join(err, r.Close()) }()
	st, err := p.open(ctx)
	if err != nil {
		return err
	}
	counted := &counting{closingStore: st}
	e, err := engine.New(engine.Config{Store: counted, Name: "node-1", Concurrency: r.slots,
		Definitions: []workflow.Definition{r.wf}, Observers: []workflow.Observer{r}})
	if err != nil {
		return errors.Join(err, st.Close())
	}
	r.join(node{e, counted})
	empty, err := p.size(ctx)
	if err != nil {
		return err
	}
	cpu, server, begun := cpuTime(), s.cluster.cpu(), time.Now()
	if err := do(r); err != nil {
		return err
	}
	took := time.Since(begun)
	per := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(n) }
	used, servers := per(cpuTime()-cpu), per(s.cluster.cpu()-server)
	r.cancel()
	r.ended.Wait()
	full, err := p.size(ctx)
	fmt.Printf("%-26s %10.0f %12.0f %12.0f %14.3f %12d\n", what, float64(n)/took.Seconds(), used, servers,
		float64(counted.commits.Load())/float64(n), (full-empty)/int64(n))
	return err
}

// numbers are those below n.
func numbers(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// counting counts what writes to a store: creations and commits.
type counting struct {
	closingStore
	commits atomic.Int64
}

func (c *counting) Create(ctx context.Context, r store.Run) error {
	c.commits.Add(1)
	return c.closingStore.Create(ctx, r)
}

func (c *counting) Commit(ctx context.Context, l store.Lease, p store.Progress) (store.News, error) {
	c.commits.Add(1)
	return c.closingStore.Commit(ctx, l, p)
}
