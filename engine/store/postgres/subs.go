package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

// subs is how far the sub-runs of a run are, while a group of changes holds the lock.
type subs struct {
	store.Group
	dirty bool
}

// found is what a change reads of sub-runs beside rows: those of an earlier opening, or
// all that is open below a run, which it locks.
type found struct {
	from, to       []byte
	all, completed int
}

const groupColumns = `step, workflow, version, generation, total, at_most, need, tolerate, next, open, completed, failed, canceled,
	again, stopped`

// The counters are locked behind the rows of runs, in the order of their ids. Whoever
// changes them holds the row of the run around, too.
const lockSubsQuery = "SELECT run_id, " + groupColumns + " FROM wf_subs WHERE run_id = ANY($1) ORDER BY run_id FOR UPDATE"

const (
	groupQuery = "SELECT " + groupColumns + " FROM wf_subs WHERE run_id = $1"
	closeQuery = "DELETE FROM wf_subs WHERE run_id = ANY($1)"
	foundQuery = "SELECT count(*), count(*) FILTER (WHERE status = 'completed') FROM wf_run WHERE id >= $1 AND id < $2"
	belowQuery = "SELECT id FROM wf_run WHERE id > $1 AND id < $2 AND status = 'open' ORDER BY id FOR UPDATE"
)

func scanGroup(row scanner, before ...any) (g store.Group, err error) {
	return g, row.Scan(append(before, &g.Step, &g.Workflow, &g.Version, &g.Generation, &g.Total, &g.AtMost, &g.Need, &g.Tolerate,
		&g.Next, &g.Open, &g.Completed, &g.Failed, &g.Canceled, &g.Again, &g.Stopped)...)
}

// ofSub lets a change of a sub-run's status read the run around it, and its counters.
func (c *change) ofSub(runID string) *change {
	if parent, _, _, _, ok := workflow.SplitRunID(runID); ok {
		c.parent = store.PackID(parent)
		c.counted = append(c.counted, c.parent)
	}
	return c
}

// ofMove lets a move read what it changes of sub-runs.
func (c *change) ofMove(runID string, p store.Progress) {
	if p.Close || p.Open != nil || p.Stop {
		c.counted = append(c.counted, store.PackID(runID))
	}
	if p.Open != nil && p.Open.Again {
		from, to := store.SubRange(runID, p.Open.Group.Step, p.Open.Group.Generation, 0)
		c.found = &found{from: from, to: to}
	}
	if p.End != nil {
		c.ofSub(runID)
	}
}

// lockSubs reads what changes decide on about sub-runs. What a change of its own locks
// below a run comes before the counters.
func (g *group) lockSubs(b batch) {
	var ids [][]byte
	for _, c := range g.changes {
		ids = append(ids, c.counted...)
		for _, below := range c.below {
			b.Queue(belowQuery, below[0], below[1])
		}
		if f := c.found; f != nil {
			b.Queue(foundQuery, f.from, f.to).QueryRow(func(row pgx.Row) error { return row.Scan(&f.all, &f.completed) })
		}
	}
	if len(ids) == 0 {
		return
	}
	b.Queue(lockSubsQuery, ids).Query(func(found pgx.Rows) error {
		for found.Next() {
			var id []byte
			one, err := scanGroup(found, &id)
			if err != nil {
				return err
			}
			g.subs[string(id)] = &subs{Group: one}
		}
		return found.Err()
	})
}

// changeSubs closes, opens and stops sub-runs as a move says.
func (g *group) changeSubs(c *change, runID string, p store.Progress) {
	key := string(c.id)
	if p.Close {
		delete(g.subs, key)
		g.closed = append(g.closed, c.id)
	}
	if p.Open != nil {
		s := g.subs[key]
		if s == nil {
			s = &subs{Group: p.Open.Group}
			if c.found != nil {
				p.Open.Found(&s.Group, c.found.all, c.found.completed)
			}
			g.subs[key] = s
		}
		s.dirty, s.Total = true, max(s.Total, p.Open.Group.Total)
		for n := 0; n < p.Open.Count && s.Next < s.Total; n++ {
			g.begin(runID, s, p.Now)
		}
	}
	if s := g.subs[key]; p.Stop && s != nil {
		s.Stopped, s.dirty = true, true
	}
}

func (g *group) begin(parent string, s *subs, now time.Time) {
	r := s.Begin(parent, now)
	g.creates = append(g.creates, creation{store.PackID(r.ID), r})
	g.willBe(micros(now), micros(now))
}

// around is what counts a sub-run; nil when nothing does.
func (g *group) around(c *change, runID string) (parent string, s *subs) {
	parent, step, generation, _, ok := workflow.SplitRunID(runID)
	if s = g.subs[string(c.parent)]; !ok || s == nil || !s.Is(step, generation) {
		return "", nil
	}
	return parent, s
}

// ended counts a run that has ended for the one around it, if it is a sub-run.
func (g *group) ended(c *change, runID string, status store.Status, now time.Time) {
	parent, s := g.around(c, runID)
	if s == nil {
		return
	}
	s.dirty = true
	s.Ended(status)
	if s.Room() {
		g.begin(parent, s, now)
	}
	if r := g.rows[string(c.parent)]; r != nil && s.Wakes() {
		r.inboxSeq++
		r.wake(micros(now))
		g.changed(r, micros(now))
	}
}

