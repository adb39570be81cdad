package datastoretest

import (
	"context"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
)

// Watch is a store whose calls a test sees first: an error of writing or reading
// fails the call. Both may be nil.
func Watch(store *datastore.Store, writing func() error, reading func(query string, args []any) error) *datastore.Store {
	return store.Through(func(db datastore.Database) datastore.Database { return watched{db, writing, reading} })
}

type watched struct {
	datastore.Database
	writing func() error
	reading func(query string, args []any) error
}

func (w watched) Write(ctx context.Context, fn func(datastore.Writer) error) error {
	if w.writing != nil {
		if err := w.writing(); err != nil {
			return err
		}
	}
	return w.Database.Write(ctx, fn)
}

func (w watched) Query(ctx context.Context, query string, args ...any) (datastore.Rows, error) {
	if w.reading != nil {
		if err := w.reading(query, args); err != nil {
			return nil, err
		}
	}
	return w.Database.Query(ctx, query, args...)
}
