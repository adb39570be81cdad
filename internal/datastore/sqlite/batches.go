package sqlite

import (
	"context"
	"errors"
	"time"

	"github.com/liwanag/liwanag/internal/liwanag"
)

const selectBatches = `SELECT run_id, closes_at, size, state, started, ended_at, waiting, waiting_until, created_at FROM batch `

func scanBatch(r row) (b liwanag.Batch, err error) {
	err = r.Scan(id(liwanag.RunKind, &b.RunID), timeColumn{&b.ClosesAt}, &b.Size, textTo(&b.State), &b.Started,
		timeColumn{&b.EndedAt}, textTo(&b.Waiting), timeColumn{&b.WaitingUntil}, timeColumn{&b.CreatedAt})
	return b, err
}

type batches struct{ reader }

func (s batches) Get(ctx context.Context, runID liwanag.ID) (liwanag.Batch, error) {
	return one(s.in(ctx), scanBatch, selectBatches+`WHERE run_id = ?`, runID.Bytes())
}

func (s batches) Unstarted(ctx context.Context, limit int) ([]liwanag.Batch, error) {
	return list(s.in(ctx), scanBatch, selectBatches+`WHERE started = 0 ORDER BY run_id LIMIT ?`, limit)
}

type batchTx struct{ writing }

func (t batchTx) Open(now time.Time) (liwanag.Batch, bool, error) {
	b, err := one(t, scanBatch, selectBatches+`WHERE state = 'open' AND closes_at > ? ORDER BY run_id DESC LIMIT 1`, micros(now))
	if errors.Is(err, liwanag.ErrNotFound) {
		return liwanag.Batch{}, false, nil
	}
	return b, err == nil, err
}

func (t batchTx) Get(runID liwanag.ID) (liwanag.Batch, error) {
	return one(t, scanBatch, selectBatches+`WHERE run_id = ?`, runID.Bytes())
}

func (t batchTx) Insert(batches []liwanag.Batch) error {
	return multiRow(len(batches), func(from, to int) error {
		const columns = 9
		args := make([]any, 0, columns*(to-from))
		for _, b := range batches[from:to] {
			args = append(args, b.RunID.Bytes(), micros(b.ClosesAt), b.Size, string(b.State), b.Started, micros(b.EndedAt),
				text(b.Waiting), micros(b.WaitingUntil), micros(b.CreatedAt))
		}
		_, err := t.exec(`INSERT INTO batch (run_id, closes_at, size, state, started, ended_at, waiting, waiting_until, created_at)
			VALUES `+placeholders(to-from, columns), args...)
		return err
	})
}

func (t batchTx) Grow(runID liwanag.ID, n, full int) (bool, error) {
	return t.changed(`
		UPDATE batch SET size = size + ?2, state = CASE WHEN size + ?2 >= ?3 THEN 'closed' ELSE 'open' END
		WHERE run_id = ?1 AND state = 'open'`, runID.Bytes(), n, full)
}

func (t batchTx) Close(runID liwanag.ID) error {
	return t.must(`UPDATE batch SET state = 'closed' WHERE run_id = ?`, runID.Bytes())
}

func (t batchTx) MarkStarted(runIDs []liwanag.ID) error {
	_, err := t.exec(`UPDATE batch SET started = 1 WHERE run_id IN `+eachID, packed(runIDs))
	return err
}

func (t batchTx) End(runID liwanag.ID, at time.Time) error {
	return t.must(`UPDATE batch SET ended_at = ? WHERE run_id = ?`, micros(at), runID.Bytes())
}

func (t batchTx) Wait(runID liwanag.ID, w liwanag.Waiting, until time.Time) error {
	return t.must(`UPDATE batch SET waiting = ?, waiting_until = ? WHERE run_id = ?`, text(w), micros(until), runID.Bytes())
}
