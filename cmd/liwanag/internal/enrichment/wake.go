package enrichment

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow"
)

// resumeWhen ends the pause of spending if it is one of those wanted.
func (s *Service) resumeWhen(ctx context.Context, wanted func(liwanag.Spending) bool) error {
	now, resumed := s.now(), false
	err := s.store.Write(ctx, func(tx *datastore.Tx) error {
		spending, err := tx.Ledger.Spending()
		if resumed = err == nil && wanted(spending); !resumed {
			return err
		}
		return resume(tx, now)
	})
	if err == nil && resumed {
		s.ringResumed()
	}
	return err
}

// resume lets spending go on. Resubmissions wait in no run: the sweep looks at
// them now.
func resume(tx *datastore.Tx, now time.Time) error {
	if err := tx.Ledger.SetSpending(liwanag.Spending{At: now}); err != nil {
		return err
	}
	return tx.Submissions.FollowUnsent(now)
}

func (s *Service) ringResumed() {
	ring(s.bells.wakes)
	ring(s.bells.sweep)
	s.askBalance()
}

// seen is what wakeWaiting found the last time.
type seen struct {
	looked  bool
	resumed time.Time // when spending went on
	paused  bool
	room    int64 // of the day's budget
}

// wakeWaiting wakes the runs that are noted to wait for something that is over.
// Who was woken is not noted: the note goes when the run sends or waits for
// something else, and until then any node wakes it again. So nothing is lost with a
// process, and no node needs to be told who resumed.
func (s *Service) wakeWaiting(ctx context.Context) error {
	spending, err := s.store.Ledger.Spending(ctx)
	if err != nil {
		return err
	}
	if !s.seen.looked { // what an earlier process parked may have waited for our settings
		err := s.store.Write(ctx, func(tx *datastore.Tx) error { return tx.Submissions.FollowUnsent(s.now()) })
		if err != nil {
			return err
		}
		s.seen.looked = true
		ring(s.bells.sweep)
	}
	paused := !pausedUntil(spending, s.now()).IsZero()
	if s.seen.paused && !paused {
		s.askBalance() // it ended by itself
	}
	s.seen.paused = paused
	if !spending.Paused && spending.At.After(s.seen.resumed) {
		if s.breaker.IsOpen() {
			s.breaker.HalfOpen() // an operator's or FullEnrich's own word: one tries now
		}
		// What came back for want of credits waits in no run.
		if _, err := s.RunScheduledBatch(ctx, false); err != nil {
			return err
		}
		s.seen.resumed = spending.At
	}
	for _, w := range []liwanag.Waiting{liwanag.WaitingPaused, liwanag.WaitingCredits, liwanag.WaitingKey,
		liwanag.WaitingUnavailable, liwanag.WaitingBudget} {
		jobs, err := s.mayGoOn(ctx, w, spending)
		if err != nil {
			return err
		}
		if err := s.wakeFor(ctx, w, jobs); err != nil {
			return err
		}
	}
	return nil
}

// mayGoOn is for how many jobs the wait is over.
func (s *Service) mayGoOn(ctx context.Context, w liwanag.Waiting, spending liwanag.Spending) (int64, error) {
	switch {
	case s.partner == nil || !pausedUntil(spending, s.now()).IsZero():
		return 0, nil
	case w == liwanag.WaitingUnavailable && s.breaker.IsClosed():
		return math.MaxInt64, nil
	case w == liwanag.WaitingUnavailable && s.breaker.RemainingDelay() > 0:
		return 0, nil
	case w == liwanag.WaitingUnavailable:
		return 1, nil
	case w != liwanag.WaitingBudget:
		return math.MaxInt64, nil
	}
	used, err := s.store.Ledger.Credits(ctx, liwanag.DayOf(s.now()))
	if err != nil {
		return 0, err
	}
	budget, err := s.Budget(ctx)
	if err != nil {
		return 0, err
	}
	room, before := roomBeside(budget, used), s.seen.room
	if s.seen.room = room; room <= before {
		return 0, nil // who waits has seen as much
	}
	return room, nil
}

// wakeFor wakes runs, oldest first, until they have as many jobs.
func (s *Service) wakeFor(ctx context.Context, w liwanag.Waiting, jobs int64) error {
	after := liwanag.ID{}
	for jobs > 0 {
		waiting, err := s.store.Batches.Waiting(ctx, w, after, sweepGroup)
		if err != nil || len(waiting) == 0 {
			return err
		}
		for _, b := range waiting {
			if after = b.RunID; jobs <= 0 {
				return nil
			}
			jobs -= int64(b.Size)
			switch err := s.runner.Wake(ctx, b.RunID.String()); {
			case errors.Is(err, workflow.ErrEnded) || errors.Is(err, workflow.ErrNotFound):
				// It ended without its handlers: nobody waits.
				err = s.store.Write(ctx, func(tx *datastore.Tx) error { return clearWait(tx, b.RunID) })
				if err != nil {
					return err
				}
			case err != nil:
				return err
			}
		}
	}
	return nil
}

// waitFrom is until when something waits that found it has to: not at all when
// spending went on meanwhile, since whoever resumed looked for those who were noted
// by then.
func (e *Enricher) waitFrom(tx *datastore.Tx, wait *notNow, now time.Time) (time.Time, error) {
	switch wait.waiting {
	case liwanag.WaitingPaused, liwanag.WaitingCredits, liwanag.WaitingKey:
	default:
		return wait.until, nil
	}
	spending, err := tx.Ledger.Spending()
	if err != nil || e.partner == nil || !pausedUntil(spending, now).IsZero() {
		return wait.until, err
	}
	return now, nil
}
