package app

import (
	"context"
	"fmt"
	"time"

	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/internal/config"
	"github.com/liwanag/liwanag/internal/telemetry"
	"github.com/liwanag/liwanag/temporalrunner"
	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// runner runs the workflows of a server: the embedded engine, or a Temporal
// cluster.
type runner struct {
	workflow.Runner
	where string // for people
	run   func(ctx context.Context) error
	ready func(ctx context.Context) error // why this process cannot run workflows now
	// prune deletes up to n runs that ended before the given time; nil: it is done
	// elsewhere, as by a Temporal namespace's retention.
	prune   func(ctx context.Context, endedBefore time.Time, n int) (int, error)
	counter *counter
	overdue func(ctx context.Context) (int64, error) // as engine.Overdue; 0 where nobody can tell
	close   func() error                             // after run has returned
}

// openRunner opens what LIWANAG_ENGINE names.
func (a *App) openRunner(ctx context.Context, definitions ...workflow.Definition) (*runner, error) {
	observers := []workflow.Observer{telemetry.Logs{Log: a.log}, a.metrics, a.hints}
	if a.cfg.Settings.Engine == config.EngineTemporal {
		return a.openTemporal(ctx, definitions, observers)
	}
	return a.openEngine(ctx, definitions, observers)
}

func (a *App) openEngine(ctx context.Context, definitions []workflow.Definition, observers []workflow.Observer) (*runner, error) {
	runs, err := a.storage.runs(ctx)
	if err != nil {
		return nil, err
	}
	s := &a.cfg.Settings
	e, err := engine.New(engine.Config{
		Store: runs, Definitions: definitions, Concurrency: s.Concurrency, Lease: s.Lease, StopTimeout: s.StopTimeout,
		Observers: observers, Now: a.cfg.Now,
	})
	if err != nil {
		return nil, err
	}
	overdue := func(ctx context.Context) (int64, error) {
		n, _, err := e.Overdue(ctx)
		return n, err
	}
	return &runner{Runner: e, where: "embedded", run: e.Run, ready: e.Ready, prune: e.Prune, counter: &counter{of: e}, overdue: overdue, close: runs.Close}, nil
}

// countsOf is how the API shows what a runner counts.
func countsOf(c workflow.Counter) func(context.Context) ([]runapi.RunCount, error) {
	return func(ctx context.Context) ([]runapi.RunCount, error) {
		found, err := c.Counts(ctx)
		counts := make([]runapi.RunCount, len(found))
		for i, n := range found {
			counts[i] = runapi.RunCount{Workflow: n.Workflow, Version: n.Version, Status: string(n.Status), Step: n.Step, Runs: n.Runs}
		}
		return counts, err
	}
}

func (a *App) openTemporal(ctx context.Context, definitions []workflow.Definition, observers []workflow.Observer) (*runner, error) {
	s := &a.cfg.Settings
	client, err := temporalrunner.Dial(ctx, temporalrunner.DialConfig{Address: s.TemporalAddress, Namespace: s.TemporalNamespace, Log: a.log})
	if err != nil {
		return nil, err
	}
	r, err := temporalrunner.New(temporalrunner.Config{
		Client: client, Definitions: definitions, TaskQueue: s.TemporalTaskQueue, Concurrency: s.Concurrency, Lease: s.Lease,
		StopTimeout: s.StopTimeout, Observers: observers,
	})
	if err != nil {
		client.Close()
		return nil, err
	}
	ready := func(ctx context.Context) error {
		if _, err := client.CheckHealth(ctx, nil); err != nil {
			return fmt.Errorf("the Temporal server does not answer: %w", err)
		}
		return nil
	}
	return &runner{Runner: r, where: "Temporal", run: r.Run, ready: ready, counter: &counter{of: r},
		overdue: func(context.Context) (int64, error) { return 0, nil }, close: func() error { client.Close(); return nil }}, nil
}
