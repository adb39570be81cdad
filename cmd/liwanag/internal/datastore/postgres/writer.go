package postgres

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// writer is a transaction: a [pgdb.Tx].
type writer struct {
	dialect
	tx interface {
		Exec(query string, args ...any) (int64, error)
		Query(query string, args ...any) (pgx.Rows, error)
		SendBatch(b *pgx.Batch) pgx.BatchResults
	}
}

func (w writer) Query(query string, args ...any) (datastore.Rows, error) {
	return w.tx.Query(query, storable(args)...)
}

func (w writer) Exec(query string, args ...any) (int64, error) {
	return w.tx.Exec(query, storable(args)...)
}

// Guarded sends the statements and their savepoint together: after an error
// PostgreSQL runs nothing more in a transaction, unless the error is taken back to
// a savepoint.
func (w writer) Guarded(all ...datastore.Statement) (int64, error) {
	changed, err := w.inSavepoint(all)
	if err != nil {
		_, undo := w.tx.Exec("ROLLBACK TO SAVEPOINT guarded")
		return 0, errors.Join(err, undo)
	}
	return changed, nil
}

func (w writer) inSavepoint(all []datastore.Statement) (changed int64, err error) {
	var batch pgx.Batch
	batch.Queue("SAVEPOINT guarded")
	for _, s := range all {
		batch.Queue(s.Query, storable(s.Args)...)
	}
	batch.Queue("RELEASE SAVEPOINT guarded")
	results := w.tx.SendBatch(&batch)
	defer func() { err = errors.Join(err, results.Close()) }()
	if _, err := results.Exec(); err != nil {
		return 0, err
	}
	for i := range all {
		done, err := results.Exec()
		if err != nil {
			return 0, err
		}
		if i == 0 {
			changed = done.RowsAffected()
		}
	}
	return changed, nil
}

// InsertNew inserts all rows in one statement.
func (w writer) InsertNew(table string, r datastore.Records, conflict, also string) ([]liwanag.ID, error) {
	if r.Rows == 0 {
		return nil, nil
	}
	from, args := given(r)
	query := insert(table, r, from) + ` ON CONFLICT ` + conflict + ` DO NOTHING RETURNING `
	if also == "" {
		query += `id`
	} else {
		query = `WITH inserted AS (` + query + table + `.*), also AS (` + also + `) SELECT id FROM inserted`
	}
	return w.ids(r, query, args)
}

// Insert inserts all rows in one statement.
func (w writer) Insert(table string, r datastore.Records, conflict string) error {
	if r.Rows == 0 {
		return nil
	}
	from, args := given(r)
	if conflict != "" {
		conflict = ` ON CONFLICT ` + conflict
	}
	_, err := w.Exec(insert(table, r, from)+conflict, args...)
	return err
}

func insert(table string, r datastore.Records, from string) string {
	return `INSERT INTO ` + table + ` (` + r.Names() + `) SELECT ` + r.Names() + ` FROM ` + from
}

// UpdateEach updates all rows in one statement.
func (w writer) UpdateEach(table string, r datastore.Records, fixed string) error {
	if r.Rows == 0 {
		return nil
	}
	from, args := given(r)
	_, err := w.Exec(r.UpdateFrom(table, from, fixed), args...)
	return err
}

// ids runs a statement that returns ids of the kind of the first column.
func (w writer) ids(r datastore.Records, query string, args []any) ([]liwanag.ID, error) {
	rows, err := w.Query(query, args...)
	if err != nil {
		return nil, err
	}
	kind := r.Columns[0].Values.([]liwanag.ID)[0].Kind()
	return datastore.Collect(rows, func(r datastore.Row) (liwanag.ID, error) {
		var b [16]byte
		if err := r.Scan(&b); err != nil {
			return liwanag.ID{}, err
		}
		return liwanag.IDFromBytes(kind, b[:])
	})
}

// given is the rows as table r, for FROM. A single row is written as such, since
// arrays of one take the server four times as long to plan.
func given(r datastore.Records) (string, []any) {
	form, open, end := "$%d::%s[]", "unnest(", ")"
	if r.Rows == 1 {
		form, open, end = "$%d::%s", "(VALUES (", "))"
	}
	texts, args := make([]string, len(r.Columns)), make([]any, len(r.Columns))
	for i, c := range r.Columns {
		texts[i] = fmt.Sprintf(form, i+1, c.Type)
		if args[i] = c.Of(0); r.Rows > 1 {
			args[i] = arrayOf(c, r.Rows)
		}
	}
	return open + strings.Join(texts, ", ") + end + " AS r (" + r.Names() + ")", args
}

// arrayOf is an array of a column's values. It stays typed: a boxed value each
// costs an import 6 % of its time.
func arrayOf(c datastore.Column, rows int) any {
	switch all := c.Values.(type) {
	case []liwanag.ID:
		return uuids(all)
	case []string:
		return texts(all, c.Strict)
	case []bool:
		return pgtype.FlatArray[bool](all)
	case [][]byte:
		return pgtype.FlatArray[[]byte](all)
	}
	array := make(pgtype.FlatArray[pgtype.Int8], rows)
	for i := range array {
		if n, ok := c.Of(i).(int64); ok {
			array[i] = pgtype.Int8{Int64: n, Valid: true}
		}
	}
	return array
}

func uuids(ids []liwanag.ID) pgtype.FlatArray[pgtype.UUID] {
	array := make(pgtype.FlatArray[pgtype.UUID], len(ids))
	for i, id := range ids {
		array[i].Valid = !id.IsZero()
		copy(array[i].Bytes[:], id.Bytes())
	}
	return array
}

func texts(all []string, strict bool) pgtype.FlatArray[pgtype.Text] {
	array := make(pgtype.FlatArray[pgtype.Text], len(all))
	for i, s := range all {
		array[i] = pgtype.Text{String: s, Valid: strict || s != ""}
	}
	return array
}
