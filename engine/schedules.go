package engine

import (
	"time"

	"github.com/liwanag/liwanag/engine/schedule"
)

// scheduler is implemented by stores that keep schedules, as all of this module do.
type scheduler interface{ Ledger() schedule.Ledger }

// remembered is how long a firing is remembered at least.
const remembered = 400 * 24 * time.Hour

func (e *Engine) schedule() (err error) {
	s, ok := e.store.(scheduler)
	if !ok {
		return nil
	}
	e.schedules, err = schedule.New(schedule.Config{Runner: e, Ledger: s.Ledger(), Schedules: e.cfg.Schedules,
		Remember: max(remembered, 2*e.cfg.Retention), Now: e.now,
		Fault: func(err error) { e.tell.RunnerFault("schedule", err) }})
	return err
}

// Schedules pauses, triggers, backfills and lists the schedules of the store, also those that
// only other nodes hold; nil when the store keeps none.
func (e *Engine) Schedules() *schedule.Loop { return e.schedules }
