package app

import (
	"context"
	"fmt"
	"time"

	"github.com/liwanag/liwanag/internal/schedule"
)

// retainGroup is how many runs are deleted in a transaction.
const retainGroup = 500

// retention deletes what is older than LIWANAG_RETENTION, every hour and on one
// node for all: ended runs, and files that were never confirmed. Raw webhooks are
// the enrichment sweep's.
func (a *App) retention() schedule.Entry {
	return schedule.Entry{Name: "retention", Spec: "@hourly", Run: func(ctx context.Context, _ time.Time) error { return a.retainOnce(ctx) }}
}

func (a *App) retainOnce(ctx context.Context) error {
	before := a.cfg.Now().UTC().Add(-a.cfg.Settings.Retention)
	for a.runner.prune != nil {
		deleted, err := a.runner.prune(ctx, before, retainGroup)
		if err != nil {
			return fmt.Errorf("ended runs: %w", err)
		}
		if deleted < retainGroup {
			break
		}
	}
	if err := a.uploads.Retain(ctx, before); err != nil {
		return fmt.Errorf("files of uploads: %w", err)
	}
	return nil
}
