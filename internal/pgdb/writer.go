package pgdb

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"github.com/liwanag/liwanag/internal/groupcommit"
)

// lockWriters makes the writer of this process the only one that writes the
// application's tables, until its transaction ends: whoever reads and then writes
// in a change is as alone as with SQLite's one writer. It is a lock of the
// transaction, so that a pooler may hand out the connection afterwards.
const lockWriters = "; SELECT pg_advisory_xact_lock(x'6c6977616e6167'::bigint)" // "liwanag"

// Write runs fn in the transaction of the next group and returns when that group
// is durable. A group of any process excludes those of all others. fn has a
// savepoint: an error or a panic (a [PanicError]) undoes fn alone and is
// returned. fn may run several times, touches nothing but tx, and must be short:
// everyone else waits for it. ctx counts until fn is picked up; from then on
// Write waits for the true result.
func (db *DB) Write(ctx context.Context, fn func(tx *Tx) error) error {
	err := db.writer.queue.Do(ctx, &change{fn: fn})
	if errors.Is(err, groupcommit.ErrClosed) {
		return ErrClosed
	}
	return err
}

// change is one call of Write.
type change struct {
	fn  func(tx *Tx) error
	err error // its own, in the latest try
}

type entry = groupcommit.Change[*change]

// writer runs all changes, a group at a time.
type writer struct {
	db      *DB
	queue   *groupcommit.Queue[*change]
	stopped chan struct{}
	stats   groupcommit.Recorder
}

func startWriter(db *DB) *writer {
	w := &writer{db: db, queue: groupcommit.New[*change](), stopped: make(chan struct{})}
	go w.loop()
	return w
}

// Stats returns the counters of Write since Open.
func (db *DB) Stats() groupcommit.Stats { return db.writer.stats.Stats() }

// Groups records the groups of changes.
func (db *DB) Groups() *groupcommit.Recorder { return &db.writer.stats }

// Size is how many bytes the database takes.
func (db *DB) Size(ctx context.Context) (bytes int64, err error) {
	err = db.pool.QueryRow(ctx, "SELECT pg_database_size(current_database())").Scan(&bytes)
	return bytes, err
}

// stop waits until what was queued is committed.
func (w *writer) stop() {
	w.queue.Close()
	<-w.stopped
}

func (w *writer) loop() {
	defer close(w.stopped)
	for {
		batch := w.queue.Take(w.db.cfg.GroupSize)
		if batch == nil {
			return
		}
		w.queue.Return(w.group(batch))
	}
}

// group runs the batch in one transaction, tells every caller its result, and
// returns what it did not come to within the hold. When the transaction fails for
// a cause of its own, each change is tried once more alone.
func (w *writer) group(batch []*entry) (rest []*entry) {
	var ran []*entry
	reached, start := 0, time.Now()
	err := w.db.transact(context.Background(), w.db.begin+lockWriters, func(tx *Tx) error {
		began := time.Now()
		ran, reached = ran[:0], 0
		for _, e := range batch {
			if len(ran) > 0 && time.Since(began) >= w.db.cfg.GroupHold {
				break
			}
			reached++
			if !e.Pick() {
				continue
			}
			ran = append(ran, e)
			if len(batch) == 1 {
				return w.call(tx, e.Do) // undoing all is undoing it alone
			}
			if err := w.join(tx, e.Do, len(ran) == 1); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil && reached == 0 { // it never began: there is no point in a queue
		for _, e := range batch {
			if e.Pick() {
				e.Finish(err)
			}
		}
		return nil
	}
	again := err != nil && len(ran) > 1 && !IsCommon(err)
	w.stats.Group(len(ran), time.Since(start), err != nil)
	for _, e := range ran {
		switch {
		case again:
			e.Do.err = w.alone(e.Do)
		case err != nil:
			e.Do.err = err
		}
		e.Finish(e.Do.err)
	}
	return batch[reached:]
}

func (w *writer) alone(c *change) error {
	return w.db.transact(context.Background(), w.db.begin+lockWriters, func(tx *Tx) error { return w.call(tx, c) })
}

// join runs c as a part of the group, the first one or a later one. It returns an
// error when the transaction is lost for all; c's own stays with c. A change that
// hid the error of a statement is found out when its savepoint is to be released,
// by the next change or by the commit.
func (w *writer) join(tx *Tx, c *change, first bool) error {
	separate := "SAVEPOINT change"
	if !first {
		separate = "RELEASE SAVEPOINT change; " + separate
	}
	if _, err := tx.Exec(separate); err != nil {
		return err
	}
	c.err = w.call(tx, c)
	switch {
	case c.err == nil:
		return nil
	case IsTransient(c.err):
		return c.err
	}
	_, err := tx.Exec("ROLLBACK TO SAVEPOINT change")
	return err
}

func (w *writer) call(tx *Tx, c *change) (err error) {
	own := &Tx{ctx: tx.ctx, conn: tx.conn, most: tx.most}
	defer func() {
		own.ended = true
		own.end()
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return own.told(c.fn(own))
}
