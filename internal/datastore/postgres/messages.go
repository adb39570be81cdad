package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/liwanag/liwanag/internal/datastore/listing"
	"github.com/liwanag/liwanag/internal/liwanag"
)

const (
	messageColumns = `id, sink_id, topic, subject, job_id, facts, state, run_id, started, attempts, status, error, created_at, next_at, ended_at`
	messageByID    = `SELECT ` + messageColumns + ` FROM message WHERE id = $1`

	messageListing = 'm'
)

func scanMessage(r row) (m liwanag.Message, err error) {
	var status int64
	err = r.Scan(idTo(liwanag.MessageKind, &m.ID), idTo(liwanag.SinkKind, &m.SinkID), textTo(&m.Topic), idText{&m.Subject}, idTo(liwanag.JobKind, &m.JobID),
		textTo(&m.Facts), textTo(&m.State), idTo(liwanag.RunKind, &m.RunID), &m.Started, &m.Attempts, numberColumn{&status}, textTo(&m.Error),
		timeColumn{&m.CreatedAt}, timeColumn{&m.NextAt}, timeColumn{&m.EndedAt})
	m.Status = int(status)
	return m, err
}

type messages struct{ reader }

func (s messages) Get(ctx context.Context, id liwanag.ID) (liwanag.Message, error) {
	return one(s.in(ctx), scanMessage, messageByID, uuid(id))
}

func scanAttempt(r row) (a liwanag.MessageAttempt, err error) {
	var took, status int64
	err = r.Scan(idTo(liwanag.MessageKind, &a.MessageID), &a.N, timeColumn{&a.At}, &took, numberColumn{&status}, textTo(&a.Error))
	a.Took, a.Status = time.Duration(took)*time.Microsecond, int(status)
	return a, err
}

func (s messages) Attempts(ctx context.Context, id liwanag.ID) ([]liwanag.MessageAttempt, error) {
	return list(s.in(ctx), scanAttempt, `SELECT message_id, n, at, took, status, error FROM message_attempt WHERE message_id = $1 ORDER BY n`, uuid(id))
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
		w.and(`sink_id = $?`, uuid(f.SinkID))
	}
	if state != "" {
		w.and(`state = $?`, string(state))
	}
	if f.Topic != "" {
		w.and(`topic = $?`, string(f.Topic))
	}
	if after != nil {
		w.and(`id < $?`, pgtype.UUID{Bytes: [16]byte(after), Valid: true})
	}
	return `SELECT ` + messageColumns + ` FROM message` + w.String() + ` ORDER BY id DESC LIMIT ` + w.bind(limit), w.args
}

func (s messages) Waiting(ctx context.Context) ([]liwanag.ID, error) {
	return list(s.in(ctx), scanID(liwanag.SinkKind), `
		SELECT id FROM sink WHERE NOT deleted AND NOT disabled
		AND EXISTS (SELECT 1 FROM message m WHERE m.sink_id = sink.id AND m.state = 'pending') ORDER BY id`)
}

func (s messages) Unstarted(ctx context.Context, limit int) ([]liwanag.Message, error) {
	return list(s.in(ctx), scanMessage, `SELECT `+messageColumns+` FROM message WHERE NOT started AND run_id IS NOT NULL ORDER BY id LIMIT $1`, limit)
}

type messageTx struct{ writing }

func (t messageTx) Get(id liwanag.ID) (liwanag.Message, error) {
	return one(t, scanMessage, messageByID, uuid(id))
}

