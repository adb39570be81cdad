package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/liwanag/liwanag/engine/store"
)

// Get reads a run whole, as it was at one moment.
func (s *Store) Get(ctx context.Context, runID string) (store.Claimed, error) {
	operation := "read run " + runID
	if err := s.open(operation); err != nil {
		return store.Claimed{}, err
	}
	var c store.Claimed
	err := s.db.Read(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
		row := tx.QueryRow(ctx, s.schema.in("SELECT "+runColumns+" FROM wf_run WHERE id = $1"), store.PackID(runID))
		if c.Run, _, err = scanRun(row); err != nil {
			return err
		}
		c.History, c.Signals, c.Whole = nil, nil, true
		b := batch{&pgx.Batch{}, s.schema}
		readBig(b, &c)
		return tx.SendBatch(ctx, b.Batch).Close()
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return store.Claimed{}, store.ErrNotFound
	case err != nil:
		return store.Claimed{}, s.fault(operation, err)
	}
	return c, nil
}

const (
	historyQuery = "SELECT run_id, " + entryColumns + " FROM wf_history WHERE run_id = ANY($1)"
	signalsQuery = "SELECT " + signalColumns + " FROM wf_signal WHERE run_id = ANY($1)"
)

// readBig queues the reading of one run's history and signals, in order, since they may be
// more than there is room for.
func readBig(b batch, c *store.Claimed) {
	id, reading := store.PackID(c.Run.ID), store.Into(c)
	b.Queue(historyQuery+" ORDER BY seq", [][]byte{id}).Query(func(found pgx.Rows) error {
		for found.Next() {
			_, e, err := scanEntry(found)
			if err != nil {
				return err
			}
			reading.Entry(e, e.Consumed)
		}
		return found.Err()
	})
	b.Queue(signalsQuery+" ORDER BY seq", [][]byte{id}).Query(func(found pgx.Rows) error {
		for found.Next() {
			_, sig, err := scanSignal(found)
			if err != nil {
				return err
			}
			reading.Signal(sig)
		}
		return found.Err()
	})
}

// readRest queues the reading of the histories and signals of whole runs. They are put in
// order here: the server would sort every payload.
func readRest(b batch, claimed []store.Claimed) {
	var ids [][]byte
	at := make(map[string]*store.Claimed, len(claimed))
	for i := range claimed {
		if c := &claimed[i]; c.Whole && c.Run.Seq > 1 {
			id := store.PackID(c.Run.ID)
			ids = append(ids, id)
			at[string(id)] = c
		}
	}
	if len(ids) == 0 {
		return
	}
	b.Queue(historyQuery, ids).Query(func(found pgx.Rows) error {
		for found.Next() {
			run, e, err := scanEntry(found)
			if err != nil {
				return err
			}
			c := at[run]
			c.History = append(c.History, e)
		}
		return found.Err()
	})
	b.Queue(signalsQuery, ids).Query(func(found pgx.Rows) error {
		for found.Next() {
			run, sig, err := scanSignal(found)
			if err != nil {
				return err
			}
			c := at[run]
			c.Signals = append(c.Signals, sig)
		}
		for _, c := range at {
			arrange(c)
		}
		return found.Err()
	})
}
