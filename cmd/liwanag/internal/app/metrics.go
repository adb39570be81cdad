package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/telemetry"
	"github.com/liwanag/liwanag/workflow"
)

// Metrics: what is counted in this process counts by itself; this adds what is
// read from others.
func (a *App) buildMetrics(context.Context) error {
	a.metrics.Listeners(a.hints.Listeners)
	for writer, groups := range a.storage.commits {
		a.metrics.Commits(writer, groups.Stats)
		if a.traces.On() {
			groups.Tell(a.traces.Commits(writer))
		}
	}
	a.metrics.Watch(func(ctx context.Context) (telemetry.Figures, error) {
		f, err := a.figures(ctx)
		if err != nil {
			a.log.WarnContext(ctx, "metrics show former figures: the database cannot be asked", "error", err)
		}
		return f, err
	})
	return nil
}

// figures reads how things stand, over all nodes.
func (a *App) figures(ctx context.Context) (f telemetry.Figures, err error) {
	now, ledger := a.cfg.Now().UTC(), a.store.Ledger
	f.CallLimit = a.cfg.Settings.CallsPerMinute
	var spending liwanag.Spending
	for _, read := range []struct {
		what string
		read func() error
	}{
		{"runs", func() (err error) { f.Runs, err = a.runner.counter.Counts(ctx); return err }},
		{"overdue runs", func() (err error) { f.Overdue, err = a.runner.overdue(ctx); return err }},
		{"jobs", func() (err error) { f.Jobs, err = a.store.Jobs.Count(ctx); return err }},
		{"submissions", func() (err error) { f.Submissions, err = a.store.Submissions.Count(ctx); return err }},
		{"deliveries", func() (err error) { f.Deliveries, err = a.store.Deliveries.Waiting(ctx); return err }},
		{"uploads", func() (err error) { f.Uploads, err = a.store.Uploads.Count(ctx); return err }},
		{"credits", func() (err error) { f.Credits, err = ledger.Credits(ctx, liwanag.DayOf(now)); return err }},
		{"budget", func() (err error) { f.Budget, err = a.service.Budget(ctx); return err }},
		{"balance", func() (err error) { f.Balance, err = ledger.Balance(ctx); return err }},
		{"spending", func() (err error) { spending, err = ledger.Spending(ctx); return err }},
		{"calls", func() (err error) { f.Calls, err = ledger.Calls(ctx, liwanag.MinuteOf(now)); return err }},
		{"size", func() (err error) { f.DatabaseBytes, err = a.storage.size(ctx); return err }},
	} {
		if failed := read.read(); failed != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", read.what, failed))
		}
	}
	if spending.Paused && (spending.Until.IsZero() || spending.Until.After(now)) {
		f.Paused = spending.Reason
	}
	return f, err
}

// countsLast is how long counts of runs are used again, so that many who look on
// cost no more than one.
const countsLast = 2 * time.Second

// counter counts runs for the API and for metrics. One reader at a time counts.
type counter struct {
	of workflow.Counter

	mu     sync.Mutex
	latest []workflow.Count
	at     time.Time
}

// Counts counts all runs.
func (c *counter) Counts(ctx context.Context) ([]workflow.Count, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.at.IsZero() && time.Since(c.at) < countsLast {
		return c.latest, nil
	}
	latest, err := c.of.Counts(ctx)
	if err != nil {
		return nil, err
	}
	c.latest, c.at = latest, time.Now()
	return latest, nil
}
