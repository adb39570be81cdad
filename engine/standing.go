package engine

import (
	"context"
	"time"

	"github.com/liwanag/liwanag/engine/store"
)

// Standing is what an engine knows of an open run besides what Describe tells: who has
// it, and what stands before it.
type Standing struct {
	// Node has the run, or had it last; empty: nobody has it, or nobody knows the name.
	Node string
	// Dead: the lease of the node that has it is over, and another one takes the run on
	// as soon as there is one.
	Dead bool
	// Before counts the runs that stand before this one in line, which is due too: those
	// that are due for longer and that nobody has, or before it in the queue of its node.
	Before int64
	// Lost is how many workers in a row were lost with the run, without progress
	// between.
	Lost int
	// Suspect: so many that it is executed alone, after everything else.
	Suspect bool
	// Latest is when anything happened to it last.
	Latest time.Time
}

// Standing tells how an open run stands; the zero Standing of one that has ended.
// [workflow.ErrNotFound].
func (e *Engine) Standing(ctx context.Context, runID string) (s Standing, err error) {
	c, err := e.store.Get(ctx, runID)
	if err != nil {
		return s, e.fromStore(runID, err)
	}
	r := c.Run
	if r.Status != store.Open {
		return s, nil
	}
	s = Standing{Lost: r.Takeovers, Suspect: r.Takeovers >= store.SuspectAfter, Latest: latest(c)}
	if r.Paused() {
		return s, nil // it stands in no line
	}
	if r.Owner > 0 {
		s.Before = e.slots.before(r.ID)
		s.Node, s.Dead, err = e.holder(ctx, r.Owner)
		return s, err
	}
	if backlog, ok := e.store.(store.Backlog); ok && !r.Park.Until.After(e.now()) && (r.Park.Kind == store.ParkNone ||
		!r.Park.Until.IsZero()) {
		since := r.Park.Until
		if since.Before(r.CreatedAt) {
			since = r.CreatedAt
		}
		s.Before, err = backlog.Overdue(ctx, since)
	}
	return s, err
}

// holder is the node of an epoch, and whether its lease is over. Where there is no
// roster there is one process, and every other epoch is of one that has ended.
func (e *Engine) holder(ctx context.Context, epoch int64) (name string, dead bool, err error) {
	self := e.self()
	if self.Epoch == epoch {
		return self.Name, false, nil
	}
	roster, ok := e.store.(store.Roster)
	if !ok {
		return "", self.Epoch != 0, nil // before Run nobody knows
	}
	nodes, err := roster.Nodes(ctx)
	for _, n := range nodes {
		if n.Epoch == epoch {
			return n.Name, n.Dead, nil
		}
	}
	return "", err == nil, err
}

// latest is when the last thing happened that a run's rows tell of.
func latest(c store.Claimed) time.Time {
	at := c.Run.CreatedAt
	for _, t := range []time.Time{c.Run.StartedAt, c.Run.Park.Since} {
		if t.After(at) {
			at = t
		}
	}
	for _, en := range c.History {
		if en.At.After(at) {
			at = en.At
		}
	}
	for _, s := range c.Signals {
		if s.At.After(at) {
			at = s.At
		}
	}
	return at
}

// Ahead is how far this node's clock was ahead of its store's when that was told last;
// negative: behind. 0: they agree, or the store has no clock of its own.
func (e *Engine) Ahead() time.Duration { return time.Duration(e.ahead.Load()) }
