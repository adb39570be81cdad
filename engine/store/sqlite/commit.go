package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/internal/sqlitedb"
	"github.com/liwanag/liwanag/workflow"
)

// Commit writes what a move changed, once the run's row has shown that the
// lease holds: the writer is alone, so nothing comes between.
func (s *Store) Commit(ctx context.Context, l store.Lease, p store.Progress) (news store.News, err error) {
	id := store.PackID(l.RunID)
	err = s.db.Apply(ctx, func(tx *sqlitedb.Tx) (err error) {
		news, err = s.commit(tx, id, l, p)
		return err
	})
	switch {
	case errors.Is(err, store.ErrLeaseLost) || errors.Is(err, store.ErrCanceled):
		return store.News{}, err
	case err != nil:
		return store.News{}, s.fault("commit run "+l.RunID, err)
	}
	return news, nil
}

// commit writes what a move changed. An error before it has written anything changes
// nothing.
func (s *Store) commit(tx *sqlitedb.Tx, id []byte, l store.Lease, p store.Progress) (news store.News, err error) {
	if l.Epoch != s.epoch.Load() {
		return news, store.ErrLeaseLost
	}
	r, err := held(tx, id)
	if err != nil {
		return news, err
	}
	landed := r.token == l.Token+1
	if landed && r.owner == 0 && (p.Park != nil || p.End != nil) {
		news = store.News{InboxSeq: p.Decided, Canceled: p.Canceled}
		return news, nil
	}
	if r.owner != l.Epoch || !r.open || !landed && r.token != l.Token {
		return news, store.ErrLeaseLost
	}
	if !landed && p.End != nil && r.canceled && !p.Canceled {
		return news, store.ErrCanceled
	}
	news = store.News{InboxSeq: r.inboxSeq, Canceled: r.canceled}
	park := p.Park
	if r.inboxSeq != p.Decided {
		park = nil
		came := func(sig store.Signal) { news.Signals = append(news.Signals, sig) }
		if err := signalsAfter(inWriter(tx), id, p.Known, workflow.MaxInbox, came); err != nil {
			return news, err
		}
		news.Signals = store.Bounded(news.Signals)
	}
	if landed {
		return news, nil
	}
	seq, err := appendEntries(tx, id, r.seq, p.Append)
	if err != nil {
		return news, err
	}
	if p.Close || p.Open != nil || p.Stop {
		if err := s.changeSubs(tx, l.RunID, id, p); err != nil {
			return news, err
		}
	}
	if err := s.updateRun(tx, id, r, p, park, seq); err != nil || p.End == nil {
		return news, err
	}
	return news, s.ended(tx, l.RunID, p.End.Status, p.Now)
}

// appendEntries writes entries behind the number seq, and returns the last one.
func appendEntries(tx *sqlitedb.Tx, id []byte, seq int64, entries []store.Entry) (int64, error) {
	for _, e := range entries {
		if e.Begins {
			e.StartedSeq = seq + 1
		}
		seq += e.Width()
		e.Seq = seq
		if err := foldEntry(tx, id, &e); err != nil {
			return seq, err
		}
		if err := insertEntry(tx, id, e, e.Consumed); err != nil {
			return seq, err
		}
		if e.Attributes != nil {
			if err := setAttributes(tx, id, e.Attributes); err != nil {
				return seq, err
			}
		}
	}
	return seq, nil
}

// heldRun is what a commit needs to know of the row that it changes.
type heldRun struct {
	seq, inboxSeq int64
	canceled      bool
	startedAt     int64
	takeovers     int
	owner, token  int64
	open          bool
}

// held reads the row that the lease is on.
func held(tx *sqlitedb.Tx, id []byte) (r heldRun, err error) {
	row := tx.QueryRow(`
		SELECT seq, inbox_seq, canceled, started_at, takeovers, owner, token, status = 'open' FROM wf_run WHERE id = ?`, id)
	err = row.Scan(&r.seq, &r.inboxSeq, &r.canceled, &r.startedAt, &r.takeovers, &r.owner, &r.token, &r.open)
	if errors.Is(err, sql.ErrNoRows) {
		err = store.ErrLeaseLost
	}
	return r, err
}

