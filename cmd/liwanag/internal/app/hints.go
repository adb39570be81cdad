package app

import "context"

// hintsChannel is where the processes on one database tell each other what runs
// are doing.
const hintsChannel = "liwanag hints"

// spreadHints tells the others what happens here, and listeners here what
// happens there.
func (a *App) spreadHints(ctx context.Context) error {
	if a.storage.tell == nil {
		return nil
	}
	a.storage.hear(ctx, hintsChannel, a.hints.Hear)
	return a.hints.Spread(ctx, func(ctx context.Context, payload string) error { return a.storage.tell(ctx, hintsChannel, payload) })
}
