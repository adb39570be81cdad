package datastore

import (
	"context"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/listing"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

const (
	messageColumns = `id, sink_id, topic, subject, job_id, facts, state, run_id, started, attempts, status, error, created_at, next_at, ended_at`
	messageByID    = `SELECT ` + messageColumns + ` FROM message WHERE id = $1`

	messageListing = 'm'
)

func scanMessage(r Row) (m liwanag.Message, err error) {
	var status int64
	err = r.Scan(idTo(liwanag.MessageKind, &m.ID), idTo(liwanag.SinkKind, &m.SinkID), textTo(&m.Topic),
		idText{&m.Subject}, idTo(liwanag.JobKind, &m.JobID),
		textTo(&m.Facts), textTo(&m.State), idTo(liwanag.RunKind, &m.RunID), &m.Started, &m.Attempts, numberColumn{&status}, textTo(&m.Error),
		timeColumn{&m.CreatedAt}, timeColumn{&m.NextAt}, timeColumn{&m.EndedAt})
	m.Status = int(status)
	return m, err
}

// Messages reads messages.
type Messages struct{ reader }

func (s Messages) Get(ctx context.Context, id liwanag.ID) (liwanag.Message, error) {
	return one(s.in(ctx), scanMessage, messageByID, id.Bytes())
}

func scanAttempt(r Row) (a liwanag.MessageAttempt, err error) {
	var took, status int64
	err = r.Scan(idTo(liwanag.MessageKind, &a.MessageID), &a.N, timeColumn{&a.At}, &took, numberColumn{&status}, textTo(&a.Error))
	a.Took, a.Status = time.Duration(took)*time.Microsecond, int(status)
	return a, err
}

// Attempts lists the attempts of a message, oldest first.
func (s Messages) Attempts(ctx context.Context, id liwanag.ID) ([]liwanag.MessageAttempt, error) {
	return list(s.in(ctx), scanAttempt,
		`SELECT message_id, n, at, took, status, error FROM message_attempt WHERE message_id = $1 ORDER BY n`, id.Bytes())
}

// List gives a page, newest first. ErrInvalidCursor.
//
// List walks one index a state and merges, as submissions do.
func (s Messages) List(ctx context.Context, f liwanag.MessageFilter, p liwanag.Page) ([]liwanag.Message, string, error) {
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
		w.and(`sink_id = $?`, f.SinkID.Bytes())
	}
	if state != "" {
		w.and(`state = $?`, string(state))
	}
	if f.Topic != "" {
		w.and(`topic = $?`, string(f.Topic))
	}
	if after != nil {
		w.and(`id < $?`, after)
	}
	return `SELECT ` + messageColumns + ` FROM message` + w.String() + ` ORDER BY id DESC LIMIT ` + w.bind(limit), w.args
}

// CountAgain counts the messages of a sink in a state that ended by the given time, or
// have not; topic "" is any.
func (s Messages) CountAgain(ctx context.Context, f liwanag.MessageFilter, state liwanag.MessageState, by time.Time) (int64, error) {
	w := againWhere(f, state, by)
	return one(s.in(ctx), scanInt, `SELECT count(*) FROM message`+w.String(), w.args...)
}

func againWhere(f liwanag.MessageFilter, state liwanag.MessageState, by time.Time) (w where) {
	w.and(`sink_id = $?`, f.SinkID.Bytes())
	w.and(`state = $?`, string(state))
	w.and(`(ended_at IS NULL OR ended_at <= $?)`, micros(by))
	if f.Topic != "" {
		w.and(`topic = $?`, string(f.Topic))
	}
	return w
}

// Told are those of people, by id, of whom a sink has a message of a topic.
func (s Messages) Told(ctx context.Context, sinkID liwanag.ID, topic liwanag.Topic, people []liwanag.ID) ([]string, error) {
	return toldOf(s.in(ctx), sinkID, topic, people)
}

// Waiting tells which sinks have pending messages.
func (s Messages) Waiting(ctx context.Context) ([]liwanag.ID, error) {
	return list(s.in(ctx), scanID(liwanag.SinkKind), `
		SELECT id FROM sink WHERE deleted = false AND disabled = false
		AND EXISTS (SELECT 1 FROM message m WHERE m.sink_id = sink.id AND m.state = 'pending') ORDER BY id`)
}

// Unstarted lists messages that have a run which the runner was not told of,
// oldest first.
func (s Messages) Unstarted(ctx context.Context, limit int) ([]liwanag.Message, error) {
	return list(s.in(ctx), scanMessage, `SELECT `+messageColumns+
		` FROM message WHERE started = false AND run_id IS NOT NULL ORDER BY id LIMIT $1`, limit)
}

func toldOf(q querier, sinkID liwanag.ID, topic liwanag.Topic, people []liwanag.ID) ([]string, error) {
	subjects := make([]string, len(people))
	for i, id := range people {
		subjects[i] = id.String()
	}
	return list(q, scanString, `SELECT subject FROM message WHERE subject = ANY(ARRAY(SELECT unnest($1::text[]))) AND sink_id = $2 AND topic = $3`,
		wordsOf(q, subjects), sinkID.Bytes(), string(topic))
}

// MessageTx writes messages.
type MessageTx struct {
	writing
	made *bool // messages were stored, to be sent
}

func (t MessageTx) Get(id liwanag.ID) (liwanag.Message, error) {
	return one(t, scanMessage, messageByID, id.Bytes())
}

