package postgres

import (
	"context"
	"strconv"
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
	// sweepBack is how long before what was passed a sweep looks. What nobody told is
	// due since then, but for what was given back as it was: each deepSweep-th looks at all.
	sweepBack = time.Minute
	deepSweep = 10
	// headStart is how long a node has to take what it made due before it tells the
	// others: mostly it does, and nobody else is woken for nothing.
	headStart = 20 * time.Millisecond
)

// Wake hears from other nodes, and every few seconds in any case.
func (s *Store) Wake() <-chan struct{} {
	s.listen.Do(func() {
		s.db.Listen(s.announce.ctx, channel, func(from string, missed bool) {
			sender, at := cut(from)
			if at < 0 {
				s.Posted()
				return
			}
			if missed || sender != s.sender() && strings.HasPrefix(sender, s.schema.prefix) {
				s.passed.Due(at)
				s.rouse()
			}
		})
		go s.announce.every(lookAtPosts, s.Posted)
		n := 0
		go s.announce.every(s.sweeps, func() {
			n++
			s.sweep(n)
		})
	})
	return s.wake
}

// sweep lets the next claim look for what nobody told.
func (s *Store) sweep(n int) {
	s.passed.Doubt(sweepBack)
	if n%deepSweep == 0 {
		s.passed.Due(0)
	}
	s.rouse()
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
func (s *Store) notify(ctx context.Context, at int64) {
	_, _ = s.db.Pool().Exec(ctx, "SELECT pg_notify($1, $2)", channel, s.sender()+" "+strconv.FormatInt(at, 10))
}

// cut is who sent a notification, and since when something is due; of a node that
// does not say, since ever.
func cut(payload string) (sender string, at int64) {
	i := strings.LastIndexByte(payload, ' ')
	if i < 0 {
		return payload, 0
	}
	at, err := strconv.ParseInt(payload[i+1:], 10, 64)
	if err != nil {
		return payload, 0
	}
	return payload[:i], at
}

// sender is this store among those that notify each other, behind its schema: what
// is due in another is nothing to it.
func (s *Store) sender() string { return s.schema.prefix + s.id }

// announcer tells others, a moment later and once for all that happened meanwhile,
// that something is due which this node did not take.
type announcer struct {
	tell func(ctx context.Context, at int64)
	wait time.Duration
	ctx  context.Context
	end  context.CancelFunc
	done sync.WaitGroup

	mu     sync.Mutex
	marked bool
	at     int64 // since when something is due, at the earliest
	waits  bool
}

func announceTo(tell func(ctx context.Context, at int64)) *announcer {
	a := &announcer{tell: tell, wait: headStart}
	a.ctx, a.end = context.WithCancel(context.Background())
	return a
}

// mark notes that something is due, since the given time.
func (a *announcer) mark(at int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.marked {
		at = min(at, a.at)
	}
	a.marked, a.at = true, at
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
	tell, at := a.marked, a.at
	a.marked, a.waits = false, false
	a.mu.Unlock()
	if tell {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(a.ctx), time.Second)
		defer cancel()
		a.tell(ctx, at)
	}
}

// take takes the mark back when a claim begins.
func (a *announcer) take() (marked bool, at int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	marked, at = a.marked, a.at
	a.marked = false
	return marked, at
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
