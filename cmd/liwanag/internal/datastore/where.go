package datastore

import (
	"strconv"
	"strings"
)

// where gathers conditions and their arguments; each has at most one, which its
// term calls $?.
type where struct {
	terms []string
	args  []any
}

func (w *where) and(term string, args ...any) {
	if len(args) > 0 {
		term = strings.ReplaceAll(term, "$?", w.bind(args[0]))
	}
	w.terms = append(w.terms, term)
}

// check adds a condition that is looked at in each row. No planner sees into it: SQLite's takes no index for it,
// and PostgreSQL's believes that half of the rows pass, so that it walks in the order of the listing and stops,
// instead of reading and sorting all for the few that it would expect.
func (w *where) check(term string, args ...any) {
	w.and(`CASE WHEN `+term+` THEN true ELSE false END`, args...)
}

// bind adds an argument and returns its name.
func (w *where) bind(arg any) string {
	w.args = append(w.args, arg)
	return "$" + strconv.Itoa(len(w.args))
}

func (w *where) String() string {
	if len(w.terms) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.terms, " AND ")
}
