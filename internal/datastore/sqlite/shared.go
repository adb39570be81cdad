package sqlite

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/liwanag/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/internal/liwanag"
)

// dialect is SQLite's part of package datastore's statements.
type dialect struct{}

func (dialect) IDs(ids []liwanag.ID) any { return packed(ids) }
func (dialect) Words(all []string) any {
	b, _ := json.Marshal(all) // texts: it can be encoded
	return string(b)
}
func (dialect) Fault(doing string, err error) error { return wrap(doing, err) }

// readers runs package datastore's queries on the pool of readers.
type readers struct {
	dialect
	r reader
}

func (s readers) Query(ctx context.Context, query string, args ...any) (datastore.Rows, error) {
	return closing(s.r.in(ctx).query(datastore.Lite(query), args...))
}

// writer runs package datastore's statements in a transaction.
type writer struct {
	dialect
	w writing
}

func (s writer) Query(query string, args ...any) (datastore.Rows, error) {
	return closing(s.w.query(datastore.Lite(query), args...))
}

func (s writer) Exec(query string, args ...any) (int64, error) {
	return s.w.transaction.Exec(datastore.Lite(query), args...)
}

// rows are closed without an error: it says nothing that Err did not.
type rows struct{ result }

func (r rows) Close() { _ = r.result.Close() }

func closing(r result, err error) (datastore.Rows, error) {
	if err != nil {
		return nil, err
	}
	return rows{r}, nil
}

// InsertNew inserts in statements of a few fixed sizes, each of which stays
// prepared: a statement costs more than a row. Triggers do what follows.
func (s writer) InsertNew(table string, r *datastore.Records, conflict, _ string) (inserted []liwanag.ID, err error) {
	all := r.Columns[0].Values.([]liwanag.ID)
	err = multiRow(r.Rows, func(from, to int) error {
		isNew, err := s.w.stored(table, all[from:to], insert(table, r, to-from)+` ON CONFLICT `+conflict+` DO NOTHING`, values(r, from, to)...)
		for _, id := range all[from:to] {
			if isNew[id] {
				inserted = append(inserted, id)
			}
		}
		return err
	})
	return inserted, err
}

// InsertOrUpdate inserts or updates.
func (s writer) InsertOrUpdate(table string, r *datastore.Records, conflict string) error {
	return multiRow(r.Rows, func(from, to int) error {
		_, err := s.w.exec(insert(table, r, to-from)+` ON CONFLICT `+conflict, values(r, from, to)...)
		return err
	})
}

func insert(table string, r *datastore.Records, rows int) string {
	return `INSERT INTO ` + table + ` (` + r.Names() + `) VALUES ` + placeholders(rows, len(r.Columns))
}

func values(r *datastore.Records, from, to int) []any {
	args := make([]any, 0, (to-from)*len(r.Columns))
	for row := from; row < to; row++ {
		for _, c := range r.Columns {
			args = append(args, c.Of(row))
		}
	}
	return args
}

// UpdateEach updates row by row: a statement that stays prepared is the fastest.
func (s writer) UpdateEach(table string, r *datastore.Records, fixed, condition string) (changed []liwanag.ID, err error) {
	query := updateText(table, r, fixed, condition)
	for row, id := range r.Columns[0].Values.([]liwanag.ID) {
		ok, err := s.w.changed(query, values(r, row, row+1)...)
		if err != nil {
			return nil, err
		}
		if ok {
			changed = append(changed, id)
		}
	}
	return changed, nil
}

func updateText(table string, r *datastore.Records, fixed, condition string) string {
	if condition == "" {
		condition = "true"
	}
	given := strings.NewReplacer(r.Given()...)
	return datastore.Lite(given.Replace(`UPDATE ` + table + ` AS t SET ` + r.Sets(fixed) + ` WHERE t.` + r.Columns[0].Name + ` = r.` + r.Columns[0].Name +
		` AND (` + condition + `)`))
}
