package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/pprof"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/config"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/graceful"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/notify"
	"github.com/liwanag/liwanag/fullenrich"
)

// lastRequests is how long requests under way may take when the server stops.
const lastRequests = 5 * time.Second

// Run runs the server until ctx ends, or until a part of it cannot go on.
// Phases start in order and stop in the reverse one: when ctx ends no new step
// begins, running ones may end, for LIWANAG_STOP_TIMEOUT at most, and the
// webhooks of their paid calls are still taken in meanwhile; the doors close last.
func (a *App) Run(ctx context.Context) error {
	doors := Phase{"http": a.serveAPI, "admin": a.serveAdmin, "hints": a.spreadHints}
	work := Phase{"engine": a.runner.run, "enrichment": a.service.Run, "uploads": a.uploads.Run,
		"messages": notify.NewService(a.voice, a.messages, a.runner).Run,
		"schedule": a.times.Run, "key check": a.checkKey}
	return RunPhases(ctx, doors, work)
}

// Phase is what starts and stops together, by name. Each runs until its context
// ends; returning nil before only means that there is nothing more to do.
type Phase map[string]func(context.Context) error

// RunPhases runs all until ctx ends or one of them fails, which stops all.
func RunPhases(ctx context.Context, phases ...Phase) error {
	ctx, stopAll := context.WithCancel(ctx)
	defer stopAll()
	faults := make([]error, len(phases))
	var stops []func()
	for i, p := range phases {
		group, own := errgroup.WithContext(context.WithoutCancel(ctx))
		own, stop := context.WithCancel(own)
		for name, run := range p {
			group.Go(func() error {
				if err := run(own); err != nil && !(own.Err() != nil && errors.Is(err, context.Canceled)) {
					stopAll()
					return fmt.Errorf("%s: %w", name, err)
				}
				return nil
			})
		}
		stops = append(stops, func() { stop(); faults[i] = group.Wait() })
	}
	<-ctx.Done()
	for _, stop := range slices.Backward(stops) {
		stop()
	}
	return errors.Join(faults...)
}

func (a *App) serveAPI(ctx context.Context) error { return a.api.Serve(ctx, a.public, lastRequests) }

// serveAdmin serves what only operators should see: counters, and on a loopback
// address profiles too, which show more than a monitor may know.
func (a *App) serveAdmin(ctx context.Context) error {
	if a.admin == nil {
		return nil
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", a.metrics.Handler())
	if config.LoopbackAddr(a.admin.Addr().String()) {
		mux.Handle("GET /debug/pprof/", profiles())
	}
	return graceful.Serve(ctx, newHTTPServer(mux), a.admin, time.Second)
}

// profiles refuses requests that a web page sent here under a name of its own.
func profiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !config.LoopbackAddr(r.Host) {
			http.Error(w, "ask by a loopback address", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// checkKey asks FullEnrich once whether the key is right, as soon as the call
// budget allows. A wrong one stops nothing: what is sent with it waits until
// there is a right one.
func (a *App) checkKey(ctx context.Context) error {
	if a.partner == nil {
		return nil // New warns
	}
	for {
		workspace, err := a.partner.VerifyKey(ctx)
		var refusal *fullenrich.Error
		switch {
		case err == nil:
			a.log.InfoContext(ctx, "FullEnrich confirms the key", "workspace", workspace)
			if err := a.service.KeyConfirmed(ctx); err != nil {
				a.log.ErrorContext(ctx, "what waits for the key goes on later", "error", err)
			}
		case ctx.Err() != nil:
		case liwanag.CodeOf(err) == callBudget:
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
				continue
			}
		case errors.As(err, &refusal) && refusal.Status == http.StatusUnauthorized:
			a.log.ErrorContext(ctx, "FullEnrich refuses the key: jobs wait for another one. Try: set FULLENRICH_API_KEY", "error", err)
		default:
			a.log.WarnContext(ctx, "FullEnrich cannot be asked whether the key is right. Try: check FULLENRICH_BASE_URL", "error", err)
		}
		return nil
	}
}

// callBudget is the code of enrichment.CallBudget's error.
const callBudget = "call_budget"
