package schedule

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/liwanag/liwanag/workflow"
)

// Config configures a Loop. Runner and Ledger are needed.
type Config struct {
	Runner    workflow.Runner
	Ledger    Ledger
	Schedules []Schedule
	// Remember is how long a firing is remembered, in which it cannot be fired again: longer than
	// the runner keeps runs; default 400 days.
	Remember time.Duration
	// Now is the wall clock; default time.Now.
	Now func() time.Time
	// Fault is told of what failed and is tried again; default: nobody is.
	Fault func(err error)
}

// Loop starts what its schedules say, while Run runs, on one of the nodes that share the
// ledger. Its other methods work from New on.
type Loop struct {
	cfg  Config
	poke map[string]chan struct{}
}

// New returns a loop, or every fault of its configuration.
func New(c Config) (*Loop, error) {
	err := Validate(c.Schedules)
	if c.Runner == nil || c.Ledger == nil || c.Remember < 0 {
		err = errors.Join(err, fmt.Errorf("schedule: a Runner and a Ledger are needed, and Remember %s must not be negative", c.Remember))
	}
	if err != nil {
		return nil, err
	}
	if c.Remember == 0 {
		c.Remember = 400 * 24 * time.Hour
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Fault == nil {
		c.Fault = func(error) {}
	}
	l := &Loop{cfg: c, poke: map[string]chan struct{}{}}
	for _, s := range c.Schedules {
		l.poke[s.Name] = make(chan struct{}, 1)
	}
	return l, nil
}

const (
	// look is how often the ledger is looked at for what other processes asked for, and the wall
	// clock, which may be set.
	look = 10 * time.Second
	// set is by how much the ledger may be ahead of the clock, as that of another node is,
	// until it counts as set back.
	set = time.Minute
	// hold is for how long a node has a firing, which it prolongs while Start runs.
	hold = time.Minute
	// planned is how many firings are noted at once, and asked the most that Backfill takes.
	planned = 500
	asked   = 100_000
	// first and longest are the pauses between two tries of a Start.
	first   = 5 * time.Second
	longest = time.Minute
)

// now is the wall clock alone, in the resolution that ledgers keep.
func (l *Loop) now() time.Time { return l.cfg.Now().UTC().Round(0).Truncate(time.Microsecond) }

// Run starts what is due until ctx ends, and returns when no Start is under way.
func (l *Loop) Run(ctx context.Context) error {
	var all sync.WaitGroup
	for _, s := range l.cfg.Schedules {
		all.Go(func() { l.follow(ctx, s) })
	}
	all.Go(func() { l.forget(ctx) })
	all.Wait()
	return nil
}

func (l *Loop) forget(ctx context.Context) {
	for ctx.Err() == nil {
		if err := l.cfg.Ledger.Forget(ctx, l.now().Add(-l.cfg.Remember)); err != nil && ctx.Err() == nil {
			l.cfg.Fault(fmt.Errorf("schedule: forget old firings: %w", err))
		}
		l.sleep(ctx, nil, time.Hour)
	}
}

// sleep sleeps for a time, until it is poked or ctx ends.
func (l *Loop) sleep(ctx context.Context, poked <-chan struct{}, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-poked:
	}
}

func (l *Loop) follow(ctx context.Context, s Schedule) {
	for ctx.Err() == nil {
		wait, err := l.turn(ctx, s)
		if err != nil {
			if ctx.Err() == nil {
				l.cfg.Fault(fmt.Errorf("schedule %s: %w", s.Name, err))
			}
			wait = look
		}
		if wait > 0 {
			l.sleep(ctx, l.poke[s.Name], wait)
		}
	}
}

// turn notes what is due, starts the next of it, and says when to look again.
func (l *Loop) turn(ctx context.Context, s Schedule) (wait time.Duration, err error) {
	now := l.now()
	st, err := l.cfg.Ledger.Schedule(ctx, s.Name, now)
	if err != nil {
		return 0, err
	}
	if noted, err := l.plan(ctx, s, st, now); noted || err != nil {
		return 0, err
	}
	if st.Due {
		if went, err := l.start(ctx, s); went || err != nil {
			return 0, err
		}
	}
	wait = look
	if next := s.Next(now); !next.IsZero() {
		wait = min(wait, next.Sub(l.now()))
	}
	return max(wait, time.Millisecond), nil
}

// plan notes the firing times up to now. A ledger that is ahead of the clock, which was set
// back, is followed by the clock: what was fired is known by its time.
func (l *Loop) plan(ctx context.Context, s Schedule, st Standing, now time.Time) (noted bool, err error) {
	if st.Upto.After(now.Add(set)) {
		_, err = l.cfg.Ledger.Plan(ctx, s.Name, st.Upto, now, nil)
		return true, err
	}
	var firings []Firing
	for _, at := range due(s, st.Upto, now) {
		firings = append(firings, Firing{Schedule: s.Name, At: at, Cause: ByTime, State: Due})
	}
	if len(firings) == 0 {
		return false, nil
	}
	upto := firings[len(firings)-1].At
	if st.Paused {
		firings = nil
	}
	_, err = l.cfg.Ledger.Plan(ctx, s.Name, st.Upto, upto, firings)
	return true, err
}

// due are the firing times after upto and up to now that count, in order, so many as are noted at once.
func due(s Schedule, upto, now time.Time) (times []time.Time) {
	if s.CatchUp > 0 {
		if oldest := now.Add(-s.CatchUp); oldest.After(upto) {
			upto = oldest.Add(-time.Microsecond)
		}
		for at := next(s, upto); !at.IsZero() && !at.After(now) && len(times) < planned; at = next(s, at) {
			times = append(times, at)
		}
		return times
	}
	// The latest is behind the shortest time that has any.
	for back := time.Minute; ; back *= 8 {
		from := now.Add(-back)
		if !from.After(upto) {
			from = upto
		}
		for at := next(s, from); !at.IsZero() && !at.After(now); at = next(s, at) {
			times = []time.Time{at}
		}
		if len(times) > 0 || from.Equal(upto) {
			return times
		}
	}
}

