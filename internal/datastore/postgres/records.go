package postgres

import (
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/liwanag/liwanag/internal/liwanag"
)

// records is a table of rows for one statement, whatever their number: what
// costs is a statement, not a row.
type records[T any] struct {
	rows  []T
	names []string
	types []string
	args  []any // a column each
}

func recordsOf[T any](rows []T) *records[T] { return &records[T]{rows: rows} }

// columns are the names, in order.
func (r *records[T]) columns() string { return strings.Join(r.names, ", ") }

// as is the table under a name, for FROM. A single row is written as such, since
// arrays of one take the server four times as long to plan.
func (r *records[T]) as(alias string) string {
	form, open, close := "$%d::%s[]", "unnest(", ")"
	if len(r.rows) == 1 {
		form, open, close = "$%d::%s", "(VALUES (", "))"
	}
	args := make([]string, len(r.names))
	for i, t := range r.types {
		args[i] = fmt.Sprintf(form, i+1, t)
	}
	return open + strings.Join(args, ", ") + close + " AS " + alias + " (" + r.columns() + ")"
}

func with[T, V any](r *records[T], name, typ string, value func(T) V) *records[T] {
	r.names, r.types = append(r.names, name), append(r.types, typ)
	if len(r.rows) == 1 {
		r.args = append(r.args, value(r.rows[0]))
	} else {
		r.args = append(r.args, arrayOf(r.rows, value))
	}
	return r
}

// Absent, which is NULL, are the zero id, the zero time, and the empty text.

func (r *records[T]) id(name string, value func(T) liwanag.ID) *records[T] {
	return with(r, name, "uuid", func(row T) pgtype.UUID { return uuid(value(row)) })
}

func (r *records[T]) time(name string, value func(T) time.Time) *records[T] {
	return with(r, name, "bigint", func(row T) pgtype.Int8 { return micros(value(row)) })
}

func (r *records[T]) text(name string, value func(T) string) *records[T] {
	return with(r, name, "text", func(row T) pgtype.Text { return text(value(row)) })
}

// word is a text that is never absent.
func (r *records[T]) word(name string, value func(T) string) *records[T] {
	return with(r, name, "text", func(row T) pgtype.Text { return pgtype.Text{String: value(row), Valid: true} })
}

func (r *records[T]) number(name string, value func(T) int64) *records[T] {
	return with(r, name, "bigint", value)
}

// known is a number that is absent when it is zero.
func (r *records[T]) known(name string, value func(T) int64) *records[T] {
	return with(r, name, "bigint", func(row T) pgtype.Int8 {
		n := value(row)
		return pgtype.Int8{Int64: n, Valid: n != 0}
	})
}

func (r *records[T]) flag(name string, value func(T) bool) *records[T] {
	return with(r, name, "boolean", value)
}

func (r *records[T]) bytes(name string, value func(T) []byte) *records[T] {
	return with(r, name, "bytea", value)
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
