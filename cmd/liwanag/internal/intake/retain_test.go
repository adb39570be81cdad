package intake

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
)

type countedWrites struct {
	datastore.Database
	n *atomic.Int64
}

func (w countedWrites) Write(ctx context.Context, fn func(datastore.Writer) error) error {
	w.n.Add(1)
	return w.Database.Write(ctx, fn)
}

// Retention looks at every old upload, for ever: one of which nothing is left must
// not cost a write.
func TestRetentionWritesNothingForUploadsOfWhichNothingIsLeft(t *testing.T) {
	at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	store, _ := openStore(t)
	var writes atomic.Int64
	store = store.Through(func(db datastore.Database) datastore.Database { return countedWrites{db, &writes} })
	u := newUploads(t, store, &enroller{}, Config{Now: func() time.Time { return at }})
	importAll(t, u, create(t, u, "email\nann@gmail.com\nben@\n").ID)
	create(t, u, "email\ncia@gmail.com\n") // never confirmed
	for round, want := range []bool{true, false, false} {
		before := writes.Load()
		if err := u.Retain(t.Context(), at.AddDate(0, 1, 0)); err != nil {
			t.Fatal(err)
		}
		if wrote := writes.Load() > before; wrote != want {
			t.Errorf("round %d wrote %d times", round+1, writes.Load()-before)
		}
	}
}