func (t messageTx) Insert(messages []liwanag.Message) error {
	type message = liwanag.Message
	r := recordsOf(messages).
		id("id", func(m message) liwanag.ID { return m.ID }).
		id("sink_id", func(m message) liwanag.ID { return m.SinkID }).
		word("topic", func(m message) string { return string(m.Topic) }).
		text("subject", func(m message) string { return m.Subject.String() }).
		id("job_id", func(m message) liwanag.ID { return m.JobID }).
		text("facts", func(m message) string { return m.Facts }).
		word("state", func(m message) string { return string(m.State) }).
		id("run_id", func(m message) liwanag.ID { return m.RunID }).
		flag("started", func(m message) bool { return m.Started }).
		number("attempts", func(m message) int64 { return int64(m.Attempts) }).
		known("status", func(m message) int64 { return int64(m.Status) }).
		text("error", func(m message) string { return m.Error }).
		time("created_at", func(m message) time.Time { return m.CreatedAt }).
		time("next_at", func(m message) time.Time { return m.NextAt }).
		time("ended_at", func(m message) time.Time { return m.EndedAt })
	_, err := t.exec(`INSERT INTO message (`+r.columns()+`) SELECT `+r.columns()+` FROM `+r.as("m"), r.args...)
	return err
}

func (t messageTx) Busy(sinkID liwanag.ID, states ...liwanag.MessageState) (int, error) {
	n, err := one(t, scanInt, `SELECT count(*) FROM message WHERE sink_id = $1 AND state = ANY($2)`, uuid(sinkID), texts(states))
	return int(n), err
}

func (t messageTx) Claim(sinkID liwanag.ID, n int) ([]liwanag.Message, error) {
	claimed, err := list(t, scanMessage, `SELECT `+messageColumns+` FROM message WHERE sink_id = $1 AND state = 'pending' ORDER BY id LIMIT $2`, uuid(sinkID), n)
	if err != nil {
		return nil, err
	}
	for i := range claimed {
		m := &claimed[i]
		m.RunID, m.State, m.Started = liwanag.NewID(liwanag.RunKind), liwanag.MessageSending, false
		if err := t.must(`UPDATE message SET run_id = $1, state = 'sending', started = false WHERE id = $2`, uuid(m.RunID), uuid(m.ID)); err != nil {
			return nil, err
		}
	}
	return claimed, nil
}

func (t messageTx) MarkStarted(ids []liwanag.ID) error {
	_, err := t.exec(`UPDATE message SET started = true WHERE id = ANY($1)`, uuids(ids))
	return err
}

func (t messageTx) Move(m liwanag.MessageMove) (bool, error) {
	return t.changed(`
		UPDATE message SET state = $2, attempts = greatest(attempts, $3), status = coalesce($4, status), error = coalesce($5, error),
			next_at = $6, ended_at = CASE WHEN $2 IN ('delivered', 'failed', 'dropped') THEN $7::bigint END
		WHERE id = $1 AND state = ANY($8)`,
		uuid(m.ID), string(m.To), m.Attempts, pgtype.Int8{Int64: int64(m.Status), Valid: m.Status != 0}, text(m.Error), micros(m.NextAt), micros(m.At), texts(m.From))
}

func (t messageTx) Again(id liwanag.ID) (bool, error) {
	return t.changed(`UPDATE message SET state = 'pending', run_id = NULL, started = false, next_at = NULL, ended_at = NULL
		WHERE id = $1 AND state IN ('delivered', 'failed', 'dropped')`, uuid(id))
}

func (t messageTx) Attempted(a liwanag.MessageAttempt) error {
	_, err := t.exec(`INSERT INTO message_attempt (message_id, n, at, took, status, error) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
		uuid(a.MessageID), a.N, micros(a.At), a.Took.Microseconds(), pgtype.Int8{Int64: int64(a.Status), Valid: a.Status != 0}, text(a.Error))
	return err
}

func (t messageTx) DropAbout(subject liwanag.ID, at time.Time) error {
	_, err := t.exec(`UPDATE message SET state = 'dropped', next_at = NULL, ended_at = $1
		WHERE subject = $2 AND state IN ('pending', 'sending', 'retrying')`, micros(at), subject.String())
	return err
}

func (t messageTx) Prune(before time.Time) error {
	if _, err := t.exec(`DELETE FROM message WHERE id = ANY(ARRAY(SELECT id FROM message WHERE ended_at < $1 ORDER BY ended_at LIMIT $2))`,
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
		if _, err := t.exec(`DELETE FROM sink WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM message WHERE sink_id = $1)`, uuid(sink.id)); err != nil {
			return err
		}
	}
	return nil
}
