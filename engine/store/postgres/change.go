package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/internal/groupcommit"
	"github.com/liwanag/liwanag/internal/pgdb"
)

// change is one operation on one run, which a group commits with others.
type change struct {
	id    []byte // the run's, packed
	epoch int64  // the node that must be alive; 0: none
	// signal is the id of a delivery: whether there is one already is read.
	signal string
	post   int64 // of what was posted: it is moved by this
	// Of sub-runs: the run around it, which is locked, too; whose counters are read; what
	// else is; and what is locked below the run. A change that locks what it does not name
	// is committed alone, so that no lock is waited for out of the order of ids.
	parent  []byte
	counted [][]byte
	found   *found
	below   [][2][]byte
	// decide looks at the run's locked row, nil when there is none, changes it, and
	// notes in the group what else is to be written. What it returns is told to the
	// caller once the group is durable, and concerns no other change. It may be
	// asked again, for another try of the group.
	decide  func(g *group, r *row) error
	verdict error
}

// maxGroup is how many changes share a transaction at most.
const maxGroup = 512

// apply makes a change and returns when it is durable.
func (s *Store) apply(ctx context.Context, operation, runID string, c *change) error {
	err := s.begin(ctx, runID, c)()
	for _, verdict := range []error{nil, store.ErrExists, store.ErrNotFound, store.ErrEnded, store.ErrNotEnded,
		store.ErrLeaseLost, store.ErrCanceled, store.ErrInboxFull} {
		if err == verdict { //nolint:errorlint // a verdict is returned as it is
			return err
		}
	}
	return s.fault(operation+" run "+runID, err)
}

// begin queues a change, behind those that were begun before of the same tree; outcome
// waits for what becomes of it.
func (s *Store) begin(ctx context.Context, runID string, c *change) (outcome func() error) {
	c.id = store.PackID(runID)
	return s.queues[shard(store.RootOf(runID), len(s.queues))].Begin(ctx, c)
}

// shard spreads runs over queues: all changes of a run, and of those that belong to
// it, that this process makes go the same way, so that its groups never wait for each other's locks.
func shard(id []byte, n int) int {
	h := uint32(2166136261)
	for _, b := range id {
		h = (h ^ uint32(b)) * 16777619
	}
	return int(h % uint32(n)) // #nosec G115 -- below n
}

// work commits what queues, a group at a time, until the queue is closed and empty.
func (s *Store) work(q *groupcommit.Queue[*change]) {
	defer s.working.Done()
	for {
		taken := q.Take(maxGroup)
		if taken == nil {
			return
		}
		picked := taken[:0]
		for _, c := range taken {
			switch {
			case !c.Pick():
			case c.Do.below != nil:
				s.commitGroup([]*groupcommit.Change[*change]{c})
			default:
				picked = append(picked, c)
			}
		}
		s.commitGroup(picked)
	}
}

// commitGroup makes the changes together. When they fail by what is in one of
// them, each is tried once more alone, so that it harms no other.
func (s *Store) commitGroup(picked []*groupcommit.Change[*change]) {
	changes := make([]*change, len(picked))
	for i, c := range picked {
		changes[i] = c.Do
	}
	began := time.Now()
	err := s.transact(changes)
	s.db.Runs.Group(len(changes), time.Since(began), err != nil)
	alone := err != nil && len(picked) > 1 && !pgdb.IsCommon(err)
	for i, c := range picked {
		one := err
		if alone {
			one = s.transact(changes[i : i+1])
		}
		if one == nil {
			one = c.Do.verdict
		}
		c.Finish(one)
	}
}

// transact locks the runs' rows, lets each change decide in turn, and writes.
func (s *Store) transact(changes []*change) error {
	if len(changes) == 0 {
		return nil
	}
	var g *group
	repeats, weigh := false, false
	ask := func(b *pgx.Batch) {
		g = newGroup(changes, repeats || weigh)
		if weigh {
			g.inboxes = map[string]*inbox{}
		}
		g.lock(batch{b, s.schema})
	}
	answer := func(b *pgx.Batch) error {
		for _, c := range changes {
			if c.verdict = c.decide(g, g.rows[string(c.id)]); c.verdict == errUnweighed { //nolint:errorlint // returned as it is
				return errUnweighed
			}
		}
		g.write(batch{b, s.schema})
		return nil
	}
	err := s.db.Exchange(s.life, ask, answer)
	for try := 1; try <= len(changes)+1 && (pgdb.IsUnique(err) || errors.Is(err, errUnweighed)); try++ {
		weigh = weigh || errors.Is(err, errUnweighed)
		repeats = repeats || !weigh // or a run was created elsewhere meanwhile, which is seen by now
		err = s.db.Exchange(s.life, ask, answer)
	}
	if errors.Is(err, pgdb.ErrAnswerLost) { // all is written, but what came is not known
		for _, n := range g.news {
			n.change.verdict = err
		}
		err = nil
	}
	if g != nil {
		s.passed.Due(g.dueAt) // or it may be, if nobody knows what became of it
	}
	if err == nil && g.due {
		s.announce.mark(g.dueAt)
	}
	return err
}
