package throttle

import (
	"context"
	"net/netip"
	"sync"
	"time"
)

// Forgiven is how long an address sends no wrong key before it begins anew.
const Forgiven = time.Minute

const (
	guessesFree = 10 // wrong keys that cost an address nothing
	longestWait = 30 * time.Second
)

// Guesses slow whoever guesses the key down: an address that sent ten wrong ones
// waits before each further one is looked at, 1 s at first and doubling to 30. A
// right key waits too, since its answer is what a guesser is after. Sessions do
// not: nobody guesses 256 bits. It is safe for concurrent use.
type Guesses struct {
	mu sync.Mutex
	by map[netip.Addr]*guesser
}

type guesser struct {
	wrong int
	last  time.Time     // wrong key
	next  time.Time     // when another key is looked at
	wait  time.Duration // from that one to the one after it
}

// NewGuesses returns guesses of nobody.
func NewGuesses() *Guesses { return &Guesses{by: map[netip.Addr]*guesser{}} }

// Try looks at a key when it is the address's turn: at once for one that has not
// guessed. Turns that are farther away than the longest wait are refused, *TooMany.
// The lock is held while it looks, so that guesses at once are counted one by one.
func (g *Guesses) Try(ctx context.Context, from netip.Addr, right func() bool) (bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if turn := g.turn(from, time.Now()); turn > longestWait {
		return false, &TooMany{turn}
	} else if turn > 0 {
		g.mu.Unlock()
		err := sleep(ctx, turn)
		g.mu.Lock()
		if err != nil {
			return false, err
		}
	}
	if right() {
		return true, nil
	}
	g.failed(from, time.Now())
	return false, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// turn is how long the address has to wait; it takes the turn unless that is too
// long.
func (g *Guesses) turn(from netip.Addr, now time.Time) time.Duration {
	one, ok := g.by[from]
	if !ok || one.wrong < guessesFree || one.over(now) {
		return 0
	}
	at := one.next
	if at.Before(now) {
		at = now
	}
	if at.Sub(now) <= longestWait {
		one.next = at.Add(one.wait)
	}
	return at.Sub(now)
}

// over says whether the address has not guessed for long enough. One whose turn is
// still to come has not waited yet.
func (o *guesser) over(now time.Time) bool {
	return now.Sub(o.last) >= Forgiven && !now.Before(o.next)
}

// failed counts a wrong key.
func (g *Guesses) failed(from netip.Addr, now time.Time) {
	one, ok := g.by[from]
	if !ok || one.over(now) {
		if len(g.by) >= maxAddresses {
			g.forget(now)
		}
		one = &guesser{}
		g.by[from] = one
	}
	one.wrong++
	one.last = now
	if one.wrong < guessesFree {
		return
	}
	one.wait = min(max(2*one.wait, time.Second), longestWait)
	if turn := now.Add(one.wait); one.next.Before(turn) {
		one.next = turn
	}
}

// forget drops addresses that have waited long enough, or all of them.
func (g *Guesses) forget(now time.Time) {
	for addr, one := range g.by {
		if one.over(now) {
			delete(g.by, addr)
		}
	}
	if len(g.by) >= maxAddresses {
		clear(g.by)
	}
}
