package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/internal/sqlitedb"
	"github.com/liwanag/liwanag/workflow"
)

var (
	// ErrHeld: a function of Write took longer than MaxHold. Nothing of it was kept.
	ErrHeld = sqlitedb.ErrHeld
	// ErrInside: a call inside of Write that would wait for that Write to end.
	ErrInside = sqlitedb.ErrInside
	// ErrStatement: a statement that is not allowed in a transaction of Write.
	ErrStatement = errors.New("sqlite: the statement is not allowed inside of Write")
)

// DefaultMaxHold is how long a function of Write may take.
const DefaultMaxHold = time.Second

// versionTableOfOthers accounts for the versions of the program's own tables.
const versionTableOfOthers = "program_migrations"

// Tx is a transaction of the file while the function of [Store.Write] runs, in which the
// program writes tables of its own, starts runs and sends events: all of it happens, or
// nothing.
type Tx struct {
	s    *Store
	held *sqlitedb.Held
	ctx  context.Context
	due  bool // a run may be due
}

var (
	_ workflow.Starter  = (*Tx)(nil)
	_ workflow.Signaler = (*Tx)(nil)
)

// Write runs fn, once, in a transaction of its own, and returns when that is durable. An
// error of fn undoes it and is returned, a panic undoes it and goes on. Everything else
// that writes waits meanwhile, so fn does nothing else that takes time: after
// Config.MaxHold its statements are interrupted, it fails with [ErrHeld], and the others
// go on. Whatever of this store it calls besides tx fails with [ErrInside].
func (s *Store) Write(ctx context.Context, fn func(tx *Tx) error) error {
	var tx *Tx
	err := s.db.Hold(ctx, s.maxHold, func(h *sqlitedb.Held) error {
		tx = &Tx{s: s, held: h, ctx: h.Inside(ctx)}
		return fn(tx)
	})
	if err == nil && tx.due {
		s.rouse()
	}
	if errors.Is(err, sqlitedb.ErrClosed) {
		return s.fault("write", err)
	}
	return err
}

// Read runs fn in a transaction that sees the file as it was at one moment, and writes
// nothing. Writers do not wait for it.
func (s *Store) Read(ctx context.Context, fn func(tx *sql.Tx) error) error {
	tx, err := s.db.Reader().BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return s.fault("read", err)
	}
	defer tx.Rollback()
	return fn(tx)
}

// Migrate brings tables of the program's own up to its files, *.sql at the root of files,
// whose names begin with their number: each that was not taken before is, in order, in a
// transaction. The table program_migrations accounts for them. Before an older schema is
// touched the file is copied to PATH.before-program_migrations-NUMBER.
func (s *Store) Migrate(ctx context.Context, files fs.FS) error {
	return s.db.Migrate(ctx, files, versionTableOfOthers)
}

// Context is that of the call of Write, by which calls are known to be made inside of it.
func (t *Tx) Context() context.Context { return t.ctx }

// Exec runs a statement and returns how many rows it inserted, updated or deleted. It
// stays prepared: write values as arguments.
func (t *Tx) Exec(query string, args ...any) (rowsAffected int64, err error) {
	if err := allowed(query); err != nil {
		return 0, err
	}
	err = t.held.Do(func(tx *sqlitedb.Tx) (err error) {
		rowsAffected, err = tx.Exec(query, args...)
		return err
	})
	return rowsAffected, err
}

// Query runs a statement that returns rows.
func (t *Tx) Query(query string, args ...any) (*Rows, error) {
	if err := allowed(query); err != nil {
		return nil, err
	}
	r := &Rows{held: t.held}
	err := t.held.Do(func(tx *sqlitedb.Tx) (err error) {
		r.rows, err = tx.Query(query, args...)
		return err
	})
	return r, err
}

// QueryRow runs a statement that returns one row; errors come from Scan.
func (t *Tx) QueryRow(query string, args ...any) *Row {
	rows, err := t.Query(query, args...)
	return &Row{rows, err}
}

// Rows are the result of a query. They end with the transaction.
type Rows struct {
	held *sqlitedb.Held
	rows *sqlitedb.Rows
	err  error // of the transaction
}