func (t MessageTx) Insert(messages []liwanag.Message) error {
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
	*t.made = *t.made || len(messages) > 0
	return t.insertAll("message", r.Records, "")
}

// Busy counts the messages of a sink by state, of the states given.
func (t MessageTx) Busy(sinkID liwanag.ID, states ...liwanag.MessageState) (int, error) {
	n, err := one(t, scanInt, `SELECT count(*) FROM message WHERE sink_id = $1 AND state = ANY($2::text[])`,
		sinkID.Bytes(), wordsOf(t, states))
	return int(n), err
}

// Claim gives the oldest n pending messages of a sink runs of their own and
// makes them sending.
func (t MessageTx) Claim(sinkID liwanag.ID, n int) ([]liwanag.Message, error) {
	claimed, err := list(t, scanMessage, `SELECT `+messageColumns+
		` FROM message WHERE sink_id = $1 AND state = 'pending' ORDER BY id LIMIT $2`, sinkID.Bytes(), n)
	if err != nil {
		return nil, err
	}
	for i := range claimed {
		m := &claimed[i]
		m.RunID, m.State, m.Started = liwanag.NewID(liwanag.RunKind), liwanag.MessageSending, false
		if err := t.must(`UPDATE message SET run_id = $1, state = 'sending', started = false WHERE id = $2`,
			m.RunID.Bytes(), m.ID.Bytes()); err != nil {
			return nil, err
		}
	}
	return claimed, nil
}

// MarkStarted notes that the runner knows the runs of messages.
func (t MessageTx) MarkStarted(ids []liwanag.ID) error {
	_, err := t.exec(`UPDATE message SET started = true WHERE id = ANY($1)`, idsOf(t, ids))
	return err
}

// Move is a compare-and-set of the state. False: the state was not in From,
// nothing was written.
func (t MessageTx) Move(m liwanag.MessageMove) (bool, error) {
	return t.changed(`
		UPDATE message SET state = $2, attempts = greatest(attempts, $3), status = coalesce($4, status), error = coalesce($5, error),
			next_at = $6, ended_at = CASE WHEN $2 IN ('delivered', 'failed', 'dropped') THEN CAST($7 AS bigint) END
		WHERE id = $1 AND state = ANY($8::text[])`,
		m.ID.Bytes(), string(m.To), m.Attempts, number(int64(m.Status)), text(m.Error), micros(m.NextAt), micros(m.At), wordsOf(t, m.From))
}

// Again makes a message that ended pending again, without a run; its attempts
// stay. False: it has not ended, nothing was written.
func (t MessageTx) Again(id liwanag.ID) (bool, error) {
	again, err := t.changed(`UPDATE message SET state = 'pending', run_id = NULL, started = false, next_at = NULL, ended_at = NULL
		WHERE id = $1 AND state IN ('delivered', 'failed', 'dropped')`, id.Bytes())
	*t.made = *t.made || again
	return again, err
}

// AllAgain makes at most n messages of a sink in a state that ended by the given time
// pending again, oldest first, and says how many.
func (t MessageTx) AllAgain(f liwanag.MessageFilter, state liwanag.MessageState, by time.Time, n int) (int64, error) {
	w := againWhere(f, state, by)
	again, err := t.exec(`UPDATE message SET state = 'pending', run_id = NULL, started = false, next_at = NULL, ended_at = NULL
		WHERE id = ANY(ARRAY(SELECT id FROM message`+w.String()+` ORDER BY id LIMIT `+w.bind(n)+`))`, w.args...)
	*t.made = *t.made || again > 0
	return again, err
}

// Told are those of people, by id, of whom a sink has a message of a topic.
func (t MessageTx) Told(sinkID liwanag.ID, topic liwanag.Topic, people []liwanag.ID) ([]string, error) {
	return toldOf(t, sinkID, topic, people)
}

// Attempted stores an attempt; the same one again changes nothing.
func (t MessageTx) Attempted(a liwanag.MessageAttempt) error {
	_, err := t.exec(`INSERT INTO message_attempt (message_id, n, at, took, status, error) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
		a.MessageID.Bytes(), a.N, micros(a.At), a.Took.Microseconds(), number(int64(a.Status)), text(a.Error))
	return err
}

// DropAbout makes pending and retrying messages about a subject dropped.
func (t MessageTx) DropAbout(subject liwanag.ID, at time.Time) error {
	_, err := t.exec(`UPDATE message SET state = 'dropped', next_at = NULL, ended_at = $1
		WHERE subject = $2 AND state IN ('pending', 'sending', 'retrying')`, micros(at), subject.String())
	return err
}

// Prune deletes messages that ended before the given time, and those of deleted
// sinks, a bounded number a call, and says how many.
func (t MessageTx) Prune(before time.Time) (int64, error) {
	pruned, err := t.exec(`DELETE FROM message WHERE id = ANY(ARRAY(SELECT id FROM message WHERE ended_at < $1 ORDER BY ended_at LIMIT $2))`,
		micros(before), pruneRows)
	if err != nil {
		return pruned, err
	}
	all, err := list(t, scanGone(liwanag.SinkKind), `SELECT id, deleted FROM sink`)
	if err != nil {
		return pruned, err
	}
	for _, sink := range all {
		if !sink.deleted {
			continue
		}
		n, err := t.forget("message", "sink", sink.id)
		if pruned += n; err != nil {
			return pruned, err
		}
		if _, err := t.exec(`DELETE FROM sink WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM message WHERE sink_id = $1)`,
			sink.id.Bytes()); err != nil {
			return pruned, err
		}
	}
	return pruned, nil
}
