// Package postgres is a store in a PostgreSQL database, for any number of
// processes. DESIGN.md beside it gives the shape of its rows and the reasons.
package postgres

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/internal/groupcommit"
	"github.com/liwanag/liwanag/internal/pgdb"
)

//go:embed migrations/*.sql
var migrations embed.FS

// versionTable accounts for the versions of this store's tables.
const versionTable = "engine_migrations"

// writers is how many groups this process commits at once: while one waits for the
// disk, others decide.
const writers = 2

// Store keeps runs in a PostgreSQL database, and is one node of those that share
// it.
type Store struct {
	db    *pgdb.DB
	owned bool   // Open opened the database: Close closes it
	id    string // of this store among those that notify each other

	queues  []*groupcommit.Queue[*change]
	working sync.WaitGroup
	stats   groupcommit.Recorder

	announce *announcer
	wake     chan struct{}
	listen   sync.Once

	mu     sync.Mutex
	node   store.Node // as last registered
	looked time.Time  // when no run of a dead node was left
	doubt  []claim    // runs of claims of which nobody knows whether they landed
}

var (
	_ store.Store    = (*Store)(nil)
	_ store.Backlog  = (*Store)(nil)
	_ store.Waker    = (*Store)(nil)
	_ store.Resigner = (*Store)(nil)
	_ store.Roster   = (*Store)(nil)
)

// Open connects to the database at url, postgres://USER@HOST/NAME, for this store
// alone. An empty one gets the store's tables; one of an older release is refused
// with advice, since other nodes may still use it: see [Migrate].
func Open(ctx context.Context, url string) (*Store, error) {
	db, err := pgdb.Open(ctx, pgdb.Config{URL: url})
	if err != nil {
		return nil, err
	}
	s, err := New(ctx, db)
	if err != nil {
		db.Close()
		return nil, err
	}
	s.owned = true
	return s, nil
}

// New is a store in a database that its caller has opened, shares with other
// tables, and closes after the store.
func New(ctx context.Context, db *pgdb.DB) (*Store, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(ctx, files, versionTable); err != nil {
		return nil, err
	}
	s := &Store{db: db, id: rand.Text(), wake: make(chan struct{}, 1)}
	s.announce = announceTo(s.notify)
	for range writers {
		q := groupcommit.New[*change]()
		s.queues = append(s.queues, q)
		s.working.Add(1)
		go s.work(q)
	}
	return s, nil
}

// Migrate brings the store's tables in the database at url up to this release.
// Nodes of the release before may go on until they are replaced.
func Migrate(ctx context.Context, url string) error {
	db, err := pgdb.Open(ctx, pgdb.Config{URL: url})
	if err != nil {
		return err
	}
	defer db.Close()
	return MigrateIn(ctx, db)
}

// MigrateIn is [Migrate] in a database that its caller has opened.
func MigrateIn(ctx context.Context, db *pgdb.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	return db.MigrateUp(ctx, files, versionTable)
}

// Close commits what was asked for and refuses everything after it. It closes a
// database that Open opened, and leaves one given to New alone.
func (s *Store) Close() error {
	for _, q := range s.queues {
		q.Close()
	}
	s.working.Wait()
	s.announce.stop()
	if s.owned {
		s.db.Close()
	}
	return nil
}

// Stats returns the counters of changes to runs, since New.
func (s *Store) Stats() groupcommit.Stats { return s.stats.Stats() }

func (s *Store) closed() bool { return s.queues[0].Closed() || s.db.Closed() }

// fault names the operation of an error of the database.
func (s *Store) fault(operation string, err error) error {
	if errors.Is(err, groupcommit.ErrClosed) || errors.Is(err, pgdb.ErrClosed) || s.closed() {
		return fmt.Errorf("%w: %s: %w", store.ErrClosed, operation, err)
	}
	return fmt.Errorf("postgres: %s: %w", operation, err)
}

// open says whether calls that do not queue are still taken.
func (s *Store) open(operation string) error {
	if s.closed() {
		return fmt.Errorf("%w: %s", store.ErrClosed, operation)
	}
	return nil
}
