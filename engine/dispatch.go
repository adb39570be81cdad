package engine

import (
	"context"
	"errors"
	"time"

	"github.com/liwanag/liwanag/engine/store"
)

// maxSleep bounds one sleep of the claim loop: then it compares the wall clock
// again, without a query, so that a jump of the clock is noticed.
const maxSleep = 10 * time.Second

// claimLoop claims what is due and launches it until ctx ends. It asks the store
// only when something was announced or the earliest known time has come.
func (e *Engine) claimLoop(ctx context.Context) {
	due := true // at start: what an earlier process left
	var next time.Time
	failures := 0
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		if !due {
			next = earliest(next, e.takeNoted())
			due = !next.IsZero() && !next.After(e.now())
		}
		room := e.room()
		if !due || room <= 0 {
			wait := maxSleep
			if !due && !next.IsZero() {
				wait = min(wait, next.Sub(e.now()))
			}
			due = e.sleep(ctx, timer, wait) || due
			continue
		}
		e.takeNoted()
		claimed, later, err := e.store.Claim(ctx, e.self(), e.defs, room, e.now())
		if err != nil {
			if ctx.Err() == nil {
				e.tell.RunnerFault("claim", err)
			}
			failures++
			pause(ctx, backoff(failures))
			continue
		}
		failures, next, due = 0, later, len(claimed) == room
		for _, c := range claimed {
			e.launch(c)
		}
	}
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
	return min(50*time.Millisecond<<min(n-1, 10), 5*time.Second)
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
	asked := e.now() // the lease runs from when the store heard it, at the earliest
	node, err := e.store.Heartbeat(ctx, e.cfg.Name, e.cfg.Lease)
	if err != nil {
		return err
	}
	e.mu.Lock()
	same := node.Epoch == e.node.Epoch
	e.node, e.renewed = node, asked
	var lost []store.Claimed
	if !same {
		lost, e.queue = e.queue, nil
	}
	e.mu.Unlock()
	for range lost {
		e.drop()
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

// limit is how many runs an engine owns at most: those that execute, and as many
// again that are ready to follow, so that no slot waits for the store.
func (e *Engine) limit() int { return 2 * e.cfg.Concurrency }

func (e *Engine) room() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.limit() - e.held
}

// reserve takes room for a run that is about to be created; false when this
// engine does not execute or is full. The epoch is the owner to be.
func (e *Engine) reserve() (epoch int64, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stop || e.held >= e.limit() {
		return 0, false
	}
	e.hold()
	return e.node.Epoch, true
}

// hold counts a run that this engine owns; Run does not return before it is
// dropped. The caller holds mu.
func (e *Engine) hold() {
	e.held++
	e.work.Add(1)
}

// drop undoes hold, and lets the claim loop go on that had no room.
func (e *Engine) drop() {
	e.mu.Lock()
	full := e.held == e.limit()
	e.held--
	e.mu.Unlock()
	e.work.Done()
	if full {
		e.announce()
	}
}

// launch executes a claimed run, now or when a slot is free.
func (e *Engine) launch(c store.Claimed) {
	e.mu.Lock()
	e.hold()
	e.mu.Unlock()
	e.launchHeld(c)
}

func (e *Engine) launchHeld(c store.Claimed) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.stop:
		go e.release(c)
	case e.busy < e.cfg.Concurrency:
		e.busy++
		go e.slot(c)
	default:
		e.queue = append(e.queue, c)
	}
}

// slot executes a run, and then what is queued.
func (e *Engine) slot(c store.Claimed) {
	for ok := true; ok; c, ok = e.following() {
		e.execute(c)
		e.drop()
	}
}

// following takes a run out of the queue; when there is none the slot is free.
func (e *Engine) following() (c store.Claimed, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.queue) == 0 {
		e.busy--
		return c, false
	}
	c, e.queue[0] = e.queue[0], c
	e.queue = e.queue[1:]
	return c, true
}

// release gives an owned run back, parked as it was, so that its next owner does
// not count a lost worker.
func (e *Engine) release(c store.Claimed) {
	defer e.drop()
	e.guarded(c, func(x *execution) {
		for x.after(x.commit(&x.park, nil)) {
		}
	})
}
