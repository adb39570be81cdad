package postgres

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/internal/pgdb"
)

// claim is a run that was claimed, until that is known to be durable.
type claim struct {
	id        []byte
	token     int64
	takenOver bool
}

// Claim leases due runs.
func (s *Store) Claim(ctx context.Context, node store.Node, defs []store.Definition, n int, now time.Time) ([]store.Claimed, time.Time, error) {
	if err := s.open("claim runs"); err != nil {
		return nil, time.Time{}, err
	}
	marked := s.announce.take()
	s.mu.Lock()
	c := &claiming{node: node, defs: defs, n: n, now: micros(now)}
	c.doubt, s.doubt = s.doubt, nil
	s.mu.Unlock()
	err := s.db.Transact(ctx, c.run)
	if err != nil {
		if marked {
			s.announce.mark()
		}
		if errors.Is(err, store.ErrLeaseLost) {
			return nil, time.Time{}, err
		}
		if errors.Is(err, pgdb.ErrOutcomeUnknown) {
			c.doubt = append(c.doubt, c.taken...)
		}
		s.mu.Lock()
		if s.node.Epoch == node.Epoch {
			s.doubt = append(s.doubt, c.doubt...)
		}
		s.mu.Unlock()
		return nil, time.Time{}, s.fault("claim runs", err)
	}
	if marked && c.left {
		s.announce.mark()
	}
	return c.claimed, instant(c.next), nil
}

// claiming is one call of Claim.
type claiming struct {
	node  store.Node
	defs  []store.Definition
	n     int
	now   int64
	doubt []claim

	claimed []store.Claimed
	taken   []claim
	next    int64
	left    bool
}

// What may be claimed, earliest first: the runs of nodes whose lease is over, and
// nobody's that are due. Owners are found by hopping from one to the next in the
// index, so that their runs are not looked at.
const claimQuery = `
	WITH RECURSIVE owner (epoch) AS (
		(SELECT owner FROM run WHERE status = 'open' AND owner > 0 ORDER BY owner LIMIT 1)
		UNION ALL
		SELECT (SELECT owner FROM run WHERE status = 'open' AND owner > o.epoch ORDER BY owner LIMIT 1) FROM owner o WHERE o.epoch IS NOT NULL
	), defs AS (
		SELECT * FROM unnest($1::text[], $2::integer[]) AS d (workflow, version)
	), lost AS (
		SELECT id FROM run
		WHERE status = 'open' AND owner = ANY (ARRAY(
				SELECT epoch FROM owner WHERE epoch NOT IN (SELECT epoch FROM node WHERE expires > clock_timestamp())))
			AND (workflow, version) IN (SELECT workflow, version FROM defs)
		ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED
	), due AS (
		SELECT id FROM run
		WHERE status = 'open' AND owner = 0 AND due_at <= $4 AND (workflow, version) IN (SELECT workflow, version FROM defs)
		ORDER BY due_at LIMIT greatest($3 - (SELECT count(*) FROM lost), 0) FOR UPDATE SKIP LOCKED
	)
	UPDATE run SET owner = $5, token = token + 2, takeovers = takeovers + takes.over
	FROM (SELECT id, 1 AS over FROM lost UNION ALL SELECT id, 0 FROM due) AS takes
	WHERE run.id = takes.id
	RETURNING run.` + runColumns + `, takes.over = 1`

// nextQuery is when the next run is due, and whether one is that was not taken.
const nextQuery = `
	SELECT coalesce((SELECT due_at FROM run WHERE status = 'open' AND owner = 0 AND due_at > $1 ORDER BY due_at LIMIT 1), 0),
		EXISTS (SELECT FROM run WHERE status = 'open' AND owner = 0 AND due_at <= $1)`

// doubtQuery finds the runs of claims whose answer was lost.
const doubtQuery = "SELECT " + runColumns + " FROM run WHERE id = ANY($1) AND owner = $2 AND status = 'open'"

// run claims within a transaction; it may run several times.
func (c *claiming) run(tx *pgdb.Tx) error {
	c.claimed, c.taken = nil, nil
	alive := false
	b := &pgx.Batch{}
	b.Queue(byKey)
	b.Queue(aliveQuery, []int64{c.node.Epoch}).Query(func(found pgx.Rows) error {
		alive = found.Next()
		found.Close()
		return found.Err()
	})
	workflows, versions := make([]string, len(c.defs)), make([]int32, len(c.defs))
	for i, d := range c.defs {
		workflows[i], versions[i] = d.Workflow, int32(d.Version)
	}
	b.Queue(claimQuery, workflows, versions, int64(c.n), c.now, c.node.Epoch).Query(c.take)
	if len(c.doubt) > 0 {
		ids := make([][]byte, len(c.doubt))
		for i, d := range c.doubt {
			ids[i] = d.id
		}
		b.Queue(doubtQuery, ids, c.node.Epoch).Query(c.recall)
	}
	b.Queue(nextQuery, c.now).QueryRow(func(row pgx.Row) error { return row.Scan(&c.next, &c.left) })
	if err := tx.SendBatch(b).Close(); err != nil {
		return err
	}
	if !alive {
		return store.ErrLeaseLost
	}
	slices.SortFunc(c.claimed, func(a, b store.Claimed) int {
		if a.TakenOver != b.TakenOver {
			return map[bool]int{true: -1, false: 1}[a.TakenOver]
		}
		return cmp.Or(a.Run.Park.Until.Compare(b.Run.Park.Until), a.Run.CreatedAt.Compare(b.Run.CreatedAt), cmp.Compare(a.Run.ID, b.Run.ID))
	})
	return readRest(tx.SendBatch, c.claimed)
}

// take scans the runs that were taken.
func (c *claiming) take(found pgx.Rows) error {
	for found.Next() {
		var takenOver bool
		run, token, err := scanRun(found, &takenOver)
		if err != nil {
			return err
		}
		c.taken = append(c.taken, claim{store.PackID(run.ID), token, takenOver})
		c.add(run, token, takenOver)
	}
	return found.Err()
}

// recall scans the runs in doubt: those that have the token of the lost claim were
// taken by it.
func (c *claiming) recall(found pgx.Rows) error {
	for found.Next() {
		run, token, err := scanRun(found)
		if err != nil {
			return err
		}
		id := store.PackID(run.ID)
		for _, d := range c.doubt {
			if d.token == token && bytes.Equal(d.id, id) {
				c.add(run, token, d.takenOver)
			}
		}
	}
	return found.Err()
}

func (c *claiming) add(run store.Run, token int64, takenOver bool) {
	c.claimed = append(c.claimed, store.Claimed{Run: run, TakenOver: takenOver, Lease: store.Lease{RunID: run.ID, Epoch: c.node.Epoch, Token: token}})
}
