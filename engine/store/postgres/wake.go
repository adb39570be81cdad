package postgres

import (
	"context"
	"strings"
	"sync"
	"time"
)

const (
	// channel is where nodes tell each other that something is due.
	channel = "wf_due"
	// sweepEvery is how often a node looks for what nobody told it: the runs of a
	// dead node, and a notification that was lost.
	sweepEvery = 3 * time.Second
	// headStart is how long a node has to take what it made due before it tells the
	// others: mostly it does, and nobody else is woken for nothing.
	headStart = 20 * time.Millisecond
)

// Wake hears from other nodes, and every few seconds in any case.
func (s *Store) Wake() <-chan struct{} {
	s.listen.Do(func() {
		s.db.Listen(channel, func(from string, missed bool) {
			if missed || from != s.sender() && strings.HasPrefix(from, s.schema.prefix) {
				s.rouse()
			}
		})
		go s.announce.every(sweepEvery, s.rouse)
	})
	return s.wake
}

func (s *Store) rouse() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// notify tells the other nodes. It is no part of the transaction that made
// something due, which would queue all commits behind one lock of the server; what
// is lost in between, a sweep finds.
func (s *Store) notify(ctx context.Context) {
	_, _ = s.db.Pool().Exec(ctx, "SELECT pg_notify($1, $2)", channel, s.sender())
}

// sender is this store among those that notify each other, behind its schema: what
// is due in another is nothing to it.
func (s *Store) sender() string { return s.schema.prefix + s.id }

// announcer tells others, a moment later and once for all that happened meanwhile,
// that something is due which this node did not take.
type announcer struct {
	tell func(ctx context.Context)
	wait time.Duration
	ctx  context.Context
	end  context.CancelFunc
	done sync.WaitGroup

	mu     sync.Mutex
	marked bool
	waits  bool
}

func announceTo(tell func(ctx context.Context)) *announcer {
	a := &announcer{tell: tell, wait: headStart}
	a.ctx, a.end = context.WithCancel(context.Background())
	return a
}

// mark notes that something is due.
func (a *announcer) mark() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.marked = true
	if !a.waits && a.ctx.Err() == nil {
		a.waits = true
		a.done.Go(a.later)
	}
}

func (a *announcer) later() {
	select {
	case <-a.ctx.Done():
	case <-time.After(a.wait):
	}
	a.mu.Lock()
	tell := a.marked
	a.marked, a.waits = false, false
	a.mu.Unlock()
	if tell {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(a.ctx), time.Second)
		defer cancel()
		a.tell(ctx)
	}
}

// take takes the mark back when a claim begins.
func (a *announcer) take() (marked bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	marked = a.marked
	a.marked = false
	return marked
}

func (a *announcer) every(d time.Duration, do func()) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		select {
		case <-a.ctx.Done():
			return
		case <-tick.C:
			do()
		}
	}
}

// stop tells what is still to be told.
func (a *announcer) stop() {
	a.mu.Lock()
	a.end()
	a.mu.Unlock()
	a.done.Wait()
}
