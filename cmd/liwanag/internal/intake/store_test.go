package intake

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/datastoretest"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/sqlite"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/internal/sqlitedb"
)

// openStore is a real SQLite file with the application's tables.
func openStore(t testing.TB) (*datastore.Store, *sqlitedb.DB) {
	t.Helper()
	db, err := sqlitedb.Open(t.Context(), sqlitedb.Config{Path: filepath.Join(t.TempDir(), "liwanag.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	store, err := sqlite.New(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	return store, db
}

// enroller makes real jobs and batches, and remembers which runs were started.
type enroller struct {
	mu      sync.Mutex
	started []liwanag.ID
	calls   int
	err     error
	clock   func() time.Time
}

func (e *enroller) Enroll(tx *datastore.Tx, people []enrichment.Enrollment) ([]liwanag.Opened, error) {
	clock := e.clock
	if clock == nil {
		clock = time.Now
	}
	// An import takes as long as the machine likes: a batch closes when it is full.
	return enrichment.Enroll(tx, people, enrichment.Config{BatchWindow: time.Hour}, clock())
}

func (e *enroller) Start(_ context.Context, runIDs ...liwanag.ID) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls++
	if e.err != nil {
		return e.err
	}
	for _, id := range runIDs { // starting is idempotent
		if !slices.Contains(e.started, id) {
			e.started = append(e.started, id)
		}
	}
	return nil
}

func (e *enroller) has(id liwanag.ID) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Contains(e.started, id)
}

// faultyStore fails every Write behind the first ones.
type faultyStore struct {
	*datastore.Store
	left atomic.Int64
}

func newFaulty(store *datastore.Store, left int64) *faultyStore {
	f := &faultyStore{}
	f.left.Store(left)
	f.Store = datastoretest.Watch(store, func() error {
		if f.left.Add(-1) < 0 {
			return liwanag.ErrDatabase
		}
		return nil
	}, nil)
	return f
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func items(people ...SignUp) []Item {
	all := make([]Item, len(people))
	for i, p := range people {
		all[i].SignUp = p
	}
	return all
}

func jobsOf(t testing.TB, store *datastore.Store, id liwanag.ID) []liwanag.Job {
	t.Helper()
	jobs, err := store.Jobs.OfSubscriber(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return jobs
}
