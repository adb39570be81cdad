package postgres

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
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
	id             []byte
	token          int64
	takenOver, new bool
}

// Claim leases due runs.
func (s *Store) Claim(ctx context.Context, node store.Node, w store.Wanted, now time.Time) ([]store.Claimed, time.Time, error) {
	if err := s.open("claim runs"); err != nil {
		return nil, time.Time{}, err
	}
	marked, since := s.announce.take()
	c := &claiming{node: node, w: w, now: micros(now), from: s.passed.Begin(w.Definitions)}
	s.mu.Lock()
	c.doubt, s.doubt = s.doubt, nil
	look := time.Since(s.looked) > lookEvery
	s.mu.Unlock()
	err := s.claim(ctx, c, look || !marked && len(c.doubt) == 0)
	if err != nil {
		s.passed.Failed(c.from)
	} else {
		s.passed.Came(c.from)
	}
	if err != nil && marked || c.left && marked {
		s.announce.mark(since)
	}
	switch {
	case errors.Is(err, store.ErrLeaseLost):
		return nil, time.Time{}, err
	case err != nil && len(c.claimed) == 0:
		s.keepDoubt(node, c.doubt)
		return nil, time.Time{}, s.fault("claim runs", err)
	case err != nil: // what was claimed before is durable
		s.keepDoubt(node, c.doubt)
		return c.claimed, now, nil
	}
	return c.claimed, instant(c.next), nil
}

// claim looks first, if wanted, and then claims what there is.
func (s *Store) claim(ctx context.Context, c *claiming, look bool) error {
	if look {
		began := time.Now()
		if err := s.db.QueryRow(ctx, s.schema.in(lookQuery), c.bounds(), &c.alive, &c.next, &c.left, &c.suspects, &c.dead); err != nil {
			return err
		}
		switch {
		case !c.alive:
			return store.ErrLeaseLost
		case len(c.dead) == 0:
			s.mu.Lock()
			s.looked = began
			s.mu.Unlock()
			if !c.left && !c.suspects && len(c.doubt) == 0 {
				return nil
			}
		default:
			if err := s.bury(ctx, c); err != nil {
				return err
			}
			if err := s.take(ctx, c, deadQuery, min(c.w.Runs, c.w.Old)); err != nil {
				return err
			}
		}
	}
	if err := s.take(ctx, c, dueQuery, c.w.Runs); err != nil || !c.suspects || c.w.Suspects == 0 {
		return err
	}
	return s.take(ctx, c, suspectQuery, c.w.Suspects)
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
	w     store.Wanted
	now   int64
	from  *store.Passing
	doubt []claim

	alive    bool
	dead     []int64 // owners whose lease is over
	claimed  []store.Claimed
	next     int64
	left     bool // something is due that this node did not take
	suspects bool // one is due
}

// What may be claimed, by class. Each has an index of its own, so that none is looked
// for among the others.
const (
	goesOn   = "status = 'open' AND started_at > 0"
	newcomer = "status = 'open' AND started_at = 0"
	suspect  = "status = 'open' AND takeovers > 1"

	ofDefs = " AND workflow || '/' || version = ANY($1::text[])"
	ready  = " AND owner = 0 AND takeovers < 2"
	others = " AND id <> ALL($10::bytea[])" // left to other nodes
	locked = " FOR UPDATE SKIP LOCKED"
	// Ties are put in order behind the limit: with created_at here the server would
	// sort a flood whenever it thinks little of it.
	byDue = " ORDER BY due_at LIMIT "
)

// rest is what the rest of a run takes, told without reading it; most is how much may be
// small. Each entry and each signal has a number, so that a run of many is big without a
// look at them.
func rest(most string) string {
	return fmt.Sprintf(`, CASE WHEN seq < 2 THEN 0 WHEN seq * %[1]d > %[2]s::bigint THEN seq * %[1]d ELSE
		(SELECT coalesce(sum(%[1]d + coalesce(octet_length(output), 0) + octet_length(failure)), 0) FROM wf_history WHERE run_id = wf_run.id) +
		(SELECT coalesce(sum(%[1]d + coalesce(octet_length(payload), 0)), 0) FROM wf_signal WHERE run_id = wf_run.id) END`, store.RowSize, most)
}

// dueQuery claims what is due, the earliest of both classes, and says whether all that
// it found was of one.
var dueQuery = `
	UPDATE wf_run SET owner = $3, token = token + 2, started_at = CASE started_at WHEN 0 THEN $2 ELSE started_at END
	FROM (
		SELECT id AS due, fresh, every(fresh) OVER () OR every(NOT fresh) OVER () AS of_one FROM (
			SELECT * FROM (SELECT id, due_at AS at, created_at AS created, false AS fresh FROM wf_run
				WHERE ` + goesOn + ready + ` AND due_at BETWEEN $5 AND $2` + ofDefs + others + byDue + `$7` + locked + `) AS goes_on
			UNION ALL
			SELECT * FROM (SELECT id, due_at, created_at, true FROM wf_run
				WHERE ` + newcomer + ready + ` AND due_at BETWEEN $6 AND $2` + ofDefs + others + byDue + `$8` + locked + `) AS newcomers
		) AS both_classes ORDER BY at, created LIMIT $4
	) AS taken
	WHERE id = due
	RETURNING ` + runColumns + ", fresh, of_one" + rest("$9")

