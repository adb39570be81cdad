package sqlite

import (
	"context"
	"time"

	"github.com/liwanag/liwanag/internal/datastore/listing"
	"github.com/liwanag/liwanag/internal/liwanag"
)

const (
	messageColumns = `id, sink_id, topic, subject, job_id, facts, state, run_id, started, attempts, status, error, created_at, next_at, ended_at`
	messageByID    = `SELECT ` + messageColumns + ` FROM message WHERE id = ?`

	messageListing = 'm'
)

func scanMessage(r row) (m liwanag.Message, err error) {
	var status int64
	err = r.Scan(id(liwanag.MessageKind, &m.ID), id(liwanag.SinkKind, &m.SinkID), textTo(&m.Topic), idText{&m.Subject}, id(liwanag.JobKind, &m.JobID),
		textTo(&m.Facts), textTo(&m.State), id(liwanag.RunKind, &m.RunID), &m.Started, &m.Attempts, numberColumn{&status}, textTo(&m.Error),
		timeColumn{&m.CreatedAt}, timeColumn{&m.NextAt}, timeColumn{&m.EndedAt})
	m.Status = int(status)
	return m, err
}

type messages struct{ reader }

func (s messages) Get(ctx context.Context, id liwanag.ID) (liwanag.Message, error) {
	return one(s.in(ctx), scanMessage, messageByID, id.Bytes())
}

func scanAttempt(r row) (a liwanag.MessageAttempt, err error) {
	var took, status int64
	err = r.Scan(id(liwanag.MessageKind, &a.MessageID), &a.N, timeColumn{&a.At}, &took, numberColumn{&status}, textTo(&a.Error))
	a.Took, a.Status = time.Duration(took)*time.Microsecond, int(status)
	return a, err
}

func (s messages) Attempts(ctx context.Context, id liwanag.ID) ([]liwanag.MessageAttempt, error) {
	return list(s.in(ctx), scanAttempt, `SELECT message_id, n, at, took, status, error FROM message_attempt WHERE message_id = ? ORDER BY n`, id.Bytes())
}

// List walks one index a state and merges, as submissions do.
func (s messages) List(ctx context.Context, f liwanag.MessageFilter, p liwanag.Page) ([]liwanag.Message, string, error) {
	after, err := listing.Key(messageListing, 16, p.Cursor)
	if err != nil {
		return nil, "", err
	}
	if len(f.States) == 0 && !f.SinkID.IsZero() {
		f.States = []liwanag.MessageState{liwanag.MessagePending, liwanag.MessageSending, liwanag.MessageRetrying, liwanag.MessageDelivered,
			liwanag.MessageFailed, liwanag.MessageDropped}
	}
	limit := listing.Limit(p)
	var pages [][]liwanag.Message
	for _, state := range listing.StatesOr(f.States) {
		query, args := messageQuery(f, state, after, limit+1)
		page, err := list(s.in(ctx), scanMessage, query, args...)
		if err != nil {
			return nil, "", err
		}
		pages = append(pages, page)
	}
	all := listing.Newest(limit+1, func(a, b liwanag.Message) int { return a.ID.Compare(b.ID) }, pages...)
	all, next := listing.Paged(all, limit, func(m liwanag.Message) string { return listing.Cursor(messageListing, m.ID.Bytes()) })
	return all, next, nil
}

func messageQuery(f liwanag.MessageFilter, state liwanag.MessageState, after []byte, limit int) (string, []any) {
	var w where
	if !f.SinkID.IsZero() {
		w.and(`sink_id = ?`, f.SinkID.Bytes())
	}
	if state != "" {
		w.and(`state = ?`, string(state))
	}
	if f.Topic != "" {
		w.and(`topic = ?`, string(f.Topic))
	}
	if after != nil {
		w.and(`id < ?`, after)
	}
	return `SELECT ` + messageColumns + ` FROM message` + w.String() + ` ORDER BY id DESC LIMIT ?`, append(w.args, limit)
}

func (s messages) Waiting(ctx context.Context) ([]liwanag.ID, error) {
	return list(s.in(ctx), scanID(liwanag.SinkKind), `
		SELECT id FROM sink WHERE deleted = 0 AND disabled = 0
		AND EXISTS (SELECT 1 FROM message m WHERE m.sink_id = sink.id AND m.state = 'pending') ORDER BY id`)
}

func (s messages) Unstarted(ctx context.Context, limit int) ([]liwanag.Message, error) {
	return list(s.in(ctx), scanMessage, `SELECT `+messageColumns+` FROM message WHERE started = 0 AND run_id IS NOT NULL ORDER BY id LIMIT ?`, limit)
}

