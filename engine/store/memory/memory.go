// Package memory is a store in memory: for tests, and for programs whose runs may
// end with the process. It passes the same suite as the durable stores.
package memory

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/liwanag/liwanag/engine/store"
)

// Store keeps runs in memory. The zero value is not usable: call New.
type Store struct {
	store.Use
	mu     sync.Mutex
	runs   map[string]*row
	open   map[store.Definition]map[*row]bool
	shapes map[store.Definition][]store.Shape
	epoch  int64

	schedules map[string]*scheduled

	buried int64 // the epoch that has dealt with the runs of those before it
	closed bool
}

type row struct {
	store.Run
	token   int64
	group   *store.Group
	history []store.Entry
	signals []store.Signal
}

var _ store.Store = (*Store)(nil)

// New returns an empty store.
func New() *Store {
	return &Store{runs: map[string]*row{}, open: map[store.Definition]map[*row]bool{}, shapes: map[store.Definition][]store.Shape{},
		schedules: map[string]*scheduled{}}
}

// Close makes every later call fail with store.ErrClosed.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.Forsake()
	return nil
}

// lock begins a call: the context counts until here.
func (s *Store) lock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return store.ErrClosed
	}
	return nil
}

// Shapes are what Note noted.
func (s *Store) Shapes(ctx context.Context) (map[store.Definition][]store.Shape, error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	return maps.Clone(s.shapes), nil
}

// Note replaces what is noted of a definition.
func (s *Store) Note(ctx context.Context, d store.Definition, shapes []store.Shape) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	s.shapes[d] = slices.Clone(shapes)
	return nil
}

// OldKeys is zero: no run here is of another release.
func (s *Store) OldKeys() time.Time { return time.Time{} }

func (s *Store) find(ctx context.Context, id string) (*row, error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	if r := s.runs[id]; r != nil {
		return r, nil
	}
	s.mu.Unlock()
	return nil, store.ErrNotFound
}

// Heartbeat registers a node. A store in one process has one live node: the last
// that registered.
func (s *Store) Heartbeat(ctx context.Context, name string, _ time.Duration) (store.Node, error) {
	if err := s.lock(ctx); err != nil {
		return store.Node{}, err
	}
	defer s.mu.Unlock()
	s.epoch++
	return store.Node{Name: name, Epoch: s.epoch}, nil
}

// Create inserts a run.
func (s *Store) Create(ctx context.Context, r store.Run) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	if r.Owner != 0 && r.Owner != s.epoch {
		return store.ErrLeaseLost
	}
	if s.runs[r.ID] != nil {
		return store.ErrExists
	}
	r.Input, r.Attributes = bytes.Clone(r.Input), maps.Clone(r.Attributes)
	created := &row{Run: r, token: 1}
	if first := r.First; first != nil {
		sig := *first
		sig.Payload = bytes.Clone(sig.Payload)
		created.First, created.signals = nil, []store.Signal{{Signal: sig, Seq: r.Seq, At: r.CreatedAt}}
	}
	s.runs[r.ID] = created
	s.index(created)
	return nil
}

// index keeps the open runs by definition: those of definitions that a claim does not
// ask for cost it nothing, nor do those that have ended.
func (s *Store) index(r *row) {
	def := store.Definition{Workflow: r.Workflow, Version: r.Version}
	if r.Status != store.Open {
		delete(s.open[def], r)
		return
	}
	if s.open[def] == nil {
		s.open[def] = map[*row]bool{}
	}
	s.open[def][r] = true
}
