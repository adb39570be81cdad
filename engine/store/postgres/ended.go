package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/liwanag/liwanag/engine/store"
)

const unendedQuery = "SELECT id FROM wf_run WHERE id = ANY($1) AND status = 'open'"

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
		return err
	})
	if err != nil {
		return nil, s.fault(operation, err)
	}
	return open, nil
}
