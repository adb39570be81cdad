package sqlite

import (
	"context"

	"github.com/liwanag/liwanag/internal/liwanag"
)

const selectSinks = `SELECT id, name, url, topics, secrets, disabled, disabled_reason, failing_since, sent_at, created_at, updated_at
	FROM sink WHERE deleted = 0`

func scanSink(r row) (s liwanag.Sink, err error) {
	err = r.Scan(id(liwanag.SinkKind, &s.ID), &s.Name, &s.URL, wordsTo(&s.Topics), wordsTo(&s.Secrets), &s.Disabled, textTo(&s.DisabledReason),
		timeColumn{&s.FailingSince}, timeColumn{&s.SentAt}, timeColumn{&s.CreatedAt}, timeColumn{&s.UpdatedAt})
	return s, err
}

type sinks struct{ reader }

func (s sinks) Get(ctx context.Context, id liwanag.ID) (liwanag.Sink, error) {
	return one(s.in(ctx), scanSink, selectSinks+` AND id = ?`, id.Bytes())
}

func (s sinks) List(ctx context.Context) ([]liwanag.Sink, error) {
	return list(s.in(ctx), scanSink, selectSinks+` ORDER BY id`)
}

type sinkTx struct{ writing }

func (t sinkTx) Get(id liwanag.ID) (liwanag.Sink, error) {
	return one(t, scanSink, selectSinks+` AND id = ?`, id.Bytes())
}

func (t sinkTx) List() ([]liwanag.Sink, error) {
	return list(t, scanSink, selectSinks+` ORDER BY id`)
}

func (t sinkTx) Insert(s liwanag.Sink) error {
	return t.must(`INSERT INTO sink (id, name, url, topics, secrets, disabled, disabled_reason, failing_since, sent_at, created_at, updated_at)
		VALUES `+placeholders(1, 11), s.ID.Bytes(), s.Name, s.URL, wordsText(s.Topics), wordsText(s.Secrets), s.Disabled, text(s.DisabledReason),
		micros(s.FailingSince), micros(s.SentAt), micros(s.CreatedAt), micros(s.UpdatedAt))
}

func (t sinkTx) Update(s liwanag.Sink) error {
	return t.must(`UPDATE sink SET name = ?, url = ?, topics = ?, secrets = ?, disabled = ?, disabled_reason = ?, failing_since = ?, sent_at = ?,
		updated_at = ? WHERE id = ? AND deleted = 0`, s.Name, s.URL, wordsText(s.Topics), wordsText(s.Secrets), s.Disabled, text(s.DisabledReason),
		micros(s.FailingSince), micros(s.SentAt), micros(s.UpdatedAt), s.ID.Bytes())
}

func (t sinkTx) Delete(id liwanag.ID) error {
	return t.must(`UPDATE sink SET deleted = 1, secrets = NULL WHERE id = ? AND deleted = 0`, id.Bytes())
}
