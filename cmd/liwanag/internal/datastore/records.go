package datastore

import (
	"strconv"
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// Records are rows for one statement: a column for each thing that is known of
// them. Absent, which is NULL, are the zero id, the zero time, and the empty text.
type Records struct {
	Columns []Column
	Rows    int
}

// Column is a column of all rows.
type Column struct {
	Name, Type string // PostgreSQL's
	Values     any    // []liwanag.ID, []time.Time, []string, []int64, []bool or [][]byte
	Strict     bool   // zero is a value, not absent
}

// Of is the value of a row, nil for an absent one.
func (c Column) Of(row int) any {
	switch all := c.Values.(type) {
	case []liwanag.ID:
		return all[row].Bytes()
	case []time.Time:
		return micros(all[row])
	case []string:
		if c.Strict {
			return all[row]
		}
		return text(all[row])
	case []int64:
		if c.Strict {
			return all[row]
		}
		return number(all[row])
	case []bool:
		return all[row]
	case [][]byte:
		return all[row]
	}
	panic("datastore: a column of no known type")
}

type records[T any] struct {
	Records
	rows []T
}

func recordsOf[T any](rows []T) *records[T] { return &records[T]{Records{Rows: len(rows)}, rows} }

func with[T, V any](r *records[T], name, kind string, strict bool, value func(T) V) *records[T] {
	all := make([]V, len(r.rows))
	for i, row := range r.rows {
		all[i] = value(row)
	}
	r.Columns = append(r.Columns, Column{Name: name, Type: kind, Values: all, Strict: strict})
	return r
}

func (r *records[T]) id(name string, value func(T) liwanag.ID) *records[T] {
	return with(r, name, "uuid", false, value)
}

func (r *records[T]) time(name string, value func(T) time.Time) *records[T] {
	return with(r, name, "bigint", false, value)
}

func (r *records[T]) text(name string, value func(T) string) *records[T] {
	return with(r, name, "text", false, value)
}

// word is a text that is never absent.
func (r *records[T]) word(name string, value func(T) string) *records[T] {
	return with(r, name, "text", true, value)
}

func (r *records[T]) number(name string, value func(T) int64) *records[T] {
	return with(r, name, "bigint", true, value)
}

// known is a number that is absent when it is zero.
func (r *records[T]) known(name string, value func(T) int64) *records[T] {
	return with(r, name, "bigint", false, value)
}

func (r *records[T]) flag(name string, value func(T) bool) *records[T] {
	return with(r, name, "boolean", true, value)
}

func (r *records[T]) bytes(name string, value func(T) []byte) *records[T] {
	return with(r, name, "bytea", true, value)
}

// rounds parts rows so that each key is in a part once, since a statement over
// many rows does not see what it does to one of them. Nearly always there is
// one part.
func rounds[T any, K comparable](all []T, key func(T) K) [][]T {
	var parts [][]T
	seen := make(map[K]int, len(all))
	for _, one := range all {
		n := seen[key(one)]
		seen[key(one)] = n + 1
		if n == len(parts) {
			parts = append(parts, nil)
		}
		parts[n] = append(parts[n], one)
	}
	return parts
}

// Names are the columns' names.
func (r Records) Names() string {
	names := make([]string, len(r.Columns))
	for i, c := range r.Columns {
		names[i] = c.Name
	}
	return strings.Join(names, ", ")
}

// UpdateFrom is the statement that sets the columns of those rows of a table, and
// fixed, that the rows r name, which from gives. The first column is the key.
func (r Records) UpdateFrom(table, from, fixed string) string {
	return r.update(table, ` FROM `+from, fixed, func(i int) string { return "r." + r.Columns[i].Name })
}

// Update is the same for one row, whose columns are the arguments in their order.
func (r Records) Update(table, fixed string) string {
	return r.update(table, "", fixed, func(i int) string { return "$" + strconv.Itoa(i+1) })
}

func (r Records) update(table, from, fixed string, given func(i int) string) string {
	sets := make([]string, len(r.Columns))
	for i, c := range r.Columns {
		sets[i] = c.Name + " = " + given(i)
	}
	if fixed != "" {
		sets = append(sets, fixed)
	}
	return `UPDATE ` + table + ` AS t SET ` + strings.Join(sets[1:], ", ") + from + ` WHERE t.` + sets[0]
}
