package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"strings"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/internal/sqlitedb"
	"github.com/liwanag/liwanag/workflow"
)

const groupQuery = `SELECT step, workflow, version, generation, total, at_most, need, tolerate, next, open, completed, failed, canceled,
	again, stopped FROM wf_subs WHERE run_id = ?`

const (
	foundQuery = "SELECT count(*), coalesce(sum(status = 'completed'), 0) FROM wf_run WHERE id >= ? AND id < ?"
	saveQuery  = `UPDATE wf_subs SET total = ?, next = ?, open = ?, completed = ?, failed = ?, canceled = ?, again = ?, stopped = ?
		WHERE run_id = ?`
	wakeQuery = "UPDATE wf_run SET inbox_seq = inbox_seq + 1, due_at = min(due_at, ?) WHERE id = ?"
)

// All that is in a range of ids ends.
const (
	terminateRunsQuery = `
		UPDATE wf_run SET status = 'canceled', owner = 0, seq = seq + 1, ended_seq = seq + 1, ended_at = ?, failure = ?, because = ''
		WHERE id > ? AND id < ? AND status = 'open'`
	terminateSubsQuery = "DELETE FROM wf_subs WHERE run_id > ? AND run_id < ?"
)

// scanGroup reads a group; nil when there is none.
func scanGroup(row interface{ Scan(dest ...any) error }) (*store.Group, error) {
	g := &store.Group{}
	err := row.Scan(&g.Step, &g.Workflow, &g.Version, &g.Generation, &g.Total, &g.AtMost, &g.Need, &g.Tolerate,
		&g.Next, &g.Open, &g.Completed, &g.Failed, &g.Canceled, &g.Again, &g.Stopped)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return g, err
}

// changeSubs closes, opens and stops sub-runs as a move says.
func (s *Store) changeSubs(tx *sqlitedb.Tx, runID string, id []byte, p store.Progress) error {
	if p.Close {
		if _, err := tx.Exec("DELETE FROM wf_subs WHERE run_id = ?", id); err != nil {
			return err
		}
	}
	if p.Open != nil {
		if err := s.openSubs(tx, runID, id, *p.Open, p.Now); err != nil {
			return err
		}
	}
	if p.Stop {
		_, err := tx.Exec("UPDATE wf_subs SET stopped = 1 WHERE run_id = ?", id)
		return err
	}
	return nil
}

// openSubs begins sub-runs of a run.
func (s *Store) openSubs(tx *sqlitedb.Tx, runID string, id []byte, o store.Opening, now time.Time) error {
	g, err := scanGroup(tx.QueryRow(groupQuery, id))
	if err != nil {
		return err
	}
	if g == nil {
		anew := o.Group
		g = &anew
		if o.Again {
			from, to := store.SubRange(runID, g.Step, g.Generation, 0)
			var all, completed int
			if err := tx.QueryRow(foundQuery, from, to).Scan(&all, &completed); err != nil {
				return err
			}
			o.Found(g, all, completed)
		}
		if _, err := tx.Exec(`INSERT INTO wf_subs (run_id, step, workflow, version, generation, total, at_most, need, tolerate,
			next, open, completed, failed, canceled, again, stopped) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, 0, 0, 0, 0)`,
			id, g.Step, g.Workflow, g.Version, g.Generation, g.Total, g.AtMost, g.Need, g.Tolerate); err != nil {
			return err
		}
	}
	g.Total = max(g.Total, o.Group.Total)
	for n := 0; n < o.Count && g.Next < g.Total; n++ {
		if err := s.begin(tx, runID, g, now); err != nil {
			return err
		}
	}
	return saveGroup(tx, id, g)
}

func saveGroup(tx *sqlitedb.Tx, id []byte, g *store.Group) error {
	_, err := tx.Exec(saveQuery, g.Total, g.Next, g.Open, g.Completed, g.Failed, g.Canceled, g.Again, g.Stopped, id)
	return err
}

