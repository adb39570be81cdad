package sqlitedb

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/liwanag/liwanag/internal/groupcommit"
)

// Write runs fn in the transaction of the next group and returns when that
// group is durable. fn has a savepoint: an error or a panic (a [PanicError])
// undoes fn alone and is returned. fn may run twice, touches nothing but tx,
// and must be short: everyone else waits for it. ctx counts until fn is picked
// up; from then on Write waits for the true result.
func (db *DB) Write(ctx context.Context, fn func(tx *Tx) error) error {
	return db.writer.do(ctx, fn, true)
}

// Apply is [DB.Write] without a savepoint, for changes whose statements cannot
// fail by a constraint: it saves two statements. An error that fn returns
// before it has written anything is returned to its caller alone; one that
// comes later costs the whole group a second run, each change by itself.
func (db *DB) Apply(ctx context.Context, fn func(tx *Tx) error) error {
	return db.writer.do(ctx, fn, false)
}

// change is one call of Write or Apply.
type change struct {
	fn        func(tx *Tx) error
	savepoint bool
	err       error // so far, until its group is over
	hold      *Held // it is a group of its own, and has its function elsewhere
	most      time.Duration
}

// entry is a change in the queue.
type entry = groupcommit.Change[*change]

// writer runs all changes on the only writing connection, a group at a time.
type writer struct {
	conn    *conn
	maxSize int
	maxHold time.Duration
	queue   *groupcommit.Queue[*change]
	stopped chan struct{}
	stats   groupcommit.Recorder
	holder  atomic.Pointer[Held] // whose function has the writer now
}

func startWriter(conn *conn, maxSize int, maxHold time.Duration) *writer {
	w := &writer{conn: conn, maxSize: maxSize, maxHold: maxHold, queue: groupcommit.New[*change](), stopped: make(chan struct{})}
	go w.loop()
	return w
}

// stop waits until what was queued is committed.
func (w *writer) stop() {
	w.queue.Close()
	<-w.stopped
}

func (w *writer) do(ctx context.Context, fn func(tx *Tx) error, savepoint bool) error {
	return w.enqueue(ctx, &change{fn: fn, savepoint: savepoint})
}

func (w *writer) enqueue(ctx context.Context, c *change) error {
	if w.inside(ctx) {
		return ErrInside
	}
	err := w.queue.Do(ctx, c)
	if errors.Is(err, groupcommit.ErrClosed) {
		return ErrClosed
	}
	return err
}

func (w *writer) loop() {
	defer close(w.stopped)
	for {
		batch := w.queue.Take(w.maxSize)
		if batch == nil {
			return
		}
		w.queue.Return(w.group(batch))
	}
}

// group runs the batch in one transaction, tells every caller its result, and
// returns what it did not come to within the hold.
func (w *writer) group(batch []*entry) (rest []*entry) {
	if one := batch[0]; one.Do.hold != nil {
		if one.Pick() {
			one.Finish(w.hold(one.Do))
		}
		return batch[1:]
	}
	began := time.Now()
	if err := w.begin(); err != nil {
		for _, e := range batch {
			if e.Pick() {
				e.Finish(err)
			}
		}
		return nil
	}
	ran := make([]*entry, 0, len(batch))
	intact := true
	for i, e := range batch {
		if len(ran) > 0 && (!intact || time.Since(began) >= w.maxHold) || e.Do.hold != nil {
			rest = batch[i:]
			break
		}
		if e.Pick() {
			ran = append(ran, e)
			intact = w.join(e.Do, len(ran) == 1)
		}
	}
	if intact {
		if err := w.commit(); err != nil {
			intact = false
			// A group of one has had its try alone.
			for _, e := range ran {
				e.Do.err = err
			}
		}
	}
	if !intact {
		w.undo(ran)
	}
	w.stats.Group(len(ran), time.Since(began), !intact)
	for _, e := range ran {
		e.Finish(e.Do.err)
	}
	return rest
}

// undo drops the transaction and, since the changes in it shared the fate of
// one, tries each of them once more by itself.
func (w *writer) undo(ran []*entry) {
	w.rollback()
	if len(ran) < 2 {
		return
	}
	for _, e := range ran {
		e.Do.err = w.alone(e.Do)
	}
}

func (w *writer) alone(c *change) error {
	if err := w.begin(); err != nil {
		return err
	}
	tx, err := w.call(c)
	if err == nil {
		err = tx.lost
	}
	if err == nil {
		err = w.commit()
	}
	if err != nil {
		w.rollback()
	}
	return err
}

// join runs c as a part of the group and reports whether the transaction
// still stands and holds all of c or nothing of it.
//
// The first change needs no savepoint, since undoing all is undoing it alone;
// an open one makes SQLite copy every page that is touched into a temporary
// file.
func (w *writer) join(c *change, first bool) (intact bool) {
	savepoint := c.savepoint && !first
	if savepoint {
		if c.err = w.conn.run("SAVEPOINT change"); c.err != nil {
			return false
		}
	}
	var tx *Tx
	if tx, c.err = w.call(c); tx.lost != nil {
		if c.err == nil {
			c.err = tx.lost
		}
		return false
	}
	if first && c.err != nil {
		w.rollback()
		return w.begin() == nil
	}
	if !savepoint {
		return c.err == nil || !tx.wrote
	}
	if c.err != nil {
		if err := w.conn.run("ROLLBACK TO change"); err != nil {
			return false
		}
	}
	if err := w.conn.run("RELEASE change"); err != nil {
		c.err = errors.Join(c.err, err)
		return false
	}
	return true
}

func (w *writer) call(c *change) (tx *Tx, err error) {
	tx = &Tx{conn: w.conn, ctx: background}
	defer tx.end()
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return tx, c.fn(tx)
}

// begin takes the write lock at once: a transaction that begins as a reader
// may find the lock taken when it is too late to wait for it.
func (w *writer) begin() error {
	err := w.conn.run("BEGIN IMMEDIATE")
	if err != nil && !dropsTransaction(err) {
		// A rollback that failed has left its transaction behind.
		w.rollback()
		err = w.conn.run("BEGIN IMMEDIATE")
	}
	if err != nil {
		return fmt.Errorf("sqlitedb: begin: %w", err)
	}
	return nil
}

func (w *writer) commit() error {
	if err := w.conn.run("COMMIT"); err != nil {
		return fmt.Errorf("sqlitedb: commit: %w", err)
	}
	return nil
}

// rollback ignores its error: SQLite may have rolled back already, and begin
// deals with a transaction that is still there.
func (w *writer) rollback() { _ = w.conn.run("ROLLBACK") }
