package engine

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Ready says why this engine cannot execute runs now: nil once Run has registered
// this node, and for as long as its lease is renewed in time: once half of it has
// passed the store does not answer. It asks nobody.
func (e *Engine) Ready(context.Context) error { return e.leased(e.cfg.Lease / 2) }

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
