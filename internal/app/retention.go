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
// node for all: ended runs, files that were never confirmed, and what sources
// received. FullEnrich's raw webhooks are the enrichment sweep's.
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
	if err := a.sources.Retain(ctx); err != nil {
		return fmt.Errorf("deliveries of sources: %w", err)
	}
	return nil
}
