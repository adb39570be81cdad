package sqlite

import (
	"context"
	"strings"
	"time"

	"github.com/liwanag/liwanag/engine/store"
)

// List reads runs, newest first.
func (s *Store) List(ctx context.Context, q store.Query) (runs []store.Run, next string, err error) {
	keys, err := s.rarest(ctx, q.Attributes)
	if err != nil {
		return nil, "", err
	}
	w, err := conditions(q, keys)
	if err != nil {
		return nil, "", err
	}
	limit := -1 // none
	if q.Limit > 0 {
		limit = q.Limit + 1 // one more tells whether there is another page
	}
	found, err := s.db.Reader().QueryContext(ctx, w.query(), append(w.args, limit)...)
	err = each(found, err, func(r rows) error {
		run, _, err := scanRun(r)
		runs = append(runs, run)
		return err
	})
	if err != nil {
		return nil, "", s.fault("list runs", err)
	}
	if q.Limit > 0 && len(runs) > q.Limit {
		runs = runs[:q.Limit]
		next = store.Cursor(runs[q.Limit-1])
	}
	return runs, next, nil
}

type where struct {
	terms  []string
	args   []any
	from   string
	order  string
	behind string // the last of a page
}

func (w *where) and(term string, args ...any) {
	w.terms = append(w.terms, term)
	w.args = append(w.args, args...)
}

func (w *where) query() string {
	return "SELECT " + runColumns + " FROM " + w.from + " WHERE " + strings.Join(w.terms, " AND ") + " ORDER BY " + w.order + " LIMIT ?"
}

// roots are the runs that belong to no other.
const roots = "input IS NOT NULL"

// conditions of a query by attributes of these keys; the derived statuses follow
// [store.Run.Derived].
func conditions(q store.Query, keys []string) (*where, error) {
	w := &where{terms: []string{roots}, from: "wf_run", order: "created_at DESC, id DESC", behind: "(created_at, id) < (?, ?)"}
	w.attributed(q, keys)
	if q.IDs != nil || q.Parent != "" {
		w.terms[0] = "true"
	}
	if q.Parent != "" {
		from, to := store.ChildRange(q.Parent)
		w.and("id > ? AND id < ?", from, to)
		w.order = "id"
	}
	// The plus keeps the planner from the index of what is due, by which it would
	// sort every waiting run to show a page of them.
	const waits = "(+owner <= 0 AND park_kind <> '' AND due_at > ?)"
	const fresh = "(+owner <= 0 AND started_at = 0)"
	now := micros(q.Now)
	switch q.Status {
	case "":
	case store.Waiting:
		w.and("status = 'open' AND "+waits, now)
	case store.Pending:
		w.and("status = 'open' AND "+fresh+" AND NOT "+waits, now)
	case store.Running:
		w.and("status = 'open' AND NOT "+fresh+" AND NOT "+waits, now)
	default:
		w.and("status = ?", string(q.Status))
	}
	if q.Workflow != "" {
		w.and("workflow = ?", q.Workflow)
	}
	if !q.Since.IsZero() {
		w.and("created_at >= ?", micros(q.Since))
	}
	if !q.Until.IsZero() {
		w.and("created_at < ?", micros(q.Until))
	}
	if q.IDs != nil {
		w.and("id IN (NULL" + strings.Repeat(", ?", len(q.IDs)) + ")")
		for _, id := range q.IDs {
			w.args = append(w.args, store.PackID(id))
		}
	}
	if q.Cursor != "" {
		at, id, err := store.ParseCursor(q.Cursor)
		if err != nil {
			return nil, err
		}
		if q.Parent != "" {
			w.and("id > ?", id)
		} else {
			w.and(w.behind, at, id)
		}
	}
	return w, nil
}

const overdueQuery = "SELECT (SELECT count(*) FROM wf_run WHERE " + goesOn + " AND owner = 0 AND due_at < ?1 AND created_at < ?1) + " +
	"(SELECT count(*) FROM wf_run WHERE " + newcomer + " AND owner = 0 AND due_at < ?1 AND created_at < ?1)"

// Overdue counts open runs that were due before the given time.
func (s *Store) Overdue(ctx context.Context, before time.Time) (n int64, err error) {
	row := s.db.Reader().QueryRowContext(ctx, overdueQuery, micros(before))
	if err := row.Scan(&n); err != nil {
		return 0, s.fault("count overdue runs", err)
	}
	return n, nil
}

// Counts counts runs.
func (s *Store) Counts(ctx context.Context) (counts []store.Count, err error) {
	found, err := s.db.Reader().QueryContext(ctx, `
		SELECT workflow, version, status, CASE WHEN status = 'open' AND owner <= 0 THEN park_step ELSE '' END AS step, count(*)
		FROM wf_run WHERE `+roots+` GROUP BY workflow, version, status, step ORDER BY workflow, version, status, step`)
	err = each(found, err, func(r rows) error {
		var c store.Count
		err := r.Scan(&c.Workflow, &c.Version, &c.Status, &c.Step, &c.Runs)
		counts = append(counts, c)
		return err
	})
	if err != nil {
		return nil, s.fault("count runs", err)
	}
	return counts, nil
}
