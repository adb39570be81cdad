package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"math"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/internal/sqlitedb"
)

// Get reads a run whole, as it was at one moment.
func (s *Store) Get(ctx context.Context, runID string) (c store.Claimed, err error) {
	tx, err := s.db.Reader().BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return c, s.fault("read run "+runID, err)
	}
	defer tx.Rollback()
	id := store.PackID(runID)
	row := tx.QueryRowContext(ctx, "SELECT "+runColumns+" FROM wf_run WHERE id = ?", id)
	if c.Run, _, err = scanRun(row); errors.Is(err, sql.ErrNoRows) {
		return store.Claimed{}, store.ErrNotFound
	}
	if err == nil {
		c.Whole = true
		err = readRest(func(query string, args ...any) (rows, error) { return tx.QueryContext(ctx, query, args...) }, id, &c)
	}
	if err != nil {
		return store.Claimed{}, s.fault("read run "+runID, err)
	}
	return c, nil
}

func inWriter(tx *sqlitedb.Tx) querier {
	return func(query string, args ...any) (rows, error) { return tx.Query(query, args...) }
}

// readRest reads history and signals.
func readRest(query querier, id []byte, c *store.Claimed) error {
	reading := store.Into(c)
	entries, err := query(`
		SELECT seq, kind, step, attempt, at, started_at, started_seq, begins, next_at, reconciled, label, signals, failure, output
		FROM wf_history WHERE run_id = ? ORDER BY seq`, id)
	err = each(entries, err, func(r rows) error {
		var e store.Entry
		var signals []string
		var fault error
		err := r.Scan(&e.Seq, kind{&e.Kind}, &e.Step, &e.Attempt, instant{&e.At}, instant{&e.StartedAt}, &e.StartedSeq, &e.Begins,
			instant{&e.NextAt}, &e.Reconciled, &e.Label, document{&signals, &fault}, document{&e.Failure, &fault}, (*[]byte)(&e.Output))
		e.Unfold()
		if fault != nil { // the step cannot be said to be done: its run fails, and no other
			e.Kind, e.Failure, signals = store.EntryFailed, illegible(e.Step, fault), nil
		}
		reading.Entry(e, signals)
		return err
	})
	if err != nil {
		return err
	}
	return signalsAfter(query, id, 0, math.MaxInt64, reading.Signal)
}

// signalsAfter reads signals with a greater number, the earliest so many, without what
// consumed them.
func signalsAfter(query querier, id []byte, seq, most int64, take func(store.Signal)) error {
	found, err := query("SELECT id, seq, event, at, late, payload FROM wf_signal WHERE run_id = ? AND seq > ? ORDER BY seq LIMIT ?",
		id, seq, most)
	return each(found, err, func(r rows) error {
		var s store.Signal
		err := r.Scan(&s.ID, &s.Seq, &s.Event, instant{&s.At}, &s.Late, (*[]byte)(&s.Payload))
		take(s)
		return err
	})
}
