package app

import (
	"context"
	"fmt"
	"time"
)

const (
	retainEvery = time.Hour
	retainGroup = 500 // runs a transaction
)

// retain deletes what is older than LIWANAG_RETENTION, every hour: ended runs, and
// files that were never confirmed. Raw webhooks are the enrichment sweep's.
func (a *App) retain(ctx context.Context) error {
	tick := time.NewTicker(retainEvery)
	defer tick.Stop()
	for {
		if err := a.retainOnce(ctx); err != nil && ctx.Err() == nil {
			a.log.ErrorContext(ctx, "old runs and files were not deleted; the next round repeats it", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
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
