// Package sqlite is a store in one SQLite file, for one process. DESIGN.md
// beside it gives the shape of its rows and the reasons.
package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/internal/opened"
	"github.com/liwanag/liwanag/internal/sqlitedb"
)

// Store keeps runs in a SQLite file.
type Store struct {
	store.Use
	db     *sqlitedb.DB
	owned  bool // Open opened the database: Close closes it
	epoch  atomic.Int64
	passed store.Passed
	buried atomic.Int64 // the epoch that has dealt with the runs of dead nodes
	old    time.Time    // see OldKeys

	maxHold time.Duration
	posting atomic.Pointer[store.Posting]
	wake    chan struct{}
}

var (
	_ store.Store   = (*Store)(nil)
	_ store.Backlog = (*Store)(nil)
	_ store.Checker = (*Store)(nil)
	_ store.Waker   = (*Store)(nil)
	_ store.Poster  = (*Store)(nil)
)

// Config says where a store is. Only Path has no default.
type Config struct {
	// Path is the database file.
	Path string
	// MaxHold is how long a function of Write, or a step in a transaction, may keep all
	// others waiting that write; default DefaultMaxHold.
	MaxHold time.Duration
}

// Open opens the database file at path: [Config.Open].
func Open(ctx context.Context, path string) (*Store, error) { return Config{Path: path}.Open(ctx) }

// Open opens, or creates, the database file for this store alone, fully
// durable. A second process is refused with the process id of the first; so are a
// file with several names (hard links), ":memory:" and URLs. A symbolic link means the
// file it leads to.
func (c Config) Open(ctx context.Context) (*Store, error) {
	if c.MaxHold < 0 {
		return nil, fmt.Errorf("sqlite: MaxHold %s must not be negative", c.MaxHold)
	}
	if db := opened.In[sqlitedb.DB](ctx); db != nil {
		return newStore(ctx, db, c)
	}
	db, err := sqlitedb.Open(ctx, sqlitedb.Config{Path: c.Path})
	if err != nil {
		return nil, err
	}
	s, err := newStore(ctx, db, c)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	s.owned = true
	return s, nil
}

// newStore is the one store in a database. It creates or migrates the tables of the
// store, whose versions the table wf_migrations keeps.
func newStore(ctx context.Context, db *sqlitedb.DB, c Config) (*Store, error) {
	if err := upgrade(ctx, db); err != nil {
		return nil, err
	}
	s := &Store{db: db, maxHold: cmp.Or(c.MaxHold, DefaultMaxHold), wake: make(chan struct{}, 1)}
	err := db.Reader().QueryRowContext(ctx, "SELECT coalesce(max(epoch), 0) FROM wf_node").Scan(newInt(&s.epoch))
	if err != nil {
		return nil, fmt.Errorf("sqlite: read the last node: %w", err)
	}
	if err := db.Reader().QueryRowContext(ctx, "SELECT old_keys FROM wf_upgrade").Scan(instant{&s.old}); err != nil {
		return nil, fmt.Errorf("sqlite: read which runs are of an earlier release: %w", err)
	}
	return s, nil
}

// OldKeys is as [store.Store] says.
func (s *Store) OldKeys() time.Time { return s.old }

// Close closes the file, unless it was open before.
func (s *Store) Close() error {
	defer s.Forsake()
	if !s.owned {
		return nil
	}
	return s.db.Close()
}

// Check says whether the file at the path is still the one that is open, and its log.
func (s *Store) Check() error { return s.db.Check() }

// Heartbeat registers a node. The lock on the file is the lease, which nothing
// renews: every call is a registration, and the nodes before it are dead.
func (s *Store) Heartbeat(ctx context.Context, name string, _ time.Duration) (store.Node, error) {
	node := store.Node{Name: name}
	err := s.db.Write(ctx, func(tx *sqlitedb.Tx) error {
		row := tx.QueryRow("INSERT INTO wf_node (epoch, name) SELECT coalesce(max(epoch), 0) + 1, ? FROM wf_node RETURNING epoch", name)
		if err := row.Scan(&node.Epoch); err != nil {
			return err
		}
		_, err := tx.Exec("DELETE FROM wf_node WHERE epoch < ?", node.Epoch)
		return err
	})
	if err != nil {
		return store.Node{}, s.fault("register the node "+name, err)
	}
	for last := s.epoch.Load(); last < node.Epoch; last = s.epoch.Load() {
		s.epoch.CompareAndSwap(last, node.Epoch)
	}
	return node, nil
}

// fault names the operation of an error of the database.
func (s *Store) fault(operation string, err error) error {
	if errors.Is(err, sqlitedb.ErrClosed) || s.db.Closed() {
		return fmt.Errorf("%w: %s: %w", store.ErrClosed, operation, err)
	}
	if sqlitedb.IsRefused(err) {
		return fmt.Errorf("%w: %s: %w", store.ErrRefused, operation, err)
	}
	return fmt.Errorf("sqlite: %s: %w", operation, err)
}
