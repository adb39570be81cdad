package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/liwanag/liwanag/engine/store"
)

// List reads runs, newest first.
func (s *Store) List(ctx context.Context, q store.Query) (runs []store.Run, next string, err error) {
	if err := s.open("list runs"); err != nil {
		return nil, "", err
	}
	err = s.db.Read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		runs = nil
		keys, err := rarest(ctx, tx, s.schema, q.Attributes)
		if err != nil {
			return err
		}
		w, err := conditions(q, keys)
		if err != nil {
			return err
		}
		found, err := tx.Query(ctx, s.schema.qualify(w.query(q.Limit)), w.args...)
		if err != nil {
			return err
		}
		defer found.Close()
		for found.Next() {
			run, _, err := scanRun(found)
			if err != nil {
				return err
			}
			runs = append(runs, run)
		}
		return found.Err()
	})
	switch {
	case errors.Is(err, store.ErrCursor):
		return nil, "", err
	case err != nil:
		return nil, "", s.fault("list runs", err)
	}
	if q.Limit > 0 && len(runs) > q.Limit {
		runs = runs[:q.Limit]
		next = store.Cursor(runs[q.Limit-1])
	}
	return runs, next, nil
}

type where struct {
	terms []string
	args  []any
	from  string
	order string
}

// and adds a term; each ? in it stands for the next of args.
func (w *where) and(term string, args ...any) { w.terms = append(w.terms, w.bound(term, args...)) }

// bound is a term with its arguments.
func (w *where) bound(term string, args ...any) string {
	for _, a := range args {
		w.args = append(w.args, a)
		term = strings.Replace(term, "?", fmt.Sprintf("$%d", len(w.args)), 1)
	}
	return term
}

func (w *where) query(limit int) string {
	query := "SELECT " + runColumns + " FROM " + w.from + " WHERE " + strings.Join(w.terms, " AND ") + " ORDER BY " + w.order
	if limit > 0 {
		query += fmt.Sprintf(" LIMIT %d", limit+1) // one more tells whether there is another page
	}
	return query
}

// roots are the runs that belong to no other.
const roots = "input IS NOT NULL"

// conditions of a query by attributes of these keys; the derived statuses follow
// [store.Run.Derived].
func conditions(q store.Query, keys []string) (*where, error) {
	w := &where{terms: []string{roots}, from: "wf_run", order: "created_at DESC, id DESC"}
	if err := w.attributed(q, keys); err != nil {
		return nil, err
	}
	if q.IDs != nil || q.Parent != "" {
		w.terms[0] = "true"
	}
	if q.Parent != "" {
		from, to := store.ChildRange(q.Parent)
		w.and("id > ? AND id < ?", from, to)
		w.order = "id"
	}
	const waits = "(owner <= 0 AND park_kind <> '' AND due_at > ?)"
	const fresh = "(owner <= 0 AND started_at = 0)"
	now := micros(q.Now)
	if text := string(q.Status) + q.Workflow; text != printable(text) {
		w.and("false") // no row has what the server does not take
	}
	switch q.Status {
	case "":
	case store.Waiting:
		w.and("status = 'open' AND "+waits, now)
	case store.Pending:
		w.and("status = 'open' AND "+fresh+" AND NOT "+waits, now)
	case store.Running:
		w.and("status = 'open' AND NOT "+fresh+" AND NOT "+waits, now)
	default:
		w.and("status = ?", printable(string(q.Status)))
	}
	if q.Workflow != "" {
		w.and("workflow = ?", printable(q.Workflow))
	}
	if !q.Since.IsZero() {
		w.and("created_at >= ?", micros(q.Since))
	}
	if !q.Until.IsZero() {
		w.and("created_at < ?", micros(q.Until))
	}
	if q.IDs != nil {
		ids := make([][]byte, len(q.IDs))
		for i, id := range q.IDs {
			ids[i] = store.PackID(id)
		}
		w.and("id = ANY(?)", ids)
	}
	if q.Cursor != "" && w.from == "wf_run" {
		at, id, err := store.ParseCursor(q.Cursor)
		if err != nil {
			return nil, err
		}
		if q.Parent != "" {
			w.and("id > ?", id)
		} else {
			w.and("(created_at, id) < (?, ?)", at, id)
		}
	}
	return w, nil
}

const countsQuery = `
	SELECT workflow, version, status, CASE WHEN status = 'open' AND owner <= 0 THEN park_step ELSE '' END AS step, count(*)
	FROM wf_run WHERE ` + roots + ` GROUP BY workflow, version, status, step ORDER BY workflow, version, status, step`

// Counts counts runs.
func (s *Store) Counts(ctx context.Context) (counts []store.Count, err error) {
	if err := s.open("count runs"); err != nil {
		return nil, err
	}
	err = s.db.Read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		found, err := tx.Query(ctx, s.schema.in(countsQuery))
		if err != nil {
			return err
		}
		counts, err = pgx.CollectRows(found, func(row pgx.CollectableRow) (c store.Count, err error) {
			return c, row.Scan(&c.Workflow, &c.Version, &c.Status, &c.Step, &c.Runs)
		})
		return err
	})
	if err != nil {
		return nil, s.fault("count runs", err)
	}
	return counts, nil
}

const overdueQuery = "SELECT (SELECT count(*) FROM wf_run WHERE " + goesOn + " AND owner = 0 AND due_at < $1 AND created_at < $1) + " +
	"(SELECT count(*) FROM wf_run WHERE " + newcomer + " AND owner = 0 AND due_at < $1 AND created_at < $1)"

// Overdue counts open runs that were due before the given time.
func (s *Store) Overdue(ctx context.Context, before time.Time) (n int64, err error) {
	if err := s.open("count overdue runs"); err != nil {
		return 0, err
	}
	err = s.db.Read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, s.schema.in(overdueQuery), micros(before)).Scan(&n)
	})
	if err != nil {
		return 0, s.fault("count overdue runs", err)
	}
	return n, nil
}
