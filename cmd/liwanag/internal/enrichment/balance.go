package enrichment

import (
	"context"
	"fmt"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// balanceSoon is the shortest time between two looks at the balance that something
// asks for: each is a call.
const balanceSoon = 10 * time.Second

// askBalance has the balance read soon: it has changed, or something depends on it.
func (e *Enricher) askBalance() {
	e.balanceAsked.Store(true)
	ring(e.bells.balance)
}

// checkBalance asks for FullEnrich's balance when something asked for it, and now and
// then while there is work: a balance of 0 stops spending, one above it lets it go on.
func (s *Service) checkBalance(ctx context.Context) error {
	if s.partner == nil {
		return nil
	}
	now := s.now()
	known, err := s.store.Ledger.Balance(ctx)
	if err != nil {
		return err
	}
	spending, err := s.store.Ledger.Spending(ctx)
	every := balanceEvery
	if known.Credits <= 0 && spending.Paused && spending.Reason == liwanag.WaitingCredits {
		every = time.Minute // somebody may be buying some
	}
	if err != nil {
		return err
	}
	if asked := s.balanceAsked.Load(); asked {
		every = balanceSoon
	}
	if left := every - now.Sub(known.At); left > 0 {
		if every == balanceSoon {
			time.AfterFunc(left, func() { ring(s.bells.balance) })
		}
		return nil
	}
	if work, err := s.hasWork(ctx); err != nil || !work && every != balanceSoon {
		return err
	}
	if mine, err := s.turns().TakeTurn(ctx, "balance", now.Truncate(balanceSoon)); err != nil || !mine {
		return err
	}
	s.balanceAsked.Store(false) // what changes from here on asks anew
	balance, err := s.partner.Credits(ctx)
	if err != nil {
		return fmt.Errorf("enrichment: balance: %w", err)
	}
	resumed := false
	err = s.store.Write(ctx, func(tx *datastore.Tx) error {
		resumed = false
		if err := tx.Ledger.SetBalance(liwanag.Balance{Credits: balance, At: now}); err != nil {
			return err
		}
		if err := s.announceBalance(tx, balance, now); err != nil {
			return err
		}
		if balance <= 0 {
			return pauseForCredits(tx, now)
		}
		spending, err := tx.Ledger.Spending()
		if resumed = err == nil && spending.Paused && spending.Reason == liwanag.WaitingCredits; !resumed {
			return err
		}
		return resume(tx, now)
	})
	if err == nil && resumed {
		s.ringResumed()
	}
	return err
}

func (s *Service) hasWork(ctx context.Context) (bool, error) {
	runs, err := s.store.Jobs.OpenRuns(ctx, s.now(), liwanag.ID{}, 1)
	if err != nil || len(runs) > 0 {
		return err == nil, err
	}
	jobs, err := s.store.Jobs.Unbatched(ctx, 1)
	return len(jobs) > 0, err
}
