package pgdb

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Tx is a transaction while its function runs. Every statement runs under the
// transaction's own context, and has a third of [Config.Patience]: a connection that
// is silent for longer is closed, and counts as lost.
type Tx struct {
	ctx    context.Context
	caller context.Context
	conn   *pgx.Conn
	most   time.Duration      // of a statement
	leave  context.CancelFunc // ends the context of the latest statement
	ended  bool
}

// statement is the context of the next statement; that of the one before it ends.
func (t *Tx) statement() (ctx context.Context) {
	t.end()
	ctx, t.leave = context.WithTimeout(t.ctx, t.most)
	return ctx
}

func (t *Tx) end() {
	if t.leave != nil {
		t.leave()
	}
}

// Exec runs a statement and tells how many rows it changed.
func (t *Tx) Exec(sql string, args ...any) (int64, error) {
	if t.ended {
		return 0, errTxEnded
	}
	tag, err := t.conn.Exec(t.statement(), sql, args...)
	return tag.RowsAffected(), t.told(err)
}

// Query reads rows. They must be read to the end, or closed, before the next
// statement; what ends them early is in their Err.
func (t *Tx) Query(sql string, args ...any) (pgx.Rows, error) {
	if t.ended {
		return nil, errTxEnded
	}
	rows, err := t.conn.Query(t.statement(), sql, args...)
	return rows, t.told(err)
}

// QueryRow reads one row; Scan gives pgx.ErrNoRows when there is none.
func (t *Tx) QueryRow(sql string, args ...any) pgx.Row {
	if t.ended {
		return failedRow{}
	}
	return t.conn.QueryRow(t.statement(), sql, args...)
}

// SendBatch sends statements in one round trip. The results must be closed
// before the next statement.
func (t *Tx) SendBatch(b *pgx.Batch) pgx.BatchResults { return t.conn.SendBatch(t.statement(), b) }

type failedRow struct{}

func (failedRow) Scan(...any) error { return errTxEnded }

// told marks an error of a connection that is gone, though not because the
// transaction took too long.
func (t *Tx) told(err error) error {
	if err != nil && t.conn.IsClosed() && codeOf(err) == "" && t.ctx.Err() == nil {
		return &lostError{err}
	}
	return err
}

// tries is how often a transaction is begun that fails for a passing cause.
const tries = 6

// Transact runs fn in one READ COMMITTED transaction and returns when it is
// durable. fn may run several times: after a lost connection, a deadlock, a
// serialization failure or a restart of the server the transaction is repeated,
// for about a second, when it is certain that it was not committed. A commit
// whose answer was lost is not guessed about but looked up; [ErrOutcomeUnknown]
// when that is not possible. An error of fn rolls back and is returned as it is.
func (db *DB) Transact(ctx context.Context, fn func(tx *Tx) error) error {
	return db.transact(ctx, db.begin, fn)
}

func (db *DB) transact(ctx context.Context, begin string, fn func(tx *Tx) error) error {
	return db.repeat(ctx, func(tx *Tx) error {
		id, err := tx.start(begin)
		if err == nil {
			err = fn(tx)
		}
		tx.ended = true
		if err != nil {
			tx.rollback()
			return tx.told(err)
		}
		return db.commit(tx, id)
	})
}

// Exchange is [DB.Transact] in two round trips: the transaction begins with the
// statements that ask queues, and when their callbacks were called it commits with
// those that answer queues. An error of answer rolls back. When the answers to its
// statements are lost although the transaction is durable, or a callback fails to
// read them, the error is [ErrAnswerLost].
func (db *DB) Exchange(ctx context.Context, ask func(b *pgx.Batch), answer func(b *pgx.Batch) error) error {
	return db.repeat(ctx, func(tx *Tx) error {
		var id identity
		first, last := &pgx.Batch{}, &pgx.Batch{}
		first.Queue(begin)
		first.Queue(db.settings).Query(func(rows pgx.Rows) error { return firstOf(rows, &id) })
		ask(first)
		err := tx.SendBatch(first).Close()
		if err == nil {
			err = answer(last)
		}
		if err != nil {
			tx.rollback()
			return tx.told(err)
		}
		return db.commitWith(tx, id, last)
	})
}

// firstOf reads the identity in the first row.
func firstOf(rows pgx.Rows, into *identity) error {
	if rows.Next() {
		*into = identityOf(rows.RawValues())
	}
	rows.Close()
	return rows.Err()
}

// identity is what a transaction is known by when the answer to its commit is lost:
// its number, and the incarnation of the server that gave it out. After a crash a
// number that left no trace is given out again, to another transaction.
type identity struct{ number, incarnation string }

func identityOf(row [][]byte) identity { return identity{string(row[0]), string(row[1])} }

// repeat makes a transaction as often as it takes, or until Close waits no longer.
func (db *DB) repeat(ctx context.Context, transaction func(tx *Tx) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(db.life, cancel)()
	began := time.Now()
	for try := 1; ; try++ {
		err := db.once(ctx, transaction)
		if err == nil || try == tries || !IsTransient(err) || db.closed.Load() || time.Since(began) >= db.cfg.Patience {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pauseAfter(try)):
		}
	}
}

// pauseAfter is 10 ms, doubled each time up to 10 s, and up to half as much again so
// that nodes do not repeat in step.
func pauseAfter(try int) time.Duration {
	d := 10 * time.Millisecond << min(max(try, 0), 10)
	return d + rand.N(d/2) // #nosec G404 -- spreads load, keeps no secret
}

