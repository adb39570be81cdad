package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"

	"github.com/liwanag/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/internal/sqlitedb"
)

// row is what a scan function sees: one row of either kind of result.
type row interface{ Scan(dest ...any) error }

type result interface {
	row
	Next() bool
	Err() error
	Close() error
}

// querier is a transaction or the pool of readers, so that one query with its
// scan serves both.
type querier interface {
	query(query string, args ...any) (result, error)
}

// reader reads outside of a transaction.
type reader struct {
	db         *sql.DB
	statements *statements
}

func (r reader) in(ctx context.Context) reading { return reading{ctx, r} }

// reading is a reader for the length of one call.
type reading struct {
	ctx context.Context
	reader
}

func (r reading) query(query string, args ...any) (result, error) {
	stmt, err := r.statements.prepare(r.ctx, r.db, query)
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(r.ctx, args...)
}

// statements keeps each query text prepared on the readers. Texts are fixed or
// built from a few fixed parts, so their number is small.
type statements struct{ byText sync.Map }

func (s *statements) prepare(ctx context.Context, db *sql.DB, query string) (*sql.Stmt, error) {
	if kept, ok := s.byText.Load(query); ok {
		return kept.(*sql.Stmt), nil
	}
	stmt, err := db.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	if kept, loaded := s.byText.LoadOrStore(query, stmt); loaded {
		return kept.(*sql.Stmt), stmt.Close()
	}
	return stmt, nil
}

// writing is a transaction: a [sqlitedb.Tx].
type writing struct {
	transaction interface {
		Exec(query string, args ...any) (int64, error)
		Query(query string, args ...any) (*sqlitedb.Rows, error)
	}
}

func (w writing) query(query string, args ...any) (result, error) {
	return w.transaction.Query(query, args...)
}

// exec runs a statement and tells how many rows it changed.
func (w writing) exec(query string, args ...any) (int64, error) {
	n, err := w.transaction.Exec(query, args...)
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

// atomically undoes what fn wrote when it fails, so that a caller that goes on
// after the error commits nothing of it.
func (w writing) atomically(fn func() error) error {
	if _, err := w.exec("SAVEPOINT part"); err != nil {
		return err
	}
	err := fn()
	if err != nil {
		_, undo := w.exec("ROLLBACK TO part")
		err = errors.Join(err, undo)
	}
	_, release := w.exec("RELEASE part")
	return errors.Join(err, release)
}

// list reads all rows.
func list[T any](q querier, scan func(row) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.query(query, args...)
	if err != nil {
		return nil, wrap("read", err)
	}
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

// wrap gives an error of the database its class. Messages of SQLite name
// tables and columns, never values.
func wrap(what string, err error) error {
	var known *liwanag.Error
	switch {
	case errors.As(err, &known):
		return err
	case sqlitedb.IsFull(err):
		return liwanag.Wrap(err, liwanag.DiskFull, liwanag.ErrDiskFull.Code, liwanag.ErrDiskFull.Message)
	case sqlitedb.IsUnique(err):
		return liwanag.Wrap(err, liwanag.Conflict, liwanag.ErrState.Code, "something with this identity exists already")
	}
	return liwanag.Wrap(err, liwanag.Unavailable, liwanag.ErrDatabase.Code,
		"datastore: the database cannot "+what+", try again later")
}

// eachID is the subquery of the 16-byte ids that lie side by side in ?1: one
// text and one argument, however many there are.
const eachID = `(WITH RECURSIVE at (i) AS (
	SELECT 1 WHERE length(?1) > 0 UNION ALL SELECT i + 16 FROM at WHERE i + 16 <= length(?1)
) SELECT substr(?1, i, 16) FROM at)`

// packed is the argument of eachID.
func packed(ids []liwanag.ID) []byte {
	all := make([]byte, 0, 16*len(ids))
	for _, id := range ids {
		all = append(all, id.Bytes()...)
	}
	return all
}

// words is a JSON array of plain words, for IN (SELECT value FROM json_each(?)).
func words[T ~string](all []T) string {
	var b strings.Builder
	b.WriteByte('[')
	for i, w := range all {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"` + string(w) + `"`)
	}
	b.WriteByte(']')
	return b.String()
}

// multiRow inserts n rows in statements of a few fixed sizes, each of which
// stays prepared: a statement costs more than a row. text builds the statement
// for a number of rows; run gets the range that one statement covers.
func multiRow(n int, run func(from, to int) error) error {
	for from := 0; from < n; {
		size := 1
		for _, s := range [...]int{64, 8} {
			if n-from >= s {
				size = s
				break
			}
		}
		if err := run(from, from+size); err != nil {
			return err
		}
		from += size
	}
	return nil
}

// stored runs an insert that passes over what is there already and tells which
// of the ids are new. As a rule all are: then the count says so, and nothing is
// read.
func (w writing) stored(table string, ids []liwanag.ID, query string, args ...any) (map[liwanag.ID]bool, error) {
	n, err := w.exec(query, args...)
	if err != nil {
		return nil, err
	}
	found := ids
	if n != int64(len(ids)) && len(ids) > 0 {
		found, err = list(w, scanID(ids[0].Kind()), `SELECT id FROM `+table+` WHERE id IN `+eachID, packed(ids))
		if err != nil {
			return nil, err
		}
	}
	isNew := make(map[liwanag.ID]bool, len(found))
	for _, id := range found {
		isNew[id] = true
	}
	return isNew, nil
}

// placeholders is "(?,?),(?,?)" for rows of a number of columns.
func placeholders(rows, columns int) string {
	one := "(" + strings.Repeat("?,", columns-1) + "?)"
	return strings.Repeat(one+",", rows-1) + one
}