// updateRun writes the row; seq is the last number that was taken so far.
func (s *Store) updateRun(tx *sqlitedb.Tx, id []byte, r heldRun, p store.Progress, park *store.Park, seq int64) error {
	// What decides in which of the indexes of open runs a run stands changes rarely:
	// a statement that names it writes those indexes anew.
	if startedAt := cmp.Or(r.startedAt, micros(p.StartedAt)); startedAt != r.startedAt || p.Takeovers != r.takeovers {
		if _, err := tx.Exec("UPDATE wf_run SET started_at = ?, takeovers = ? WHERE id = ?", startedAt, p.Takeovers, id); err != nil {
			return err
		}
	}
	switch {
	case park != nil:
		return s.parkRun(tx, id, p, *park, seq, store.Released(r.inboxSeq))
	case p.End != nil:
		failure, err := failureText(p.End.Failure)
		if err != nil {
			return err
		}
		_, err = tx.Exec(`
			UPDATE wf_run SET token = token + 1, seq = ?, attempt = ?, begun = ?, owner = 0,
				status = ?, ended_at = ?, ended_seq = ?, failure = ?, because = ?
			WHERE id = ?`, seq+1, p.Attempt, p.Begun,
			string(p.End.Status), micros(p.Now), seq+1, failure, p.End.Because, id)
		return err
	}
	_, err := tx.Exec(moveQuery, seq, p.Attempt, p.Begun, id)
	return err
}

// moveQuery writes a move after which the node keeps the run.
const moveQuery = "UPDATE wf_run SET token = token + 1, seq = ?, attempt = ?, begun = ? WHERE id = ?"

func (s *Store) parkRun(tx *sqlitedb.Tx, id []byte, p store.Progress, park store.Park, seq, owner int64) error {
	if park.Seq == 0 && park.Kind.Numbered() {
		seq++
		park.Seq = seq
	}
	events, err := names(park.Events)
	if err != nil {
		return err
	}
	s.passed.Due(micros(park.Until))
	_, err = tx.Exec(`
		UPDATE wf_run SET token = token + 1, seq = ?, attempt = ?, begun = ?, owner = ?, due_at = ?,
			park_kind = ?, park_step = ?, park_events = ?, park_since = ?, park_seq = ?
		WHERE id = ?`, seq, p.Attempt, p.Begun, owner, micros(park.Until),
		string(park.Kind), park.Step, events, micros(park.Since), park.Seq, id)
	return err
}

// foldEntry takes away the entries that one stands for, when nothing came between.
func foldEntry(tx *sqlitedb.Tx, id []byte, e *store.Entry) (err error) {
	if e.Folds == 0 || e.Folds != e.Seq-1 {
		*e = e.Alone()
		return nil
	}
	_, err = tx.Exec("DELETE FROM wf_history WHERE run_id = ? AND seq > ? AND seq <= ?", id, e.Seq-int64(e.Count), e.Folds)
	return err
}

// insertEntry writes an entry; signals are those that it consumed, or, of a
// reopening, those that it returned.
func insertEntry(tx *sqlitedb.Tx, id []byte, e store.Entry, signals []string) error {
	consumed, err := names(signals)
	if err != nil {
		return err
	}
	failure, err := failureText(e.Failure)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`
		INSERT INTO wf_history (run_id, seq, kind, step, attempt, at, started_at, started_seq, begins, next_at, reconciled, label, signals, failure, output)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		id, e.Seq, kindText(e.Kind), e.Step, e.Attempt, micros(e.At), micros(e.StartedAt), e.StartedSeq, e.Begins, micros(e.NextAt),
		e.Reconciled, e.FoldText(), consumed, failure, []byte(e.Output))
	return err
}
