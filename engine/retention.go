package engine

import (
	"context"
	"time"
)

// A round of pruning comes with every tenth of the retention, within these bounds, and
// prunes so many runs at once.
const (
	pruneOften  = time.Second
	pruneSeldom = 10 * time.Minute
	pruneAtOnce = 200
)

// retain prunes runs that ended longer ago than they are kept, until ctx ends.
func (e *Engine) retain(ctx context.Context) {
	every := min(max(e.cfg.Retention/10, pruneOften), pruneSeldom)
	for ; ctx.Err() == nil; pause(ctx, every) {
		for n := pruneAtOnce; n == pruneAtOnce && ctx.Err() == nil; {
			var err error
			if n, err = e.store.Prune(ctx, e.now().Add(-e.cfg.Retention), pruneAtOnce); err != nil && ctx.Err() == nil {
				e.tell.RunnerFault("prune", err)
			}
		}
	}
}
