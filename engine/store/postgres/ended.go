package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/liwanag/liwanag/engine/store"
)

// What was posted, and is no run yet, has not ended.
const (
	unendedQuery = "SELECT id FROM wf_run WHERE id = ANY($1) AND status = 'open'"
	postedQuery  = "SELECT run FROM wf_post WHERE kind = 'start' AND run = ANY($1)"
)

// Unended are those of the runs that have not ended.
func (s *Store) Unended(ctx context.Context, runIDs []string) (open []string, err error) {
	const operation = "see which runs have ended"
	if err := s.open(operation); err != nil {
		return nil, err
	}
	err = s.db.Read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		open = nil
		found, err := tx.Query(ctx, s.schema.in(unendedQuery), packed(runIDs))
		if err != nil {
			return err
		}
		var id []byte
		_, err = pgx.ForEachRow(found, []any{&id}, func() error {
			open = append(open, store.UnpackID(id))
			return nil
		})
		if err != nil {
			return err
		}
		if found, err = tx.Query(ctx, s.schema.in(postedQuery), runIDs); err != nil {
			return err
		}
		posted, err := pgx.CollectRows(found, pgx.RowTo[string])
		open = append(open, posted...)
		return err
	})
	if err != nil {
		return nil, s.fault(operation, err)
	}
	return open, nil
}
