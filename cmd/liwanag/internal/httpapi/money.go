package httpapi

import (
	"context"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func (s *Server) setBudget(ctx context.Context, in *api.BudgetRequest) (api.Credits, error) {
	if err := s.cfg.Enrichment.SetBudget(ctx, in.Credits); err != nil {
		return api.Credits{}, err
	}
	return s.creditsNow(ctx)
}

func viewStopped(f liwanag.FoundRate) api.StoppedSource {
	view := api.StoppedSource{Source: f.Source, StoppedAt: utc(f.StoppedAt)}
	view.LatestRate, view.BeforeRate, _ = enrichment.Rates(f.Answers)
	return view
}

func (s *Server) listStoppedSources(ctx context.Context, _ *runapi.NoInput) (runapi.List[api.StoppedSource], error) {
	rows, err := s.cfg.Store.Ledger.StoppedSources(ctx)
	return listOf(rows, "", viewStopped), err
}

func (s *Server) resumeSource(ctx context.Context, in *api.SourceRequest) (api.StoppedSource, error) {
	err := s.cfg.Enrichment.ResumeSource(ctx, in.Source)
	return api.StoppedSource{Source: in.Source}, err
}

func (s *Server) dropSource(ctx context.Context, in *api.SourceRequest) (api.StoppedSource, error) {
	dropped, err := s.cfg.Enrichment.DropSource(ctx, in.Source)
	if err != nil {
		return api.StoppedSource{}, err
	}
	all, err := s.cfg.Store.Ledger.StoppedSources(ctx)
	for _, f := range all {
		if f.Source == in.Source {
			view := viewStopped(f)
			view.Dropped = dropped
			return view, nil
		}
	}
	return api.StoppedSource{Source: in.Source, Dropped: dropped}, err
}