// writeSubs writes the counters, each once.
func (g *group) writeSubs(b batch) {
	var gone [][]byte
	for _, id := range g.closed {
		if g.subs[string(id)] == nil {
			gone = append(gone, id)
		}
	}
	if len(gone) > 0 {
		b.Queue(closeQuery, gone)
	}
	var ids []string
	for id, s := range g.subs {
		if s.dirty {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return
	}
	slices.Sort(ids)
	number := func(name string, of func(*subs) int) column {
		return of32(name, ids, func(id string) int { return of(g.subs[id]) })
	}
	table, columns, args := records{
		of("run_id", "bytea", ids, func(id string) []byte { return []byte(id) }),
		of("step", "text", ids, func(id string) string { return g.subs[id].Step }),
		of("workflow", "text", ids, func(id string) string { return g.subs[id].Workflow }),
		of("version", "bigint", ids, func(id string) int64 { return int64(g.subs[id].Version) }),
		number("generation", func(s *subs) int { return s.Generation }),
		number("total", func(s *subs) int { return s.Total }),
		number("at_most", func(s *subs) int { return s.AtMost }),
		number("need", func(s *subs) int { return s.Need }),
		number("tolerate", func(s *subs) int { return s.Tolerate }),
		number("next", func(s *subs) int { return s.Next }),
		number("open", func(s *subs) int { return s.Open }),
		number("completed", func(s *subs) int { return s.Completed }),
		number("failed", func(s *subs) int { return s.Failed }),
		number("canceled", func(s *subs) int { return s.Canceled }),
		number("again", func(s *subs) int { return s.Again }),
		of("stopped", "boolean", ids, func(id string) bool { return g.subs[id].Stopped }),
	}.from(len(ids))
	b.Queue("INSERT INTO wf_subs AS s ("+columns+") SELECT * FROM "+table+` ON CONFLICT (run_id) DO UPDATE SET
		step = excluded.step, workflow = excluded.workflow, version = excluded.version, generation = excluded.generation,
		total = excluded.total, at_most = excluded.at_most, need = excluded.need, tolerate = excluded.tolerate, next = excluded.next,
		open = excluded.open, completed = excluded.completed, failed = excluded.failed, canceled = excluded.canceled,
		again = excluded.again, stopped = excluded.stopped`, args...)
}

// of32 is a column of small numbers.
func of32(name string, ids []string, value func(id string) int) column {
	return of(name, "integer", ids, func(id string) int32 { return int32(value(id)) }) // #nosec G115 -- within the limits of sub-runs
}

// terminateBelow ends all that is below a run, whose rows are locked.
func (g *group) terminateBelow(b batch) {
	for _, t := range g.terminated {
		for _, below := range t.ranges {
			b.Queue(`UPDATE wf_run SET status = 'canceled', owner = 0, seq = seq + 1, ended_seq = seq + 1, ended_at = $3, failure = $4,
				because = '' WHERE id > $1 AND id < $2 AND status = 'open'`, below[0], below[1], t.at, t.failure)
			b.Queue("DELETE FROM wf_subs WHERE run_id > $1 AND run_id < $2", below[0], below[1])
		}
	}
}

// termination ends what is in ranges of ids.
type termination struct {
	ranges  [][2][]byte
	at      int64
	failure string
}

// Group reads how far the sub-runs of a run are.
func (s *Store) Group(ctx context.Context, runID string) (g *store.Group, err error) {
	operation := "read how far the sub-runs of " + runID + " are"
	if err := s.open(operation); err != nil {
		return nil, err
	}
	err = s.db.Read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		g = nil
		rows, err := tx.Query(ctx, s.schema.in(groupQuery), store.PackID(runID))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			one, err := scanGroup(rows)
			if err != nil {
				return err
			}
			g = &one
		}
		return rows.Err()
	})
	if err != nil {
		return nil, s.fault(operation, err)
	}
	return g, nil
}

// subsQuery reads sub-runs of some statuses, all without any.
func subsQuery(q store.SubQuery) (query string, args []any) {
	from, to := store.SubRange(q.Parent, q.Step, q.Generation, q.From)
	query, args = "SELECT "+runColumns+" FROM wf_run WHERE id >= $1 AND id < $2", []any{from, to}
	if q.Status != nil {
		statuses := make([]string, len(q.Status))
		for i, status := range q.Status {
			statuses[i] = string(status)
		}
		query, args = query+" AND status = ANY($3)", append(args, statuses)
	}
	query += " ORDER BY id"
	if q.Limit > 0 {
		query += fmt.Sprintf(" LIMIT %d", q.Limit)
	}
	return query, args
}

// Subs reads sub-runs, in order.
func (s *Store) Subs(ctx context.Context, q store.SubQuery) (subs []store.Claimed, err error) {
	operation := "read sub-runs of " + q.Parent
	if err := s.open(operation); err != nil {
		return nil, err
	}
	query, args := subsQuery(q)
	err = s.db.Read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		subs = nil
		rows, err := tx.Query(ctx, s.schema.qualify(query), args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			run, _, err := scanRun(rows)
			if err != nil {
				return err
			}
			subs = append(subs, store.Claimed{Run: run, Whole: !q.Rows})
		}
		if err := rows.Err(); err != nil || q.Rows {
			return err
		}
		b := batch{&pgx.Batch{}, s.schema}
		readRest(b, subs)
		return tx.SendBatch(ctx, b.Batch).Close()
	})
	if err != nil {
		return nil, s.fault(operation, err)
	}
	return subs, nil
}
