package temporalrunner

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"
	sdk "go.temporal.io/sdk/workflow"

	"github.com/liwanag/liwanag/workflow"
)

// registry is where a definition registers: a worker, or a test environment.
type registry interface {
	RegisterWorkflowWithOptions(w any, options sdk.RegisterOptions)
	RegisterActivityWithOptions(a any, options activity.RegisterOptions)
}

// Run executes runs until ctx ends; then no new step begins, and running ones may
// end, for at most StopTimeout. It returns nil, or an error when the server
// refuses the workers, or Strict the definitions. One Run at a time: another is an error.
func (r *Runner) Run(ctx context.Context) error {
	if r.running.Swap(true) {
		return errors.New("temporalrunner: Run is under way already: one Run at a time")
	}
	defer r.running.Store(false)
	if r.cfg.Strict {
		if err := r.compared(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
	failed := make(chan error, len(r.order))
	var workers []worker.Worker
	stop := func() {
		var stopping sync.WaitGroup
		for _, w := range workers {
			stopping.Go(w.Stop)
		}
		stopping.Wait()
	}
	for _, p := range r.order {
		w := worker.New(r.client, r.queueOf(p), worker.Options{
			MaxConcurrentActivityExecutionSize: r.cfg.Concurrency,
			WorkerStopTimeout:                  r.cfg.StopTimeout,
			MaxHeartbeatThrottleInterval:       r.cfg.Lease / 3,
			OnFatalError:                       func(err error) { failed <- err },
		})
		for _, body := range withBodies([]*workflow.Plan{p}) {
			d := &definition{plan: body, tell: r.tell, index: r.index, around: r.cfg.Around, lease: r.cfg.Lease, runner: r}
			d.mark = func(ctx context.Context, token []byte) error {
				return r.client.RecordActivityHeartbeat(ctx, token, alive)
			}
			d.register(w)
		}
		if err := w.Start(); err != nil {
			stop()
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("temporalrunner: the worker of %s cannot start: %w", typeOf(p.Name, p.Version), err)
		}
		workers = append(workers, w)
	}
	defer stop()
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return fmt.Errorf("temporalrunner: the Temporal server refuses the worker: %w", err)
	}
}

// register makes a definition known: its workflow type, and an activity for each
// step, handler and look, with the step's name.
func (d *definition) register(to registry) {
	p := d.plan
	to.RegisterWorkflowWithOptions(d.execute, sdk.RegisterOptions{Name: typeOfPlan(p)})
	for _, n := range append(p.Nodes[:len(p.Nodes):len(p.Nodes)], p.Handlers()...) {
		if n.Sub == nil && (n.Kind == workflow.KindStep || n.Kind == workflow.KindHandler || n.Reconciles) {
			to.RegisterActivityWithOptions(d.activity(n), activity.RegisterOptions{Name: activityOf(n)})
		}
	}
	d.registerSubs(to)
}

// mustHaveBegun panics when another definition began the run: the SDK fails the workflow
// task then, and leaves the run as it is. The server tries again, and the run goes on
// when a worker holds that definition.
func (d *definition) mustHaveBegun(s start) {
	if s.Shape == nil {
		return
	}
	why := anotherBegan(d.plan, *s.Shape)
	if why == "" {
		return
	}
	if _, before := d.told.LoadOrStore(why, true); !before {
		d.tell.RunnerFault("definition",
			fmt.Errorf("runs are left alone, a first one since %s. They go on when it is held again; give a change a new version", why))
	}
	panic("temporalrunner: the run is left alone: " + why)
}

// definition is a plan as a worker executes it.
type definition struct {
	plan   *workflow.Plan
	tell   workflow.Observers
	lease  time.Duration
	index  *index
	around []workflow.Around
	runner *Runner  // nil: there is no server
	told   sync.Map // differences to definitions that began runs
	// mark writes with the server that an attempt begins.
	mark func(ctx context.Context, taskToken []byte) error
}
