package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/internal/pgdb"
	"github.com/liwanag/liwanag/workflow"
)

// DefaultMaxTxSteps is how many steps run at once in transactions of their own.
const DefaultMaxTxSteps = 8

const kindOfStore = "PostgreSQL"

var _ store.Transactor = (*Store)(nil)

// Step adds a step whose function writes tables of the program in the store's database:
// what it writes, what it starts and sends by In(tx), and its outcome are committed
// together, once. The function neither commits nor rolls back. Of such steps
// Config.MaxTxSteps run at once, on connections of their own. Only an engine over a
// PostgreSQL store takes the definition.
func Step[In, Out any](wf *workflow.Workflow[In], name string, fn func(ctx context.Context, tx pgx.Tx, in In) (Out, error),
	opts ...workflow.StepOption) *workflow.Result[Out] {
	return workflow.StepIn(wf, kindOfStore, name, fn, opts...)
}

// StepsIn is the kind of store that steps of [Step] are for.
func (s *Store) StepsIn() string { return kindOfStore }

// steps are the connections of steps in transactions, made for the first of them.
type steps struct {
	most int
	mu   sync.Mutex
	pool *pgxpool.Pool
}

// connections are those of steps, apart from what heartbeats, claims and groups use.
func (s *Store) connections(ctx context.Context) (*pgxpool.Pool, error) {
	s.steps.mu.Lock()
	defer s.steps.mu.Unlock()
	if s.steps.pool == nil {
		c := s.db.Pool().Config()
		c.MaxConns, c.MinConns, c.MinIdleConns = int32(s.steps.most), 0, 0 // #nosec G115 -- a number of connections
		pool, err := pgxpool.NewWithConfig(context.WithoutCancel(ctx), c)
		if err != nil {
			return nil, err
		}
		s.steps.pool = pool
	}
	return s.steps.pool, nil
}

func (s *steps) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pool == nil {
		return
	}
	closed := make(chan struct{})
	go func() { defer close(closed); s.pool.Close() }()
	select {
	case <-closed:
	case <-time.After(closeWithin):
	}
}

// Transact runs do in a transaction that is committed with what it returns. The run's row
// is locked behind all that do does, by this transaction itself: it waits for no group,
// and none waits for it but for the moment of its commit.
func (s *Store) Transact(ctx context.Context, l store.Lease, within time.Duration,
	do func(in store.Inside) (store.Progress, error)) (news store.News, err error) {
	operation := "commit the step of run " + l.RunID
	if err := s.open(operation); err != nil {
		return news, err
	}
	pool, err := s.connections(ctx)
	if err != nil {
		return news, s.fault(operation, err)
	}
	tx, err := pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted})
	if err != nil {
		return news, s.fault(operation, err)
	}
	defer func() {
		if err != nil {
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			_ = tx.Rollback(last) // a connection that is left inside of a transaction is closed
		}
	}()
	// A process that was stopped in the middle must not keep its locks.
	idle := strconv.FormatInt((within + stoppedFor).Milliseconds(), 10)
	if _, err := tx.Exec(ctx, "SELECT set_config('idle_in_transaction_session_timeout', $1, true)", idle); err != nil {
		return news, s.fault(operation, err)
	}
	p, err := do(func(ctx context.Context) context.Context { return workflow.InTx(ctx, pgx.Tx(guarded{tx})) })
	if err != nil {
		return news, err
	}
	if news, err = s.fenced(ctx, tx, l, p); err == nil {
		err = s.db.CommitOf(ctx, tx)
	}
	switch {
	case err == nil:
		s.Posted()
		return news, nil
	case errors.Is(err, store.ErrLeaseLost):
		return store.News{}, err
	case pgdb.IsAnswer(err) && !pgdb.IsTransient(err):
		return store.News{}, &store.Refusal{Err: err}
	}
	return store.News{}, s.fault(operation, err)
}

// stoppedFor is how much longer than its step may take a transaction is kept.
const stoppedFor = 10 * time.Second

// fenced writes what a step's move changed in its transaction.
func (s *Store) fenced(ctx context.Context, tx pgx.Tx, l store.Lease, p store.Progress) (news store.News, err error) {
	c := &change{id: store.PackID(l.RunID), epoch: l.Epoch}
	c.ofMove(l.RunID, p)
	g := newGroup([]*change{c}, false)
	first, last := &pgx.Batch{}, &pgx.Batch{}
	g.lock(batch{first, s.schema})
	if err := tx.SendBatch(ctx, first).Close(); err != nil {
		return news, err
	}
	if news, err = g.commit(c, g.rows[string(c.id)], l, p, &news); err != nil {
		return news, err
	}
	g.write(batch{last, s.schema})
	return news, tx.SendBatch(ctx, last).Close()
}

// guarded is a transaction that its step does not end.
type guarded struct{ pgx.Tx }

var errEnds = errors.New("postgres: a step does not end its transaction: it commits with the step's outcome\n  Try: return an " +
	"error, to undo it")

func (guarded) Commit(context.Context) error   { return errEnds }
func (guarded) Rollback(context.Context) error { return errEnds }

func checkMaxTxSteps(n int) error {
	if n < 0 {
		return fmt.Errorf("postgres: MaxTxSteps %d must not be negative", n)
	}
	return nil
}
