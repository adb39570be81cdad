package app

import (
	"context"
	"fmt"
	"time"

	"github.com/liwanag/liwanag/engine/cron"
	"github.com/liwanag/liwanag/engine/schedule"
	"github.com/liwanag/liwanag/workflow"
)

// buildSchedule: the batch that sweeps pending jobs which no run holds, the end of what is
// old, and backups. The ledger stands in the database, whatever runs the workflows.
func (a *App) buildSchedule(context.Context) (err error) {
	s := &a.cfg.Settings
	var all []schedule.Schedule
	for _, one := range []struct {
		name, expression string
		do               func(ctx context.Context, at time.Time) error
	}{
		{"scheduled-batch", s.Schedule, func(ctx context.Context, _ time.Time) error {
			_, err := a.service.RunScheduledBatch(ctx, false)
			return err
		}},
		{"retention", "@hourly", func(ctx context.Context, _ time.Time) error {
			_, err := a.prune(ctx)
			return err
		}},
		{"backup", s.BackupSchedule, a.scheduledBackup},
	} {
		if one.expression == "" { // no backups
			continue
		}
		timed, err := timed(one.name, one.expression, one.do)
		if err != nil {
			return &UsageError{err}
		}
		all = append(all, timed)
	}
	a.times, err = schedule.New(schedule.Config{Runner: a.runner, Ledger: a.runner.ledger, Schedules: all, Now: a.cfg.Now,
		Remember: 2 * s.Retention, Fault: func(err error) { a.log.Error("a scheduled run failed; it is tried again", "error", err) }})
	return err
}

// timed is a schedule of something that is no run: it is done once over all nodes, the latest of
// the times that were missed too, and again after a failure.
func timed(name, expression string, do func(ctx context.Context, at time.Time) error) (schedule.Schedule, error) {
	times, err := cron.Parse(expression)
	if err != nil {
		return schedule.Schedule{}, fmt.Errorf("schedule %s: %w", name, err)
	}
	return schedule.Schedule{Name: name, Next: times.Next, Overlap: schedule.Beside,
		Start: func(ctx context.Context, _ workflow.Runner, f schedule.Firing) error { return do(ctx, f.At) }}, nil
}
