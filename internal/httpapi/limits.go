package httpapi

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// busy tells a client to come back.
func busy() *problem {
	p := newProblem(http.StatusServiceUnavailable, "busy", "too many requests at once, try again later")
	p.retryAfter = 5
	return p
}

// pool bounds how many requests are worked on at once.
type pool chan struct{}

// poolPatience is how long a request waits for its turn.
const poolPatience = 10 * time.Second

func newPool(n int) pool { return make(pool, n) }

// enter waits for a turn; on success leave must follow.
func (p pool) enter(ctx context.Context) error {
	select {
	case p <- struct{}{}:
		return nil
	default:
	}
	patience := time.NewTimer(poolPatience)
	defer patience.Stop()
	select {
	case p <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-patience.C:
		return busy()
	}
}

func (p pool) leave() { <-p }

// maxBodies bounds the bodies in memory, in bytes: of the API, and as much of
// webhooks. It counts what has arrived, so that a client that sends a large body
// slowly, or only says that it will, takes nothing from the others.
const maxBodies = 128 << 20

// bodies counts bytes of bodies in memory.
type bodies struct{ held atomic.Int64 }

func (b *bodies) enter(n int64) bool {
	if b.held.Add(n) <= maxBodies {
		return true
	}
	b.held.Add(-n)
	return false
}

func (b *bodies) leave(n int64) { b.held.Add(-n) }

// bodies are those that a request's body counts among.
func (s *Server) bodies(r *http.Request) *bodies {
	if ingress(r) {
		return &s.hookBodies
	}
	return &s.apiBodies
}

// counted reads a body and counts it among those in memory, until its request
// ends.
type counted struct {
	r     io.Reader
	all   *bodies
	scope *scope
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if !c.all.enter(int64(n)) {
		return 0, busy()
	}
	c.scope.held += int64(n)
	return n, err
}
