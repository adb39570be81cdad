package workflow

import (
	"sync"
	"time"
)

// scopeBytes bounds what the scopes take that are kept.
const scopeBytes = 16 << 20

// scopeAge is how long a scope is kept: once a run was pruned its id may be another's.
const scopeAge = time.Minute

// Scopes keeps what sub-runs see of the run around them. While they are open it does not
// change, so that one reading serves all of them. The zero value is empty.
type Scopes struct {
	mu   sync.Mutex
	all  map[string]*scopeOf
	size int
}

type scopeOf struct {
	once  sync.Once
	scope *Scope
	err   error
	size  int
	read  time.Time
}

// Of is the scope for the sub-runs of a step, read when it is not kept.
func (s *Scopes) Of(runID, step string, generation int, read func() (*Scope, error)) (*Scope, error) {
	key := SubRunID(runID, step, generation, 0)
	for {
		one, mine := s.kept(key), false
		one.once.Do(func() {
			one.scope, one.err = read()
			s.came(key, one)
			mine = true
		})
		if one.err == nil || mine { // what another one could not read, this one tries itself
			return one.scope, one.err
		}
	}
}

// kept is what is kept under a key; it is read by whoever comes first.
func (s *Scopes) kept(key string) *scopeOf {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.all[key]
	if one != nil && !one.read.IsZero() && time.Since(one.read) > scopeAge {
		s.drop(key)
		one = nil
	}
	if one == nil {
		one = &scopeOf{}
		s.keep(key, one)
	}
	return one
}

// came counts what was read, and forgets what could not be.
func (s *Scopes) came(key string, one *scopeOf) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.all[key] != one:
	case one.err != nil:
		delete(s.all, key)
	default:
		one.read, one.size = time.Now(), one.scope.Size()
		s.size += one.size
	}
}

// Put keeps a scope that is known.
func (s *Scopes) Put(runID, step string, generation int, scope *Scope) {
	_, _ = s.Of(runID, step, generation, func() (*Scope, error) { return scope, nil })
}

// keep makes room for one more.
func (s *Scopes) keep(key string, one *scopeOf) {
	if s.all == nil {
		s.all = map[string]*scopeOf{}
	}
	for other := range s.all {
		if len(s.all) < 1024 && s.size < scopeBytes {
			break
		}
		s.drop(other)
	}
	s.all[key] = one
}

func (s *Scopes) drop(key string) {
	if one := s.all[key]; one != nil {
		s.size -= one.size
		delete(s.all, key)
	}
}

// Forget drops what is known of an earlier run of the same id.
func (s *Scopes) Forget(runID, step string, generation int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(SubRunID(runID, step, generation, 0))
}
