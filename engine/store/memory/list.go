package memory

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

// Get reads a run whole.
func (s *Store) Get(ctx context.Context, runID string) (store.Claimed, error) {
	r, err := s.find(ctx, runID)
	if err != nil {
		return store.Claimed{}, err
	}
	defer s.mu.Unlock()
	return r.whole(), nil
}

// List reads runs, newest first.
func (s *Store) List(ctx context.Context, q store.Query) ([]store.Run, string, error) {
	var after int64
	var id []byte
	if q.Cursor != "" {
		var err error
		if after, id, err = store.ParseCursor(q.Cursor); err != nil {
			return nil, "", err
		}
	}
	if err := s.lock(ctx); err != nil {
		return nil, "", err
	}
	defer s.mu.Unlock()
	var runs []store.Run
	for _, r := range s.runs {
		if matches(r.Run, q) && (q.Cursor == "" || behind(q, r.Run, after, id)) {
			runs = append(runs, r.Run)
		}
	}
	slices.SortFunc(runs, func(a, b store.Run) int {
		if q.Parent != "" {
			return bytes.Compare(store.PackID(a.ID), store.PackID(b.ID))
		}
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), strings.Compare(b.ID, a.ID))
	})
	if q.Limit <= 0 || len(runs) <= q.Limit {
		return runs, "", nil
	}
	last := runs[q.Limit-1]
	return runs[:q.Limit], store.Cursor(last), nil
}

// behind says whether a run comes behind the last of a page.
func behind(q store.Query, r store.Run, micros int64, id []byte) bool {
	if q.Parent != "" {
		return bytes.Compare(store.PackID(r.ID), id) > 0
	}
	at := time.UnixMicro(micros)
	return r.CreatedAt.Before(at) || r.CreatedAt.Equal(at) && r.ID < store.UnpackID(id)
}

func matches(r store.Run, q store.Query) bool {
	parent := ""
	if r.Sub {
		parent, _, _, _, _ = workflow.SplitRunID(r.ID)
	}
	return (parent == q.Parent || q.IDs != nil && q.Parent == "") && (q.Workflow == "" || r.Workflow == q.Workflow) &&
		(q.Status == "" || q.Status == r.Status || q.Status == r.Derived(q.Now)) &&
		(q.Since.IsZero() || !r.CreatedAt.Before(q.Since)) &&
		(q.Until.IsZero() || r.CreatedAt.Before(q.Until)) &&
		(q.IDs == nil || slices.Contains(q.IDs, r.ID)) && r.Attributes.Have(q.Attributes)
}

// Attributes are those of runs.
func (s *Store) Attributes(ctx context.Context, runIDs ...string) (map[string]workflow.Attributes, error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	var all map[string]workflow.Attributes
	for _, id := range runIDs {
		r := s.runs[id]
		if r == nil || len(r.Attributes) == 0 {
			continue
		}
		if all == nil {
			all = map[string]workflow.Attributes{}
		}
		all[id] = maps.Clone(r.Attributes)
	}
	return all, nil
}

// Counts counts runs.
func (s *Store) Counts(ctx context.Context) ([]store.Count, error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	counts := map[store.Count]int64{}
	for _, r := range s.runs {
		if r.Sub {
			continue
		}
		c := store.Count{Workflow: r.Workflow, Version: r.Version, Status: r.Status}
		if r.Status == store.Open && r.Owner <= 0 {
			c.Step = r.Park.Step
		}
		counts[c]++
	}
	var out []store.Count
	for c, n := range counts {
		c.Runs = n
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b store.Count) int {
		return cmp.Or(strings.Compare(a.Workflow, b.Workflow), cmp.Compare(a.Version, b.Version),
			strings.Compare(string(a.Status), string(b.Status)), strings.Compare(a.Step, b.Step))
	})
	return out, nil
}

// Overdue counts open runs that were due before the given time.
func (s *Store) Overdue(ctx context.Context, before time.Time) (int64, error) {
	if err := s.lock(ctx); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	var n int64
	for _, r := range s.runs {
		if r.Status == store.Open && r.Owner == 0 && r.Park.Until.Before(before) && r.CreatedAt.Before(before) {
			n++
		}
	}
	return n, nil
}

// Prune deletes runs that ended long ago.
func (s *Store) Prune(ctx context.Context, endedBefore time.Time, n int) (int, error) {
	if err := s.lock(ctx); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	pruned := 0
	for id, r := range s.runs {
		if pruned < n && !r.Sub && r.Status != store.Open && r.EndedAt.Before(endedBefore) {
			delete(s.runs, id)
			maps.DeleteFunc(s.runs, func(below string, o *row) bool { return o.Sub && strings.HasPrefix(below, id+"/") })
			pruned++
		}
	}
	return pruned, nil
}
