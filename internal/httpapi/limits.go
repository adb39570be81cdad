package httpapi

import (
	"context"
	"io"
	"net/http"
	"net/netip"
	"sync"
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

// What bodies may take of memory, in bytes. What has arrived counts, so that a
// client that sends a large body slowly, or only says that it will, takes nothing
// from the others.
const (
	maxBodies = 128 << 20 // of the API; and as much of webhooks under a token that is known
	// maxUnproven is for webhooks that show nothing before their body is read, of
	// which one address may hold a quarter.
	maxUnproven = 64 << 20
)

// share is a part of memory that bodies of one kind may take. One kind never takes
// from another.
type share struct {
	limit int64
	each  int64 // of one address; 0: up to the limit

	mu   sync.Mutex
	held int64
	by   map[netip.Addr]int64 // where each is limited
}

func newShare(limit, each int64) *share {
	return &share{limit: limit, each: each, by: map[netip.Addr]int64{}}
}

func (s *share) enter(from netip.Addr, n int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held+n > s.limit || s.each > 0 && s.by[from]+n > s.each {
		return false
	}
	s.held += n
	if s.each > 0 {
		s.by[from] += n
	}
	return true
}

func (s *share) leave(from netip.Addr, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held -= n
	if s.each == 0 {
		return
	}
	if s.by[from] -= n; s.by[from] == 0 {
		delete(s.by, from)
	}
}

// counted reads a body and counts it among those in memory, until its request
// ends.
type counted struct {
	r     io.Reader
	scope *scope
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if !c.scope.share.enter(c.scope.from, int64(n)) {
		return 0, busy()
	}
	c.scope.held += int64(n)
	return n, err
}

// strangers are webhooks under a token of FullEnrich's that nobody knows. They are
// read all the same, few and in little time: their signature may be right, when a
// backup was restored.
type strangers struct {
	share *share

	mu   sync.Mutex
	from map[netip.Addr]bool
}

const (
	strangersAtOnce = 2
	maxStrangers    = 16 << 20 // bytes
	strangerWithin  = 10 * time.Second
)

// enter says whether a stranger's body may be read; then leave must follow.
func (s *strangers) enter(from netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.from) >= strangersAtOnce || s.from[from] {
		return false
	}
	s.from[from] = true
	return true
}

func (s *strangers) leave(from netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.from, from)
}
