package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/liwanag/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/internal/liwanag"
)

// dialect is PostgreSQL's part of package datastore's statements, which are
// written in its words.
type dialect struct{}

func (dialect) IDs(ids []liwanag.ID) any            { return uuids(ids) }
func (dialect) Words(all []string) any              { return texts(all) }
func (dialect) Fault(doing string, err error) error { return wrap(doing, err) }

// readers runs package datastore's queries on the pool.
type readers struct {
	dialect
	r reader
}

func (s readers) Query(ctx context.Context, query string, args ...any) (datastore.Rows, error) {
	return s.r.in(ctx).query(query, args...)
}

// writer runs package datastore's statements in a transaction.
type writer struct {
	dialect
	w writing
}

func (s writer) Query(query string, args ...any) (datastore.Rows, error) {
	return s.w.query(query, args...)
}

func (s writer) Exec(query string, args ...any) (int64, error) {
	return s.w.transaction.Exec(query, storable(args)...)
}

// InsertNew inserts all rows in one statement.
func (s writer) InsertNew(table string, r *datastore.Records, conflict, also string) ([]liwanag.ID, error) {
	if r.Rows == 0 {
		return nil, nil
	}
	from, args := given(r)
	query := `INSERT INTO ` + table + ` (` + r.Names() + `) SELECT ` + r.Names() + ` FROM ` + from + ` ON CONFLICT ` + conflict + ` DO NOTHING RETURNING `
	if also == "" {
		query += `id`
	} else {
		query = `WITH inserted AS (` + query + table + `.*), also AS (` + also + `) SELECT id FROM inserted`
	}
	return list(s.w, scanID(kindOf(r)), query, args...)
}

// InsertOrUpdate inserts or updates all rows in one statement.
func (s writer) InsertOrUpdate(table string, r *datastore.Records, conflict string) error {
	if r.Rows == 0 {
		return nil
	}
	from, args := given(r)
	_, err := s.w.exec(`INSERT INTO `+table+` (`+r.Names()+`) SELECT `+r.Names()+` FROM `+from+` ON CONFLICT `+conflict, args...)
	return err
}

// UpdateEach updates all rows in one statement.
func (s writer) UpdateEach(table string, r *datastore.Records, fixed, condition string) ([]liwanag.ID, error) {
	if r.Rows == 0 {
		return nil, nil
	}
	if condition == "" {
		condition = "true"
	}
	from, args := given(r)
	key := r.Columns[0].Name
	return list(s.w, scanID(kindOf(r)), `UPDATE `+table+` AS t SET `+r.Sets(fixed)+` FROM `+from+
		` WHERE t.`+key+` = r.`+key+` AND (`+condition+`) RETURNING t.`+key, args...)
}

func kindOf(r *datastore.Records) liwanag.Kind {
	return r.Columns[0].Values.([]liwanag.ID)[0].Kind()
}

// given is the rows as table r, for FROM. A single row is written as such, since
// arrays of one take the server four times as long to plan.
func given(r *datastore.Records) (string, []any) {
	form, open, end := "$%d::%s[]", "unnest(", ")"
	if r.Rows == 1 {
		form, open, end = "$%d::%s", "(VALUES (", "))"
	}
	texts, args := make([]string, len(r.Columns)), make([]any, len(r.Columns))
	for i, c := range r.Columns {
		texts[i] = fmt.Sprintf(form, i+1, c.Type)
		if args[i] = c.Of(0); r.Rows > 1 {
			args[i] = arrayOfColumn(c, r.Rows)
		}
	}
	return open + strings.Join(texts, ", ") + end + " AS r (" + r.Names() + ")", args
}

func arrayOfColumn(c datastore.Column, rows int) any {
	switch all := c.Values.(type) {
	case []liwanag.ID:
		return uuids(all)
	case []string:
		if c.Strict {
			return texts(all)
		}
		return arrayOf(all, text)
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

var _ datastore.Rows = pgx.Rows(nil)
