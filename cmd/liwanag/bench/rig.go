package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/bench/shape"
	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

var completed = workflow.Event[shape.Arrival]{Name: shape.Event}

// definition is W1: four steps that do nothing, each outcome durable.
func (r *rig) definition() *workflow.Workflow[struct{}] {
	wf := workflow.New[struct{}](shape.Workflow)
	workflow.Step(wf, shape.First, func(context.Context, struct{}) (shape.Batch, error) {
		r.steps[0].Add(1)
		return shape.Jobs, nil
	})
	workflow.Step(wf, shape.Submit, func(ctx context.Context, _ struct{}) (shape.Submission, error) {
		r.steps[1].Add(1)
		r.submitted.Come(workflow.InfoFrom(ctx).RunID)
		return shape.Submitted, nil
	})
	got := workflow.WaitFor(wf, shape.Wait, completed, shape.Within)
	workflow.Step(wf, shape.Process, func(ctx context.Context, _ struct{}) (int, error) {
		r.steps[2].Add(1)
		return len(got.Output(ctx).Results), nil
	})
	return wf
}

// threeSteps is a workflow without a wait.
func (r *rig) threeSteps() *workflow.Workflow[struct{}] {
	wf := workflow.New[struct{}]("three")
	for i, name := range []string{"one", "two", "three"} {
		workflow.Step(wf, name, func(context.Context, struct{}) (int, error) {
			r.steps[i].Add(1)
			return 1, nil
		})
	}
	return wf
}

// rig is one runner, or several engines over one database, each with a store and
// connections of its own, and one definition; it is their observer, and learns what
// becomes of each run.
type rig struct {
	wf      *workflow.Workflow[struct{}]
	nodes   []node
	turn    atomic.Int64
	steps   [3]atomic.Int64 // how often each was executed
	ends    atomic.Int64
	ctx     context.Context // of the engines
	cancel  context.CancelFunc
	ended   sync.WaitGroup // their Run
	abandon func(error)    // ends the benchmark
	slots   int            // of each engine
	cross   bool           // events go through any node

	submitted, parked, over shape.Moments
}

type node struct {
	runner interface {
		workflow.Runner
		Run(context.Context) error
	}
	store closingStore // nil on Temporal
}

func (s settings) bareRig(ctx context.Context, define func(*rig) *workflow.Workflow[struct{}]) *rig {
	r := &rig{abandon: s.abandon, slots: s.slots, cross: s.cross}
	r.wf = define(r)
	r.ctx, r.cancel = context.WithCancel(ctx)
	return r
}

func (s settings) newRig(ctx context.Context, p place, nodes int, define func(*rig) *workflow.Workflow[struct{}]) (*rig, error) {
	r := s.bareRig(ctx, define)
	for i := range nodes {
		if err := r.open(p, fmt.Sprintf("node-%d", i+1)); err != nil {
			return nil, errors.Join(err, r.Close())
		}
	}
	return r, nil
}

func (r *rig) open(p place, name string) error {
	st, err := p.open(r.ctx)
	if err != nil {
		return err
	}
	e, err := engine.New(engine.Config{Store: st, Name: name, Concurrency: r.slots,
		Definitions: []workflow.Definition{r.wf}, Observers: []workflow.Observer{r}})
	if err != nil {
		return errors.Join(err, st.Close())
	}
	r.join(node{e, st})
	return nil
}

// join has a node run until Close.
func (r *rig) join(n node) {
	r.nodes = append(r.nodes, n)
	r.ended.Go(func() {
		if err := n.runner.Run(r.ctx); err != nil {
			r.RunnerFault("run", err)
		}
	})
}

// RunEnded tells the client that waits for the run; how it ended is what the
// store's counts say, see Check.
func (r *rig) RunEnded(run workflow.RunRef, _ workflow.Status, _ *workflow.Failure, _ time.Duration) {
	r.ends.Add(1)
	r.over.Come(run.ID)
}

// WaitStarted tells the client that waits for the run to be parked.
func (r *rig) WaitStarted(run workflow.RunRef, _ string) { r.parked.Come(run.ID) }

// WaitEnded has nobody to tell.
func (r *rig) WaitEnded(workflow.RunRef, string, string, time.Duration) {}

// RunnerFault ends the benchmark: nothing is wrong with a database that is its
// own, so a figure with faults in it would say nothing.
func (r *rig) RunnerFault(op string, err error) {
	if r.ctx.Err() == nil {
		r.abandon(fmt.Errorf("the engine reports a fault: %s: %w", op, err))
	}
}

// next is the runner whose turn it is.
func (r *rig) next() workflow.Runner { return r.nodes[int(r.turn.Add(1))%len(r.nodes)].runner }

// One starts a run on one node and sends its event as soon as it has reached the
// submit step, through the same node or, with -cross, through whichever is next;
// then it waits for the run's end.
func (r *rig) One(ctx context.Context) error {
	id := shape.NewRunID()
	over := r.over.Of(id)
	if err := r.startAndSend(ctx, id); err != nil {
		return err
	}
	return shape.Await(ctx, over)
}

func (r *rig) startAndSend(ctx context.Context, id string) error {
	submitted := r.submitted.Of(id)
	server := r.next()
	if err := r.wf.Start(ctx, server, id, struct{}{}); err != nil {
		return err
	}
	if err := shape.Await(ctx, submitted); err != nil {
		return err
	}
	if r.cross {
		server = r.next()
	}
	_, err := completed.Send(ctx, server, id, "webhook", shape.Results)
	return err
}

// Check stops the engines and returns an error unless the store knows n completed
// runs and no others, and each of their steps was executed once and each end told
// once, by whichever node.
func (r *rig) Check(ctx context.Context, n int) error {
	r.cancel()
	r.ended.Wait()
	counts, err := r.nodes[0].store.Counts(ctx)
	if err != nil {
		return err
	}
	counts = slices.DeleteFunc(counts, func(c store.Count) bool { return c.Workflow == orphan })
	for _, c := range counts {
		if c.Status != store.Completed || c.Runs != int64(n) {
			err = errors.Join(err, fmt.Errorf("%d runs are %s, instead of %d that are completed", c.Runs, c.Status, n))
		}
	}
	if len(counts) != 1 {
		err = errors.Join(err, fmt.Errorf("the store counts runs of %d kinds", len(counts)))
	}
	if got := r.ends.Load(); got != int64(n) {
		err = errors.Join(err, fmt.Errorf("%d ends of %d runs were told", got, n))
	}
	return errors.Join(err, r.checkSteps(n))
}

func (r *rig) checkSteps(n int) (err error) {
	for i := range r.steps {
		if got := r.steps[i].Load(); got != int64(n) {
			err = errors.Join(err, fmt.Errorf("step %d was executed %d times in %d runs", i+1, got, n))
		}
	}
	return err
}

// Close stops the engines and closes their stores.
func (r *rig) Close() (err error) {
	r.cancel()
	r.ended.Wait()
	for _, n := range r.nodes {
		if n.store != nil {
			err = errors.Join(err, n.store.Close())
		}
	}
	return err
}
