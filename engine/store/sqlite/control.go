package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/internal/sqlitedb"
	"github.com/liwanag/liwanag/workflow"
)

// Cancel records a request to end.
func (s *Store) Cancel(ctx context.Context, runID, reason string, now time.Time) error {
	return s.control(ctx, "cancel", runID, func(tx *sqlitedb.Tx, id []byte, r store.Run) error {
		if r.Status != store.Open {
			return store.ErrEnded
		}
		if r.Canceled {
			return nil
		}
		s.passed.Due(micros(now))
		if _, err := tx.Exec(`
			UPDATE wf_run SET canceled = 1, seq = seq + 1, inbox_seq = (inbox_seq & ?3) + 1, owner = max(owner, 0),
				due_at = min(due_at, ?1)
			WHERE id = ?2`, micros(now), id, ^store.PausedBit); err != nil {
			return err
		}
		return insertEntry(tx, id, store.Entry{Seq: r.Seq + 1, Kind: store.EntryCancel, Label: reason, At: now}, nil)
	})
}

// Hurry makes a parked run due before its time.
func (s *Store) Hurry(ctx context.Context, runID string) error {
	return s.control(ctx, "hurry", runID, func(tx *sqlitedb.Tx, id []byte, r store.Run) (err error) {
		switch {
		case r.Status != store.Open:
			return store.ErrEnded
		case r.Owner > 0:
			_, err = tx.Exec("UPDATE wf_run SET inbox_seq = inbox_seq + ? WHERE id = ?", store.WakeUnit, id)
		case r.Park.Kind.Wakes():
			s.passed.Due(0)
			_, err = tx.Exec("UPDATE wf_run SET due_at = 0 WHERE id = ?", id)
		}
		return err
	})
}

// Pause sets or clears the pause of a run.
func (s *Store) Pause(ctx context.Context, runID string, paused bool) error {
	return s.control(ctx, "pause", runID, func(tx *sqlitedb.Tx, id []byte, r store.Run) error {
		if r.Status != store.Open {
			return store.ErrEnded
		}
		bit, owner := int64(0), r.Owner
		if paused {
			bit = store.PausedBit
		}
		if owner <= 0 {
			owner = store.Released(bit)
		}
		s.passed.Due(micros(r.Park.Until))
		_, err := tx.Exec("UPDATE wf_run SET inbox_seq = (inbox_seq & ?) | ?, owner = ? WHERE id = ?", ^store.PausedBit, bit, owner, id)
		return err
	})
}

// Terminate ends a run at once and fences its owner.
func (s *Store) Terminate(ctx context.Context, runID string, f workflow.Failure, now time.Time) error {
	failure, err := failureText(&f)
	if err != nil {
		return s.fault("terminate run "+runID, err)
	}
	return s.control(ctx, "terminate", runID, func(tx *sqlitedb.Tx, id []byte, r store.Run) error {
		if r.Status != store.Open {
			return store.ErrEnded
		}
		_, err := tx.Exec(`
			UPDATE wf_run SET status = 'canceled', owner = 0, seq = seq + 1, ended_seq = seq + 1,
				ended_at = ?, failure = ?, because = ''
			WHERE id = ?`, micros(now), failure, id)
		if err == nil {
			err = terminateBelow(tx, r.ID, failure, now)
		}
		if err == nil {
			err = s.ended(tx, r.ID, store.Canceled, now)
		}
		return err
	})
}

// Reopen makes an ended run due again.
func (s *Store) Reopen(ctx context.Context, runID string, o store.Reopening, now time.Time) error {
	return s.control(ctx, "reopen", runID, func(tx *sqlitedb.Tx, id []byte, r store.Run) error {
		if !o.Takes(r.Status) || r.Seq != o.Seq {
			return store.ErrNotEnded
		}
		if r.Sub {
			_, parent, g, err := around(tx, r.ID)
			if err != nil {
				return err
			}
			if g == nil {
				return store.ErrNotEnded
			}
			g.Reopened()
			if err := saveGroup(tx, parent, g); err != nil {
				return err
			}
		}
		resolved := 0
		if o.Resolved != nil {
			resolved = 1
		}
		s.passed.Due(micros(now))
		if _, err := tx.Exec(`
			UPDATE wf_run SET status = 'open', due_at = ?, seq = seq + ?, inbox_seq = (inbox_seq & ?) + 1, attempt = 0, begun = 0,
				takeovers = 0, canceled = 0, ended_at = 0, ended_seq = 0, failure = NULL, because = '', park_kind = '',
				park_step = '', park_events = NULL, park_since = 0, park_seq = 0
			WHERE id = ?`, micros(now), 1+resolved, ^store.PausedBit, id); err != nil {
			return err
		}
		ended := store.Entry{Seq: r.EndedSeq, Kind: store.EntryEnded, Label: string(r.Status), At: r.EndedAt, Failure: r.Failure}
		if r.Park.Seq != 0 {
			ended.Step, ended.StartedSeq, ended.StartedAt = r.Park.Step, r.Park.Seq, r.Park.Since
		}
		reopened := store.Entry{Seq: r.Seq + 1, Kind: store.EntryReopened, Step: o.From, At: now}
		if err := errors.Join(insertEntry(tx, id, ended, nil), insertEntry(tx, id, reopened, o.Return)); err != nil {
			return err
		}
		if o.Resolved != nil {
			en := *o.Resolved
			en.Seq = r.Seq + 2
			if err := insertEntry(tx, id, en, nil); err != nil {
				return err
			}
		}
		// What a wait consumed was never late.
		_, err := tx.Exec("UPDATE wf_signal SET late = 0 WHERE run_id = ?", id)
		return err
	})
}

// control runs a change that depends on the run's row; no other change comes
// between.
func (s *Store) control(ctx context.Context, operation, runID string, change func(tx *sqlitedb.Tx, id []byte, r store.Run) error) error {
	id := store.PackID(runID)
	err := s.db.Apply(ctx, func(tx *sqlitedb.Tx) error {
		r, _, err := scanRun(tx.QueryRow("SELECT "+runColumns+" FROM wf_run WHERE id = ?", id))
		if errors.Is(err, sql.ErrNoRows) {
			return store.ErrNotFound
		}
		if err != nil {
			return err
		}
		return change(tx, id, r)
	})
	for _, sentinel := range []error{nil, store.ErrNotFound, store.ErrEnded, store.ErrNotEnded} {
		if errors.Is(err, sentinel) {
			return err
		}
	}
	return s.fault(operation+" run "+runID, err)
}
