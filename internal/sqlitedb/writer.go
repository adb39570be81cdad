package sqlitedb

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"
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
	state     atomic.Int32
	err       error
	done      chan struct{}
}

const (
	queued int32 = iota
	picked
	withdrawn
)

func (c *change) pick() bool { return c.state.CompareAndSwap(queued, picked) }

func (c *change) finish() { close(c.done) }

// writer runs all changes on the only writing connection. A group is what
// queued while the one before it was being synced.
type writer struct {
	conn    *conn
	maxSize int
	maxHold time.Duration
	stopped chan struct{}
	stats   recorder

	mu     sync.Mutex
	more   sync.Cond
	queue  []*change
	closed bool
}

func startWriter(conn *conn, maxSize int, maxHold time.Duration) *writer {
	w := &writer{conn: conn, maxSize: maxSize, maxHold: maxHold, stopped: make(chan struct{})}
	w.more.L = &w.mu
	go w.loop()
	return w
}

// stop waits until what was queued is committed.
func (w *writer) stop() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.more.Signal()
	<-w.stopped
}

func (w *writer) isClosed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closed
}

func (w *writer) do(ctx context.Context, fn func(tx *Tx) error, savepoint bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c := &change{fn: fn, savepoint: savepoint, done: make(chan struct{})}
	if err := w.push(c); err != nil {
		return err
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		if c.state.CompareAndSwap(queued, withdrawn) {
			return fmt.Errorf("sqlitedb: withdrawn before the writer came to it: %w", ctx.Err())
		}
		<-c.done
	}
	return c.err
}

func (w *writer) push(c *change) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return ErrClosed
	}
	w.queue = append(w.queue, c)
	w.more.Signal()
	return nil
}

func (w *writer) loop() {
	defer close(w.stopped)
	for {
		batch := w.take()
		if batch == nil {
			return
		}
		if rest := w.group(batch); len(rest) > 0 {
			w.mu.Lock()
			w.queue = append(rest, w.queue...)
			w.mu.Unlock()
		}
	}
}

// take waits for changes; nil means that the database is closed and nothing is
// left.
func (w *writer) take() []*change {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.queue) == 0 {
		if w.closed {
			return nil
		}
		w.more.Wait()
	}
	n := min(len(w.queue), w.maxSize)
	batch := w.queue[:n:n]
	w.queue = slices.Clone(w.queue[n:])
	return batch
}

// group runs the batch in one transaction, tells every caller its result, and
// returns what it did not come to within the hold.
func (w *writer) group(batch []*change) (rest []*change) {
	began := time.Now()
	if err := w.begin(); err != nil {
		for _, c := range batch {
			if c.pick() {
				c.err = err
				c.finish()
			}
		}
		return nil
	}
	ran := make([]*change, 0, len(batch))
	intact := true
	for i, c := range batch {
		if len(ran) > 0 && (!intact || time.Since(began) >= w.maxHold) {
			rest = batch[i:]
			break
		}
		if c.pick() {
			ran = append(ran, c)
			intact = w.join(c, len(ran) == 1)
		}
	}
	if intact {
		if err := w.commit(); err != nil {
			intact = false
			// A group of one has had its try alone.
			for _, c := range ran {
				c.err = err
			}
		}
	}
	if !intact {
		w.undo(ran)
	}
	w.stats.group(len(ran), time.Since(began), !intact)
	for _, c := range ran {
		c.finish()
	}
	return rest
}

// undo drops the transaction and, since the changes in it shared the fate of
// one, tries each of them once more by itself.
func (w *writer) undo(ran []*change) {
	w.rollback()
	if len(ran) < 2 {
		return
	}
	for _, c := range ran {
		c.err = w.alone(c)
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
	tx = &Tx{conn: w.conn}
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
