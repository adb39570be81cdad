package memory

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/liwanag/liwanag/engine/store"
)

// Claim leases due runs.
func (s *Store) Claim(ctx context.Context, node store.Node, w store.Wanted, now time.Time) ([]store.Claimed, time.Time, error) {
	if err := s.lock(ctx); err != nil {
		return nil, time.Time{}, err
	}
	defer s.mu.Unlock()
	if node.Epoch != s.epoch {
		return nil, time.Time{}, store.ErrLeaseLost
	}
	s.bury(now)
	var old, fresh, suspects []*row
	var next time.Time
	for _, def := range w.Definitions {
		for r := range s.open[def] {
			switch at := r.Park.Until; {
			case r.Owner == s.epoch, r.Owner == store.Paused:
			case r.Owner != 0: // it had begun
				old = append(old, r)
			case slices.Contains(w.Except, r.ID):
			case at.After(now):
				if next.IsZero() || at.Before(next) {
					next = at
				}
			case r.Takeovers >= store.SuspectAfter:
				suspects = append(suspects, r)
			case r.StartedAt.IsZero():
				fresh = append(fresh, r)
			default:
				old = append(old, r)
			}
		}
	}
	ready := append(first(old, w.Old), first(fresh, w.New)...)
	var claimed []store.Claimed
	for _, r := range append(first(ready, w.Runs), first(suspects, w.Suspects)...) {
		claimed = append(claimed, r.take(node, w.Bytes, now))
	}
	return claimed, next, nil
}

// bury deals with the runs of dead nodes that are not taken over as they are.
func (s *Store) bury(now time.Time) {
	if s.buried == s.epoch {
		return
	}
	s.buried = s.epoch
	for _, rows := range s.open {
		for r := range rows {
			begun := !r.StartedAt.IsZero()
			if r.Owner <= 0 || r.Owner == s.epoch || begun && r.Takeovers == 0 {
				continue
			}
			r.Owner = 0
			r.token += 2
			if begun && r.Begun {
				r.Takeovers++
				r.Park.Until = now.Add(store.Quarantine)
			}
		}
	}
}

// first are the n earliest, ties by creation.
func first(rows []*row, n int) []*row {
	slices.SortFunc(rows, func(a, b *row) int {
		return cmp.Or(a.Park.Until.Compare(b.Park.Until), a.CreatedAt.Compare(b.CreatedAt), strings.Compare(a.ID, b.ID))
	})
	return rows[:min(max(n, 0), len(rows))]
}

func (r *row) take(node store.Node, bytes int, now time.Time) store.Claimed {
	c := store.Claimed{TakenOver: r.Owner != 0, New: r.StartedAt.IsZero()}
	if c.TakenOver {
		r.Takeovers++
	}
	if c.New {
		r.StartedAt = now
	}
	r.Owner = node.Epoch
	r.token += 2
	c.Run, c.Lease = r.Run, store.Lease{RunID: r.ID, Epoch: node.Epoch, Token: r.token}
	if (store.Claimed{History: r.history, Signals: r.signals}).Rest() <= bytes {
		c.History, c.Signals, c.Whole = slices.Clone(r.history), slices.Clone(r.signals), true
	}
	return c
}

func (r *row) whole() store.Claimed {
	c := store.Claimed{Run: r.Run, Signals: slices.Clone(r.signals), Whole: true}
	reading := store.Into(&c)
	for _, e := range r.history {
		reading.Entry(e, e.Consumed)
	}
	return c
}
