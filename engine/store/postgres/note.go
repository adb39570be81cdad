package postgres

import (
	"context"
	"encoding/json"

	"github.com/jackc/pgx/v5"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/internal/pgdb"
)

// Shapes are what Note noted. What cannot be decoded is left out: it is noted anew.
func (s *Store) Shapes(ctx context.Context) (map[store.Definition][]store.Shape, error) {
	const operation = "read the shapes of definitions"
	if err := s.open(operation); err != nil {
		return nil, err
	}
	shapes := map[store.Definition][]store.Shape{}
	err := s.db.Read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		found, err := tx.Query(ctx, s.schema.in("SELECT workflow, version, shapes FROM wf_definition"))
		if err != nil {
			return err
		}
		var d store.Definition
		var text string
		_, err = pgx.ForEachRow(found, []any{&d.Workflow, &d.Version, &text}, func() error {
			var list []store.Shape
			var fault error
			if decoded(text, &list, &fault); fault == nil {
				shapes[d] = list
			}
			return nil
		})
		return err
	})
	if err != nil {
		return nil, s.fault(operation, err)
	}
	return shapes, nil
}

// Note replaces what is noted of a definition.
func (s *Store) Note(ctx context.Context, d store.Definition, shapes []store.Shape) error {
	operation := "note the shape of " + d.Workflow
	if err := s.open(operation); err != nil {
		return err
	}
	text, err := json.Marshal(shapes)
	if err == nil {
		err = s.db.Transact(ctx, func(tx *pgdb.Tx) error {
			_, err := tx.Exec(s.schema.in("INSERT INTO wf_definition (workflow, version, shapes) VALUES ($1, $2, $3) "+
				"ON CONFLICT (workflow, version) DO UPDATE SET shapes = excluded.shapes"), d.Workflow, d.Version, string(text))
			return err
		})
	}
	if err != nil {
		return s.fault(operation, err)
	}
	return nil
}
