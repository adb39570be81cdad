package datastore

import (
	"context"
	"errors"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

const selectBatches = `SELECT run_id, closes_at, size, state, started, ended_at, waiting, waiting_until, created_at FROM batch `

const batchOfRun = selectBatches + `WHERE run_id = $1`

func scanBatch(r Row) (b liwanag.Batch, err error) {
	err = r.Scan(idTo(liwanag.RunKind, &b.RunID), timeColumn{&b.ClosesAt}, &b.Size, textTo(&b.State), &b.Started,
		timeColumn{&b.EndedAt}, textTo(&b.Waiting), timeColumn{&b.WaitingUntil}, timeColumn{&b.CreatedAt})
	return b, err
}

// Batches reads batches.
type Batches struct{ reader }

func (s Batches) Get(ctx context.Context, runID liwanag.ID) (liwanag.Batch, error) {
	return one(s.in(ctx), scanBatch, batchOfRun, runID.Bytes())
}

// OfRuns reads those that runs have, in no order.
func (s Batches) OfRuns(ctx context.Context, runIDs []liwanag.ID) ([]liwanag.Batch, error) {
	return list(s.in(ctx), scanBatch, selectBatches+`WHERE run_id = ANY($1)`, idsOf(s.in(ctx), runIDs))
}

// Unstarted lists batches the runner was not told of, oldest first.
func (s Batches) Unstarted(ctx context.Context, limit int) ([]liwanag.Batch, error) {
	return list(s.in(ctx), scanBatch, selectBatches+`WHERE started = false ORDER BY run_id LIMIT $1`, limit)
}

// Waiting lists batches that are noted to wait for w, by run ID from after on.
func (s Batches) Waiting(ctx context.Context, w liwanag.Waiting, after liwanag.ID, limit int) ([]liwanag.Batch, error) {
	from := make([]byte, 16)
	if !after.IsZero() {
		from = after.Bytes()
	}
	return list(s.in(ctx), scanBatch, selectBatches+`WHERE waiting = $1 AND run_id > $2 ORDER BY run_id LIMIT $3`, string(w), from, limit)
}

// BatchTx writes batches.
type BatchTx struct{ writing }

// Open finds the newest open batch that closes after now; false without one.
func (t BatchTx) Open(now time.Time) (liwanag.Batch, bool, error) {
	b, err := one(t, scanBatch, selectBatches+`WHERE state = 'open' AND closes_at > $1 ORDER BY run_id DESC LIMIT 1`, micros(now))
	if errors.Is(err, liwanag.ErrNotFound) {
		return liwanag.Batch{}, false, nil
	}
	return b, err == nil, err
}

func (t BatchTx) Get(runID liwanag.ID) (liwanag.Batch, error) {
	return one(t, scanBatch, batchOfRun, runID.Bytes())
}

func (t BatchTx) Insert(batches []liwanag.Batch) error {
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
	return t.insertAll("batch", r.Records, "")
}

// Grow adds n jobs to an open batch and closes it when its size reaches full.
// False: it is not open any more, nothing was written.
func (t BatchTx) Grow(runID liwanag.ID, n, full int) (bool, error) {
	return t.changed(`
		UPDATE batch SET size = size + $2, state = CASE WHEN size + $2 >= $3 THEN 'closed' ELSE 'open' END
		WHERE run_id = $1 AND state = 'open'`, runID.Bytes(), n, full)
}

// Close closes a batch; closing a closed one changes nothing.
func (t BatchTx) Close(runID liwanag.ID) error {
	return t.must(`UPDATE batch SET state = 'closed' WHERE run_id = $1`, runID.Bytes())
}

// MarkStarted notes that the runner knows the runs.
func (t BatchTx) MarkStarted(runIDs []liwanag.ID) error {
	_, err := t.exec(`UPDATE batch SET started = true WHERE run_id = ANY($1) AND started = false`, idsOf(t, runIDs))
	return err
}

// End notes how the run stands: ended at the given time, or open again (zero).
func (t BatchTx) End(runID liwanag.ID, at time.Time) error {
	return t.must(`UPDATE batch SET ended_at = $2 WHERE run_id = $1`, runID.Bytes(), micros(at))
}

// Wait notes what keeps the batch from being sent, and until when.
func (t BatchTx) Wait(runID liwanag.ID, w liwanag.Waiting, until time.Time) error {
	return t.must(`UPDATE batch SET waiting = $2, waiting_until = $3 WHERE run_id = $1`, runID.Bytes(), text(w), micros(until))
}
