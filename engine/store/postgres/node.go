package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/liwanag/liwanag/engine/store"
)

// forgotten is how long after its end a lease is kept, for those who ask who
// owned a run.
const forgotten = "interval '1 day'"

const (
	renewQuery = "UPDATE wf_node SET expires = clock_timestamp() + $2 WHERE epoch = $1 AND expires > " +
		"clock_timestamp() RETURNING epoch, clock_timestamp()"
	registerQuery = `
		WITH gone AS (DELETE FROM wf_node WHERE epoch = $1 OR expires < clock_timestamp() - ` + forgotten + `)
		INSERT INTO wf_node (name, expires) VALUES ($2, clock_timestamp() + $3) RETURNING epoch, clock_timestamp()`
)

// Heartbeat renews this node's lease on the server's clock, or registers the node
// with a new epoch: the first time, after its lease was lost, and under a new
// name, which gives up the lease before.
func (s *Store) Heartbeat(ctx context.Context, name string, lease time.Duration) (store.Node, error) {
	operation := "keep the lease of node " + name
	if err := s.open(operation); err != nil {
		return store.Node{}, err
	}
	s.mu.Lock()
	node := s.node
	s.mu.Unlock()
	var epoch int64
	var clock time.Time
	err := error(pgx.ErrNoRows)
	if node.Epoch != 0 && node.Name == name {
		err = s.db.QueryRow(ctx, s.schema.in(renewQuery), []any{node.Epoch, lease}, &epoch, &clock)
	}
	if errors.Is(err, pgx.ErrNoRows) {
		err = s.db.QueryRow(ctx, s.schema.in(registerQuery), []any{node.Epoch, name, lease}, &epoch, &clock)
	}
	if err != nil {
		return store.Node{}, s.fault(operation, err)
	}
	node = store.Node{Name: name, Epoch: epoch, Renew: lease / 3, Clock: clock}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.node.Epoch != epoch {
		s.doubt = nil // of an epoch that is dead: others take those runs over
		s.looked = time.Time{}
	}
	s.node = node
	return node, nil
}

// Resign gives the node's lease up: its runs are due for others at once.
func (s *Store) Resign(ctx context.Context, node store.Node) error {
	if err := s.open("resign"); err != nil {
		return err
	}
	s.mu.Lock()
	if s.node.Epoch == node.Epoch {
		s.node = store.Node{}
	}
	s.mu.Unlock()
	if _, err := s.db.Pool().Exec(ctx, s.schema.in("DELETE FROM wf_node WHERE epoch = $1"), node.Epoch); err != nil {
		return s.fault(fmt.Sprintf("give up the lease of node %s", node.Name), err)
	}
	s.announce.mark(0)
	return nil
}

// Nodes are the nodes that registered lately, dead ones included.
func (s *Store) Nodes(ctx context.Context) (nodes []store.Node, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		found, err := tx.Query(ctx, s.schema.in("SELECT epoch, name, expires <= clock_timestamp() FROM wf_node ORDER BY epoch"))
		if err != nil {
			return err
		}
		nodes, err = pgx.CollectRows(found, func(row pgx.CollectableRow) (n store.Node, err error) {
			return n, row.Scan(&n.Epoch, &n.Name, &n.Dead)
		})
		return err
	})
	if err != nil {
		return nil, s.fault("list nodes", err)
	}
	return nodes, nil
}
