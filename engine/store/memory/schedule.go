package memory

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/liwanag/liwanag/engine/schedule"
)

// Ledger is where schedules are kept: with the store, for the life of the process.
func (s *Store) Ledger() schedule.Ledger { return ledger{s} }

type ledger struct{ s *Store }

// scheduled is a schedule with its firings.
type scheduled struct {
	schedule.Standing
	firings map[time.Time]*schedule.Firing
}

func (d *scheduled) standing() schedule.Standing {
	st := d.Standing
	for _, f := range d.firings {
		st.Due = st.Due || f.State == schedule.Due
	}
	return st
}

func (l ledger) Schedule(ctx context.Context, name string, now time.Time) (schedule.Standing, error) {
	if err := l.s.lock(ctx); err != nil {
		return schedule.Standing{}, err
	}
	defer l.s.mu.Unlock()
	d := l.s.schedules[name]
	if d == nil {
		d = &scheduled{schedule.Standing{Name: name, Upto: now}, map[time.Time]*schedule.Firing{}}
		l.s.schedules[name] = d
	}
	return d.standing(), nil
}

func (l ledger) Schedules(ctx context.Context) (all []schedule.Standing, err error) {
	if err := l.s.lock(ctx); err != nil {
		return nil, err
	}
	defer l.s.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(l.s.schedules)) {
		all = append(all, l.s.schedules[name].standing())
	}
	return all, nil
}

// known begins a call about a schedule.
func (l ledger) known(ctx context.Context, name string) (*scheduled, error) {
	if err := l.s.lock(ctx); err != nil {
		return nil, err
	}
	if d := l.s.schedules[name]; d != nil {
		return d, nil
	}
	l.s.mu.Unlock()
	return nil, schedule.ErrUnknown
}

func (l ledger) Pause(ctx context.Context, name string, paused bool) error {
	d, err := l.known(ctx, name)
	if err != nil {
		return err
	}
	defer l.s.mu.Unlock()
	d.Paused = paused
	return nil
}

func (l ledger) Plan(ctx context.Context, name string, from, to time.Time, firings []schedule.Firing) (added int, err error) {
	d, err := l.known(ctx, name)
	if err != nil {
		return 0, err
	}
	defer l.s.mu.Unlock()
	if !from.Equal(to) {
		if !d.Upto.Equal(from) {
			return 0, nil
		}
		d.Upto = to
	}
	for _, f := range firings {
		if f.At = f.At.UTC(); d.firings[f.At] == nil {
			d.firings[f.At] = &f
			added++
		}
	}
	return added, nil
}

func (l ledger) Take(ctx context.Context, name string, now, until time.Time) (f schedule.Firing, ok bool, err error) {
	d, err := l.known(ctx, name)
	if err != nil {
		return f, false, err
	}
	defer l.s.mu.Unlock()
	var first *schedule.Firing
	for _, f := range d.firings {
		switch {
		case f.Taken.After(now):
			return schedule.Firing{}, false, nil
		case f.State != schedule.Due || d.Paused && f.Cause == schedule.ByTime:
		case first == nil || sooner(*f, *first) < 0:
			first = f
		}
	}
	if first == nil {
		return f, false, nil
	}
	first.Taken = until
	return *first, true, nil
}

func sooner(a, b schedule.Firing) int {
	return cmp.Or(cmp.Compare(slices.Index(schedule.Causes, a.Cause), slices.Index(schedule.Causes, b.Cause)), a.At.Compare(b.At))
}

func (l ledger) Change(ctx context.Context, was, is schedule.Firing) (ok bool, err error) {
	d, err := l.known(ctx, was.Schedule)
	if err != nil {
		return false, err
	}
	defer l.s.mu.Unlock()
	f := d.firings[was.At.UTC()]
	if f == nil || !f.Taken.Equal(was.Taken) {
		return false, nil
	}
	f.State, f.Failure, f.Tries, f.Open, f.Taken = is.State, is.Failure, is.Tries, is.Open, is.Taken
	return true, nil
}

func (l ledger) Firings(ctx context.Context, q schedule.Query) (all []schedule.Firing, err error) {
	if err := l.s.lock(ctx); err != nil {
		return nil, err
	}
	defer l.s.mu.Unlock()
	for name, d := range l.s.schedules {
		for _, f := range d.firings {
			if (q.Schedule == "" || q.Schedule == name) && (q.State == "" || q.State == f.State) && (q.Cause == "" || q.Cause == f.Cause) &&
				(!q.Open || f.Open) && (q.Before.IsZero() || f.At.Before(q.Before)) {
				all = append(all, *f)
			}
		}
	}
	slices.SortFunc(all, func(a, b schedule.Firing) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Schedule, b.Schedule)) })
	return all[:min(len(all), cmp.Or(q.Limit, 50))], nil
}

func (l ledger) Forget(ctx context.Context, before time.Time) error {
	if err := l.s.lock(ctx); err != nil {
		return err
	}
	defer l.s.mu.Unlock()
	for _, d := range l.s.schedules {
		maps.DeleteFunc(d.firings, func(at time.Time, f *schedule.Firing) bool {
			return at.Before(before) && f.State != schedule.Due && !f.Open
		})
	}
	return nil
}
