package httpapi

import (
	"errors"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func pageOf(p runapi.Paging) liwanag.Page { return liwanag.Page{Limit: p.Limit, Cursor: p.Cursor} }

// listOf turns rows into a page.
func listOf[R, T any](rows []R, next string, view func(R) T) runapi.List[T] {
	out := runapi.List[T]{Items: make([]T, len(rows)), NextCursor: next}
	for i, row := range rows {
		out.Items[i] = view(row)
	}
	return out
}

// idOf reads an id of a path; text that is none names nothing.
func idOf(kind liwanag.Kind, text, what string) (liwanag.ID, error) {
	id, err := liwanag.ParseID(kind, text)
	if err != nil {
		return liwanag.ID{}, door.NotFound(what)
	}
	return id, nil
}

// named gives a row's "not found" the name of the thing.
func named(err error, what string) error {
	if errors.Is(err, liwanag.ErrNotFound) {
		return door.NotFound(what)
	}
	return err
}
