package httpapi

import (
	"context"
	"time"

	"github.com/liwanag/liwanag/internal/liwanag"
)

func (s *Server) registerCredits() {
	handle(s, s.describe("GET", "/api/v1/credits", "get-credits", "Balance, and what this UTC day reserved and spent", 200),
		func(ctx context.Context, _ *struct{}) (credits, error) { return s.creditsNow(ctx) })
}

// credits are the figures of the account and of the day.
type credits struct {
	Balance   *float64  `json:"balance,omitempty" doc:"As FullEnrich said last; absent when it never did."`
	BalanceAt time.Time `json:"balanceAt,omitzero"`
	Day       string    `json:"day" doc:"The UTC day of reserved and spent."`
	Reserved  int64     `json:"reserved" doc:"By submissions whose cost is not known yet."`
	Spent     int64     `json:"spent"`
	Budget    *int64    `json:"budget,omitempty" doc:"Credits a UTC day; absent without a limit."`
	Paused    bool      `json:"paused" doc:"All spending is stopped."`
	// The rest says why and until when.
	PausedReason string    `json:"pausedReason,omitempty" enum:"paused,credits,key"`
	PausedUntil  time.Time `json:"pausedUntil,omitzero"`
	PausedNote   string    `json:"pausedNote,omitempty"`
}

func (s *Server) creditsNow(ctx context.Context) (credits, error) {
	ledger, now := s.cfg.Store.Ledger(), s.cfg.Now().UTC()
	day := liwanag.DayOf(now)
	figures, err := ledger.Credits(ctx, day)
	if err != nil {
		return credits{}, err
	}
	balance, err := ledger.Balance(ctx)
	if err != nil {
		return credits{}, err
	}
	spending, err := ledger.Spending(ctx)
	if err != nil {
		return credits{}, err
	}
	view := credits{Day: now.Format(time.DateOnly), Reserved: figures.Reserved, Spent: figures.Spent}
	if !balance.At.IsZero() {
		view.Balance, view.BalanceAt = &balance.Credits, utc(balance.At)
	}
	if s.cfg.CreditBudget > 0 {
		view.Budget = &s.cfg.CreditBudget
	}
	if spending.Paused && (spending.Until.IsZero() || spending.Until.After(now)) {
		view.Paused, view.PausedReason, view.PausedUntil, view.PausedNote = true, string(spending.Reason), utc(spending.Until), spending.Note
	}
	return view, nil
}
