package sqlite

import (
	"strings"
)

// where gathers conditions and their arguments.
type where struct {
	terms []string
	args  []any
}

func (w *where) and(term string, args ...any) {
	w.terms = append(w.terms, term)
	w.args = append(w.args, args...)
}

func (w *where) String() string {
	if len(w.terms) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.terms, " AND ")
}

func scanBytes(r row) (b []byte, err error) {
	err = r.Scan(&b)
	return b, err
}

func scanString(r row) (s string, err error) {
	err = r.Scan(&s)
	return s, err
}
