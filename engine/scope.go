package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

// scopeBytes bounds what the scopes take that are kept.
const scopeBytes = 16 << 20

// scopeAge is how long a scope is kept: once a run was pruned its id may be another's.
const scopeAge = time.Minute

// scopes keeps what sub-runs see of the run around them. While they are open it does not
// change, so that one reading serves all of them.
type scopes struct {
	mu   sync.Mutex
	all  map[string]*scopeOf
	size int
}

type scopeOf struct {
	once  sync.Once
	scope *workflow.Scope
	err   error
	size  int
	read  time.Time
}

// of is the scope for the sub-runs of a step, read when it is not kept.
func (s *scopes) of(runID, step string, generation int, read func() (*workflow.Scope, error)) (*workflow.Scope, error) {
	key := workflow.SubRunID(runID, step, generation, 0)
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
func (s *scopes) kept(key string) *scopeOf {
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
func (s *scopes) came(key string, one *scopeOf) {
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

// put keeps a scope that is known.
func (s *scopes) put(runID, step string, generation int, scope *workflow.Scope) {
	_, _ = s.of(runID, step, generation, func() (*workflow.Scope, error) { return scope, nil })
}

// keep makes room for one more.
func (s *scopes) keep(key string, one *scopeOf) {
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

func (s *scopes) drop(key string) {
	if one := s.all[key]; one != nil {
		s.size -= one.size
		delete(s.all, key)
	}
}

// forget drops what is known of an earlier run of the same id.
func (s *scopes) forget(runID, step string, generation int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(workflow.SubRunID(runID, step, generation, 0))
}

// errAround says that the definition of the run around a sub-run is not held here.
var errAround = errors.New("the run around it")

// reader reads a run whole: as often as it takes, or once for somebody who waits.
type reader func(runID string) (store.Claimed, error)

func (e *Engine) once(ctx context.Context) reader {
	return func(runID string) (store.Claimed, error) { return e.store.Get(ctx, runID) }
}

// setting is the plan of a run, nil when it is not held; and of a sub-run its place, and
// its input, which the run is given. The error of a sub-run whose definition has none
// like it is a workflow.Failure.
func (e *Engine) setting(get reader, r *store.Run) (*workflow.Plan, *workflow.Place, error) {
	if !r.Sub {
		return e.plans[store.Definition{Workflow: r.Workflow, Version: r.Version}], nil, nil
	}
	parent, step, generation, index, _ := workflow.SplitRunID(r.ID)
	scope, err := e.scopes.of(parent, step, generation, func() (*workflow.Scope, error) { return e.readScope(get, parent) })
	if err != nil {
		return nil, nil, err
	}
	n, ok := scope.Plan().Node(step)
	if !ok || n.Sub == nil || n.Body(index) == nil {
		return nil, nil, workflow.Failure{Step: step, Reason: workflow.ReasonError, Code: workflow.CodeDefinition,
			Message: fmt.Sprintf("%s version %d has no sub-run %s[%d]", scope.Plan().Name, scope.Plan().Version, step, index)}
	}
	place := &workflow.Place{Scope: scope, Node: n, Index: index}
	var before []byte
	if n.Sub.Rounds > 0 && index > 0 {
		last, err := get(workflow.SubRunID(parent, step, generation, index-1))
		if err != nil {
			return nil, nil, err
		}
		before = outputOfSub(n, last)
	}
	r.Input, err = place.Input(before)
	return n.Body(index), place, err
}

// readScope reads the run around sub-runs.
func (e *Engine) readScope(get reader, runID string) (*workflow.Scope, error) {
	c, err := get(runID)
	if err != nil {
		return nil, err
	}
	plan, place, err := e.setting(get, &c.Run)
	switch {
	case err != nil:
		return nil, err
	case plan == nil:
		return nil, fmt.Errorf("%w, %s, is of %s version %d, which is not held", errAround, runID, c.Run.Workflow, c.Run.Version)
	}
	return plan.Scope(runID, factsOfRun(plan, place, c.Run.Input, c.History, c.Signals)), nil
}
