package app

import (
	"context"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/notify"
)

// The voice: webhooks out. They show rows as the API does.
func (a *App) buildNotify(context.Context) (err error) {
	networks, err := a.cfg.Settings.SinkNetworks()
	if err != nil {
		return &UsageError{err}
	}
	a.voice, err = notify.NewSender(notify.Config{
		Store: a.store, Allow: networks, Version: Version(), SweepEvery: a.cfg.SweepEvery, Now: a.cfg.Now, Log: a.log, Meter: a.metrics,
		Views: httpapi.Views(a.store),
	})
	return err
}
