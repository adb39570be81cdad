package sqlite

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/internal/sqlitedb"
)

// Claim leases due runs.
func (s *Store) Claim(ctx context.Context, node store.Node, defs []store.Definition, n int, now time.Time) (claimed []store.Claimed, next time.Time, err error) {
	err = s.db.Apply(ctx, func(tx *sqlitedb.Tx) error {
		if node.Epoch != s.epoch.Load() {
			return store.ErrLeaseLost
		}
		if claimed, err = due(tx, node, defs, n, now); err != nil {
			return err
		}
		for i := range claimed {
			if err := take(tx, &claimed[i], node); err != nil {
				return err
			}
		}
		next, err = nextDue(tx, now)
		return err
	})
	switch {
	case errors.Is(err, store.ErrLeaseLost):
		return nil, time.Time{}, err
	case err != nil:
		return nil, time.Time{}, s.fault("claim runs", err)
	}
	return claimed, next, nil
}

// What may be claimed: the runs of dead nodes, and nobody's that are due.
const (
	ofTheDead = "owner > 0 AND owner < ?"
	dueByNow  = "owner = 0 AND due_at <= ?"
)

func claimQuery(which string, defs int) string {
	return "SELECT " + runColumns + " FROM wf_run WHERE status = 'open' AND " + which + " AND (" +
		strings.Repeat("(workflow = ? AND version = ?) OR ", defs) + "false) ORDER BY due_at LIMIT ?"
}

const nextQuery = "SELECT due_at FROM wf_run WHERE status = 'open' AND owner = 0 AND due_at > ? ORDER BY due_at LIMIT 1"

// due reads the rows that may be claimed, earliest first. Those of dead nodes,
// which were due before, come before the others.
func due(tx *sqlitedb.Tx, node store.Node, defs []store.Definition, n int, now time.Time) (claimed []store.Claimed, err error) {
	for _, part := range []struct {
		which string
		bound int64
	}{{ofTheDead, node.Epoch}, {dueByNow, micros(now)}} {
		args := []any{part.bound}
		for _, d := range defs {
			args = append(args, d.Workflow, d.Version)
		}
		found, err := tx.Query(claimQuery(part.which, len(defs)), append(args, max(n-len(claimed), 0))...)
		err = each(found, err, func(r rows) error {
			run, token, err := scanRun(r)
			claimed = append(claimed, store.Claimed{Run: run, Lease: store.Lease{RunID: run.ID, Epoch: node.Epoch, Token: token + 2}})
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return claimed, nil
}

// take makes a run the node's and reads the rest of it.
func take(tx *sqlitedb.Tx, c *store.Claimed, node store.Node) error {
	c.TakenOver = c.Run.Owner != 0
	if c.TakenOver {
		c.Run.Takeovers++
	}
	c.Run.Owner = node.Epoch
	id := store.PackID(c.Run.ID)
	if _, err := tx.Exec("UPDATE wf_run SET owner = ?, token = ?, takeovers = ? WHERE id = ?",
		node.Epoch, c.Lease.Token, c.Run.Takeovers, id); err != nil {
		return err
	}
	return readRest(inWriter(tx), id, c)
}

func nextDue(tx *sqlitedb.Tx, now time.Time) (at time.Time, err error) {
	found, err := tx.Query(nextQuery, micros(now))
	err = each(found, err, func(r rows) error { return r.Scan(instant{&at}) })
	return at, err
}
