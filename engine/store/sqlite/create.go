package sqlite

import (
	"context"
	"errors"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/internal/sqlitedb"
)

// Create inserts a run.
func (s *Store) Create(ctx context.Context, r store.Run) error {
	id := store.PackID(r.ID)
	err := s.db.Apply(ctx, func(tx *sqlitedb.Tx) error {
		if r.Owner != 0 && r.Owner != s.epoch.Load() {
			return store.ErrLeaseLost
		}
		n, err := s.create(tx, id, r)
		if err == nil && n == 0 {
			return store.ErrExists
		}
		return err
	})
	if err == nil || errors.Is(err, store.ErrExists) || errors.Is(err, store.ErrLeaseLost) {
		return err
	}
	return s.fault("create run "+r.ID, err)
}

// create inserts a run, unless there is one: then n is 0.
func (s *Store) create(tx *sqlitedb.Tx, id []byte, r store.Run) (n int64, err error) {
	if r.Owner == 0 {
		s.passed.Due(micros(r.Park.Until))
	}
	n, err = tx.Exec(`
		INSERT INTO wf_run (id, workflow, version, status, owner, token, due_at, seq, created_at, started_at, input)
		VALUES (?, ?, ?, 'open', ?, 1, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		id, r.Workflow, r.Version, r.Owner, micros(r.Park.Until), r.Seq, micros(r.CreatedAt),
		micros(r.StartedAt), append([]byte{}, r.Input...)) // never NULL: see the migration of wf_subs
	if err != nil || n == 0 {
		return n, err
	}
	if first := r.First; first != nil {
		_, err := tx.Exec("INSERT INTO wf_signal (run_id, id, seq, event, at, late, payload) VALUES (?, ?, ?, ?, ?, false, ?)",
			id, first.ID, r.Seq, first.Event, micros(r.CreatedAt), []byte(first.Payload))
		if err != nil {
			return n, err
		}
	}
	if r.Attributes == nil {
		return n, nil
	}
	return n, setAttributes(tx, id, r.Attributes)
}
