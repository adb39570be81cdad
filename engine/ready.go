package engine

import (
	"context"
	"errors"
	"fmt"
)

// Ready says why this engine cannot execute runs now: nil once Run has registered
// this node, and for as long as its lease is kept. It asks nobody.
func (e *Engine) Ready(context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.node.Epoch == 0:
		return errors.New("engine: this node is not registered: Run has not begun, or has ended")
	case e.node.Renew > 0 && e.now().Sub(e.renewed) > e.cfg.Lease:
		return fmt.Errorf("engine: the lease of %s has not been renewed since %s", e.node.Name, e.renewed)
	}
	return nil
}
