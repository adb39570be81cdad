package httpapi

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	failuresPerMinute = 10
	// maxAddresses bounds the memory that failures take.
	maxAddresses = 10_000
)

// failures limits failed proofs, of signatures, links and sessions, by address: the
// first ten a minute are told what is wrong, the others to go away. Wrong keys are
// guesses.
type failures struct {
	now func() time.Time

	mu    sync.Mutex
	limit map[netip.Addr]*rate.Limiter
}

func newFailures(now func() time.Time) *failures {
	return &failures{now: now, limit: map[netip.Addr]*rate.Limiter{}}
}

// count counts a failure and returns it, or that there were too many.
func (f *failures) count(from netip.Addr, failure *problem) *problem {
	if f.allow(from) {
		return failure
	}
	return tooManyFailures(time.Minute)
}

func (f *failures) allow(addr netip.Addr) bool {
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

// forget drops addresses that did nothing for a minute, or all of them: their
// number is bounded, whatever an attacker has.
func (f *failures) forget(now time.Time) {
	for addr, limiter := range f.limit {
		if limiter.TokensAt(now) >= failuresPerMinute {
			delete(f.limit, addr)
		}
	}
	if len(f.limit) >= maxAddresses {
		clear(f.limit)
	}
}
