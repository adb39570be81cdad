// Package chore does background work: now, on every tick and whenever a bell rings,
// part by part, on every node or on one for all.
package chore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Chore is work that is done over and over.
type Chore struct {
	Name  string
	Every time.Duration
	Bell  <-chan struct{} // rings between ticks; nil: never
	Parts []Part
}

// Part is a part of a chore. A fault of one does not keep the others.
type Part struct {
	Name string
	// Do does a piece, and says whether there may be more to do at once.
	Do func(ctx context.Context) (more bool, err error)
	// Alone is the period in which one node does it once for all; what that node
	// does not finish waits for the next. 0: every node does it.
	Alone time.Duration
}

// All is a part that does everything in one piece.
func All(name string, do func(context.Context) error) Part {
	return Part{Name: name, Do: func(ctx context.Context) (bool, error) { return false, do(ctx) }}
}

// Alone makes one node do the part for all, once in a period.
func Alone(period time.Duration, p Part) Part {
	p.Alone = period
	return p
}

// Turns says which node does what one does for all; datastore.Alone has it.
type Turns interface {
	TakeTurn(ctx context.Context, name string, at time.Time) (mine bool, err error)
}

// Crew does chores. It needs Turns and Now for parts that are done alone, and Log
// to run.
type Crew struct {
	Turns Turns
	Now   func() time.Time
	Log   *slog.Logger
}

// Run does chores side by side until ctx ends, and returns when all have stopped.
// A fault is logged, and the next round repeats what it left.
func (c Crew) Run(ctx context.Context, chores ...Chore) {
	var all sync.WaitGroup
	for _, one := range chores {
		all.Go(func() { c.repeat(ctx, one) })
	}
	all.Wait()
}

func (c Crew) repeat(ctx context.Context, one Chore) {
	tick := time.NewTicker(one.Every)
	defer tick.Stop()
	for {
		if err := c.Round(ctx, one.Parts...); err != nil && ctx.Err() == nil {
			c.Log.ErrorContext(ctx, "background work failed and is repeated", "loop", one.Name, "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-one.Bell:
		}
	}
}

// Round does each part once, until there is no more of it. Its error joins theirs.
func (c Crew) Round(ctx context.Context, parts ...Part) error {
	var faults []error
	for _, p := range parts {
		if err := c.do(ctx, p); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", p.Name, err))
		}
	}
	return errors.Join(faults...)
}

func (c Crew) do(ctx context.Context, p Part) error {
	if p.Alone > 0 {
		mine, err := c.Turns.TakeTurn(ctx, p.Name, c.Now().Truncate(p.Alone))
		if err != nil || !mine {
			return err
		}
	}
	for {
		if more, err := p.Do(ctx); err != nil || !more {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}
