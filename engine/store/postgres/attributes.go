package postgres

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

const (
	attributesQuery = "SELECT run_id, key, value FROM wf_attribute WHERE run_id = ANY($1)"
	// rarityQuery counts runs with attributes, up to a number, in their order.
	rarityQuery = `
		SELECT (SELECT count(*) FROM (SELECT 1 FROM wf_attribute AS a WHERE a.key = w.key AND a.value = w.value ORDER BY a.at LIMIT $3) AS few)
		FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS w (key, value, i) ORDER BY i`
	hasQuery = "EXISTS (SELECT 1 FROM wf_attribute AS has WHERE has.run_id = wf_run.id AND has.key = ? AND has.value = ?)"
	// attributedFrom lets the planner take no other way than from the attribute: the order
	// of a subquery is kept, and is not looked into from outside.
	attributedFrom = `(SELECT run_id, at FROM wf_attribute WHERE key = ? AND value = ? AND (at, run_id) < (?, ?)
		ORDER BY at DESC, run_id DESC) AS by JOIN wf_run ON wf_run.id = by.run_id`
)

// common is how many runs have an attribute by which they need not be looked for.
const common = 1000

// attributeOf is an attribute of a run.
type attributeOf struct {
	run        []byte
	key, value string
}

// set notes attributes of a run.
func (g *group) set(run []byte, attributes workflow.Attributes) {
	if len(attributes) == 0 {
		return
	}
	for _, key := range attributes.Keys() {
		one := attributeOf{run, key, attributes[key]}
		// Of two entries of a commit the later one counts.
		g.attributes = slices.DeleteFunc(g.attributes, func(a attributeOf) bool { return a.key == key && string(a.run) == string(run) })
		g.attributes = append(g.attributes, one)
	}
}

// writeAttributes sets attributes, of runs that are there by now.
func writeAttributes(b batch, attributes []attributeOf) {
	table, columns, args := records{
		of("run_id", "bytea", attributes, func(a attributeOf) []byte { return a.run }),
		of("key", "text", attributes, func(a attributeOf) string { return a.key }),
		of("value", "text", attributes, func(a attributeOf) string { return a.value }),
	}.from(len(attributes))
	b.Queue("DELETE FROM wf_attribute AS a USING "+table+" WHERE a.run_id = r.run_id AND a.key = r.key AND a.value <> r.value", args...)
	b.Queue("INSERT INTO wf_attribute ("+columns+", at) SELECT r.*, wf_run.created_at FROM "+table+
		" JOIN wf_run ON wf_run.id = r.run_id ON CONFLICT DO NOTHING", args...)
}

// Attributes are those of runs.
func (s *Store) Attributes(ctx context.Context, runIDs ...string) (all map[string]workflow.Attributes, err error) {
	if err := s.open("read attributes"); err != nil || len(runIDs) == 0 {
		return nil, err
	}
	ids := make([][]byte, len(runIDs))
	for i, id := range runIDs {
		ids[i] = store.PackID(id)
	}
	err = s.db.Read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		all = nil
		found, err := tx.Query(ctx, s.schema.in(attributesQuery), ids)
		if err != nil {
			return err
		}
		var run []byte
		var key, value string
		_, err = pgx.ForEachRow(found, []any{&run, &key, &value}, func() error {
			if all == nil {
				all = map[string]workflow.Attributes{}
			}
			id := store.UnpackID(run)
			if all[id] == nil {
				all[id] = workflow.Attributes{}
			}
			all[id][key] = value
			return nil
		})
		return err
	})
	if err != nil {
		return nil, s.fault("read attributes", err)
	}
	return all, nil
}

// rarest are the keys of attributes, that of the fewest runs first, so that these are
// looked through.
func rarest(ctx context.Context, tx pgx.Tx, s *schema, attributes workflow.Attributes) ([]string, error) {
	keys := attributes.Keys()
	if len(keys) < 2 {
		return keys, nil
	}
	var values []string
	for _, key := range keys {
		values = append(values, attributes[key])
	}
	found, err := tx.Query(ctx, s.in(rarityQuery), keys, values, common)
	if err != nil {
		return nil, err
	}
	counts, err := pgx.CollectRows(found, pgx.RowTo[int])
	if err != nil {
		return nil, err
	}
	runs := map[string]int{}
	for i, key := range keys {
		runs[key] = counts[i]
	}
	slices.SortStableFunc(keys, func(a, b string) int { return runs[a] - runs[b] })
	return keys, nil
}

// attributed restricts a query to runs with attributes. Newest first they are found by the
// first of them, behind a place.
func (w *where) attributed(q store.Query, keys []string) (err error) {
	for i, key := range keys {
		if i > 0 || q.IDs != nil || q.Parent != "" {
			w.and(hasQuery, key, q.Attributes[key])
			continue
		}
		at, id := int64(1)<<62, []byte{} // behind nothing
		if q.Cursor != "" {
			if at, id, err = store.ParseCursor(q.Cursor); err != nil {
				return err
			}
		}
		w.from = w.bound(attributedFrom, key, q.Attributes[key], at, id)
		w.order = "by.at DESC, by.run_id DESC"
	}
	return nil
}
