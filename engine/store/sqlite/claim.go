package sqlite

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/internal/sqlitedb"
)

// What may be claimed, by class. Each has an index of its own, so that none is looked
// for among the others.
const (
	goesOn   = "status = 'open' AND started_at > 0"
	newcomer = "status = 'open' AND started_at = 0"
	suspect  = "status = 'open' AND takeovers > 1"

	ofDefs = " AND workflow || '/' || version IN (SELECT value FROM json_each(?))"
	// The sum keeps the statement prepared: for a limit that it can see, SQLite plans anew.
	byDue = " ORDER BY due_at, created_at LIMIT ? + 0"
)

// claimQuery reads rows, and what the rest of each takes, without reading it; ?1 is how
// much may be small. Each entry and each signal has a number, so that a run of many is
// big without a look at them.
var claimQuery = fmt.Sprintf("SELECT "+runColumns+`, CASE WHEN seq < 2 THEN 0 WHEN seq * %[1]d > ?1 THEN seq * %[1]d ELSE
	(SELECT ifnull(sum(%[1]d + ifnull(length(output), 0) + ifnull(length(failure), 0)), 0) FROM wf_history WHERE run_id = wf_run.id) +
	(SELECT ifnull(sum(%[1]d + ifnull(length(payload), 0)), 0) FROM wf_signal WHERE run_id = wf_run.id)
	END FROM wf_run WHERE `, store.RowSize)

func dueQuery(class string) string {
	return claimQuery + class + " AND owner = 0 AND due_at BETWEEN ? AND ? AND takeovers < 2" + ofDefs + byDue
}

var (
	dueQueries   = [...]string{dueQuery(goesOn), dueQuery(newcomer)}
	nextQueries  = [...]string{nextQuery(goesOn), nextQuery(newcomer)}
	suspectQuery = claimQuery + suspect + " AND owner = 0 AND due_at <= ?" + ofDefs + byDue
	deadQuery    = claimQuery + goesOn + " AND owner > 0 AND owner < ?" + ofDefs + byDue
)

// What begins, or was taken over, changes its place in the indexes of open runs; what
// goes on does not.
const (
	takeQuery  = "UPDATE wf_run SET owner = ?, token = ? WHERE id = ?"
	beginQuery = "UPDATE wf_run SET owner = ?, token = ?, takeovers = ?, started_at = ? WHERE id = ?"
)

func nextQuery(class string) string {
	return "SELECT due_at FROM wf_run WHERE " + class + " AND owner = 0 AND due_at > ? ORDER BY due_at LIMIT 1"
}

// What a dead node owned and had not begun goes back as it is; of what it had begun
// with a worker lost before, its Begun says whether to count another.
var buryQueries = []string{
	"UPDATE wf_run SET owner = 0, token = token + 2 WHERE " + newcomer + " AND owner > 0 AND owner < ?1 AND ?2 > 0",
	"UPDATE wf_run SET owner = 0, token = token + 2, takeovers = takeovers + begun, due_at = CASE WHEN begun THEN ?2 ELSE due_at END WHERE " +
		goesOn + " AND owner > 0 AND owner < ?1 AND takeovers > 0",
}

// claiming is one call of Claim.
type claiming struct {
	tx      *sqlitedb.Tx
	node    store.Node
	w       store.Wanted
	now     time.Time
	defs    string // as a JSON array
	old     int64  // how far it came, by class
	fresh   int64
	buried  bool
	claimed []store.Claimed
}

// Claim leases due runs.
func (s *Store) Claim(ctx context.Context, node store.Node, w store.Wanted, now time.Time) (claimed []store.Claimed,
	next time.Time, err error) {
	from := s.passed.Begin(w.Definitions)
	defs, err := json.Marshal(from.Keys)
	if err != nil {
		s.passed.Failed(from)
		return nil, time.Time{}, s.fault("claim runs", err)
	}
	var c *claiming
	err = s.db.Apply(ctx, func(tx *sqlitedb.Tx) error {
		if node.Epoch != s.epoch.Load() {
			return store.ErrLeaseLost
		}
		c = &claiming{tx: tx, node: node, w: w, now: now, defs: string(defs), old: from.Old, fresh: from.New}
		if s.buried.Load() != node.Epoch {
			if err := c.dead(); err != nil {
				return err
			}
		}
		if err := errors.Join(c.due(), c.suspects()); err != nil {
			return err
		}
		for i := range c.claimed {
			if err := c.take(&c.claimed[i]); err != nil {
				return err
			}
		}
		next, err = c.next()
		return err
	})
	if err != nil {
		s.passed.Failed(from)
	}
	switch {
	case errors.Is(err, store.ErrLeaseLost):
		return nil, time.Time{}, err
	case err != nil:
		return nil, time.Time{}, s.fault("claim runs", err)
	}
	from.Old, from.New = c.old, c.fresh
	s.passed.Came(from)
	if c.buried {
		s.buried.Store(node.Epoch)
	}
	return c.claimed, next, nil
}

