package engine

import (
	"errors"
	"sync"

	"github.com/liwanag/liwanag/engine/store"
)

const (
	// readers is how many runs are read whole at once: each may have as much as the
	// limits of a run allow.
	readers = 8
	// inMemory is how much the runs that are executed may take together, in bytes of
	// their inputs, histories and inboxes. Each may have its share of a slot in any
	// case; who needs more waits for it.
	inMemory = 64 << 20
	// small is how much the history and inbox of a run may take to come with its
	// claim, in bytes, if its share of a slot allows.
	small = 32 << 10
)

// memory bounds what executed runs take.
type memory struct {
	reading chan struct{}
	share   int

	mu      sync.Mutex
	free    int
	waiting []*held // in order
}

// held is what a run has taken of the memory.
type held struct {
	m     *memory
	size  int
	ready chan struct{}
}

func newMemory(slots int) *memory {
	return &memory{reading: make(chan struct{}, readers), share: inMemory / slots, free: inMemory}
}

// ask queues for memory; ready is closed when it is there. One that is larger than
// all of it gets all of it.
func (m *memory) ask(size int) *held {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := &held{m: m, size: min(size, inMemory), ready: make(chan struct{})}
	m.waiting = append(m.waiting, h)
	m.serve()
	return h
}

// serve gives memory to those who wait, in their order.
func (m *memory) serve() {
	for len(m.waiting) > 0 && m.waiting[0].size <= m.free {
		h := m.waiting[0]
		m.waiting = m.waiting[1:]
		m.free -= h.size
		close(h.ready)
	}
}

func (h *held) release() {
	if h == nil {
		return
	}
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	select {
	case <-h.ready:
		h.m.free += h.size
	default: // it still waits
		h.size = 0
	}
	h.m.serve()
}

// whole reads what a claim left out, once there is room for it; false when the run
// is not this node's any more. A run that was created here has nothing more to read.
func (e *Engine) whole(c store.Claimed) (store.Claimed, *held, bool) {
	if c.Whole || c.Run.Seq <= 1 {
		return c, nil, true
	}
	full, ok := e.readOwned(c)
	if !ok {
		return c, nil, false
	}
	size := len(full.Run.Input) + full.Rest()
	if size <= e.memory.share {
		return full, nil, true
	}
	h := e.memory.ask(size)
	select {
	case <-h.ready:
		return full, h, true
	default:
	}
	full = store.Claimed{} // it waits without
	select {
	case <-h.ready:
	case <-e.working().Done():
		h.release()
		return c, nil, false
	}
	if full, ok = e.readOwned(c); !ok {
		h.release()
	}
	return full, h, ok
}

// readOwned reads a run that was claimed.
func (e *Engine) readOwned(c store.Claimed) (store.Claimed, bool) {
	e.memory.reading <- struct{}{}
	full, err := e.read(c.Run.ID)
	<-e.memory.reading
	if err == nil && (full.Run.Status != store.Open || full.Run.Owner != c.Lease.Epoch) {
		err = store.ErrLeaseLost
	}
	if err != nil {
		if !errors.Is(err, store.ErrClosed) {
			e.tell.RunnerFault("read", err)
		}
		return c, false
	}
	full.Lease, full.TakenOver, full.New = c.Lease, c.TakenOver, c.New
	return full, true
}
