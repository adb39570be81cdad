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

// lookEvery is how often a node looks for the runs of dead ones when it claims.
const lookEvery = time.Second

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
	c := &claiming{node: node, defs: defs, n: n, now: micros(now)}
	s.mu.Lock()
	c.doubt, s.doubt = s.doubt, nil
	look := time.Since(s.looked) > lookEvery
	s.mu.Unlock()
	err := s.claim(ctx, c, look || !marked && len(c.doubt) == 0)
	if err != nil && marked || c.left && marked {
		s.announce.mark()
	}
	switch {
	case errors.Is(err, store.ErrLeaseLost):
		return nil, time.Time{}, err
	case err != nil && len(c.claimed) == 0:
		s.keepDoubt(node, c.doubt)
		return nil, time.Time{}, s.fault("claim runs", err)
	case err != nil: // those of dead nodes are claimed
		s.keepDoubt(node, c.doubt)
		return c.claimed, now, nil
	}
	return c.claimed, instant(c.next), nil
}

// claim looks first, if wanted, and then claims what there is.
func (s *Store) claim(ctx context.Context, c *claiming, look bool) error {
	if look {
		began := time.Now()
		row := s.db.Pool().QueryRow(ctx, s.schema.in(lookQuery), c.node.Epoch, c.now)
		if err := row.Scan(&c.alive, &c.dead, &c.next, &c.left); err != nil {
			return err
		}
		switch {
		case !c.alive:
			return store.ErrLeaseLost
		case len(c.dead) == 0:
			s.mu.Lock()
			s.looked = began
			s.mu.Unlock()
			if !c.left && len(c.doubt) == 0 {
				return nil
			}
		default:
			if err := s.take(ctx, c, ofTheDead, c.dead, true); err != nil {
				return err
			}
		}
	}
	return s.take(ctx, c, dueByNow, c.now, false)
}

func (s *Store) keepDoubt(node store.Node, doubt []claim) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.node.Epoch == node.Epoch {
		s.doubt = append(s.doubt, doubt...)
	}
}

// claiming is one call of Claim.
type claiming struct {
	node  store.Node
	defs  []store.Definition
	n     int
	now   int64
	doubt []claim

	alive   bool
	dead    []int64 // owners whose lease is over
	claimed []store.Claimed
	next    int64
	left    bool // something is due that this node did not take
}

// What may be claimed, earliest first: nobody's runs that are due, and those of
// dead nodes.
const (
	dueByNow  = "owner = 0 AND due_at <= $5"
	ofTheDead = "owner = ANY($5)"
)

func claimQuery(which string) string {
	return `
	UPDATE wf_run SET owner = $4, token = token + 2, takeovers = takeovers + (owner <> 0)::integer
	FROM (
		SELECT id AS due FROM wf_run
		WHERE status = 'open' AND ` + which + ` AND (workflow, version) IN (SELECT * FROM unnest($1::text[], $2::bigint[]))
		ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED
	) AS taken
	WHERE id = due
	RETURNING ` + runColumns
}

const (
	nextDue = "coalesce((SELECT due_at FROM wf_run WHERE status = 'open' AND owner = 0 AND due_at > $2 ORDER BY due_at LIMIT 1), 0)"
	isDue   = "EXISTS (SELECT FROM wf_run WHERE status = 'open' AND owner = 0 AND due_at <= $2)"
	isAlive = "EXISTS (SELECT FROM wf_node WHERE epoch = $1 AND expires > clock_timestamp())"
)

// nextQuery ends a claim. It is synced like every change: if the server crashed and
// forgot it, the same node would claim the run again with the same token, and the
// two executions could not be told apart.
const nextQuery = "SELECT " + isAlive + ", " + nextDue + ", " + isDue

