package postgres

import (
	"context"
	"errors"
	"time"

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
	r := recordsOf(batches).
		id("run_id", func(b liwanag.Batch) liwanag.ID { return b.RunID }).
		time("closes_at", func(b liwanag.Batch) time.Time { return b.ClosesAt }).
		number("size", func(b liwanag.Batch) int64 { return int64(b.Size) }).
		word("state", func(b liwanag.Batch) string { return string(b.State) }).
		flag("started", func(b liwanag.Batch) bool { return b.Started }).
		time("ended_at", func(b liwanag.Batch) time.Time { return b.EndedAt }).
		text("waiting", func(b liwanag.Batch) string { return string(b.Waiting) }).
		time("waiting_until", func(b liwanag.Batch) time.Time { return b.WaitingUntil }).
		time("created_at", func(b liwanag.Batch) time.Time { return b.CreatedAt })
	_, err := t.exec(`INSERT INTO batch (`+r.columns()+`) SELECT `+r.columns()+` FROM `+r.as("b"), r.args...)
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