// Next reads the next row and reports whether there is one.
func (r *Rows) Next() (more bool) {
	r.err = r.held.Do(func(*sqlitedb.Tx) error {
		more = r.rows.Next()
		return nil
	})
	return more && r.err == nil
}

// Scan copies the columns of the current row to pointers.
func (r *Rows) Scan(dest ...any) error {
	return r.held.Do(func(*sqlitedb.Tx) error { return r.rows.Scan(dest...) })
}

// Err is the error, if any, that ended the rows.
func (r *Rows) Err() error {
	if r.err != nil {
		return r.err
	}
	return r.rows.Err()
}

// Close ends the rows. It may be called again.
func (r *Rows) Close() error {
	return r.held.Do(func(*sqlitedb.Tx) error { return r.rows.Close() })
}

// Row is the result of a query for one row.
type Row struct {
	rows *Rows
	err  error
}

// Scan copies the row, or returns sql.ErrNoRows.
func (r *Row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	defer r.rows.Close()
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return sql.ErrNoRows
	}
	return r.rows.Scan(dest...)
}

// Start starts a run with the transaction; see [workflow.Runner]. A request without a
// version needs an engine over the store that holds the workflow.
func (t *Tx) Start(_ context.Context, r workflow.StartRequest) error {
	if err := r.Validate(); err != nil {
		return err
	}
	version := r.Version
	if p := t.s.posting.Load(); version == 0 && p != nil {
		version = p.Latest(r.Workflow)
	}
	if version == 0 {
		return fmt.Errorf("%w: %q", workflow.ErrUnknownWorkflow, r.Workflow)
	}
	now := t.s.clock()
	run := store.Run{ID: r.RunID, Workflow: r.Workflow, Version: version, Input: r.Input, CreatedAt: now, Status: store.Open, Seq: 1,
		Park: store.Park{Until: now}, Attributes: r.Attributes}
	return t.held.Do(func(tx *sqlitedb.Tx) error {
		id := store.PackID(run.ID)
		n, err := t.s.create(tx, id, run)
		if err != nil {
			return t.s.fault("start run "+run.ID, err)
		}
		if t.due = true; n > 0 {
			return nil
		}
		there, _, err := scanRun(tx.QueryRow("SELECT "+runColumns+" FROM wf_run WHERE id = ?", id))
		if err != nil {
			return t.s.fault("start run "+run.ID, err)
		}
		if there.Workflow != run.Workflow || !workflow.SameJSON(there.Input, run.Input) {
			return fmt.Errorf("%w: %s", workflow.ErrInputDiffers, run.ID)
		}
		return nil
	})
}

// Signal sends an event with the transaction; see [workflow.Runner].
func (t *Tx) Signal(_ context.Context, runID string, sig workflow.Signal) (receipt workflow.Receipt, err error) {
	if err := sig.Validate(); err != nil {
		return receipt, err
	}
	event, err := json.Marshal(sig.Event)
	if err != nil {
		return receipt, err
	}
	err = t.held.Do(func(tx *sqlitedb.Tx) (err error) {
		t.due = true
		receipt, err = t.s.deliver(tx, store.PackID(runID), sig, string(event), t.s.clock())
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		err = fmt.Errorf("%w: %s", workflow.ErrNotFound, runID)
	case errors.Is(err, store.ErrInboxFull):
		err = fmt.Errorf("%w: %s", workflow.ErrInboxFull, runID)
	case err != nil:
		err = t.s.fault("send to run "+runID, err)
	}
	return receipt, err
}

// OnPosts gives the clock and the versions by which transactions start runs.
func (s *Store) OnPosts(p store.Posting) { s.posting.Store(&p) }

func (s *Store) clock() time.Time {
	if p := s.posting.Load(); p != nil {
		return p.Now()
	}
	return time.Now().UTC().Truncate(time.Microsecond)
}

// Wake hears of runs that transactions made due.
func (s *Store) Wake() <-chan struct{} { return s.wake }

func (s *Store) rouse() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
