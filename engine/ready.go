package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/liwanag/liwanag/engine/store"
)

// checkEvery is how often an engine asks its store whether it is still there.
const checkEvery = 5 * time.Second

// Ready says why this engine cannot execute runs now: nil once Run has registered
// this node, and for as long as its lease is renewed in time (once half of it has
// passed the store does not answer) and the store is where it was. It makes no query.
func (e *Engine) Ready(context.Context) error {
	err := e.leased(e.cfg.Lease / 2)
	if c, ok := e.store.(store.Checker); ok && err == nil {
		err = c.Check()
	}
	return err
}

// watch tells when the store is not where it was, once for each fault.
func (e *Engine) watch(ctx context.Context, c store.Checker) {
	told := ""
	for pause(ctx, checkEvery); ctx.Err() == nil; pause(ctx, checkEvery) {
		var err error
		switch {
		case !bounded(ctx, func() { err = c.Check() }):
			return
		case err == nil:
			told = ""
		case err.Error() != told:
			told = err.Error()
			e.tell.RunnerFault("store", err)
		}
	}
}

// leased says why this engine may not begin a step: it is not registered, or its
// lease was not renewed for so long.
func (e *Engine) leased(most time.Duration) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.node.Epoch == 0:
		return errors.New("engine: this node is not registered: Run has not begun, or has ended")
	case e.node.Renew > 0 && e.since(e.renewed) > most:
		return fmt.Errorf("engine: the lease of %s has not been renewed since %s", e.node.Name, e.renewed.wall)
	}
	return nil
}
