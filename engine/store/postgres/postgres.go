// Package postgres is a store in a PostgreSQL database, for any number of
// processes. DESIGN.md beside it gives the shape of its rows and the reasons.
package postgres

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/internal/groupcommit"
	"github.com/liwanag/liwanag/internal/opened"
	"github.com/liwanag/liwanag/internal/pgdb"
)

// writers is how many groups this process commits at once: while one waits for the
// disk, others decide.
const writers = 2

// closeWithin is how long Close waits for what was queued.
const closeWithin = 3 * time.Second

// Store keeps runs in a PostgreSQL database, and is one node of those that share
// it.
type Store struct {
	store.Use
	db     *pgdb.DB
	schema *schema
	owned  bool   // Open opened the database: Close closes it
	id     string // of this store among those that notify each other

	queues  []*groupcommit.Queue[*change]
	working sync.WaitGroup
	life    context.Context // of what is committed: ends when Close waits no longer
	die     context.CancelFunc

	announce *announcer
	wake     chan struct{}
	sweeps   time.Duration // sweepEvery
	listen   sync.Once

	mover  mover
	steps  steps
	passed store.Passed
	old    time.Time // see OldKeys

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
	_ store.Watcher  = (*Store)(nil)
	_ store.Poster   = (*Store)(nil)
)

// Config says where a store is. Only URL has no default.
type Config struct {
	// URL is the database, postgres://USER@HOST/NAME.
	URL string
	// Schema holds the tables, and is created when it is missing. Default: the one on
	// search_path that has them, or else the first one there.
	Schema string
	// MaxTxSteps is how many steps in transactions run at once, each on a connection
	// beside the store's own; default DefaultMaxTxSteps.
	MaxTxSteps int
}

// Open connects to the database at url, postgres://USER@HOST/NAME, for this store
// alone: [Config.Open].
func Open(ctx context.Context, url string) (*Store, error) { return Config{URL: url}.Open(ctx) }

// Open connects to the database for this store alone. An empty one gets the store's
// tables; those of an older release are refused with advice, since other nodes may
// still use them: see [Config.Migrate].
func (c Config) Open(ctx context.Context) (*Store, error) {
	if db := opened.In[pgdb.DB](ctx); db != nil {
		return newStore(ctx, db, c)
	}
	db, err := pgdb.Open(ctx, pgdb.Config{URL: c.URL})
	if err != nil {
		return nil, err
	}
	s, err := newStore(ctx, db, c)
	if err != nil {
		db.Close()
		return nil, err
	}
	s.owned = true
	return s, nil
}

func newStore(ctx context.Context, db *pgdb.DB, c Config) (*Store, error) {
	where, err := find(ctx, db, c.Schema)
	if err = cmp.Or(err, checkMaxTxSteps(c.MaxTxSteps)); err != nil {
		return nil, err
	}
	if err := where.migrate(ctx, db, false); err != nil {
		return nil, err
	}
	var old int64
	if err := db.QueryRow(ctx, where.in("SELECT old_keys FROM wf_upgrade"), nil, &old); err != nil {
		return nil, fmt.Errorf("postgres: read which runs are of an earlier release: %w", err)
	}
	s := &Store{db: db, schema: where, old: instant(old), id: rand.Text(), wake: make(chan struct{}, 1), sweeps: sweepEvery}
	s.steps.most = cmp.Or(c.MaxTxSteps, DefaultMaxTxSteps)
	s.life, s.die = context.WithCancel(context.WithoutCancel(ctx)) // #nosec G118 -- Close calls it
	s.announce, s.mover.look = announceTo(s.notify), make(chan struct{}, 1)
	s.mover.ctx, s.mover.stop = context.WithCancel(s.life)
	for range writers {
		q := groupcommit.New[*change]()
		s.queues = append(s.queues, q)
		s.working.Add(1)
		go s.work(q)
	}
	return s, nil
}

// Migrate brings the store's tables in the database at url up to this release:
// [Config.Migrate].
func Migrate(ctx context.Context, url string) error { return Config{URL: url}.Migrate(ctx) }

// Migrate brings the store's tables up to this release. Nodes of the release before
// are stopped first when the changelog says so.
func (c Config) Migrate(ctx context.Context) error {
	return c.visit(ctx, func(s *schema, db *pgdb.DB) error { return s.migrate(ctx, db, true) })
}

// Pending is the SQL that Migrate would run, empty when the tables are those of this
// release. Nothing is changed.
func (c Config) Pending(ctx context.Context) (script string, err error) {
	err = c.visit(ctx, func(s *schema, db *pgdb.DB) (err error) {
		script, err = s.pending(ctx, db)
		return err
	})
	return script, err
}

func (c Config) visit(ctx context.Context, do func(s *schema, db *pgdb.DB) error) error {
	db, err := pgdb.Open(ctx, pgdb.Config{URL: c.URL})
	if err != nil {
		return err
	}
	defer db.Close()
	s, err := find(ctx, db, c.Schema)
	if err != nil {
		return err
	}
	return do(s, db)
}

// OldKeys is as [store.Store] says.
func (s *Store) OldKeys() time.Time { return s.old }

// Close commits what was asked for and refuses everything after it. It closes the
// connections, unless they were open before. A database that does not answer is
// waited for a few seconds; whether what was under way is committed is not known then.
func (s *Store) Close() error {
	s.mover.stop()
	for _, q := range s.queues {
		q.Close()
	}
	defer time.AfterFunc(closeWithin, s.die).Stop()
	s.working.Wait()
	s.mover.done.Wait()
	s.steps.close()
	s.announce.stop()
	defer s.Forsake()
	if s.owned {
		s.db.Close()
	}
	return nil
}

func (s *Store) closed() bool { return s.queues[0].Closed() || s.db.Closed() }

// fault names the operation of an error of the database.
func (s *Store) fault(operation string, err error) error {
	if errors.Is(err, groupcommit.ErrClosed) || errors.Is(err, pgdb.ErrClosed) || s.closed() {
		return fmt.Errorf("%w: %s: %w", store.ErrClosed, operation, err)
	}
	if pgdb.IsRefused(err) {
		return fmt.Errorf("%w: %s: %w", store.ErrRefused, operation, err)
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
