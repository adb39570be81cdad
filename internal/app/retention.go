package app

import (
	"context"
	"fmt"
	"time"

	"github.com/liwanag/liwanag/internal/liwanag"
)

const (
	retainEvery   = time.Hour
	retainGroup   = 500                 // runs a transaction
	keepSettled   = 90 * 24 * time.Hour // rows without bodies: FullEnrich keeps results that long, so a repeat may come
	keepUnmatched = 1000
)

// retain deletes what is older than LIWANAG_RETENTION, every hour: ended runs,
// raw webhooks that were never applied, and files that were never confirmed.
func (a *App) retain(ctx context.Context) error {
	tick := time.NewTicker(retainEvery)
	defer tick.Stop()
	for {
		if err := a.retainOnce(ctx); err != nil && ctx.Err() == nil {
			a.log.ErrorContext(ctx, "old runs and webhooks were not deleted; the next round repeats it", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (a *App) retainOnce(ctx context.Context) error {
	now := a.cfg.Now().UTC()
	before := now.Add(-a.cfg.Settings.Retention)
	for {
		deleted, err := a.engine.Prune(ctx, before, retainGroup)
		if err != nil {
			return fmt.Errorf("ended runs: %w", err)
		}
		if deleted < retainGroup {
			break
		}
	}
	err := a.store.Write(ctx, func(tx liwanag.Tx) error {
		return tx.Deliveries().Prune(before, now.Add(-keepSettled), keepUnmatched)
	})
	if err != nil {
		return fmt.Errorf("raw webhooks: %w", err)
	}
	if err := a.uploads.Retain(ctx, before); err != nil {
		return fmt.Errorf("files of uploads: %w", err)
	}
	return nil
}
