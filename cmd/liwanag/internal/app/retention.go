package app

import (
	"context"
	"errors"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/chore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
)

// retainGroup is how many runs are deleted in a transaction.
const retainGroup = 500

// auditKept is how long the audit trail goes back: over a year, whatever
// LIWANAG_RETENTION says, since it holds ids and no personal data.
const auditKept = 400 * 24 * time.Hour

// prune deletes what is older than LIWANAG_RETENTION, and says before when: ended runs, files that
// were never confirmed, and what sources received, and webhooks out; sessions that are over and old
// acts too. FullEnrich's raw webhooks are the enrichment sweep's.
func (a *App) prune(ctx context.Context) (before time.Time, err error) {
	now := a.cfg.Now().UTC()
	before = now.Add(-a.cfg.Settings.Retention)
	return before, chore.Crew{}.Round(ctx,
		chore.Part{Name: "ended runs", Do: func(ctx context.Context) (bool, error) {
			if a.runner.prune == nil {
				return false, nil
			}
			deleted, err := a.runner.prune(ctx, before, retainGroup)
			return deleted == retainGroup, err
		}},
		chore.All("files of uploads", func(ctx context.Context) error { return a.uploads.Retain(ctx, before) }),
		chore.Part{Name: "deliveries of sources", Do: a.sources.Retain},
		a.pruned("webhooks out", func(tx *datastore.Tx) (int64, error) { return tx.Messages.Prune(before) }),
		a.pruned("sessions", func(tx *datastore.Tx) (int64, error) { return tx.Passes.Prune(now) }),
		a.pruned("audit trail", func(tx *datastore.Tx) (int64, error) {
			acts, err := tx.Acts.Prune(now.Add(-auditKept))
			seen, later := tx.Dismissals.Prune(now.Add(-auditKept))
			return acts + seen, errors.Join(err, later)
		}),
	)
}

// pruned deletes piece by piece, until there is nothing to delete.
func (a *App) pruned(name string, prune func(*datastore.Tx) (int64, error)) chore.Part {
	return chore.Part{Name: name, Do: func(ctx context.Context) (more bool, err error) {
		err = a.store.Write(ctx, func(tx *datastore.Tx) error {
			n, err := prune(tx)
			more = n > 0
			return err
		})
		return more && err == nil, err
	}}
}