// lookQuery sees at a glance whether there is anything to claim. It finds owners
// whose lease is over by hopping from one owner to the next in the index, so that
// their runs are not looked at.
const lookQuery = `
	WITH RECURSIVE owner (epoch) AS (
		(SELECT owner FROM wf_run WHERE status = 'open' AND owner > 0 ORDER BY owner LIMIT 1)
		UNION ALL
		SELECT (SELECT owner FROM wf_run WHERE status = 'open' AND owner > o.epoch ORDER BY owner LIMIT 1) FROM owner o WHERE o.epoch IS NOT NULL
	)
	SELECT ` + isAlive + `,
		ARRAY(SELECT epoch FROM owner WHERE epoch NOT IN (SELECT epoch FROM wf_node WHERE expires > clock_timestamp())),
		` + nextDue + ", " + isDue

// doubtQuery finds the runs of claims whose answer was lost.
const doubtQuery = "SELECT " + runColumns + " FROM wf_run WHERE id = ANY($1) AND owner = $2 AND status = 'open'"

// take claims, in a transaction of its own, as many runs as are still wanted.
func (s *Store) take(ctx context.Context, c *claiming, which string, bound any, takenOver bool) error {
	workflows, versions := make([]string, len(c.defs)), make([]int64, len(c.defs))
	for i, d := range c.defs {
		workflows[i], versions[i] = d.Workflow, int64(d.Version)
	}
	var claimed []store.Claimed
	var taken []claim
	ask := func(first *pgx.Batch) {
		b := batch{first, s.schema}
		claimed, taken, c.alive = nil, nil, false
		b.Queue(claimQuery(which), workflows, versions, max(c.n-len(c.claimed)-len(c.doubt), 0), c.node.Epoch, bound).Query(func(found pgx.Rows) error {
			for found.Next() {
				run, token, err := scanRun(found)
				if err != nil {
					return err
				}
				taken = append(taken, claim{store.PackID(run.ID), token, takenOver})
				claimed = append(claimed, c.claim(run, token, takenOver))
			}
			sortDue(claimed)
			return found.Err()
		})
		c.recall(b, &claimed)
		b.Queue(nextQuery, c.node.Epoch, c.now).QueryRow(func(row pgx.Row) error { return row.Scan(&c.alive, &c.next, &c.left) })
	}
	err := s.db.Exchange(ctx, ask, func(b *pgx.Batch) error {
		if !c.alive {
			return store.ErrLeaseLost
		}
		readRest(batch{b, s.schema}, claimed)
		return nil
	})
	if errors.Is(err, pgdb.ErrOutcomeUnknown) || errors.Is(err, pgdb.ErrAnswerLost) {
		c.doubt = append(c.doubt, taken...)
	}
	if errors.Is(err, pgdb.ErrAnswerLost) { // they are this node's, and read again
		return s.take(ctx, c, which, bound, takenOver)
	}
	if err == nil {
		c.claimed, c.doubt = append(c.claimed, claimed...), nil
	}
	return err
}

func sortDue(claimed []store.Claimed) {
	slices.SortFunc(claimed, func(a, b store.Claimed) int {
		return cmp.Or(a.Run.Park.Until.Compare(b.Run.Park.Until), a.Run.CreatedAt.Compare(b.Run.CreatedAt), cmp.Compare(a.Run.ID, b.Run.ID))
	})
}

// recall reads the runs in doubt: those that have the token of the lost claim were
// taken by it.
func (c *claiming) recall(b batch, claimed *[]store.Claimed) {
	if len(c.doubt) == 0 {
		return
	}
	ids := make([][]byte, len(c.doubt))
	for i, d := range c.doubt {
		ids[i] = d.id
	}
	b.Queue(doubtQuery, ids, c.node.Epoch).Query(func(found pgx.Rows) error {
		for found.Next() {
			run, token, err := scanRun(found)
			if err != nil {
				return err
			}
			id := store.PackID(run.ID)
			for _, d := range c.doubt {
				if d.token == token && bytes.Equal(d.id, id) {
					*claimed = append(*claimed, c.claim(run, token, d.takenOver))
				}
			}
		}
		return found.Err()
	})
}

func (c *claiming) claim(run store.Run, token int64, takenOver bool) store.Claimed {
	return store.Claimed{Run: run, TakenOver: takenOver, Lease: store.Lease{RunID: run.ID, Epoch: c.node.Epoch, Token: token}}
}