// deadQuery takes over what dead nodes had begun. What they had begun with a worker
// lost before, or had not begun, buryQueries have dealt with.
var deadQuery = `
	UPDATE wf_run SET owner = $3, token = token + 2, takeovers = 1
	FROM (SELECT id AS due FROM wf_run WHERE ` + goesOn + ` AND owner = ANY($2) AND takeovers = 0` + ofDefs + byDue + `$4` + locked + `) AS taken
	WHERE id = due
	RETURNING ` + runColumns + ", false, false" + rest("$5")

var suspectQuery = `
	UPDATE wf_run SET owner = $3, token = token + 2
	FROM (SELECT id AS due FROM wf_run WHERE ` + suspect + ` AND owner = 0 AND due_at <= $2` + ofDefs + byDue + `$4` + locked + `) AS taken
	WHERE id = due
	RETURNING ` + runColumns + ", false, false" + rest("$5")

// What a dead node owned and had not begun goes back as it is; of what it had begun
// with a worker lost before, its Begun says whether to count another.
var buryQueries = []string{`
	UPDATE wf_run SET owner = 0, token = token + 2
	FROM (SELECT id AS gone FROM wf_run WHERE ` + newcomer + ` AND owner = ANY($1) AND $2::bigint > 0 ORDER BY id` + locked + `) AS dead
	WHERE id = gone`, `
	UPDATE wf_run SET owner = 0, token = token + 2, takeovers = takeovers + begun::integer, due_at = CASE WHEN begun THEN $2::bigint ELSE due_at END
	FROM (SELECT id AS gone FROM wf_run WHERE ` + goesOn + ` AND owner = ANY($1) AND takeovers > 0 ORDER BY id` + locked + `) AS dead
	WHERE id = gone`,
}

// bounds are the arguments of what is asked about a claim as a whole.
func (c *claiming) bounds() []any { return []any{c.node.Epoch, c.now, c.from.Old, c.from.New} }

// nextOf is when the first run of a class is due after now.
func nextOf(class string) string {
	return "(SELECT due_at FROM wf_run WHERE " + class + " AND owner = 0 AND due_at > $2 ORDER BY due_at LIMIT 1)"
}

// nextQuery ends a claim. It is synced like every change: if the server crashed and
// forgot it, the same node would claim the run again with the same token, and the
// two executions could not be told apart.
var nextQuery = `SELECT EXISTS (SELECT FROM wf_node WHERE epoch = $1 AND expires > clock_timestamp()),
	coalesce(least(` + nextOf(goesOn) + ", " + nextOf(newcomer) + `), 0),
	EXISTS (SELECT FROM wf_run WHERE ` + goesOn + ready + ` AND due_at BETWEEN $3 AND $2)
		OR EXISTS (SELECT FROM wf_run WHERE ` + newcomer + ready + ` AND due_at BETWEEN $4 AND $2),
	EXISTS (SELECT FROM wf_run WHERE ` + suspect + ` AND owner = 0 AND due_at <= $2)`

// lookQuery sees at a glance whether there is anything to claim. It finds owners
// whose lease is over by hopping from one owner to the next in the indexes, so that
// their runs are not looked at.
var lookQuery = "WITH RECURSIVE " + ownersOf("old", goesOn) + ", " + ownersOf("new", newcomer) + " " + nextQuery + `,
	ARRAY(SELECT epoch FROM (SELECT epoch FROM old UNION SELECT epoch FROM new) AS owner
		WHERE epoch NOT IN (SELECT epoch FROM wf_node WHERE expires > clock_timestamp()))`

func ownersOf(name, class string) string {
	return name + ` (epoch) AS (
		(SELECT owner FROM wf_run WHERE ` + class + ` AND owner > 0 ORDER BY owner LIMIT 1)
		UNION ALL
		SELECT (SELECT owner FROM wf_run WHERE ` + class + ` AND owner > o.epoch ORDER BY owner LIMIT 1) FROM ` + name + ` o WHERE o.epoch IS NOT NULL
	)`
}

// doubtQuery finds the runs of claims whose answer was lost.
const doubtQuery = "SELECT " + runColumns + " FROM wf_run WHERE id = ANY($1) AND owner = $2 AND status = 'open'"

// bury deals with the runs of dead nodes that are not taken over as they are.
func (s *Store) bury(ctx context.Context, c *claiming) error {
	err := s.db.Exchange(ctx, func(first *pgx.Batch) {
		b := batch{first, s.schema}
		for _, query := range buryQueries {
			b.Queue(query, c.dead, c.now+store.Quarantine.Microseconds())
		}
		b.Queue(nextQuery, c.bounds()...).QueryRow(func(row pgx.Row) error { return row.Scan(&c.alive, &c.next, &c.left, &c.suspects) })
	}, func(*pgx.Batch) error {
		if !c.alive {
			return store.ErrLeaseLost
		}
		return nil
	})
	c.from.Old, c.from.New = 0, 0 // what goes back may have been due for long
	s.announce.mark(0)            // for others, too
	if errors.Is(err, pgdb.ErrAnswerLost) {
		return nil
	}
	return err
}

