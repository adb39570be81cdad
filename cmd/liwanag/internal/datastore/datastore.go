// Package datastore keeps the application's own rows: every statement once, in
// PostgreSQL's words. Packages postgres and sqlite below it open, migrate and run
// them. SQLite reads nearly all of them as they stand; the rest is said in comments
// that only it sees, see [Lite]. DESIGN.md beside it gives the reasons.
package datastore

import (
	"context"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// Row is what a scan function sees.
type Row interface{ Scan(dest ...any) error }

// Rows are the rows of a result.
type Rows interface {
	Row
	Next() bool
	Err() error
	Close()
}

// Dialect is what databases want told in ways of their own.
type Dialect interface {
	IDs(ids []liwanag.ID) any            // the argument of = ANY($n) and unnest($n::uuid[])
	Words(all []string) any              // the argument of = ANY($n::text[])
	Fault(doing string, err error) error // gives an error its class
}

// Reader runs queries outside of a transaction.
type Reader interface {
	Dialect
	Query(ctx context.Context, query string, args ...any) (Rows, error)
}

// Writer runs statements in a transaction.
type Writer interface {
	Dialect
	Query(query string, args ...any) (Rows, error)
	// Exec tells how many rows a statement changed.
	Exec(query string, args ...any) (int64, error)
	// Guarded runs statements that a unique index may refuse, for a caller that goes
	// on then: all of them count or none. It tells how many rows the first changed.
	Guarded(all ...Statement) (int64, error)
	// InsertNew inserts rows and passes over those that conflict; it returns the ids
	// of the new ones. What also happens to them, a statement that reads from
	// "inserted", is a trigger's work on SQLite.
	InsertNew(table string, r Records, conflict, also string) ([]liwanag.ID, error)
	// Insert inserts rows; conflict says what becomes of those that conflict. Empty:
	// an error.
	Insert(table string, r Records, conflict string) error
	// UpdateEach sets columns of the rows whose id is the first column of r, and
	// fixed. No id is there twice.
	UpdateEach(table string, r Records, fixed string) error
}

// Statement is a statement with its arguments.
type Statement struct {
	Query string
	Args  []any
}

func say(query string, args ...any) Statement { return Statement{query, args} }

// querier is a transaction, or a reader for the length of one call, so that one
// query with its scan serves both.
type querier interface {
	query(query string, args ...any) (Rows, error)
	dialect() Dialect
}

type reader struct{ r Reader }

func (r reader) in(ctx context.Context) reading { return reading{r.r, ctx} }

type reading struct {
	r   Reader
	ctx context.Context
}

func (r reading) dialect() Dialect { return r.r }

func (r reading) query(query string, args ...any) (Rows, error) {
	return r.r.Query(r.ctx, query, args...)
}

type writing struct{ w Writer }

func (w writing) dialect() Dialect { return w.w }

func (w writing) query(query string, args ...any) (Rows, error) { return w.w.Query(query, args...) }

func (w writing) fault(err error) error {
	if err == nil {
		return nil
	}
	return w.w.Fault("write", err)
}

// exec runs a statement and tells how many rows it changed.
func (w writing) exec(query string, args ...any) (int64, error) {
	n, err := w.w.Exec(query, args...)
	return n, w.fault(err)
}

// changed is exec for a compare-and-set of one row.
func (w writing) changed(query string, args ...any) (bool, error) {
	n, err := w.exec(query, args...)
	return n > 0, err
}

// must is exec for a row that has to be there.
func (w writing) must(query string, args ...any) error {
	ok, err := w.changed(query, args...)
	if err == nil && !ok {
		return liwanag.ErrNotFound
	}
	return err
}

// guarded is changed for statements that a unique index may refuse.
func (w writing) guarded(all ...Statement) (bool, error) {
	n, err := w.w.Guarded(all...)
	return n > 0, w.fault(err)
}

func (w writing) insertNew(table string, r Records, conflict, also string) ([]liwanag.ID, error) {
	ids, err := w.w.InsertNew(table, r, conflict, also)
	return ids, w.fault(err)
}

func (w writing) insertAll(table string, r Records, conflict string) error {
	return w.fault(w.w.Insert(table, r, conflict))
}

func (w writing) updateEach(table string, r Records, fixed string) error {
	return w.fault(w.w.UpdateEach(table, r, fixed))
}

// list reads all rows.
func list[T any](q querier, scan func(Row) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.query(query, args...)
	if err != nil {
		return nil, q.dialect().Fault("read", err)
	}
	all, err := Collect(rows, scan)
	if err != nil {
		return nil, q.dialect().Fault("read", err)
	}
	return all, nil
}

// Collect reads all rows and closes them.
func Collect[T any](rows Rows, scan func(Row) (T, error)) (all []T, err error) {
	defer rows.Close()
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// one reads the first row, or ErrNotFound.
func one[T any](q querier, scan func(Row) (T, error), query string, args ...any) (T, error) {
	var zero T
	all, err := list(q, scan, query, args...)
	if err != nil {
		return zero, err
	}
	if len(all) == 0 {
		return zero, liwanag.ErrNotFound
	}
	return all[0], nil
}

// idsOf are the argument of = ANY($n).
func idsOf(q querier, all []liwanag.ID) any { return q.dialect().IDs(all) }

// wordsOf are the argument of = ANY($n::text[]).
func wordsOf[T ~string](q querier, all []T) any {
	list := make([]string, len(all))
	for i, w := range all {
		list[i] = string(w)
	}
	return q.dialect().Words(list)
}
