package app

import (
	"context"

	"github.com/liwanag/liwanag/internal/httpapi"
	"github.com/liwanag/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/internal/notify"
)

// The voice: webhooks out. What they tell is shown by the API, which is built
// later.
func (a *App) buildNotify(context.Context) (err error) {
	networks, err := a.cfg.Settings.SinkNetworks()
	if err != nil {
		return &UsageError{err}
	}
	a.voice, err = notify.NewSender(notify.Config{
		Store: a.store, Allow: networks, Version: Version(), SweepEvery: a.cfg.SweepEvery, Now: a.cfg.Now, Log: a.log, Meter: a.metrics,
		Views: notify.Views{
			Subscriber: func(p liwanag.Subscriber) any { return httpapi.ViewSubscriber(p) },
			Upload:     func(ctx context.Context, id liwanag.ID) (any, error) { return a.api.ViewUpload(ctx, id) },
			Submission: func(ctx context.Context, id liwanag.ID) (any, error) { return a.api.ViewSubmission(ctx, id) },
		},
	})
	return err
}
