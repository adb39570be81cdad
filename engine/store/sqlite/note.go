package sqlite

import (
	"context"
	"encoding/json"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/internal/sqlitedb"
)

// Shapes are what Note noted. What cannot be decoded is left out: it is noted anew.
func (s *Store) Shapes(ctx context.Context) (map[store.Definition][]store.Shape, error) {
	shapes := map[store.Definition][]store.Shape{}
	found, err := s.db.Reader().QueryContext(ctx, "SELECT workflow, version, shapes FROM wf_definition")
	err = each(found, err, func(r rows) error {
		var d store.Definition
		var list []store.Shape
		var fault error
		err := r.Scan(&d.Workflow, &d.Version, document{&list, &fault})
		if fault == nil {
			shapes[d] = list
		}
		return err
	})
	if err != nil {
		return nil, s.fault("read the shapes of definitions", err)
	}
	return shapes, nil
}

// Note replaces what is noted of a definition.
func (s *Store) Note(ctx context.Context, d store.Definition, shapes []store.Shape) error {
	text, err := json.Marshal(shapes)
	if err == nil {
		err = s.db.Write(ctx, func(tx *sqlitedb.Tx) error {
			_, err := tx.Exec("INSERT INTO wf_definition (workflow, version, shapes) VALUES (?, ?, ?) "+
				"ON CONFLICT (workflow, version) DO UPDATE SET shapes = excluded.shapes", d.Workflow, d.Version, string(text))
			return err
		})
	}
	if err != nil {
		return s.fault("note the shape of "+d.Workflow, err)
	}
	return nil
}
