package sqlite

import (
	"context"
	"errors"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/internal/sqlitedb"
	"github.com/liwanag/liwanag/workflow"
)

// kindOfStore names this store to steps that run in its transactions.
const kindOfStore = "SQLite"

var _ store.Transactor = (*Store)(nil)

// Step adds a step whose function writes tables of the program in the store's file: what
// it writes, what it starts and sends by tx, and its outcome are committed together, once.
// The function holds up all others that write, for Config.MaxHold at most. Only an engine
// over a SQLite store takes the definition.
func Step[In, Out any](wf *workflow.Workflow[In], name string, fn func(ctx context.Context, tx *Tx, in In) (Out, error),
	opts ...workflow.StepOption) *workflow.Result[Out] {
	return workflow.StepIn(wf, kindOfStore, name, fn, opts...)
}

// StepsIn is the kind of store that steps of [Step] are for.
func (s *Store) StepsIn() string { return kindOfStore }

// Transact runs do in a transaction that is committed with what it returns.
func (s *Store) Transact(ctx context.Context, l store.Lease, _ time.Duration,
	do func(in store.Inside) (store.Progress, error)) (news store.News, err error) {
	var own error
	var mine *Tx
	err = s.db.Hold(ctx, s.maxHold, func(h *sqlitedb.Held) error {
		mine = &Tx{s: s, held: h, ctx: h.Inside(ctx)}
		var p store.Progress
		if p, own = do(func(ctx context.Context) context.Context {
			return workflow.InTx(h.Inside(ctx), mine)
		}); own != nil {
			return own
		}
		return h.Do(func(tx *sqlitedb.Tx) (err error) {
			news, err = s.commit(tx, store.PackID(l.RunID), l, p)
			return err
		})
	})
	switch {
	case err == nil:
		if mine.due {
			s.rouse()
		}
		return news, nil
	case own != nil, errors.Is(err, store.ErrLeaseLost):
		return store.News{}, err
	case errors.Is(err, ErrHeld), sqlitedb.IsRefused(err), sqlitedb.IsUnique(err):
		return store.News{}, &store.Refusal{Err: err}
	}
	return store.News{}, s.fault("commit the step of run "+l.RunID, err)
}
