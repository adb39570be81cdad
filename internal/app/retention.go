package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/liwanag/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/internal/schedule"
)

// retainGroup is how many runs are deleted in a transaction.
const retainGroup = 500

// messageRounds is how often messages that ended are deleted, up to 1,000 each time:
// more than an hour brings.
const messageRounds = 100

// auditKept is how long the audit trail goes back: over a year, whatever
// LIWANAG_RETENTION says, since it holds ids and no personal data.
const auditKept = 400 * 24 * time.Hour

// retention deletes what is older than LIWANAG_RETENTION, every hour and on one
// node for all: ended runs, files that were never confirmed, and what sources
// received, and webhooks out; sessions that are over and old acts too. FullEnrich's
// raw webhooks are the enrichment sweep's.
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
	for range messageRounds {
		if err := a.store.Write(ctx, func(tx *datastore.Tx) error { return tx.Messages.Prune(before) }); err != nil {
			return fmt.Errorf("webhooks out: %w", err)
		}
	}
	if err := a.store.Write(ctx, func(tx *datastore.Tx) error {
		now := a.cfg.Now().UTC()
		return errors.Join(tx.Passes.Prune(now), tx.Acts.Prune(now.Add(-auditKept)))
	}); err != nil {
		return fmt.Errorf("sessions and the audit trail: %w", err)
	}
	return nil
}
