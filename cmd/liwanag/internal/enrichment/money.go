package enrichment

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// affordable chooses the jobs that may be ordered now, and says how many of them nobody
// confirmed. Aside are those of a source that stopped, and those that nobody confirmed
// and the budget of the day has no room for: they wait in batches of their own.
func (e *Enricher) affordable(tx *datastore.Tx, jobs []liwanag.Job, now time.Time) (chosen []liwanag.Job, unconfirmed int64,
	aside [2][]liwanag.Job, err error) {
	stopped, err := stoppedSources(tx)
	if err != nil {
		return nil, 0, aside, err
	}
	day := liwanag.DayOf(now)
	room, err := e.room(tx, day)
	if err != nil {
		return nil, 0, aside, err
	}
	for _, j := range jobs {
		switch {
		case stopped[j.Source]:
			aside[0] = append(aside[0], j)
		case j.Confirmed:
			chosen = append(chosen, j)
		case unconfirmed >= room:
			aside[1] = append(aside[1], j)
		default:
			chosen, unconfirmed = append(chosen, j), unconfirmed+1
		}
	}
	switch {
	case len(chosen) > 0:
		return chosen, unconfirmed, aside, nil
	case len(aside[1]) > 0:
		return nil, 0, aside, &notNow{liwanag.WaitingBudget, day.End()}
	}
	return nil, 0, aside, &notNow{liwanag.WaitingFoundRate, now.Add(foundRateLook)}
}

// room is how many credits the day's budget still allows for what nobody confirmed.
func (e *Enricher) room(tx *datastore.Tx, day liwanag.Day) (int64, error) {
	set, err := tx.Ledger.Budget()
	if err != nil {
		return 0, err
	}
	used, err := tx.Ledger.Credits(day)
	return roomBeside(e.bound(set), used), err
}

func roomBeside(budget int64, used liwanag.Credits) int64 {
	if budget == 0 {
		return math.MaxInt64
	}
	return budget - used.Unconfirmed
}

// bound is the budget of a day for what nobody confirmed; 0: none. What somebody set
// while the server ran counts before the settings.
func (e *Enricher) bound(set liwanag.Budget) int64 {
	switch {
	case set.Set:
		return set.Credits
	case e.cfg.BudgetByDefault && set.Unbounded:
		return 0
	}
	return e.cfg.CreditBudget
}

// Budget is how many credits a UTC day may cost that nobody confirmed; 0: no limit.
func (e *Enricher) Budget(ctx context.Context) (int64, error) {
	set, err := e.store.Ledger.Budget(ctx)
	return e.bound(set), err
}

// SetBudget changes the budget for all nodes, until it is changed again: 0 lifts it,
// nil leaves it to the settings. Who waits for it goes on at once.
func (s *Service) SetBudget(ctx context.Context, credits *int64) error {
	err := s.store.Write(ctx, func(tx *datastore.Tx) error { return tx.Ledger.SetBudget(credits) })
	if err == nil {
		s.ringResumed()
	}
	return err
}

// tellUnbounded says once that an installation keeps no budget.
func (s *Service) tellUnbounded(ctx context.Context) error {
	set, err := s.store.Ledger.Budget(ctx)
	if err != nil || !s.cfg.BudgetByDefault || set.Set || !set.Unbounded || set.Told {
		return err
	}
	first := false
	err = s.store.Write(ctx, func(tx *datastore.Tx) (err error) {
		first, err = tx.Ledger.ToldUnbounded()
		return err
	})
	if err == nil && first {
		s.cfg.Log.WarnContext(ctx, fmt.Sprintf("no budget bounds what nobody confirms: more than %d credits were "+
			"spent on a day before there was one. Try: liwanag submissions budget %d", s.cfg.CreditBudget, s.cfg.CreditBudget))
	}
	return err
}