// next is the next firing time, in the resolution that ledgers keep; zero when a Next of
// somebody's own goes backward.
func next(s Schedule, after time.Time) time.Time {
	at := s.Next(after).UTC().Truncate(time.Microsecond)
	if !at.After(after) {
		return time.Time{}
	}
	return at
}

// start starts the next firing that is due, if it may be.
func (l *Loop) start(ctx context.Context, s Schedule) (went bool, err error) {
	f, ok, err := l.cfg.Ledger.Take(ctx, s.Name, l.now(), l.now().Add(hold))
	if err != nil || !ok {
		return false, err
	}
	is, before, err := l.decide(ctx, s, f)
	if err == nil && before == nil && is.State == Due {
		return true, l.fire(ctx, s, f)
	}
	if err != nil {
		is = f // given back as it was
	}
	is.Taken = time.Time{}
	_, fault := l.cfg.Ledger.Change(context.WithoutCancel(ctx), f, is)
	if err = errors.Join(err, fault); err != nil || before == nil {
		return err == nil, err
	}
	waiting, cancel := context.WithTimeout(ctx, look)
	defer cancel()
	_, err = workflow.Await(waiting, l.cfg.Runner, before.RunID())
	if errors.Is(err, workflow.ErrNotFound) || waiting.Err() != nil {
		err = nil // it looks again
	}
	return err == nil, err
}

// decide says what becomes of a firing that was taken, and for whose run it waits.
func (l *Loop) decide(ctx context.Context, s Schedule, f Firing) (is Firing, before *Firing, err error) {
	is = f
	if f.Cause == ByTime && s.CatchUp > 0 && s.Overlap != Queue && f.At.Before(l.now().Add(-s.CatchUp)) {
		is.State = Missed
		return is, nil, nil
	}
	if f.Cause == ByTime && s.CatchUp == 0 && s.Overlap != Queue {
		latest, err := l.cfg.Ledger.Firings(ctx, Query{Schedule: s.Name, State: Due, Cause: ByTime, Limit: 1})
		if err != nil {
			return is, nil, err
		}
		if len(latest) > 0 && latest[0].At.After(f.At) {
			is.State = Missed
			return is, nil, nil
		}
	}
	if s.Overlap == Beside {
		return is, nil, nil
	}
	before, err = l.open(ctx, s)
	if before != nil && f.Cause == ByTime && s.Overlap == Skip {
		is.State = Skipped
		return is, nil, err
	}
	return is, before, err
}

// open is the latest firing whose run is open. That a run has ended is noted.
func (l *Loop) open(ctx context.Context, s Schedule) (*Firing, error) {
	all, err := l.cfg.Ledger.Firings(ctx, Query{Schedule: s.Name, Open: true, Limit: planned})
	if err != nil {
		return nil, err
	}
	for _, f := range all {
		run, err := l.cfg.Runner.Describe(ctx, f.RunID())
		switch {
		case errors.Is(err, workflow.ErrNotFound), err == nil && run.Status.Ended():
			is := f
			is.Open = false
			if _, err := l.cfg.Ledger.Change(ctx, f, is); err != nil {
				return nil, err
			}
		case err != nil:
			return nil, err
		default:
			return &f, nil
		}
	}
	return nil, nil
}

// fire calls Start and notes what came of it.
func (l *Loop) fire(ctx context.Context, s Schedule, f Firing) error {
	running, cancel := context.WithCancel(ctx)
	given := f
	var holding sync.WaitGroup
	holding.Go(func() { l.hold(running, cancel, &f) })
	fault := call(running, s, l.cfg.Runner, given)
	cancel()
	holding.Wait()

	is := f
	is.Taken = time.Time{}
	switch {
	case fault == nil || errors.Is(fault, workflow.ErrInputDiffers):
		is.State, is.Open = Started, s.Overlap != Beside
	default:
		is.Tries++
		is.Taken = l.now().Add(min(first<<min(max(is.Tries-1, 0), 10), longest))
		is.Failure = workflow.Clip(fault.Error())
	}
	if ctx.Err() != nil && fault != nil { // the node goes: another one does it at once
		is = f
		is.Taken = time.Time{}
		fault = nil
	}
	after, stop := context.WithTimeout(context.WithoutCancel(ctx), hold)
	defer stop()
	if _, err := l.cfg.Ledger.Change(after, f, is); err != nil {
		return errors.Join(fault, err)
	}
	if fault != nil {
		l.cfg.Fault(fmt.Errorf("schedule %s: the firing of %s failed and is tried again: %w", s.Name, f.At.Format(time.RFC3339), fault))
	}
	return nil
}

// call is Start; a panic is an error.
func call(ctx context.Context, s Schedule, on workflow.Runner, f Firing) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return s.Start(ctx, on, f)
}

// hold prolongs the node's claim on a firing until ctx ends. A claim that is lost ends Start.
func (l *Loop) hold(ctx context.Context, lost context.CancelFunc, f *Firing) {
	for {
		if l.sleep(ctx, nil, hold/3); ctx.Err() != nil {
			return
		}
		is := *f
		is.Taken = l.now().Add(hold)
		ok, err := l.cfg.Ledger.Change(ctx, *f, is)
		switch {
		case err == nil && ok:
			*f = is
		case err == nil, l.now().After(f.Taken):
			lost()
			return
		}
	}
}
