// Package groupcommit gathers changes that are asked for at the same time, so
// that they share one transaction and one sync of the disk. A group is what
// queued while the one before it was being written: an idle database commits at
// once, a busy one shares, and nothing lingers.
package groupcommit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
)

// ErrClosed: the queue was closed before the change was put into it.
var ErrClosed = errors.New("groupcommit: the queue is closed")

// Queue holds the changes that no group has taken. Callers use Do; the
// goroutines that write groups use the rest.
type Queue[T any] struct {
	mu      sync.Mutex
	more    sync.Cond
	changes []*Change[T]
	closed  bool
}

// New returns an empty queue.
func New[T any]() *Queue[T] {
	q := &Queue[T]{}
	q.more.L = &q.mu
	return q
}

// Change is one call of Do.
type Change[T any] struct {
	Do    T
	state atomic.Int32
	err   error
	done  chan struct{}
}

const (
	queued int32 = iota
	picked
	withdrawn
)

// Do queues a change and returns what became of it, once that is certain. ctx
// counts until the change is picked for a group: from then on nobody can take it
// back. [ErrClosed].
func (q *Queue[T]) Do(ctx context.Context, do T) error { return q.Begin(ctx, do)() }

// Begin queues a change; outcome is the rest of Do. Changes that are begun one after the
// other are taken in that order.
func (q *Queue[T]) Begin(ctx context.Context, do T) (outcome func() error) {
	c := &Change[T]{Do: do, done: make(chan struct{})}
	err := ctx.Err()
	if err == nil {
		err = q.push(c)
	}
	if err != nil {
		return func() error { return err }
	}
	return func() error {
		select {
		case <-c.done:
		case <-ctx.Done():
			if c.state.CompareAndSwap(queued, withdrawn) {
				return fmt.Errorf("groupcommit: withdrawn before a group began with it: %w", ctx.Err())
			}
			<-c.done
		}
		return c.err
	}
}

func (q *Queue[T]) push(c *Change[T]) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return ErrClosed
	}
	q.changes = append(q.changes, c)
	q.more.Signal()
	return nil
}

// Take waits for changes and takes up to n of them, the oldest first; nil means
// that the queue is closed and empty. Each has to be picked before it is begun.
func (q *Queue[T]) Take(n int) []*Change[T] {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.changes) == 0 {
		if q.closed {
			return nil
		}
		q.more.Wait()
	}
	n = min(len(q.changes), n)
	group := q.changes[:n:n]
	q.changes = slices.Clone(q.changes[n:])
	if len(q.changes) > 0 {
		q.more.Signal() // for another goroutine that takes
	}
	return group
}

// Return puts changes back that a group did not come to, before all others.
func (q *Queue[T]) Return(rest []*Change[T]) {
	if len(rest) == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.changes = append(rest, q.changes...)
	q.more.Signal()
}

// Len is how many changes no group has taken.
func (q *Queue[T]) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.changes)
}

// Close refuses everything after it; what is queued can still be taken.
func (q *Queue[T]) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.more.Broadcast()
}

// Closed says whether Close was called.
func (q *Queue[T]) Closed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}

// Pick makes the change the group's; false: its caller has withdrawn it. A change
// that is picked can be picked again, for another try.
func (c *Change[T]) Pick() bool {
	return c.state.CompareAndSwap(queued, picked) || c.state.Load() == picked
}

// Finish tells the caller what became of the change, which was picked. Once.
func (c *Change[T]) Finish(err error) {
	c.err = err
	close(c.done)
}
