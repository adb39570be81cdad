package httpapi

import (
	"context"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func (s *Server) registerCredits() { door.Serve(s.Door, api.GetCredits, s.getCredits) }

func (s *Server) getCredits(ctx context.Context, _ *runapi.NoInput) (api.Credits, error) {
	return s.creditsNow(ctx)
}

func (s *Server) creditsNow(ctx context.Context) (api.Credits, error) {
	ledger, now := s.cfg.Store.Ledger, s.cfg.Now().UTC()
	day := liwanag.DayOf(now)
	figures, err := ledger.Credits(ctx, day)
	if err != nil {
		return api.Credits{}, err
	}
	balance, err := ledger.Balance(ctx)
	if err != nil {
		return api.Credits{}, err
	}
	spending, err := ledger.Spending(ctx)
	if err != nil {
		return api.Credits{}, err
	}
	view := api.Credits{Day: now.Format(time.DateOnly), Reserved: figures.Reserved, Spent: figures.Spent}
	if !balance.At.IsZero() {
		view.Balance, view.BalanceAt = &balance.Credits, utc(balance.At)
	}
	budget, err := s.cfg.Enrichment.Budget(ctx)
	if err != nil {
		return api.Credits{}, err
	}
	if view.Unconfirmed = figures.Unconfirmed; budget > 0 {
		left := max(budget-figures.Unconfirmed, 0)
		view.Budget, view.BudgetLeft = &budget, &left
	}
	if spending.Paused && (spending.Until.IsZero() || spending.Until.After(now)) {
		view.Paused, view.PausedReason, view.PausedUntil, view.PausedNote = true, string(spending.Reason), utc(spending.Until), spending.Note
	}
	return view, nil
}
