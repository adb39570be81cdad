package throttle

import (
	"net/netip"
	"testing"
	"time"
)

func TestMemoryOfFailuresIsBounded(t *testing.T) {
	f, g := NewFailures(time.Now), NewGuesses()
	for i := range 3 * maxAddresses {
		from := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		_ = f.Count(from)
		g.failed(from, time.Now())
	}
	if len(f.limit) > maxAddresses || len(g.by) > maxAddresses {
		t.Errorf("%d and %d addresses are remembered", len(f.limit), len(g.by))
	}
}