type messageTx struct{ writing }

func (t messageTx) Get(id liwanag.ID) (liwanag.Message, error) {
	return one(t, scanMessage, messageByID, id.Bytes())
}

func (t messageTx) Insert(messages []liwanag.Message) error {
	const columns = 15
	return multiRow(len(messages), func(from, to int) error {
		args := make([]any, 0, columns*(to-from))
		for _, m := range messages[from:to] {
			args = append(args, m.ID.Bytes(), m.SinkID.Bytes(), string(m.Topic), text(m.Subject.String()), m.JobID.Bytes(), text(m.Facts),
				string(m.State), m.RunID.Bytes(), m.Started, m.Attempts, number(int64(m.Status)), text(m.Error),
				micros(m.CreatedAt), micros(m.NextAt), micros(m.EndedAt))
		}
		_, err := t.exec(`INSERT INTO message (`+messageColumns+`) VALUES `+placeholders(to-from, columns), args...)
		return err
	})
}

func (t messageTx) Busy(sinkID liwanag.ID, states ...liwanag.MessageState) (int, error) {
	n, err := one(t, scanInt, `SELECT count(*) FROM message WHERE sink_id = ? AND state IN (SELECT value FROM json_each(?))`, sinkID.Bytes(), words(states))
	return int(n), err
}

func (t messageTx) Claim(sinkID liwanag.ID, n int) ([]liwanag.Message, error) {
	claimed, err := list(t, scanMessage, `SELECT `+messageColumns+` FROM message WHERE sink_id = ? AND state = 'pending' ORDER BY id LIMIT ?`, sinkID.Bytes(), n)
	if err != nil {
		return nil, err
	}
	for i := range claimed {
		m := &claimed[i]
		m.RunID, m.State, m.Started = liwanag.NewID(liwanag.RunKind), liwanag.MessageSending, false
		if err := t.must(`UPDATE message SET run_id = ?, state = 'sending', started = 0 WHERE id = ?`, m.RunID.Bytes(), m.ID.Bytes()); err != nil {
			return nil, err
		}
	}
	return claimed, nil
}

func (t messageTx) MarkStarted(ids []liwanag.ID) error {
	_, err := t.exec(`UPDATE message SET started = 1 WHERE id IN `+eachID, packed(ids))
	return err
}

func (t messageTx) Move(m liwanag.MessageMove) (bool, error) {
	return t.changed(`
		UPDATE message SET state = ?2, attempts = max(attempts, ?3), status = coalesce(?4, status), error = coalesce(?5, error),
			next_at = ?6, ended_at = CASE WHEN ?2 IN ('delivered', 'failed', 'dropped') THEN ?7 END
		WHERE id = ?1 AND state IN (SELECT value FROM json_each(?8))`,
		m.ID.Bytes(), string(m.To), m.Attempts, number(int64(m.Status)), text(m.Error), micros(m.NextAt), micros(m.At), words(m.From))
}

func (t messageTx) Again(id liwanag.ID) (bool, error) {
	return t.changed(`UPDATE message SET state = 'pending', run_id = NULL, started = 0, next_at = NULL, ended_at = NULL
		WHERE id = ? AND state IN ('delivered', 'failed', 'dropped')`, id.Bytes())
}

func (t messageTx) Attempted(a liwanag.MessageAttempt) error {
	_, err := t.exec(`INSERT INTO message_attempt (message_id, n, at, took, status, error) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		a.MessageID.Bytes(), a.N, micros(a.At), a.Took.Microseconds(), number(int64(a.Status)), text(a.Error))
	return err
}

func (t messageTx) DropAbout(subject liwanag.ID, at time.Time) error {
	_, err := t.exec(`UPDATE message SET state = 'dropped', next_at = NULL, ended_at = ?
		WHERE subject = ? AND state IN ('pending', 'sending', 'retrying')`, micros(at), subject.String())
	return err
}

func (t messageTx) Prune(before time.Time) error {
	if _, err := t.exec(`DELETE FROM message WHERE id IN (SELECT id FROM message WHERE ended_at < ? ORDER BY ended_at LIMIT ?)`,
		micros(before), pruneRows); err != nil {
		return err
	}
	all, err := list(t, scanGone(liwanag.SinkKind), `SELECT id, deleted FROM sink`)
	if err != nil {
		return err
	}
	for _, sink := range all {
		if !sink.deleted {
			continue
		}
		if err := t.forget("message", "sink", sink.id); err != nil {
			return err
		}
		if _, err := t.exec(`DELETE FROM sink WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM message WHERE sink_id = ?1)`, sink.id.Bytes()); err != nil {
			return err
		}
	}
	return nil
}
