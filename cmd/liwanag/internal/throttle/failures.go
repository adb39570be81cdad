// Package throttle slows down whoever fails to prove who they are, by address. What
// it keeps is bounded, whatever an attacker has, and lost with the process.
package throttle

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	failuresPerMinute = 10
	maxAddresses      = 10_000 // bounds what is remembered
)

// TooMany refuses an address that failed too often.
type TooMany struct {
	After time.Duration // when it may try again
}

// Error says for how long.
func (e *TooMany) Error() string { return fmt.Sprintf("throttle: too many failures, wait %s", e.After) }

// Failures limits failed proofs, of signatures, links and sessions: an address may be
// told ten times a minute what is wrong. Wrong keys are guesses. It is safe for
// concurrent use.
type Failures struct {
	now func() time.Time

	mu    sync.Mutex
	limit map[netip.Addr]*rate.Limiter
}

// NewFailures returns failures of which none has happened yet.
func NewFailures(now func() time.Time) *Failures {
	return &Failures{now: now, limit: map[netip.Addr]*rate.Limiter{}}
}

// Count counts a failure. *TooMany: the address is to be told no more.
func (f *Failures) Count(from netip.Addr) error {
	if f.allow(from) {
		return nil
	}
	return &TooMany{time.Minute}
}

func (f *Failures) allow(addr netip.Addr) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	limiter, ok := f.limit[addr]
	if !ok {
		if len(f.limit) >= maxAddresses {
			f.forget(now)
		}
		limiter = rate.NewLimiter(rate.Every(time.Minute/failuresPerMinute), failuresPerMinute)
		f.limit[addr] = limiter
	}
	return limiter.AllowN(now, 1)
}

// forget drops addresses that did nothing for a minute, or all of them.
func (f *Failures) forget(now time.Time) {
	for addr, limiter := range f.limit {
		if limiter.TokensAt(now) >= failuresPerMinute {
			delete(f.limit, addr)
		}
	}
	if len(f.limit) >= maxAddresses {
		clear(f.limit)
	}
}