// A source of which hardly anybody is found any more is stopped: over the latest
// answers the rate is below a fifth of the rate of those before, which was above 20 %.
const (
	latestAnswers = 200
	answersBefore = 500
	leastRate     = 0.2
	fallTo        = 0.2
	foundRateLook = 10 * time.Minute // whoever goes on wakes its runs; this is for a process that dies meanwhile
	answerFound   = "1"
	answerNobody  = "0"
)

// Rates are the shares of people found among the latest lookups of a source, and among
// those before; false: there were not enough.
func Rates(answers string) (latest, before float64, ok bool) {
	if len(answers) < latestAnswers+answersBefore {
		return 0, 0, false
	}
	answers = answers[len(answers)-latestAnswers-answersBefore:]
	share := func(of string) float64 { return float64(strings.Count(of, answerFound)) / float64(len(of)) }
	return share(answers[answersBefore:]), share(answers[:answersBefore]), true
}

// noteAnswers counts how lookups ended, by source, and stops a source whose rate fell.
func noteAnswers(tx *datastore.Tx, bySource map[string]string, now time.Time) error {
	for source, more := range bySource {
		f, err := tx.Ledger.FoundRate(source)
		if err != nil {
			return err
		}
		f.Answers += more
		if over := len(f.Answers) - latestAnswers - answersBefore; over > 0 {
			f.Answers = f.Answers[over:]
		}
		if latest, before, ok := Rates(f.Answers); ok && f.StoppedAt.IsZero() && before > leastRate && latest < before*fallTo {
			f.StoppedAt = now
		}
		if err := tx.Ledger.SetFoundRate(f); err != nil {
			return err
		}
	}
	return nil
}

// stoppedSources are the sources whose lookups wait.
func stoppedSources(tx *datastore.Tx) (map[string]bool, error) {
	all, err := tx.Ledger.StoppedSources()
	stopped := make(map[string]bool, len(all))
	for _, f := range all {
		stopped[f.Source] = true
	}
	return stopped, err
}

// notStopped refuses the source that nobody stopped.
func notStopped(f liwanag.FoundRate) error {
	if f.StoppedAt.IsZero() {
		return liwanag.NewError(liwanag.Conflict, liwanag.ErrState.Code, "the lookups of this source do not wait")
	}
	return nil
}

// ResumeSource lets the lookups of a source go on that hardly finds anybody any more.
// The next look at its rate needs as many answers as the first one. ErrState.
func (s *Service) ResumeSource(ctx context.Context, source string) error {
	err := s.store.Write(ctx, func(tx *datastore.Tx) error {
		f, err := tx.Ledger.FoundRate(source)
		if err != nil {
			return err
		}
		if err := notStopped(f); err != nil {
			return err
		}
		return tx.Ledger.SetFoundRate(liwanag.FoundRate{Source: source})
	})
	if err != nil {
		return err
	}
	return s.wakeFor(ctx, liwanag.WaitingFoundRate, math.MaxInt64)
}

// DropSource cancels the lookups that wait because of their source, which stays
// stopped. It says how many; ErrState.
func (s *Service) DropSource(ctx context.Context, source string) (dropped int64, err error) {
	for more := true; more; {
		n := 0
		err := s.store.Write(ctx, func(tx *datastore.Tx) error {
			f, err := tx.Ledger.FoundRate(source)
			if err != nil {
				return err
			}
			if err := notStopped(f); err != nil {
				return err
			}
			jobs, err := tx.Jobs.PendingOf(source, sweepGroup)
			if err != nil {
				return err
			}
			moved, err := tx.Jobs.Move(liwanag.JobMove{IDs: ids(jobs), From: []liwanag.JobStatus{liwanag.JobPending}, To: liwanag.JobCanceled,
				Failure: liwanag.JobFailure{Code: liwanag.CodeDropped, Message: "an operator dropped the lookups of this source"}, At: s.now()})
			n = len(moved)
			return err
		})
		dropped, more = dropped+int64(n), n == sweepGroup
		if err != nil {
			return dropped, err
		}
	}
	return dropped, s.wakeFor(ctx, liwanag.WaitingFoundRate, math.MaxInt64)
}
