package datastore

import (
	"strconv"
	"strings"
	"time"

	"github.com/liwanag/liwanag/internal/liwanag"
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
func rounds[T any](all []T, key func(T) liwanag.ID) [][]T {
	var parts [][]T
	seen := make(map[liwanag.ID]int, len(all))
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
func (r *Records) Names() string {
	names := make([]string, len(r.Columns))
	for i, c := range r.Columns {
		names[i] = c.Name
	}
	return strings.Join(names, ", ")
}

// Sets are what UPDATE sets in a table: all columns but the first, which is the key.
func (r *Records) Sets(fixed string) string {
	var sets []string
	for _, c := range r.Columns[1:] {
		sets = append(sets, c.Name+" = r."+c.Name)
	}
	if fixed != "" {
		sets = append(sets, fixed)
	}
	return strings.Join(sets, ", ")
}

// Given are pairs of r.column and the argument with its value, for databases that
// take one row at a time.
func (r *Records) Given() (pairs []string) {
	for i, c := range r.Columns {
		pairs = append(pairs, "r."+c.Name+" ", "$"+strconv.Itoa(i+1)+" ")
		for _, end := range []string{",", ")"} {
			pairs = append(pairs, "r."+c.Name+end, "$"+strconv.Itoa(i+1)+end)
		}
	}
	return pairs
}
