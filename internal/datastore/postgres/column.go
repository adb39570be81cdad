package postgres

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/liwanag/liwanag/internal/liwanag"
)

// The types of this file translate a column on reading; absent is the zero
// value. The functions do the same on writing.

type idColumn struct {
	kind liwanag.Kind
	to   *liwanag.ID
}

func idTo(kind liwanag.Kind, to *liwanag.ID) idColumn { return idColumn{kind, to} }

func (c idColumn) ScanUUID(v pgtype.UUID) (err error) {
	if !v.Valid {
		*c.to = liwanag.ID{}
		return nil
	}
	*c.to, err = liwanag.IDFromBytes(c.kind, v.Bytes[:])
	return err
}

func uuid(id liwanag.ID) pgtype.UUID {
	u := pgtype.UUID{Valid: !id.IsZero()}
	copy(u.Bytes[:], id.Bytes())
	return u
}

type digestColumn struct{ to *liwanag.Digest }

func (c digestColumn) ScanBytes(b []byte) error {
	*c.to = liwanag.Digest{}
	if b != nil && len(b) != len(c.to) {
		return fmt.Errorf("a digest of %d bytes is stored", len(b))
	}
	copy(c.to[:], b)
	return nil
}

func digest(d liwanag.Digest) []byte {
	if d == (liwanag.Digest{}) {
		return nil
	}
	return d[:]
}

type timeColumn struct{ to *time.Time }

func (c timeColumn) ScanInt64(v pgtype.Int8) error {
	*c.to = time.Time{}
	if v.Valid {
		*c.to = time.UnixMicro(v.Int64).UTC()
	}
	return nil
}

func micros(t time.Time) pgtype.Int8 {
	if t.IsZero() {
		return pgtype.Int8{}
	}
	return pgtype.Int8{Int64: t.UnixMicro(), Valid: true}
}

// textColumn reads any type made of a string.
type textColumn[T ~string] struct{ to *T }

func textTo[T ~string](to *T) textColumn[T] { return textColumn[T]{to} }

func (c textColumn[T]) ScanText(v pgtype.Text) error {
	*c.to = T(v.String)
	return nil
}

func text[T ~string](s T) pgtype.Text { return pgtype.Text{String: string(s), Valid: s != ""} }

// jsonColumn reads a JSON text.
type jsonColumn[T ~[]byte] struct{ to *T }

func jsonTo[T ~[]byte](to *T) jsonColumn[T] { return jsonColumn[T]{to} }

func (c jsonColumn[T]) ScanText(v pgtype.Text) error {
	*c.to = nil
	if v.Valid {
		*c.to = T(v.String)
	}
	return nil
}

func jsonText[T ~[]byte](b T) pgtype.Text { return text(string(b)) }

// wordsColumn reads a JSON array of words.
type wordsColumn[T ~string] struct{ to *[]T }

func wordsTo[T ~string](to *[]T) wordsColumn[T] { return wordsColumn[T]{to} }

func (c wordsColumn[T]) ScanText(v pgtype.Text) error {
	*c.to = nil
	if !v.Valid {
		return nil
	}
	return json.Unmarshal([]byte(v.String), c.to)
}

func wordsText[T ~string](all []T) pgtype.Text {
	if len(all) == 0 {
		return pgtype.Text{}
	}
	b, _ := json.Marshal(all) // texts: it can be encoded
	return text(string(b))
}

// idText reads an id of any kind from its text.
type idText struct{ to *liwanag.ID }

func (c idText) ScanText(v pgtype.Text) error { return c.to.UnmarshalText([]byte(v.String)) }

// numberColumn reads a number that may be unknown.
type numberColumn struct{ to *int64 }

func (c numberColumn) ScanInt64(v pgtype.Int8) error {
	*c.to = v.Int64
	return nil
}

// arrayOf is an array of the values of many rows.
func arrayOf[T, V any](rows []T, value func(T) V) pgtype.FlatArray[V] {
	all := make(pgtype.FlatArray[V], len(rows))
	for i, r := range rows {
		all[i] = value(r)
	}
	return all
}

// uuids and texts are lists for = ANY.
func uuids(ids []liwanag.ID) pgtype.FlatArray[pgtype.UUID] { return arrayOf(ids, uuid) }

func texts[T ~string](all []T) pgtype.FlatArray[string] {
	return arrayOf(all, func(s T) string { return string(s) })
}

func scanID(kind liwanag.Kind) func(row) (liwanag.ID, error) {
	return func(r row) (got liwanag.ID, err error) {
		err = r.Scan(idTo(kind, &got))
		return got, err
	}
}

func scanInt(r row) (n int64, err error) {
	err = r.Scan(&n)
	return n, err
}

func scanBytes(r row) (b []byte, err error) {
	err = r.Scan(&b)
	return b, err
}

func scanString(r row) (s string, err error) {
	err = r.Scan(&s)
	return s, err
}

type count[T ~string] struct {
	of T
	n  int64
}

func scanCount[T ~string](r row) (c count[T], err error) {
	err = r.Scan(textTo(&c.of), &c.n)
	return c, err
}

// counts reads rows of (word, count).
func counts[T ~string](q querier, query string) (map[T]int64, error) {
	all, err := list(q, scanCount[T], query)
	if err != nil {
		return nil, err
	}
	byWord := make(map[T]int64, len(all))
	for _, c := range all {
		byWord[c.of] = c.n
	}
	return byWord, nil
}
