package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/liwanag/liwanag/internal/liwanag"
)

const selectBatches = `SELECT run_id, closes_at, size, state, started, ended_at, waiting, waiting_until, created_at FROM batch `

func scanBatch(r row) (b liwanag.Batch, err error) {
	err = r.Scan(idTo(liwanag.RunKind, &b.RunID), timeColumn{&b.ClosesAt}, &b.Size, textTo(&b.State), &b.Started,
		timeColumn{&b.EndedAt}, textTo(&b.Waiting), timeColumn{&b.WaitingUntil}, timeColumn{&b.CreatedAt})
	return b, err
}

type batches struct{ reader }

func (s batches) Get(ctx context.Context, runID liwanag.ID) (liwanag.Batch, error) {
	return one(s.in(ctx), scanBatch, selectBatches+`WHERE run_id = $1`, uuid(runID))
}

func (s batches) Unstarted(ctx context.Context, limit int) ([]liwanag.Batch, error) {
	return list(s.in(ctx), scanBatch, selectBatches+`WHERE NOT started ORDER BY run_id LIMIT $1`, limit)
}

type batchTx struct{ writing }

func (t batchTx) Open(now time.Time) (liwanag.Batch, bool, error) {
	b, err := one(t, scanBatch, selectBatches+`WHERE state = 'open' AND closes_at > $1 ORDER BY run_id DESC LIMIT 1`, micros(now))
	if errors.Is(err, liwanag.ErrNotFound) {
		return liwanag.Batch{}, false, nil
	}
	return b, err == nil, err
}

func (t batchTx) Get(runID liwanag.ID) (liwanag.Batch, error) {
	return one(t, scanBatch, selectBatches+`WHERE run_id = $1`, uuid(runID))
}

func (t batchTx) Insert(batches []liwanag.Batch) error {
	if len(batches) == 0 {
		return nil
	}
	_, err := t.exec(`
			INSERT INTO batch (run_id, closes_at, size, state, started, ended_at, waiting, waiting_until, created_at)
			SELECT run_id, closes_at, size, state, started, ended_at, nullif(waiting, ''), waiting_until, created_at
			FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::boolean[], $6::bigint[], $7::text[], $8::bigint[], $9::bigint[])
				AS b (run_id, closes_at, size, state, started, ended_at, waiting, waiting_until, created_at)`,
		column(batches, func(b liwanag.Batch) pgtype.UUID { return uuid(b.RunID) }),
		column(batches, func(b liwanag.Batch) pgtype.Int8 { return micros(b.ClosesAt) }),
		column(batches, func(b liwanag.Batch) int { return b.Size }),
		texts(batches, func(b liwanag.Batch) liwanag.BatchState { return b.State }),
		column(batches, func(b liwanag.Batch) bool { return b.Started }),
		column(batches, func(b liwanag.Batch) pgtype.Int8 { return micros(b.EndedAt) }),
		texts(batches, func(b liwanag.Batch) liwanag.Waiting { return b.Waiting }),
		column(batches, func(b liwanag.Batch) pgtype.Int8 { return micros(b.WaitingUntil) }),
		column(batches, func(b liwanag.Batch) pgtype.Int8 { return micros(b.CreatedAt) }))
	return err
}

func (t batchTx) Grow(runID liwanag.ID, n, full int) (bool, error) {
	return t.changed(`
		UPDATE batch SET size = size + $2, state = CASE WHEN size + $2 >= $3 THEN 'closed' ELSE 'open' END
		WHERE run_id = $1 AND state = 'open'`, uuid(runID), n, full)
}

func (t batchTx) Close(runID liwanag.ID) error {
	return t.must(`UPDATE batch SET state = 'closed' WHERE run_id = $1`, uuid(runID))
}

func (t batchTx) MarkStarted(runIDs []liwanag.ID) error {
	_, err := t.exec(`UPDATE batch SET started = true WHERE run_id = ANY($1) AND NOT started`, uuids(runIDs))
	return err
}

func (t batchTx) End(runID liwanag.ID, at time.Time) error {
	return t.must(`UPDATE batch SET ended_at = $2 WHERE run_id = $1`, uuid(runID), micros(at))
}

func (t batchTx) Wait(runID liwanag.ID, w liwanag.Waiting, until time.Time) error {
	return t.must(`UPDATE batch SET waiting = $2, waiting_until = $3 WHERE run_id = $1`, uuid(runID), text(w), micros(until))
}
