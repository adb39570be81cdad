// Package datastore keeps the application's own rows: every statement once, in
// PostgreSQL's words. Packages postgres and sqlite beside it run them. SQLite reads
// nearly all of them as they stand; the rest is said in comments that only it sees,
// see Lite.
package datastore

import (
	"context"
	"errors"

	"github.com/liwanag/liwanag/internal/liwanag"
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

// Reader runs queries outside of a transaction.
type Reader interface {
	Dialect
	Query(ctx context.Context, query string, args ...any) (Rows, error)
}

// Writer runs statements in a transaction.
type Writer interface {
	Dialect
	Query(query string, args ...any) (Rows, error)
	Exec(query string, args ...any) (int64, error)
	// InsertNew inserts rows and passes over those that conflict; it returns the ids of
	// the new ones. A statement for what else happens to them reads from "inserted".
	InsertNew(table string, r *Records, conflict, also string) ([]liwanag.ID, error)
	// InsertOrUpdate inserts rows; conflict says what happens to those that conflict.
	InsertOrUpdate(table string, r *Records, conflict string) error
	// UpdateEach sets columns of the rows whose id is the first column of r, and fixed,
	// where the condition holds, and returns the ids of those that it changed. The
	// row is "t", what is given of it "r". No id is there twice.
	UpdateEach(table string, r *Records, fixed, condition string) ([]liwanag.ID, error)
}

// Dialect is what databases want told in ways of their own.
type Dialect interface {
	IDs(ids []liwanag.ID) any          // of = ANY($1)
	Words(all []string) any            // of = ANY($1::text[])
	Fault(doing string, e error) error // gives an error its class
}

type querier interface {
	Dialect
	query(query string, args ...any) (Rows, error)
}

// reading is a Reader for the length of one call.
type reading struct {
	Reader
	ctx context.Context
}

func (r reading) query(query string, args ...any) (Rows, error) {
	return r.Query(r.ctx, query, args...)
}

type reader struct{ r Reader }

func (r reader) in(ctx context.Context) reading { return reading{r.r, ctx} }

type writing struct{ Writer }

func (w writing) query(query string, args ...any) (Rows, error) { return w.Query(query, args...) }

// exec runs a statement and tells how many rows it changed.
func (w writing) exec(query string, args ...any) (int64, error) {
	n, err := w.Exec(query, args...)
	if err != nil {
		return 0, w.Fault("write", err)
	}
	return n, nil
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

// list reads all rows.
func list[T any](q querier, scan func(Row) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.query(query, args...)
	if err != nil {
		return nil, q.Fault("read", err)
	}
	all, err := Collect(rows, scan)
	if err != nil {
		return nil, q.Fault("read", err)
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

// zeroIfNone takes a row that is not there for the zero value.
func zeroIfNone(err error) error {
	if errors.Is(err, liwanag.ErrNotFound) {
		return nil
	}
	return err
}

// words are the argument of = ANY($1::text[]).
func words[T ~string](d Dialect, all []T) any {
	list := make([]string, len(all))
	for i, w := range all {
		list[i] = string(w)
	}
	return d.Words(list)
}