func (s *Store) begin(tx *sqlitedb.Tx, runID string, g *store.Group, now time.Time) error {
	r := g.Begin(runID, now)
	s.passed.Due(micros(now))
	_, err := tx.Exec(`INSERT INTO wf_run (id, workflow, version, status, owner, token, due_at, seq, created_at, started_at)
		VALUES (?, ?, ?, 'open', 0, 1, ?, ?, ?, 0)`, store.PackID(r.ID), r.Workflow, r.Version, micros(now), r.Seq, micros(now))
	return err
}

// around is the group that counts a sub-run; nil when there is none.
func around(tx *sqlitedb.Tx, runID string) (parent string, id []byte, g *store.Group, err error) {
	parent, step, generation, _, ok := workflow.SplitRunID(runID)
	if !ok {
		return "", nil, nil, nil
	}
	id = store.PackID(parent)
	if g, err = scanGroup(tx.QueryRow(groupQuery, id)); err != nil || !g.Is(step, generation) {
		return "", nil, nil, err
	}
	return parent, id, g, nil
}

// ended counts a run that has ended for the one around it, if it is a sub-run.
func (s *Store) ended(tx *sqlitedb.Tx, runID string, status store.Status, now time.Time) error {
	parent, id, g, err := around(tx, runID)
	if err != nil || g == nil {
		return err
	}
	g.Ended(status)
	if g.Room() {
		if err := s.begin(tx, parent, g, now); err != nil {
			return err
		}
	}
	if err := saveGroup(tx, id, g); err != nil || !g.Wakes() {
		return err
	}
	s.passed.Due(micros(now))
	_, err = tx.Exec(wakeQuery, micros(now), id)
	return err
}

// terminateBelow ends all that is below a run which has sub-runs.
func terminateBelow(tx *sqlitedb.Tx, runID string, failure any, now time.Time) error {
	n, err := tx.Exec("DELETE FROM wf_subs WHERE run_id = ?", store.PackID(runID))
	if err != nil || n == 0 {
		return err
	}
	for _, below := range store.Below(runID) {
		if _, err := tx.Exec(terminateRunsQuery, micros(now), failure, below[0], below[1]); err != nil {
			return err
		}
		if _, err := tx.Exec(terminateSubsQuery, below[0], below[1]); err != nil {
			return err
		}
	}
	return nil
}

// Group reads how far the sub-runs of a run are.
func (s *Store) Group(ctx context.Context, runID string) (*store.Group, error) {
	g, err := scanGroup(s.db.Reader().QueryRowContext(ctx, groupQuery, store.PackID(runID)))
	if err != nil {
		return nil, s.fault("read how far the sub-runs of "+runID+" are", err)
	}
	return g, nil
}

// subsQuery reads sub-runs of some statuses, all without any.
func subsQuery(statuses int) string {
	query := "SELECT " + runColumns + " FROM wf_run WHERE id >= ? AND id < ?"
	if statuses > 0 {
		query += " AND +status IN (?" + strings.Repeat(", ?", statuses-1) + ")"
	}
	return query + " ORDER BY id LIMIT ?"
}

// Subs reads sub-runs, in order.
func (s *Store) Subs(ctx context.Context, q store.SubQuery) (subs []store.Claimed, err error) {
	tx, err := s.db.Reader().BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, s.fault("read sub-runs of "+q.Parent, err)
	}
	defer tx.Rollback()
	from, to := store.SubRange(q.Parent, q.Step, q.Generation, q.From)
	args := []any{from, to}
	for _, status := range q.Status {
		args = append(args, string(status))
	}
	limit := q.Limit
	if limit == 0 {
		limit = math.MaxInt32
	}
	query := func(query string, args ...any) (rows, error) { return tx.QueryContext(ctx, query, args...) }
	found, err := query(subsQuery(len(q.Status)), append(args, limit)...)
	err = each(found, err, func(r rows) error {
		run, _, err := scanRun(r)
		subs = append(subs, store.Claimed{Run: run, Whole: !q.Rows})
		return err
	})
	for i := range subs {
		if err == nil && !q.Rows {
			err = readRest(query, store.PackID(subs[i].Run.ID), &subs[i])
		}
	}
	if err != nil {
		return nil, s.fault("read sub-runs of "+q.Parent, err)
	}
	return subs, nil
}
