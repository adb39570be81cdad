package datastore

import (
	"context"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

const selectSinks = `SELECT id, name, url, topics, secrets, disabled, disabled_reason, failing_since, sent_at, created_at, updated_at, view_id
	FROM sink WHERE deleted = false`

const (
	sinkByID = selectSinks + ` AND id = $1`
	allSinks = selectSinks + ` ORDER BY id`
)

func scanSink(r Row) (s liwanag.Sink, err error) {
	err = r.Scan(idTo(liwanag.SinkKind, &s.ID), &s.Name, &s.URL, wordsTo(&s.Topics), wordsTo(&s.Secrets), &s.Disabled,
		textTo(&s.DisabledReason),
		timeColumn{&s.FailingSince}, timeColumn{&s.SentAt}, timeColumn{&s.CreatedAt}, timeColumn{&s.UpdatedAt}, idTo(liwanag.ViewKind, &s.ViewID))
	return s, err
}

// Sinks reads sinks.
type Sinks struct{ reader }

func (s Sinks) Get(ctx context.Context, id liwanag.ID) (liwanag.Sink, error) {
	return one(s.in(ctx), scanSink, sinkByID, id.Bytes())
}

// List lists all, oldest first: there are few.
func (s Sinks) List(ctx context.Context) ([]liwanag.Sink, error) {
	return list(s.in(ctx), scanSink, allSinks)
}

// SinkTx writes sinks.
type SinkTx struct{ writing }

func (t SinkTx) Get(id liwanag.ID) (liwanag.Sink, error) {
	return one(t, scanSink, sinkByID, id.Bytes())
}

func (t SinkTx) List() ([]liwanag.Sink, error) {
	return list(t, scanSink, allSinks)
}

func (t SinkTx) Insert(s liwanag.Sink) error {
	return t.must(`INSERT INTO sink (id, name, url, topics, secrets, disabled, disabled_reason, failing_since, sent_at, created_at, updated_at, view_id)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`, s.ID.Bytes(), s.Name, s.URL, wordsText(s.Topics), wordsText(s.Secrets), s.Disabled, text(s.DisabledReason),
		micros(s.FailingSince), micros(s.SentAt), micros(s.CreatedAt), micros(s.UpdatedAt), s.ViewID.Bytes())
}

// Update replaces the row; CreatedAt stays. ErrNotFound.
func (t SinkTx) Update(s liwanag.Sink) error {
	return t.must(`UPDATE sink SET name = $1, url = $2, topics = $3, secrets = $4, disabled = $5, disabled_reason = $6, failing_since = $7, sent_at = $8,
		updated_at = $9, view_id = $11 WHERE id = $10 AND deleted = false`, s.Name, s.URL, wordsText(s.Topics), wordsText(s.Secrets), s.Disabled, text(s.DisabledReason),
		micros(s.FailingSince), micros(s.SentAt), micros(s.UpdatedAt), s.ID.Bytes(), s.ViewID.Bytes())
}

// Delete deletes a sink and its messages. ErrNotFound.
func (t SinkTx) Delete(id liwanag.ID) error {
	return t.must(`UPDATE sink SET deleted = true, secrets = NULL WHERE id = $1 AND deleted = false`, id.Bytes())
}
