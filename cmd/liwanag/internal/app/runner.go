package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/config"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/telemetry"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/why"
	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/schedule"
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
	// notices are what people should know although it can; nil: nothing.
	notices func() []string
	// prune deletes up to n runs that ended before the given time; nil: it is done
	// elsewhere, as by a Temporal namespace's retention.
	prune   func(ctx context.Context, endedBefore time.Time, n int) (int, error)
	counter *counter
	overdue func(ctx context.Context) (int64, error) // as engine.Overdue; 0 where nobody can tell
	// standing and ahead are the engine's own; nil where nobody can tell.
	standing func(ctx context.Context, runID string) (why.Standing, error)
	ahead    func() time.Duration
	ledger   schedule.Ledger // of schedules
	close    func() error    // after run has returned
}

// openRunner opens what LIWANAG_ENGINE names.
func (a *App) openRunner(ctx context.Context, definitions ...workflow.Definition) (*runner, error) {
	observers := append([]workflow.Observer{telemetry.Logs{Log: a.log}, a.metrics, a.hints, a.attempts}, a.traces.Observers()...)
	if a.cfg.Settings.Engine == config.EngineTemporal {
		return a.openTemporal(ctx, definitions, observers)
	}
	return a.openEngine(ctx, definitions, observers)
}

func (a *App) openEngine(ctx context.Context, definitions []workflow.Definition,
	observers []workflow.Observer) (*runner, error) {
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
	return &runner{Runner: e, where: "embedded", run: e.Run, ready: e.Ready,
		notices: func() []string { return leftAlone(e) }, prune: e.Prune, counter: &counter{of: e}, overdue: overdue,
		standing: standingOf(e),
		ahead:    e.Ahead, ledger: runs.Ledger(), close: runs.Close}, nil
}

// leftAlone says how many runs have no definition, of each workflow and version; which
// and why, the log and the runs say.
func leftAlone(e *engine.Engine) (notices []string) {
	runs := map[string]int{}
	for _, m := range e.Misfits() {
		runs[fmt.Sprintf("%s version %d", m.Workflow, m.Version)]++
	}
	for _, of := range slices.Sorted(maps.Keys(runs)) {
		notices = append(notices, fmt.Sprintf("%d runs of %s have no definition: they were begun by another "+
			"one of this version, and stay as they are", runs[of], of))
	}
	return notices
}

// countsOf is how the API shows what a runner counts.
func countsOf(c workflow.Counter) func(context.Context) ([]runapi.RunCount, error) {
	return func(ctx context.Context) ([]runapi.RunCount, error) {
		found, err := c.Counts(ctx)
		counts := make([]runapi.RunCount, len(found))
		for i, n := range found {
			counts[i] = runapi.RunCount{Workflow: n.Workflow, Version: n.Version, Status: string(n.Status), Step: n.Step,
				Runs: n.Runs}
		}
		return counts, err
	}
}

func (a *App) openTemporal(ctx context.Context, definitions []workflow.Definition,
	observers []workflow.Observer) (*runner, error) {
	s := &a.cfg.Settings
	client, err := temporalrunner.Dial(ctx, temporalrunner.DialConfig{Address: s.TemporalAddress,
		Namespace: s.TemporalNamespace, Log: a.log})
	if err != nil {
		return nil, err
	}
	r, err := temporalrunner.New(temporalrunner.Config{
		Client: client, Definitions: definitions, TaskQueue: s.TemporalTaskQueue, Concurrency: s.Concurrency,
		Lease:       s.Lease,
		StopTimeout: s.StopTimeout, Observers: observers,
	})
	if err != nil {
		client.Close()
		return nil, err
	}
	kept, err := a.storage.runs(ctx) // for the schedules
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
		overdue: func(context.Context) (int64, error) { return 0, nil },
		ledger:  kept.Ledger(),
		close:   func() error { client.Close(); return kept.Close() }}, nil
}