// take claims, in a transaction of its own, as many runs of a kind as are still wanted.
func (s *Store) take(ctx context.Context, c *claiming, query string, n int) error {
	var claimed []store.Claimed
	var taken []claim
	var ofOne bool
	if query != suspectQuery {
		n = max(n-len(c.claimed)-len(c.doubt), 0)
	}
	args := c.args(query, n)
	ask := func(first *pgx.Batch) {
		b := batch{first, s.schema}
		claimed, taken, ofOne, c.alive = nil, nil, false, false
		b.Queue(query, args...).Query(func(found pgx.Rows) error {
			for found.Next() {
				one := claim{takenOver: query == deadQuery}
				var size int
				run, token, err := scanRun(found, &one.new, &ofOne, &size)
				if err != nil {
					return err
				}
				one.id, one.token = store.PackID(run.ID), token
				taken = append(taken, one)
				claimed = append(claimed, c.claim(run, one))
				claimed[len(claimed)-1].Whole = size <= c.w.Bytes
			}
			sortDue(claimed)
			return found.Err()
		})
		c.recall(b, &claimed)
		b.Queue(nextQuery, c.bounds()...).QueryRow(func(row pgx.Row) error { return row.Scan(&c.alive, &c.next, &c.left, &c.suspects) })
	}
	err := s.db.Exchange(ctx, ask, func(last *pgx.Batch) error {
		if !c.alive {
			return store.ErrLeaseLost
		}
		readRest(batch{last, s.schema}, claimed)
		return nil
	})
	if errors.Is(err, pgdb.ErrOutcomeUnknown) || errors.Is(err, pgdb.ErrAnswerLost) {
		c.doubt = append(c.doubt, taken...)
	}
	if errors.Is(err, pgdb.ErrAnswerLost) { // they are this node's, and read again
		return s.take(ctx, c, query, n)
	}
	if err == nil {
		c.claimed, c.doubt = append(c.claimed, claimed...), nil
		if query == dueQuery {
			c.came(claimed[:len(taken)], ofOne, n)
		}
	}
	return err
}

// args are what a query of claims asks for, n runs of them.
func (c *claiming) args(query string, n int) []any {
	switch query {
	case dueQuery:
		return []any{c.from.Keys, c.now, c.node.Epoch, n, c.from.Old, c.from.New, min(n, c.w.Old), min(n, c.w.New),
			c.w.Bytes, packed(c.w.Except)}
	case deadQuery:
		return []any{c.from.Keys, c.dead, c.node.Epoch, n, c.w.Bytes}
	default:
		return []any{c.from.Keys, c.now, c.node.Epoch, n, c.w.Bytes}
	}
}

// packed are ids as they are stored; never nil, which would be NULL.
func packed(ids []string) [][]byte {
	all := make([][]byte, len(ids))
	for i, id := range ids {
		all[i] = store.PackID(id)
	}
	return all
}

// came notes how far a claim of what is due came. Of a class nothing is left when there
// was room for more, or when all that was found is of the other one.
func (c *claiming) came(taken []store.Claimed, ofOne bool, n int) {
	var first [2]int64
	var found [2]int
	for _, one := range taken {
		class := 0
		if one.New {
			class = 1
		}
		if found[class]++; found[class] == 1 {
			first[class] = micros(one.Run.Park.Until)
		}
	}
	all := len(taken) < n
	c.from.Old = store.To(c.from.Old, first[0], found[0], c.w.Old, all || ofOne && found[0] == 0, c.now)
	c.from.New = store.To(c.from.New, first[1], found[1], c.w.New, all || ofOne && found[1] == 0, c.now)
}

func sortDue(claimed []store.Claimed) {
	slices.SortFunc(claimed, func(a, b store.Claimed) int {
		return cmp.Or(a.Run.Park.Until.Compare(b.Run.Park.Until), a.Run.CreatedAt.Compare(b.Run.CreatedAt), cmp.Compare(a.Run.ID, b.Run.ID))
	})
}

// recall reads the runs in doubt: those that have the token of the lost claim were
// taken by it, unless this claim has just taken them, with the same token, since the
// lost one never landed.
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
			if slices.ContainsFunc(*claimed, func(o store.Claimed) bool { return o.Run.ID == run.ID }) {
				continue
			}
			id := store.PackID(run.ID)
			for _, d := range slices.Backward(c.doubt) { // of several claims the latest: those before it did not land
				if d.token == token && bytes.Equal(d.id, id) {
					*claimed = append(*claimed, c.claim(run, d))
					break
				}
			}
		}
		return found.Err()
	})
}

func (c *claiming) claim(run store.Run, one claim) store.Claimed {
	return store.Claimed{Run: run, TakenOver: one.takenOver, New: one.new,
		Lease: store.Lease{RunID: run.ID, Epoch: c.node.Epoch, Token: one.token}}
}
