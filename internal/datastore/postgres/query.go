package postgres

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/liwanag/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/internal/pgdb"
)

// row is what a scan function sees: one row of a result.
type row interface{ Scan(dest ...any) error }

// querier is a transaction or the pool, so that one query with its scan serves
// both.
type querier interface {
	query(query string, args ...any) (pgx.Rows, error)
}

// reader reads outside of a transaction.
type reader struct {
	pool interface {
		Query(ctx context.Context, query string, args ...any) (pgx.Rows, error)
	}
}

func (r reader) in(ctx context.Context) reading { return reading{ctx, r} }

// reading is a reader for the length of one call.
type reading struct {
	ctx context.Context
	reader
}

func (r reading) query(query string, args ...any) (pgx.Rows, error) {
	return r.pool.Query(r.ctx, query, storable(args)...)
}

// writing is a transaction: a [pgdb.Tx].
type writing struct {
	transaction interface {
		Exec(query string, args ...any) (int64, error)
		Query(query string, args ...any) (pgx.Rows, error)
		SendBatch(b *pgx.Batch) pgx.BatchResults
	}
}

func (w writing) query(query string, args ...any) (pgx.Rows, error) {
	return w.transaction.Query(query, storable(args)...)
}

// exec runs a statement and tells how many rows it changed.
func (w writing) exec(query string, args ...any) (int64, error) {
	n, err := w.transaction.Exec(query, storable(args)...)
	if err != nil {
		return 0, wrap("write", err)
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
func list[T any](q querier, scan func(row) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.query(query, args...)
	if err != nil {
		return nil, wrap("read", err)
	}
	return collect(rows, scan)
}

func collect[T any](rows pgx.Rows, scan func(row) (T, error)) ([]T, error) {
	defer rows.Close()
	var all []T
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, wrap("read", err)
		}
		all = append(all, one)
	}
	if err := rows.Err(); err != nil {
		return nil, wrap("read", err)
	}
	return all, nil
}

// guarded is list for a statement that a unique index may refuse and whose
// caller may go on: after an error PostgreSQL runs nothing more in a
// transaction, unless the error is taken back to a savepoint.
func guarded[T any](w writing, scan func(row) (T, error), query string, args ...any) ([]T, error) {
	all, err := inSavepoint(w, scan, query, args)
	if err != nil {
		_, undo := w.exec("ROLLBACK TO SAVEPOINT guarded")
		return nil, errors.Join(err, undo)
	}
	return all, nil
}

// inSavepoint sends the statement and its savepoint together.
func inSavepoint[T any](w writing, scan func(row) (T, error), query string, args []any) (all []T, err error) {
	var batch pgx.Batch
	batch.Queue("SAVEPOINT guarded")
	batch.Queue(query, storable(args)...)
	batch.Queue("RELEASE SAVEPOINT guarded")
	results := w.transaction.SendBatch(&batch)
	defer func() {
		if closing := results.Close(); err == nil && closing != nil {
			err = wrap("write", closing)
		}
	}()
	if _, err := results.Exec(); err != nil {
		return nil, wrap("write", err)
	}
	rows, err := results.Query()
	if err != nil {
		return nil, wrap("write", err)
	}
	return collect(rows, scan)
}

// one reads the first row, or ErrNotFound.
func one[T any](q querier, scan func(row) (T, error), query string, args ...any) (T, error) {
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

// wrap gives an error of the database its class. Its text names tables and
// indexes; the server's detail, which holds values, is not part of it.
func wrap(what string, err error) error {
	var known *liwanag.Error
	switch {
	case errors.As(err, &known):
		return err
	case pgdb.IsFull(err):
		return liwanag.Wrap(err, liwanag.DiskFull, liwanag.ErrDiskFull.Code, liwanag.ErrDiskFull.Message)
	case pgdb.IsUnique(err):
		return liwanag.Wrap(err, liwanag.Conflict, liwanag.ErrState.Code, "something with this identity exists already")
	}
	return liwanag.Wrap(err, liwanag.Unavailable, liwanag.ErrDatabase.Code,
		"datastore: the database cannot "+what+", try again later")
}

// storable makes every text argument one that PostgreSQL takes: it refuses NUL
// and what is not UTF-8, which may reach us in a name, a file name or a body of
// the partner. Both become U+FFFD, in what is written and in what is looked up,
// so that a row is found by the text it was stored with.
func storable(args []any) []any {
	for i, arg := range args {
		switch v := arg.(type) {
		case string:
			args[i] = storableText(v)
		case pgtype.Text:
			v.String = storableText(v.String)
			args[i] = v
		case pgtype.FlatArray[string]:
			for i, s := range v {
				v[i] = storableText(s)
			}
		case pgtype.FlatArray[pgtype.Text]:
			for i, s := range v {
				v[i].String = storableText(s.String)
			}
		}
	}
	return args
}

func storableText(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
