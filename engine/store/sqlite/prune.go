package sqlite

import (
	"context"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/internal/sqlitedb"
)

const pruneQuery = "SELECT id FROM wf_run WHERE status <> 'open' AND " + roots + " AND ended_at < ? ORDER BY ended_at LIMIT ?"

// pruneBelow deletes all that is in a range of ids.
var pruneBelow = []string{
	"DELETE FROM wf_history WHERE run_id > ? AND run_id < ?", "DELETE FROM wf_signal WHERE run_id > ? AND run_id < ?",
	"DELETE FROM wf_attribute WHERE run_id > ? AND run_id < ?", "DELETE FROM wf_run WHERE id > ? AND id < ?",
}

// Prune deletes runs that ended long ago.
func (s *Store) Prune(ctx context.Context, endedBefore time.Time, n int) (pruned int, err error) {
	err = s.db.Apply(ctx, func(tx *sqlitedb.Tx) error {
		var ids [][]byte
		found, err := tx.Query(pruneQuery, micros(endedBefore), n)
		err = each(found, err, func(r rows) error {
			var id []byte
			err := r.Scan(&id)
			ids = append(ids, id)
			return err
		})
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := pruneTree(tx, id); err != nil {
				return err
			}
		}
		pruned = len(ids)
		return nil
	})
	if err != nil {
		return 0, s.fault("prune runs", err)
	}
	return pruned, nil
}

// pruneTree deletes a run and all that is below it.
func pruneTree(tx *sqlitedb.Tx, id []byte) error {
	below := store.Below(store.UnpackID(id))[0] // of a root: one range
	for _, query := range []string{
		"DELETE FROM wf_history WHERE run_id = ?", "DELETE FROM wf_signal WHERE run_id = ?",
		"DELETE FROM wf_attribute WHERE run_id = ?", "DELETE FROM wf_run WHERE id = ?",
	} {
		if _, err := tx.Exec(query, id); err != nil {
			return err
		}
	}
	for _, query := range pruneBelow {
		if _, err := tx.Exec(query, below[0], below[1]); err != nil {
			return err
		}
	}
	return nil
}
