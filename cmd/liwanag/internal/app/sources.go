package app

import (
	"context"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake/sources"
)

// Sources: other people's webhooks of sign-ups.
func (a *App) buildSources(ctx context.Context) error {
	a.sources = sources.New(a.store, a.signUps, a.service, sources.Config{
		PublicURL: a.publicURL, Retention: a.cfg.Settings.Retention, Now: a.cfg.Now, Meter: a.metrics,
	})
	return a.sources.Seal(ctx)
}
