package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

// sweepEvery is how often the store is asked, once for all who wait, which of the runs
// have ended that other processes execute.
const sweepEvery = time.Second

var _ workflow.Awaiter = (*Engine)(nil)

// AwaitEnd is what [workflow.Await] waits by: the commit of an end in this process tells
// it; where other processes end runs, too, the store is asked once a second for all that
// are awaited.
func (e *Engine) AwaitEnd(ctx context.Context, runID string) error {
	ended, leave := e.store.AwaitEnd(runID)
	defer leave()
	over, err := e.over(ctx, runID)
	if err != nil || over {
		return err
	}
	if w, ok := e.store.(store.Watcher); ok && e.store.Sweeper() {
		go e.sweep(w) // #nosec G118 -- it looks for all who wait, not for this caller alone
	}
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("run %s has not ended: %w", runID, context.Cause(ctx))
	}
}

// over says whether a run has ended. ErrNotFound.
func (e *Engine) over(ctx context.Context, runID string) (bool, error) {
	if w, ok := e.store.(store.Watcher); ok { // which knows what was posted and is no run yet
		if open, err := w.Unended(ctx, []string{runID}); err != nil || len(open) > 0 {
			return false, err
		}
	}
	runs, _, err := e.store.List(ctx, store.Query{IDs: []string{runID}, Limit: 1, Now: e.now()})
	switch {
	case err != nil:
		return false, fmt.Errorf("run %s: %w", runID, err)
	case len(runs) == 0:
		return false, fmt.Errorf("%w: %s", workflow.ErrNotFound, runID)
	}
	return runs[0].Status != store.Open, nil
}

// sweep tells those who wait which runs have ended elsewhere, for as long as somebody
// waits.
func (e *Engine) sweep(w store.Watcher) {
	for failures := 0; !e.store.Swept(); {
		time.Sleep(max(sweepEvery, backoff(failures+1)))
		awaited := e.store.Awaited()
		if len(awaited) == 0 {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), e.cfg.Lease)
		open, err := w.Unended(ctx, awaited)
		cancel()
		if err != nil {
			failures++
			if errors.Is(err, store.ErrClosed) {
				e.store.Ended(awaited...)
			}
			continue
		}
		failures = 0
		still := make(map[string]bool, len(open))
		for _, id := range open {
			still[id] = true
		}
		for _, id := range awaited {
			if !still[id] {
				e.store.Ended(id)
			}
		}
	}
}

// terminated tells those who wait for a run, and for those below it.
func (e *Engine) terminated(runID string) {
	e.store.Ended(runID)
	e.store.EndedBelow(runID)
}
