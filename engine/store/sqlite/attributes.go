package sqlite

import (
	"context"
	"slices"
	"strings"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/internal/sqlitedb"
	"github.com/liwanag/liwanag/workflow"
)

const (
	attributesQuery = "SELECT run_id, key, value FROM wf_attribute WHERE run_id = ?"
	// setQuery leaves an attribute alone that has the value.
	unsetQuery = "DELETE FROM wf_attribute WHERE run_id = ? AND key = ? AND value <> ?"
	setQuery   = `
		INSERT INTO wf_attribute (key, value, at, run_id) SELECT ?, ?, created_at, id FROM wf_run WHERE id = ? ON CONFLICT DO NOTHING`
	// rarityQuery counts runs with an attribute, up to a number.
	rarityQuery = "SELECT count(*) FROM (SELECT 1 FROM wf_attribute WHERE key = ? AND value = ? LIMIT ?)"
	hasQuery    = "EXISTS (SELECT 1 FROM wf_attribute AS has WHERE has.run_id = wf_run.id AND has.key = ? AND has.value = ?)"
)

// common is how many runs have an attribute by which they need not be looked for.
const common = 1000

// setAttributes sets attributes of a run that is there.
func setAttributes(tx *sqlitedb.Tx, id []byte, attributes workflow.Attributes) error {
	for _, key := range attributes.Keys() {
		value := attributes[key]
		if _, err := tx.Exec(unsetQuery, id, key, value); err != nil {
			return err
		}
		if _, err := tx.Exec(setQuery, key, value, id); err != nil {
			return err
		}
	}
	return nil
}

// Attributes are those of runs.
func (s *Store) Attributes(ctx context.Context, runIDs ...string) (map[string]workflow.Attributes, error) {
	if len(runIDs) == 0 {
		return nil, nil
	}
	ids := make([]any, len(runIDs))
	for i, id := range runIDs {
		ids[i] = store.PackID(id)
	}
	query := strings.Replace(attributesQuery, "= ?", "IN (?"+strings.Repeat(", ?", len(ids)-1)+")", 1)
	var all map[string]workflow.Attributes
	found, err := s.db.Reader().QueryContext(ctx, query, ids...)
	err = each(found, err, func(r rows) error {
		var id, key, value string
		err := r.Scan(runID{&id}, &key, &value)
		if all == nil {
			all = map[string]workflow.Attributes{}
		}
		if all[id] == nil {
			all[id] = workflow.Attributes{}
		}
		all[id][key] = value
		return err
	})
	if err != nil {
		return nil, s.fault("read attributes", err)
	}
	return all, nil
}

// rarest are the keys of attributes, that of the fewest runs first, so that these are
// looked through.
func (s *Store) rarest(ctx context.Context, attributes workflow.Attributes) ([]string, error) {
	keys := attributes.Keys()
	if len(keys) < 2 {
		return keys, nil
	}
	runs := map[string]int{}
	for _, key := range keys {
		var n int
		if err := s.db.Reader().QueryRowContext(ctx, rarityQuery, key, attributes[key], common).Scan(&n); err != nil {
			return nil, s.fault("count runs by an attribute", err)
		}
		runs[key] = n
	}
	slices.SortStableFunc(keys, func(a, b string) int { return runs[a] - runs[b] })
	return keys, nil
}

// attributed restricts a query to runs with attributes. Newest first they are found by the
// first of them.
func (w *where) attributed(q store.Query, keys []string) {
	for i, key := range keys {
		if i > 0 || q.IDs != nil || q.Parent != "" {
			w.and(hasQuery, key, q.Attributes[key])
			continue
		}
		w.and("key = ? AND value = ?", key, q.Attributes[key])
		w.from = "wf_attribute CROSS JOIN wf_run ON wf_run.id = run_id" // in this order
		w.order, w.behind = "at DESC, run_id DESC", "(at, run_id) < (?, ?)"
	}
}
