package app

import (
	"context"
	"time"

	"github.com/liwanag/liwanag/internal/intake/sources"
	"github.com/liwanag/liwanag/internal/liwanag"
)

// Sources: other people's webhooks of sign-ups.
func (a *App) buildSources(context.Context) error {
	a.sources = sources.New(a.store, a.signUps, leavers{}, sources.Config{
		PublicURL: a.publicURL, Retention: a.cfg.Settings.Retention, Now: a.cfg.Now,
	})
	return nil
}

// leavers notes who unsubscribed.
type leavers struct{}

func (leavers) Suppress(tx liwanag.Tx, ids []liwanag.ID, at time.Time) error {
	_, err := tx.Subscribers().Suppress(ids, at)
	return err
}
