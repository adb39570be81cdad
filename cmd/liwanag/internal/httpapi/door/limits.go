package door

import (
	"context"
	"io"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// Busy tells a client to come back.
func Busy() *Problem {
	p := NewProblem(http.StatusServiceUnavailable, "busy", "too many requests at once, try again later")
	p.RetryAfter = 5
	return p
}

// pool bounds how many requests are worked on at once.
type pool chan struct{}

// PoolPatience is how long a request waits for its turn.
const PoolPatience = 10 * time.Second

func newPool(n int) pool { return make(pool, n) }

// enter waits for a turn; on success leave must follow.
func (p pool) enter(ctx context.Context) error {
	select {
	case p <- struct{}{}:
		return nil
	default:
	}
	patience := time.NewTimer(PoolPatience)
	defer patience.Stop()
	select {
	case p <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-patience.C:
		return Busy()
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
	MaxUnproven = 64 << 20
	// MaxHookBody is the most that a webhook may have: a result of 100 people is up to
	// 1 MB.
	MaxHookBody = 8 << 20
)

// Bodies are the shares of what has arrived.
type Bodies struct {
	API      *Share
	Known    *Share // webhooks under a token that is known
	Unproven *Share // webhooks that show nothing before their body is read
}

// Share is a part of memory that bodies of one kind may take. One kind never takes
// from another.
type Share struct {
	limit int64
	each  int64 // of one address; 0: up to the limit

	mu   sync.Mutex
	held int64
	by   map[netip.Addr]int64 // where each is limited
}

// newBodies shares memory out, bytes; 0: there is as much as anybody wants. Each share
// has room for a largest body of its kind.
func newBodies(memory int64) Bodies {
	part := func(most, share, least int64) int64 {
		if memory <= 0 {
			return most
		}
		return max(min(most, memory/share), least)
	}
	unproven := part(MaxUnproven, 16, 2*MaxHookBody)
	return Bodies{API: newShare(part(maxBodies, 10, 16*MaxJSON), 0), Known: newShare(part(maxBodies, 10, 2*MaxHookBody), 0),
		Unproven: newShare(unproven, max(unproven/4, MaxHookBody))}
}

func newShare(limit, each int64) *Share {
	return &Share{limit: limit, each: each, by: map[netip.Addr]int64{}}
}

// Enter takes n bytes for an address, if there is room.
func (s *Share) Enter(from netip.Addr, n int64) bool {
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

// Held is how many bytes are taken.
func (s *Share) Held() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held
}

// Limit is how many there are, bytes.
func (s *Share) Limit() int64 { return s.limit }

// Leave gives n bytes back.
func (s *Share) Leave(from netip.Addr, n int64) {
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
	if !c.scope.share.Enter(c.scope.from, int64(n)) {
		return 0, Busy()
	}
	c.scope.held += int64(n)
	return n, err
}

// Strangers are webhooks under a token of FullEnrich's that nobody knows. They are
// read all the same, few and in little time: their signature may be right, when a
// backup was restored.
type Strangers struct {
	Share *Share

	mu   sync.Mutex
	from map[netip.Addr]bool
}

const (
	strangersAtOnce = 2
	maxStrangers    = 16 << 20 // bytes
	StrangerWithin  = 10 * time.Second
)

// Enter says whether a stranger's body may be read; then Leave must follow.
func (s *Strangers) Enter(from netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.from) >= strangersAtOnce || s.from[from] {
		return false
	}
	s.from[from] = true
	return true
}

// Leave gives the place back.
func (s *Strangers) Leave(from netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.from, from)
}
