package httpapi

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// overviewLasts is how long figures are shown that count whole tables.
const overviewLasts = 3 * time.Second

// overviews are the latest ones, a range each. One reader at a time counts, the
// others wait for what it finds.
type overviews struct {
	turn chan struct{} // taken by whoever counts

	mu     sync.Mutex
	latest map[string]api.Overview
}

func newOverviews() overviews {
	return overviews{turn: make(chan struct{}, 1), latest: map[string]api.Overview{}}
}

func (o *overviews) young(during string, now time.Time) (api.Overview, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	kept, ok := o.latest[during]
	return kept, ok && now.Sub(kept.At).Abs() < overviewLasts
}

func (o *overviews) keep(view api.Overview) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.latest[view.Range] = view
}

// forget lets whoever just did something see it.
func (o *overviews) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	clear(o.latest)
}

func (s *Server) registerOverview() {
	door.Serve(s.Door, api.GetOverview, s.getOverview)
	door.Serve(s.Door, runapi.CountRuns, s.countRuns)
}

func (s *Server) getOverview(ctx context.Context, in *api.OverviewRequest) (api.Overview, error) {
	select {
	case s.overviews.turn <- struct{}{}:
		defer func() { <-s.overviews.turn }()
	case <-ctx.Done():
		return api.Overview{}, ctx.Err()
	}
	if kept, ok := s.overviews.young(in.Range, s.cfg.Now()); ok {
		return kept, nil
	}
	view, err := s.overviewNow(ctx, in.Range)
	if err == nil {
		s.overviews.keep(view)
	}
	return view, err
}

func (s *Server) overviewNow(ctx context.Context, during string) (api.Overview, error) {
	now := s.cfg.Now().UTC()
	view := api.Overview{Range: during, At: now, Runs: map[string]int64{}}
	since, width := now.Add(-23*time.Hour), time.Hour
	switch during {
	case "7d":
		since, width = now.AddDate(0, 0, -6), 24*time.Hour
	case "30d":
		since, width = now.AddDate(0, 0, -29), 24*time.Hour
	}
	happened, err := s.cfg.Store.Activity(ctx, since, now, width)
	if err != nil {
		return api.Overview{}, err
	}
	for _, a := range happened {
		view.Spans = append(view.Spans, api.Span{From: a.From.UTC(), SignUps: a.SignUps, Enriched: a.Enriched,
			NotFound: a.NotFound, Failed: a.Failed, Spent: a.Spent})
	}
	if view.Subscribers, err = textual(s.cfg.Store.Subscribers.Count(ctx)); err != nil {
		return api.Overview{}, err
	}
	if view.Jobs, err = textual(s.cfg.Store.Jobs.Count(ctx)); err != nil {
		return api.Overview{}, err
	}
	if view.Submissions, err = textual(s.cfg.Store.Submissions.Count(ctx)); err != nil {
		return api.Overview{}, err
	}
	counts, err := s.cfg.Counts(ctx)
	if err != nil {
		return api.Overview{}, door.OfRunner(err)
	}
	for _, c := range counts {
		view.Runs[c.Status] += c.Runs
	}
	if view.Credits, err = s.creditsNow(ctx); err != nil {
		return api.Overview{}, err
	}
	needs, err := s.attentionNow(ctx, view.Credits, counts, now)
	view.Attention, view.Dismissed, view.Onboarding = needs.Items, needs.Dismissed, needs.Onboarding
	return view, err
}

func textual[T ~string](counts map[T]int64, err error) (map[string]int64, error) {
	out := make(map[string]int64, len(counts))
	for word, n := range counts {
		out[string(word)] = n
	}
	return out, err
}

func (s *Server) countRuns(ctx context.Context, in *runapi.WorkflowPath) (runapi.List[runapi.RunCount], error) {
	if s.definition(in.Name, 0) == nil {
		return runapi.List[runapi.RunCount]{}, door.NewProblem(404, "not_found", "no workflow has this name")
	}
	counts, err := s.cfg.Counts(ctx)
	if err != nil {
		return runapi.List[runapi.RunCount]{}, door.OfRunner(err)
	}
	counts = slices.DeleteFunc(slices.Clone(counts), func(c runapi.RunCount) bool { return c.Workflow != in.Name })
	return listOf(counts, "", func(c runapi.RunCount) runapi.RunCount { return c }), nil
}
