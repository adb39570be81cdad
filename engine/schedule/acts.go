package schedule

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Schedules are those that the ledger knows, by name, whoever holds them.
func (l *Loop) Schedules(ctx context.Context) ([]Standing, error) { return l.cfg.Ledger.Schedules(ctx) }

// Firings are firings, newest first.
func (l *Loop) Firings(ctx context.Context, q Query) ([]Firing, error) {
	return l.cfg.Ledger.Firings(ctx, q)
}

// Next is the next time at which a schedule of this loop fires; zero: never. ErrUnknown.
func (l *Loop) Next(name string) (time.Time, error) {
	s, err := l.named(name)
	if err != nil {
		return time.Time{}, err
	}
	return s.Next(l.now()), nil
}

// Pause lets a schedule fire no more by time, on all nodes, until it is resumed: the times that
// pass are gone. What is triggered and backfilled is started nevertheless. ErrUnknown.
func (l *Loop) Pause(ctx context.Context, name string) error { return l.pause(ctx, name, true) }

// Resume ends a pause. ErrUnknown.
func (l *Loop) Resume(ctx context.Context, name string) error { return l.pause(ctx, name, false) }

func (l *Loop) pause(ctx context.Context, name string, paused bool) error {
	err := l.known(ctx, name)
	if err == nil {
		err = l.cfg.Ledger.Pause(ctx, name, paused)
	}
	return err
}

// Trigger fires a schedule now, beside its times, and returns the firing. ErrUnknown.
func (l *Loop) Trigger(ctx context.Context, name string) (Firing, error) {
	if err := l.known(ctx, name); err != nil {
		return Firing{}, err
	}
	f := Firing{Schedule: name, At: l.now(), Cause: ByTrigger, State: Due}
	for {
		n, err := l.cfg.Ledger.Plan(ctx, name, time.Time{}, time.Time{}, []Firing{f})
		if err != nil || n > 0 {
			l.wake(name)
			return f, err
		}
		f.At = f.At.Add(time.Microsecond) // another firing has this time
	}
}

// Backfill fires a schedule of this loop for its times from one time on and before another,
// up to 100,000 of them, and returns for how many: those that have fired ever, as far as is
// remembered, do not fire again. ErrUnknown.
func (l *Loop) Backfill(ctx context.Context, name string, from, before time.Time) (n int, err error) {
	s, err := l.named(name)
	if err == nil {
		err = l.known(ctx, name)
	}
	if err != nil {
		return 0, err
	}
	if now := l.now(); before.After(now) { // what is to come fires by time
		before = now
	}
	var firings []Firing
	for at := next(s, from.Add(-time.Microsecond)); !at.IsZero() && at.Before(before); at = next(s, at) {
		if len(firings) == asked {
			return 0, fmt.Errorf("schedule %s: more than %d firings from %s on\n  Try: a shorter time", name, asked, from)
		}
		firings = append(firings, Firing{Schedule: name, At: at, Cause: ByBackfill, State: Due})
	}
	defer l.wake(name)
	for some := range slices.Chunk(firings, planned) {
		added, err := l.cfg.Ledger.Plan(ctx, name, time.Time{}, time.Time{}, some)
		if n += added; err != nil {
			return n, err
		}
	}
	return n, nil
}

// known makes sure that the ledger knows a schedule of this loop.
func (l *Loop) known(ctx context.Context, name string) error {
	if _, err := l.named(name); err != nil {
		return nil // it may be another program's: the ledger says
	}
	_, err := l.cfg.Ledger.Schedule(ctx, name, l.now())
	return err
}

func (l *Loop) named(name string) (Schedule, error) {
	i := slices.IndexFunc(l.cfg.Schedules, func(s Schedule) bool { return s.Name == name })
	if i < 0 {
		return Schedule{}, fmt.Errorf("%w: %s", ErrUnknown, name)
	}
	return l.cfg.Schedules[i], nil
}

func (l *Loop) wake(name string) {
	select {
	case l.poke[name] <- struct{}{}: // of none it blocks
	default:
	}
}
