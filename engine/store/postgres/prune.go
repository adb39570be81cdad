package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/internal/pgdb"
)

// pruneQuery takes runs that nobody else is busy with.
const pruneQuery = `
	SELECT id FROM wf_run WHERE status <> 'open' AND ` + roots + ` AND ended_at < $1 ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED`

// pruneBelow deletes all that is below runs.
var pruneBelow = []string{
	"DELETE FROM wf_history USING unnest($1::bytea[], $2::bytea[]) AS below (first, last) WHERE run_id > first AND run_id < last",
	"DELETE FROM wf_signal USING unnest($1::bytea[], $2::bytea[]) AS below (first, last) WHERE run_id > first AND run_id < last",
	"DELETE FROM wf_attribute USING unnest($1::bytea[], $2::bytea[]) AS below (first, last) WHERE run_id > first AND run_id < last",
	"DELETE FROM wf_run USING unnest($1::bytea[], $2::bytea[]) AS below (first, last) WHERE id > first AND id < last",
}

// Prune deletes runs that ended long ago.
func (s *Store) Prune(ctx context.Context, endedBefore time.Time, n int) (pruned int, err error) {
	if err := s.open("prune runs"); err != nil {
		return 0, err
	}
	err = s.db.Transact(ctx, func(tx *pgdb.Tx) error {
		found, err := tx.Query(s.schema.in(pruneQuery), micros(endedBefore), n)
		if err != nil {
			return err
		}
		ids, err := pgx.CollectRows(found, pgx.RowTo[[]byte])
		if err != nil {
			return err
		}
		b := batch{&pgx.Batch{}, s.schema}
		var from, to [][]byte
		for _, id := range ids {
			below := store.Below(store.UnpackID(id))[0] // of a root: one range
			from, to = append(from, below[0]), append(to, below[1])
		}
		for _, query := range pruneBelow {
			b.Queue(query, from, to)
		}
		for _, query := range []string{
			"DELETE FROM wf_history WHERE run_id = ANY($1)", "DELETE FROM wf_signal WHERE run_id = ANY($1)",
			"DELETE FROM wf_attribute WHERE run_id = ANY($1)", "DELETE FROM wf_run WHERE id = ANY($1)",
		} {
			b.Queue(query, ids).Exec(func(tag pgconn.CommandTag) error { pruned = int(tag.RowsAffected()); return nil })
		}
		return tx.SendBatch(b.Batch).Close()
	})
	if err != nil {
		return 0, s.fault("prune runs", err)
	}
	return pruned, nil
}