// dead deals with the runs of dead nodes, once a node's life.
func (c *claiming) dead() error {
	for _, query := range buryQueries {
		if _, err := c.tx.Exec(query, c.node.Epoch, micros(c.now.Add(store.Quarantine))); err != nil {
			return err
		}
	}
	c.old, c.fresh = 0, 0 // what goes back may have been due for long
	found, err := c.read(deadQuery, c.node.Epoch, c.defs, min(c.w.Runs, c.w.Old)+1)
	if len(found) > min(c.w.Runs, c.w.Old) { // it comes back
		found = found[:max(len(found)-1, 0)]
	} else {
		c.buried = true
	}
	c.claimed = found
	return err
}

// due reads the rows that are due, the earliest of both classes.
func (c *claiming) due() error {
	runs, now := c.w.Runs-len(c.claimed), micros(c.now)
	old, err := c.earliest(dueQueries[0], c.old, now, min(runs, c.w.Old))
	if err != nil {
		return err
	}
	fresh, err := c.earliest(dueQueries[1], c.fresh, now, min(runs, c.w.New))
	if err != nil {
		return err
	}
	first := len(c.claimed)
	c.claimed = append(append(c.claimed, old...), fresh...)
	both := c.claimed[first:]
	if len(old) > 0 && len(fresh) > 0 {
		slices.SortStableFunc(both, func(a, b store.Claimed) int {
			return cmp.Or(a.Run.Park.Until.Compare(b.Run.Park.Until), a.Run.CreatedAt.Compare(b.Run.CreatedAt))
		})
	}
	both = both[:min(max(runs, 0), len(both))]
	c.claimed = c.claimed[:first+len(both)]
	all := len(both) < runs
	c.old = store.To(c.old, dueOf(old), len(old), c.w.Old, all || runs > 0 && len(old) == 0, now)
	c.fresh = store.To(c.fresh, dueOf(fresh), len(fresh), c.w.New, all || runs > 0 && len(fresh) == 0, now)
	return nil
}

// earliest reads so many rows of a class.
func (c *claiming) earliest(query string, from, to int64, n int) ([]store.Claimed, error) {
	if n <= 0 {
		return nil, nil
	}
	return c.read(query, from, to, c.defs, n)
}

// dueOf is when the first of them was due.
func dueOf(found []store.Claimed) int64 {
	if len(found) == 0 {
		return 0
	}
	return micros(found[0].Run.Park.Until)
}

func (c *claiming) suspects() error {
	if c.w.Suspects == 0 {
		return nil
	}
	found, err := c.read(suspectQuery, micros(c.now), c.defs, c.w.Suspects)
	c.claimed = append(c.claimed, found...)
	return err
}

func (c *claiming) read(query string, args ...any) (runs []store.Claimed, err error) {
	found, err := c.tx.Query(query, append([]any{c.w.Bytes}, args...)...)
	err = each(found, err, func(r rows) error {
		var rest int
		run, token, err := scanRun(r, &rest)
		runs = append(runs, store.Claimed{Run: run, TakenOver: run.Owner != 0, New: run.StartedAt.IsZero(), Whole: rest <= c.w.Bytes,
			Lease: store.Lease{RunID: run.ID, Epoch: c.node.Epoch, Token: token + 2}})
		return err
	})
	return runs, err
}

// take makes a run the node's, and reads the rest of a small one.
func (c *claiming) take(one *store.Claimed) error {
	if one.TakenOver {
		one.Run.Takeovers++
	}
	if one.New {
		one.Run.StartedAt = c.now
	}
	one.Run.Owner = c.node.Epoch
	id := store.PackID(one.Run.ID)
	var err error
	if one.TakenOver || one.New {
		_, err = c.tx.Exec(beginQuery, c.node.Epoch, one.Lease.Token, one.Run.Takeovers, micros(one.Run.StartedAt), id)
	} else {
		_, err = c.tx.Exec(takeQuery, c.node.Epoch, one.Lease.Token, id)
	}
	if err != nil || !one.Whole || one.Run.Seq < 2 {
		return err
	}
	return readRest(inWriter(c.tx), id, one)
}

func (c *claiming) next() (at time.Time, err error) {
	for _, query := range nextQueries {
		found, err := c.tx.Query(query, micros(c.now))
		err = each(found, err, func(r rows) error {
			var one time.Time
			err := r.Scan(instant{&one})
			if at.IsZero() || one.Before(at) {
				at = one
			}
			return err
		})
		if err != nil {
			return at, err
		}
	}
	return at, nil
}
