package datastore

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// The types of this file translate a column on reading; absent is the zero
// value. The functions do the same on writing. Scan is for SQLite and ScanX for
// pgx, which asks for no copy and no text in between.

type idColumn struct {
	kind liwanag.Kind
	to   *liwanag.ID
}

func idTo(kind liwanag.Kind, to *liwanag.ID) idColumn { return idColumn{kind, to} }

func (c idColumn) Scan(v any) (err error) {
	b, ok := v.([]byte)
	if !ok && v != nil {
		return fmt.Errorf("an id is stored as %T", v)
	}
	*c.to, err = liwanag.IDFromBytes(c.kind, b)
	return err
}

func (c idColumn) ScanUUID(v pgtype.UUID) (err error) {
	*c.to = liwanag.ID{}
	if v.Valid {
		*c.to, err = liwanag.IDFromBytes(c.kind, v.Bytes[:])
	}
	return err
}

type digestColumn struct{ to *liwanag.Digest }

func (c digestColumn) Scan(v any) error {
	*c.to = liwanag.Digest{}
	if v == nil {
		return nil
	}
	b, ok := v.([]byte)
	if !ok || len(b) != len(c.to) {
		return fmt.Errorf("a digest is stored as %T of another size", v)
	}
	copy(c.to[:], b)
	return nil
}

func (c digestColumn) ScanBytes(b []byte) error {
	if b == nil {
		return c.Scan(nil)
	}
	return c.Scan(b)
}

type timeColumn struct{ to *time.Time }

func (c timeColumn) Scan(v any) error {
	*c.to = time.Time{}
	if v == nil {
		return nil
	}
	us, ok := v.(int64)
	if !ok {
		return fmt.Errorf("a time is stored as %T", v)
	}
	*c.to = time.UnixMicro(us).UTC()
	return nil
}

func (c timeColumn) ScanInt64(v pgtype.Int8) error { return c.Scan(number8(v)) }

// number8 is a number as database/sql has it.
func number8(v pgtype.Int8) any {
	if !v.Valid {
		return nil
	}
	return v.Int64
}

func micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// textColumn reads any type made of a string.
type textColumn[T ~string] struct{ to *T }

func textTo[T ~string](to *T) textColumn[T] { return textColumn[T]{to} }

func (c textColumn[T]) Scan(v any) error {
	switch s := v.(type) {
	case nil:
		*c.to = ""
	case string:
		*c.to = T(s)
	default:
		return fmt.Errorf("a text is stored as %T", v)
	}
	return nil
}

func (c textColumn[T]) ScanText(v pgtype.Text) error {
	*c.to = T(v.String)
	return nil
}

func text[T ~string](s T) any {
	if s == "" {
		return nil
	}
	return string(s)
}

// jsonColumn reads a JSON text.
type jsonColumn[T ~[]byte] struct{ to *T }

func jsonTo[T ~[]byte](to *T) jsonColumn[T] { return jsonColumn[T]{to} }

func (c jsonColumn[T]) Scan(v any) error {
	switch s := v.(type) {
	case nil:
		*c.to = nil
	case string:
		*c.to = T(s)
	default:
		return fmt.Errorf("JSON is stored as %T", v)
	}
	return nil
}

func (c jsonColumn[T]) ScanText(v pgtype.Text) error {
	*c.to = nil
	if v.Valid {
		*c.to = T(v.String)
	}
	return nil
}

func jsonText[T ~[]byte](b T) any {
	if len(b) == 0 {
		return nil
	}
	return string(b)
}

// numberColumn reads a number that may be unknown.
type numberColumn struct{ to *int64 }

func (c numberColumn) Scan(v any) error {
	*c.to = 0
	if v == nil {
		return nil
	}
	n, ok := v.(int64)
	if !ok {
		return fmt.Errorf("a number is stored as %T", v)
	}
	*c.to = n
	return nil
}

func (c numberColumn) ScanInt64(v pgtype.Int8) error { return c.Scan(number8(v)) }

func number(n int64) any {
	if n == 0 {
		return nil
	}
	return n
}

func scanID(kind liwanag.Kind) func(Row) (liwanag.ID, error) {
	return func(r Row) (got liwanag.ID, err error) {
		err = r.Scan(idTo(kind, &got))
		return got, err
	}
}

func scanBytes(r Row) (b []byte, err error) {
	err = r.Scan(&b)
	return b, err
}

func scanString(r Row) (s string, err error) {
	err = r.Scan(&s)
	return s, err
}

func scanBool(r Row) (is bool, err error) {
	err = r.Scan(&is)
	return is, err
}

func scanInt(r Row) (n int64, err error) {
	err = r.Scan(&n)
	return n, err
}

type count[T ~string] struct {
	of T
	n  int64
}

func scanCount[T ~string](r Row) (c count[T], err error) {
	err = r.Scan(textTo(&c.of), &c.n)
	return c, err
}

// counts adds up rows of (word, count).
func counts[T ~string](q querier, query string) (map[T]int64, error) {
	all, err := list(q, scanCount[T], query)
	if err != nil {
		return nil, err
	}
	sum := make(map[T]int64, len(all))
	for _, c := range all {
		sum[c.of] += c.n
	}
	return sum, nil
}

// Clean is a text as PostgreSQL takes it: it refuses NUL and what is not UTF-8.
func Clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

func digest(d liwanag.Digest) any {
	if d == (liwanag.Digest{}) {
		return nil
	}
	return d[:]
}

// wordsColumn reads a JSON array of words.
type wordsColumn[T ~string] struct{ to *[]T }

func wordsTo[T ~string](to *[]T) wordsColumn[T] { return wordsColumn[T]{to} }

func (c wordsColumn[T]) Scan(v any) error {
	*c.to = nil
	switch s := v.(type) {
	case nil:
		return nil
	case string:
		return json.Unmarshal([]byte(s), c.to)
	}
	return fmt.Errorf("words are stored as %T", v)
}

func (c wordsColumn[T]) ScanText(v pgtype.Text) error {
	if !v.Valid {
		return c.Scan(nil)
	}
	return c.Scan(v.String)
}

func wordsText[T ~string](all []T) any {
	if len(all) == 0 {
		return nil
	}
	b, _ := json.Marshal(all) // texts: it can be encoded
	return string(b)
}

// objectColumn reads a value from its JSON.
type objectColumn[T any] struct{ to *T }

func objectTo[T any](to *T) objectColumn[T] { return objectColumn[T]{to} }

func (c objectColumn[T]) Scan(v any) error {
	var zero T
	*c.to = zero
	switch s := v.(type) {
	case nil:
		return nil
	case string:
		return json.Unmarshal([]byte(s), c.to)
	}
	return fmt.Errorf("an object is stored as %T", v)
}

func (c objectColumn[T]) ScanText(v pgtype.Text) error {
	if !v.Valid {
		return c.Scan(nil)
	}
	return c.Scan(v.String)
}

// jsonOf is a value as JSON, empty for one that says nothing.
func jsonOf(v any) string {
	b, _ := json.Marshal(v) // texts, numbers and times: it can be encoded
	if s := string(b); s != "{}" && s != "null" {
		return s
	}
	return ""
}

// idText reads an id of any kind from its text.
type idText struct{ to *liwanag.ID }

func (c idText) Scan(v any) error {
	var s string
	if err := textTo(&s).Scan(v); err != nil {
		return err
	}
	return c.to.UnmarshalText([]byte(s))
}

func (c idText) ScanText(v pgtype.Text) error { return c.to.UnmarshalText([]byte(v.String)) }
