package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/liwanag/liwanag/engine/store"
)

// maxSleep bounds one sleep of the claim loop: then it compares the wall clock
// again, without a query, so that a jump of the clock is noticed.
const maxSleep = 10 * time.Second

// claimLoop claims what is due and launches it until ctx ends. It asks the store
// only when something was announced or the earliest known time has come.
func (e *Engine) claimLoop(ctx context.Context) {
	e.slots.asked() // at start: what an earlier process left
	var next time.Time
	failures := 0
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		if next = earliest(next, e.takeNoted()); !next.IsZero() && !next.After(e.now()) {
			next = time.Time{}
			e.slots.asked()
		}
		w, stamp := e.slots.wanted()
		if w.Runs+w.Suspects == 0 {
			wait := maxSleep
			if !next.IsZero() {
				wait = min(wait, next.Sub(e.now()))
			}
			if e.sleep(ctx, timer, wait) {
				e.slots.asked()
			}
			continue
		}
		w.Definitions, w.Bytes, w.Except = e.defs, min(small, e.memory.share), e.yielding()
		claimed, later, err := e.claim(ctx, w)
		if err != nil {
			if ctx.Err() == nil {
				e.tell.RunnerFault("claim", err)
			}
			failures++
			pause(ctx, backoff(failures))
			continue
		}
		failures, next = 0, earliest(next, later)
		e.work.Add(len(claimed))
		for _, c := range e.slots.claimed(w, claimed, stamp) {
			e.launch(c)
		}
	}
}

// claim asks the store for runs. Where a lease runs, a claim that takes a third of it
// is given up; when the engine stops, none is waited for.
func (e *Engine) claim(ctx context.Context, w store.Wanted) (claimed []store.Claimed, later time.Time, err error) {
	asking, node := ctx, e.self()
	if node.Renew > 0 {
		var cancel context.CancelFunc
		asking, cancel = context.WithTimeout(ctx, e.cfg.Lease/3)
		defer cancel()
	}
	var got []store.Claimed
	var next time.Time
	var fault error
	if !bounded(ctx, func() { got, next, fault = e.store.Claim(asking, node, w, e.now()) }) {
		return nil, time.Time{}, errSilent
	}
	return got, next, fault
}

// sleep waits for the time, or for an announcement, which it reports.
func (e *Engine) sleep(ctx context.Context, timer *time.Timer, d time.Duration) (announced bool) {
	timer.Reset(max(d, 0))
	var elsewhere <-chan struct{}
	if w, ok := e.store.(store.Waker); ok {
		elsewhere = w.Wake()
	}
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-e.sooner:
	case <-e.wake:
		return true
	case <-elsewhere:
		return true
	}
	return false
}

// pause waits for the time, or for the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// backoff is the pause after the n-th failure of the store in a row: 50 ms,
// doubled up to 5 s.
func backoff(n int) time.Duration {
	return min(50*time.Millisecond<<min(max(n-1, 0), 10), 5*time.Second)
}

// keepLease renews this node's lease until ctx ends. It has a goroutine of its own,
// so that neither a slow claim nor a stop that waits for steps costs the lease.
func (e *Engine) keepLease(ctx context.Context) {
	failures := 0
	for wait := e.self().Renew; ; {
		pause(ctx, wait)
		if ctx.Err() != nil {
			return
		}
		wait = e.self().Renew
		if err := e.renew(ctx); err != nil && ctx.Err() == nil {
			e.tell.RunnerFault("heartbeat", err)
			failures++
			wait = min(wait, backoff(failures))
			continue
		}
		failures = 0
	}
}

// renew keeps this node's lease. A new epoch means that the lease was lost: what
// this node still executes can write nothing any more, and what is queued belongs
// to others.
func (e *Engine) renew(ctx context.Context) error {
	node, asked, err := e.beat(ctx, e.cfg.Lease/3)
	if err != nil {
		return err
	}
	e.mu.Lock()
	same := node.Epoch == e.node.Epoch
	e.node, e.renewed = node, asked
	e.mu.Unlock()
	if !same {
		for range e.slots.drain() {
			e.work.Done()
		}
	}
	if !same {
		e.announce()
		e.tell.RunnerFault("heartbeat", errors.New("this node's lease was lost; its runs were taken over"))
	}
	return nil
}

// announce says that something may be due.
func (e *Engine) announce() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// note says that a run was parked until then.
func (e *Engine) note(until time.Time) {
	e.mu.Lock()
	sooner := e.noted.IsZero() || until.Before(e.noted)
	if sooner {
		e.noted = until
	}
	e.mu.Unlock()
	if sooner && until.Sub(e.now()) < maxSleep {
		select {
		case e.sooner <- struct{}{}:
		default:
		}
	}
}

func (e *Engine) takeNoted() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	noted := e.noted
	e.noted = time.Time{}
	return noted
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// launch executes a run that has its place.
func (e *Engine) launch(c store.Claimed) {
	switch {
	case e.stopping():
		go e.release(c)
	case c.Run.Takeovers >= store.SuspectAfter:
		go e.isolated(c)
	default:
		go e.slot(c)
	}
}

// stopping says that no new step begins.
func (e *Engine) stopping() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stop
}

// reserve takes a slot, or a place in the queue, for a run that is about to be
// created; none when this engine does not execute or has no room. The epoch is the
// owner to be.
func (e *Engine) reserve() (epoch int64, p place) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stop {
		return 0, noPlace
	}
	if p = e.slots.reserve(); p != noPlace {
		e.work.Add(1)
	}
	return e.node.Epoch, p
}

// unreserve gives the place of a run back that was not created.
func (e *Engine) unreserve(p place) {
	if c, ok := e.slots.uncreated(p); ok {
		e.launch(c)
	}
	e.work.Done()
	e.announceIf(e.slots.waiting())
}

// launchHeld executes a run that was created in its place.
func (e *Engine) launchHeld(c store.Claimed, p place) {
	c.New = true
	e.mu.Lock()
	stop := e.stop
	start := !stop && e.slots.created(c, p)
	e.mu.Unlock()
	switch {
	case stop:
		go e.release(c)
	case start:
		go e.slot(c)
	}
}

// slot executes a run, and then what is queued.
func (e *Engine) slot(c store.Claimed) {
	for ok := true; ok; {
		e.execute(c, nil)
		e.work.Done()
		c, ok = e.slots.following(c.New)
	}
	e.announceIf(e.slots.waiting())
}

// isolated executes a suspect, beside the slots and after all other suspects. It has
// its place until its attempt ends, or should have ended.
func (e *Engine) isolated(c store.Claimed) {
	leave := sync.OnceFunc(func() {
		e.slots.leave()
		e.announce()
	})
	e.execute(c, leave)
	leave()
	e.work.Done()
}

func (e *Engine) announceIf(is bool) {
	if is {
		e.announce()
	}
}

// release gives an owned run back, parked as it was, so that its next owner does
// not count a lost worker.
func (e *Engine) release(c store.Claimed) {
	defer e.work.Done()
	e.giveBack(c)
}

// giveBack gives a claimed run back, parked as it says.
func (e *Engine) giveBack(c store.Claimed) {
	x := &execution{e: e, lease: c.Lease, run: c.Run, attempt: c.Run.Attempt, begun: c.Run.Begun, takeovers: c.Run.Takeovers}
	for news := (store.News{InboxSeq: c.Run.InboxSeq, Canceled: c.Run.Canceled}); ; news = x.news {
		x.inboxSeq, x.canceled = news.InboxSeq, news.Canceled
		if got := x.commit(&c.Run.Park, nil); got == finished || got == lost {
			return
		}
	}
}
