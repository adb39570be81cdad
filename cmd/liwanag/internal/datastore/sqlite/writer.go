package sqlite

import (
	"errors"
	"strings"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/internal/sqlitedb"
)

// writer is a transaction: a [sqlitedb.Tx].
type writer struct {
	dialect
	tx interface {
		Exec(query string, args ...any) (int64, error)
		Query(query string, args ...any) (*sqlitedb.Rows, error)
	}
}

func (w writer) Query(query string, args ...any) (datastore.Rows, error) {
	return closing(w.tx.Query(datastore.Lite(query), args...))
}

func (w writer) Exec(query string, args ...any) (int64, error) {
	return w.tx.Exec(datastore.Lite(query), args...)
}

// Guarded undoes what the statements wrote when one fails, so that a caller that
// goes on after the error commits nothing of it.
func (w writer) Guarded(all ...datastore.Statement) (changed int64, err error) {
	if _, err := w.tx.Exec("SAVEPOINT guarded"); err != nil {
		return 0, err
	}
	for i, s := range all {
		n, err := w.Exec(s.Query, s.Args...)
		if err != nil {
			_, undo := w.tx.Exec("ROLLBACK TO guarded")
			_, release := w.tx.Exec("RELEASE guarded")
			return 0, errors.Join(err, undo, release)
		}
		if i == 0 {
			changed = n
		}
	}
	_, err = w.tx.Exec("RELEASE guarded")
	return changed, err
}

// InsertNew asks which rows are new only if not all are, which is rare: the count
// tells.
func (w writer) InsertNew(table string, r datastore.Records, conflict, _ string) (inserted []liwanag.ID, err error) {
	all := r.Columns[0].Values.([]liwanag.ID)
	err = multiRow(r.Rows, func(from, to int) error {
		n, err := w.tx.Exec(insert(table, r, to-from)+` ON CONFLICT `+conflict+` DO NOTHING`, values(r, from, to)...)
		if err != nil || n == int64(to-from) {
			inserted = append(inserted, all[from:to]...)
			return err
		}
		found, err := w.present(table, all[from:to])
		inserted = append(inserted, found...)
		return err
	})
	return inserted, err
}

// present are those ids that have a row.
func (w writer) present(table string, ids []liwanag.ID) ([]liwanag.ID, error) {
	found, err := w.Query(`SELECT id FROM `+table+` WHERE id = ANY($1)`, w.IDs(ids))
	if err != nil {
		return nil, err
	}
	return datastore.Collect(found, func(r datastore.Row) (liwanag.ID, error) {
		var b []byte
		if err := r.Scan(&b); err != nil {
			return liwanag.ID{}, err
		}
		return liwanag.IDFromBytes(ids[0].Kind(), b)
	})
}

// Insert inserts in statements of a few sizes.
func (w writer) Insert(table string, r datastore.Records, conflict string) error {
	if conflict != "" {
		conflict = ` ON CONFLICT ` + conflict
	}
	return multiRow(r.Rows, func(from, to int) error {
		_, err := w.tx.Exec(insert(table, r, to-from)+conflict, values(r, from, to)...)
		return err
	})
}

func insert(table string, r datastore.Records, rows int) string {
	row := "(" + strings.Repeat("?,", len(r.Columns)-1) + "?)"
	return `INSERT INTO ` + table + ` (` + r.Names() + `) VALUES ` + strings.Repeat(row+",", rows-1) + row
}

func values(r datastore.Records, from, to int) []any {
	args := make([]any, 0, (to-from)*len(r.Columns))
	for row := from; row < to; row++ {
		for _, c := range r.Columns {
			args = append(args, c.Of(row))
		}
	}
	return args
}

// multiRow parts n rows into statements of a few fixed sizes, each of which stays
// prepared: a statement costs more than a row. run gets the range that one covers.
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

// UpdateEach updates row by row: a statement that stays prepared is the fastest.
func (w writer) UpdateEach(table string, r datastore.Records, fixed string) error {
	query := r.Update(table, fixed)
	for row := range r.Rows {
		if _, err := w.tx.Exec(query, values(r, row, row+1)...); err != nil {
			return err
		}
	}
	return nil
}
