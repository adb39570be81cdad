package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/liwanag/liwanag/engine/store"
)

// enter refuses a second Run of this engine, and one on a store that is in use.
func (e *Engine) enter() (leave func(), err error) {
	if e.running.Swap(true) {
		return nil, errors.New("engine: Run is under way already: one Run at a time")
	}
	back, free := e.store.Enter()
	if !free {
		e.running.Store(false)
		return nil, errors.New("engine: another engine runs on this store. Try: all definitions in one " +
			"engine, or on PostgreSQL a store of its own for each")
	}
	return func() { back(); e.running.Store(false) }, nil
}

// moment is a time on the clock of the wall, which may be set, and on the one of the
// process, which may stand still while the machine sleeps.
type moment struct{ wall, process time.Time }

func (e *Engine) moment() moment { return moment{e.now(), time.Now()} }

// since is how long ago a moment was, by the clock that says more.
func (e *Engine) since(m moment) time.Duration {
	return max(e.now().Sub(m.wall), time.Since(m.process))
}

// grace is how long a call of the store is waited for whose context has ended.
const grace = 1500 * time.Millisecond

var errSilent = errors.New("the store does not answer, and is not waited for")

// bounded asks the store. false: ctx has ended, and the store still has not answered.
func bounded(ctx context.Context, ask func()) (answered bool) {
	done := make(chan struct{})
	go func() { defer close(done); ask() }()
	select {
	case <-done:
		return true
	case <-ctx.Done():
	}
	select {
	case <-done:
		return true
	case <-time.After(grace):
		return false
	}
}

// beat registers this node, or renews its lease, and compares the clocks. A store
// that has not answered within the given time has not heard it.
func (e *Engine) beat(ctx context.Context, within time.Duration) (node store.Node, asked moment, err error) {
	asked = e.moment() // the lease runs from when the store heard it, at the earliest
	began := e.cfg.Now()
	asking, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var heard store.Node
	var fault error
	if !bounded(asking, func() { heard, fault = e.store.Heartbeat(asking, e.cfg.Name, e.cfg.Lease) }) {
		return store.Node{}, asked, errSilent
	}
	if fault == nil && !heard.Clock.IsZero() {
		took := time.Since(asked.process)
		e.compare(began.Add(took/2).Sub(heard.Clock), took)
	}
	return heard, asked, fault
}

// register is the first beat. A store that does not answer in time, since it is
// busy or its machine is, is asked again, as it is later.
func (e *Engine) register(ctx context.Context) (store.Node, moment, error) {
	for failures := 1; ; failures++ {
		node, asked, err := e.beat(ctx, e.cfg.Lease)
		late := errors.Is(err, errSilent) || errors.Is(err, context.DeadlineExceeded)
		if !late || errors.Is(err, store.ErrClosed) || ctx.Err() != nil {
			return node, asked, err
		}
		e.tell.RunnerFault("heartbeat", err)
		pause(ctx, backoff(failures))
	}
}

// compare tells how far this node's clock is ahead of the store's, once for each
// difference. One of more than a lease would end the waits of other nodes' runs, or
// keep its own from going on: the store's clock is followed.
func (e *Engine) compare(ahead, doubt time.Duration) {
	tolerance := max(e.cfg.Lease/10, doubt)
	followed, skew := "", time.Duration(0)
	if ahead.Abs() > max(e.cfg.Lease, doubt) {
		followed, skew = ", which is followed", -ahead
	}
	e.skew.Store(int64(skew)) // once: whoever asks for the time meanwhile gets no other clock
	if ahead.Abs() <= tolerance {
		e.told = 0
		e.ahead.Store(0)
		return
	}
	e.ahead.Store(int64(ahead))
	if (ahead - e.told).Abs() > tolerance {
		e.told = ahead
		where := "ahead of"
		if ahead < 0 {
			where = "behind"
		}
		e.tell.RunnerFault("clock", fmt.Errorf("the clock of node %s is %s %s the store's%s. Try: synchronize the clocks of both machines (NTP)",
			e.cfg.Name, ahead.Abs().Round(time.Millisecond), where, followed))
	}
}
