package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/internal/sqlitedb"
	"github.com/liwanag/liwanag/workflow"
)

// Deliver puts a signal into the inbox.
func (s *Store) Deliver(ctx context.Context, runID string, sig workflow.Signal, now time.Time) (receipt workflow.Receipt, err error) {
	event, err := json.Marshal(sig.Event)
	if err != nil {
		return receipt, s.fault("deliver to run "+runID, err)
	}
	id := store.PackID(runID)
	err = s.db.Apply(ctx, func(tx *sqlitedb.Tx) (err error) {
		receipt, err = s.deliver(tx, id, sig, string(event), now)
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrInboxFull):
		return workflow.Receipt{}, err
	case err != nil:
		return workflow.Receipt{}, s.fault("deliver to run "+runID, err)
	}
	return receipt, nil
}

// deliver puts a signal into the inbox of a run.
func (s *Store) deliver(tx *sqlitedb.Tx, id []byte, sig workflow.Signal, quotedEvent string,
	now time.Time) (receipt workflow.Receipt, err error) {
	var seq, inboxSeq int64
	row := tx.QueryRow("SELECT seq, inbox_seq, status <> 'open' FROM wf_run WHERE id = ?", id)
	if err := row.Scan(&seq, &inboxSeq, &receipt.Late); errors.Is(err, sql.ErrNoRows) {
		return receipt, store.ErrNotFound
	} else if err != nil {
		return receipt, err
	}
	if store.Crowded(inboxSeq) {
		var events, bytes, repeats int
		row := tx.QueryRow("SELECT count(*), coalesce(sum(length(payload)), 0), coalesce(sum(id = ?), 0) FROM "+
			"wf_signal WHERE run_id = ?", sig.ID, id)
		if err := row.Scan(&events, &bytes, &repeats); err != nil {
			return receipt, err
		}
		if repeats == 0 && !workflow.InboxHolds(events, bytes, sig.Payload) {
			return receipt, store.ErrInboxFull
		}
	}
	n, err := tx.Exec(`
		INSERT INTO wf_signal (run_id, id, seq, event, at, late, payload) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		id, sig.ID, seq+1, sig.Event, micros(now), receipt.Late, []byte(sig.Payload))
	if err != nil {
		return receipt, err
	}
	if n == 0 {
		receipt.Duplicate = true
		err = tx.QueryRow("SELECT late FROM wf_signal WHERE run_id = ? AND id = ?", id, sig.ID).Scan(&receipt.Late)
		return receipt, err
	}
	s.passed.Due(micros(now))
	// An event name in the list of the awaited ones stands between quotes.
	_, err = tx.Exec(`
		UPDATE wf_run SET seq = seq + 1, inbox_seq = inbox_seq + 1, due_at = CASE
			WHEN due_at > ?1 AND instr(park_events, ?2) THEN ?1 ELSE due_at END
		WHERE id = ?3`, micros(now), quotedEvent, id)
	return receipt, err
}
