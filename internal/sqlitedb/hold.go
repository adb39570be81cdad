package sqlitedb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"time"
)

var (
	// ErrHeld: a function held the writer for longer than it may. Nothing of it was kept.
	ErrHeld = errors.New("sqlitedb: the transaction took too long, and was undone\n  Try: less in one, and nothing " +
		"in it that waits")
	// ErrInside: a function that holds the writer asked for what would wait for it.
	ErrInside = errors.New("sqlitedb: the call would wait for the transaction that it is made in\n  Try: the " +
		"transaction's own methods, or the call behind it")

	errAbandoned = errors.New("sqlitedb: the function of the transaction did not return")
)

// Held is the transaction of a function that holds the writer. Its methods may be called
// after it has ended, and then fail.
type Held struct {
	goroutine uint64
	ctx       context.Context // of its statements
	interrupt context.CancelFunc
	began     chan struct{}
	done      chan error

	mu    sync.Mutex // held by a statement
	tx    *Tx
	ended error // why no statement runs any more
}

// Hold runs fn, once, in a transaction that is a group of its own, in the goroutine of its
// caller, while all other changes wait: for at most so long. Then its statements are
// interrupted, it fails with [ErrHeld], and the others go on. An error of fn undoes it and
// is returned, a panic of fn undoes it and goes on.
func (db *DB) Hold(ctx context.Context, most time.Duration, fn func(tx *Held) error) error {
	if db.writer.inside(ctx) {
		return ErrInside
	}
	h := &Held{goroutine: goroutine(), began: make(chan struct{}), done: make(chan error, 1)}
	h.ctx, h.interrupt = context.WithCancel(context.WithoutCancel(ctx))
	defer h.interrupt()
	result := make(chan error, 1)
	go func() { result <- db.writer.enqueue(ctx, &change{hold: h, most: most}) }()
	select {
	case <-h.began:
	case err := <-result:
		return err
	}
	returned := false
	defer func() {
		if !returned {
			h.done <- errAbandoned
			<-result
		}
	}()
	err := fn(h)
	returned = true
	h.done <- err
	return <-result
}

// hold lets the function of a change have the writer.
func (w *writer) hold(c *change) error {
	h := c.hold
	if err := w.begin(); err != nil {
		return err
	}
	h.tx = &Tx{conn: w.conn, ctx: h.ctx}
	w.holder.Store(h)
	defer w.holder.Store(nil)
	close(h.began)
	var err error
	select {
	case err = <-h.done:
	case <-time.After(c.most):
		err = fmt.Errorf("%w: %s are allowed", ErrHeld, c.most)
		h.interrupt()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tx.end()
	if h.ended = errTxEnded; errors.Is(err, ErrHeld) {
		h.ended = err
	}
	if err == nil {
		err = h.tx.lost
	}
	if err == nil {
		err = w.commit()
	}
	if err != nil {
		w.rollback()
	}
	return err
}

// Do runs statements, if the transaction has not ended.
func (h *Held) Do(do func(tx *Tx) error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended != nil {
		return h.ended
	}
	err := do(h.tx)
	if err != nil && h.ctx.Err() != nil {
		return ErrHeld
	}
	return err
}

type insideKey struct{}

// Inside is a context by which calls are known to be made inside of the transaction.
func (h *Held) Inside(ctx context.Context) context.Context {
	return context.WithValue(ctx, insideKey{}, h)
}

// inside says whether whoever asks holds the writer itself: by its context, or since it
// runs where the function was called.
func (w *writer) inside(ctx context.Context) bool {
	h := w.holder.Load()
	return h != nil && (ctx.Value(insideKey{}) == h || h.goroutine == goroutine())
}

// goroutine is the number of the calling goroutine, by the first line of its stack.
func goroutine() (n uint64) {
	var line [40]byte
	fields := bytes.Fields(line[:runtime.Stack(line[:], false)])
	if len(fields) > 1 {
		n, _ = strconv.ParseUint(string(fields[1]), 10, 64)
	}
	return n
}