func (db *DB) once(ctx context.Context, transaction func(tx *Tx) error) error {
	if db.closed.Load() {
		return ErrClosed
	}
	caller := ctx
	ctx, cancel := context.WithTimeout(ctx, db.cfg.Patience)
	defer cancel()
	pooled, err := db.pool.Acquire(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("pgdb: no connection to %s is free: %w", db.where, err)
		}
		return &lostError{err}
	}
	defer func() {
		if pooled.Conn().IsClosed() {
			db.pool.Reset() // after a restart of the server, or in a silence, none of them is better
		}
		pooled.Release() // closes a connection that is left inside of a transaction
	}()
	tx := &Tx{ctx: ctx, caller: caller, conn: pooled.Conn(), most: db.cfg.Patience / 3}
	defer tx.end()
	return transaction(tx)
}

// start begins, and reads the transaction's id, by which its outcome is found if
// the answer to the commit is lost.
func (t *Tx) start(begin string) (id identity, err error) {
	results, err := t.conn.PgConn().Exec(t.statement(), begin).ReadAll()
	if err != nil {
		return id, t.told(err)
	}
	for _, r := range results {
		if r.Err != nil {
			return id, t.told(r.Err)
		}
	}
	return identityOf(results[1].Rows[0]), nil
}

func (t *Tx) rollback() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), time.Second)
	defer cancel()
	// Whether it works does not matter: a connection that is not idle is not reused.
	_ = t.conn.PgConn().Exec(ctx, "ROLLBACK").Close()
}

// committing is the context of a commit, which goes through with what was begun when
// its caller gives up, for a moment longer.
func (db *DB) committing(t *Tx) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), db.cfg.Patience)
	unwatch := context.AfterFunc(t.caller, func() { time.AfterFunc(db.grace(), cancel) })
	return ctx, func() { unwatch(); cancel() }
}

// grace is how much longer a commit is waited for than its caller waits.
func (db *DB) grace() time.Duration { return min(time.Second, db.cfg.Patience) }

// commit goes through with what was begun.
func (db *DB) commit(t *Tx, id identity) error {
	ctx, cancel := db.committing(t)
	defer cancel()
	answer, cancelAnswer := context.WithTimeout(ctx, db.cfg.Patience/3)
	defer cancelAnswer()
	results, err := t.conn.PgConn().Exec(answer, "COMMIT").ReadAll()
	switch {
	case err == nil && results[0].CommandTag.String() == "COMMIT":
		return nil
	case err == nil:
		return fmt.Errorf("pgdb: commit: a statement before had failed: %w", pgx.ErrTxCommitRollback)
	case refused(err):
		return err
	}
	return db.outcome(ctx, id, err)
}

// refused says whether the server answered no, and so rolled back. A fatal error
// is no answer: it may have committed before it said so.
func refused(err error) bool {
	var refusal *pgconn.PgError
	return errors.As(err, &refusal) && refusal.SeverityUnlocalized == "ERROR"
}

// commitWith commits behind the last statements, in one round trip. When one of
// them is refused the server skips the rest of the trip, the commit included.
func (db *DB) commitWith(t *Tx, id identity, last *pgx.Batch) error {
	ctx, cancel := db.committing(t)
	defer cancel()
	last.Queue("COMMIT")
	answer, cancelAnswer := context.WithTimeout(ctx, db.cfg.Patience/3)
	defer cancelAnswer()
	err := t.conn.SendBatch(answer, last).Close()
	switch {
	case err == nil:
		return nil
	case refused(err):
		t.rollback()
		return err
	}
	if other := db.outcome(ctx, id, err); other != nil {
		return other
	}
	return fmt.Errorf("%w: %w", ErrAnswerLost, err)
}

// outcome asks the server what became of a transaction whose commit was not
// answered.
func (db *DB) outcome(ctx context.Context, id identity, cause error) error {
	for try := 0; ; try++ {
		var status *string
		var incarnation string
		answer, cancel := context.WithTimeout(ctx, db.cfg.Patience/3)
		err := db.pool.QueryRow(answer, "SELECT pg_xact_status($1::text::xid8), "+db.incarnation, id.number).Scan(&status, &incarnation)
		cancel()
		crashed := err == nil && incarnation != id.incarnation
		switch {
		case err == nil && status != nil && *status == "committed" && !crashed:
			return nil
		case err == nil && status != nil && *status == "committed":
			return fmt.Errorf("%w: the server crashed meanwhile: %w", ErrOutcomeUnknown, cause)
		case err == nil && status != nil && (*status == "aborted" || crashed),
			codeOf(err) == pgerrcode.InvalidParameterValue: // an id that a server after a crash has not given out
			return &lostError{fmt.Errorf("nothing was committed: %w", cause)}
		case err == nil && status == nil:
			return fmt.Errorf("%w: the server remembers its transaction %s no more: %w", ErrOutcomeUnknown, id.number, cause)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrOutcomeUnknown, cause)
		case <-time.After(min(pauseAfter(try), time.Second)):
		}
	}
}

// CommitOf commits a transaction that was begun on a connection of its own. A commit
// whose answer was lost is looked up, as of [DB.Transact]: what is not [ErrOutcomeUnknown]
// says that nothing was committed.
func (db *DB) CommitOf(ctx context.Context, tx pgx.Tx) error {
	var id identity
	if err := tx.QueryRow(ctx, "SELECT pg_current_xact_id()::text, "+db.incarnation).Scan(&id.number, &id.incarnation); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), db.cfg.Patience)
	defer cancel()
	answer, cancelAnswer := context.WithTimeout(ctx, db.cfg.Patience/3)
	defer cancelAnswer()
	err := tx.Commit(answer)
	if err == nil || refused(err) || errors.Is(err, pgx.ErrTxCommitRollback) {
		return err
	}
	return db.outcome(ctx, id, err)
}

// IsAnswer says whether the server answered no, and rolled back.
func IsAnswer(err error) bool { return refused(err) || errors.Is(err, pgx.ErrTxCommitRollback) }
