// Package opened hands a database that is open already, and has other tables too, to
// the engine's stores. What they export names no type of ours, which other modules
// could not use.
package opened

import "context"

type key[DB any] struct{}

// With is a context with which a store is opened in db, whatever its path or URL says.
func With[DB any](ctx context.Context, db *DB) context.Context {
	return context.WithValue(ctx, key[DB]{}, db)
}

// In is the database that the context brings, nil when there is none.
func In[DB any](ctx context.Context) *DB {
	db, _ := ctx.Value(key[DB]{}).(*DB)
	return db
}
