package store

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Use gives a store to one engine at a time: two on one store would be one node to it,
// and each would end the other's lease. It also knows who waits in this process for runs
// to end. Stores embed it.
type Use struct {
	used atomic.Bool

	mu      sync.Mutex
	waiters map[string]*waiters // by run
	sweeps  bool
}

// waiters are those who wait for one run.
type waiters struct {
	n     int
	ended chan struct{}
}

// Enter takes the store until leave is called. false: another engine has it.
func (u *Use) Enter() (leave func(), ok bool) {
	if u.used.Swap(true) {
		return nil, false
	}
	return func() { u.used.Store(false) }, true
}

// AwaitEnd is a channel that is closed when the run has ended, as far as Ended is told,
// until leave is called.
func (u *Use) AwaitEnd(runID string) (ended <-chan struct{}, leave func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.waiters == nil {
		u.waiters = map[string]*waiters{}
	}
	w := u.waiters[runID]
	if w == nil {
		w = &waiters{ended: make(chan struct{})}
		u.waiters[runID] = w
	}
	w.n++
	return w.ended, func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		if w.n--; w.n == 0 && u.waiters[runID] == w {
			delete(u.waiters, runID)
		}
	}
}

// Ended tells those who wait for runs to look.
func (u *Use) Ended(runIDs ...string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, id := range runIDs {
		u.end(id)
	}
}

// EndedBelow tells those who wait for runs below one to look.
func (u *Use) EndedBelow(runID string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for id := range u.waiters {
		if strings.HasPrefix(id, runID+"/") {
			u.end(id)
		}
	}
}

func (u *Use) end(runID string) {
	if w := u.waiters[runID]; w != nil {
		close(w.ended)
		delete(u.waiters, runID)
	}
}

// Forsake tells all who wait to look: the store is closed.
func (u *Use) Forsake() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, w := range u.waiters {
		close(w.ended)
	}
	clear(u.waiters)
}

// Awaited are the runs that somebody waits for.
func (u *Use) Awaited() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Collect(maps.Keys(u.waiters))
}

// Sweeper is true for the one who is to look now and then for ends that nobody tells
// here, until it says so by Swept.
func (u *Use) Sweeper() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	first := !u.sweeps
	u.sweeps = true
	return first
}

// Swept says that the sweeper goes, unless somebody waits: then it stays.
func (u *Use) Swept() (gone bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.sweeps = len(u.waiters) > 0
	return !u.sweeps
}
