package memory

import (
	"context"
	"slices"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

// openSubs begins sub-runs of a run.
func (s *Store) openSubs(r *row, o store.Opening, now time.Time) {
	if r.group == nil {
		g := o.Group
		r.group = &g
		if o.Again {
			all, completed := 0, 0
			for sub := s.sub(r, &g, 0); sub != nil; sub = s.sub(r, &g, all) {
				if all++; sub.Status == store.Completed {
					completed++
				}
			}
			o.Found(&g, all, completed)
		}
	}
	r.group.Total = max(r.group.Total, o.Group.Total)
	for range o.Count {
		if r.group.Next < r.group.Total {
			s.begin(r, now)
		}
	}
}

func (s *Store) sub(r *row, g *store.Group, i int) *row {
	return s.runs[workflow.SubRunID(r.ID, g.Step, g.Generation, i)]
}

func (s *Store) begin(r *row, now time.Time) {
	sub := &row{Run: r.group.Begin(r.ID, now), token: 1}
	s.runs[sub.ID] = sub
	s.index(sub)
}

// around is the run around a sub-run, and its group, if that counts the sub-run.
func (s *Store) around(r *row) (*row, *store.Group) {
	id, step, generation, _, _ := workflow.SplitRunID(r.ID)
	parent := s.runs[id]
	if parent == nil || !parent.group.Is(step, generation) {
		return nil, nil
	}
	return parent, parent.group
}

// ended counts a sub-run that has ended.
func (s *Store) ended(r *row, now time.Time) {
	if !r.Sub {
		return
	}
	parent, g := s.around(r)
	if g == nil {
		return
	}
	g.Ended(r.Status)
	if g.Room() {
		s.begin(parent, now)
	}
	if g.Wakes() {
		parent.InboxSeq++
		parent.wake(now)
	}
}

// Group reads how far the sub-runs of a run are.
func (s *Store) Group(ctx context.Context, runID string) (*store.Group, error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	r := s.runs[runID]
	if r == nil || r.group == nil {
		return nil, nil
	}
	g := *r.group
	return &g, nil
}

// Subs reads sub-runs, in order.
func (s *Store) Subs(ctx context.Context, q store.SubQuery) (subs []store.Claimed, err error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	for i := q.From; q.Limit == 0 || len(subs) < q.Limit; i++ {
		r := s.runs[workflow.SubRunID(q.Parent, q.Step, q.Generation, i)]
		switch {
		case r == nil:
			return subs, nil
		case q.Status != nil && !slices.Contains(q.Status, r.Status):
		case q.Rows:
			subs = append(subs, store.Claimed{Run: r.Run})
		default:
			subs = append(subs, r.whole())
		}
	}
	return subs, nil
}
