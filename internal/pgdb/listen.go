package pgdb

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// probeEvery is how often a silent LISTEN connection is asked whether it lives, and
	// probeWithin how long it has to say so.
	probeEvery  = 5 * time.Second
	probeWithin = 2 * time.Second
	// reconnectAtMost bounds the pause between two attempts to listen again.
	reconnectAtMost = 5 * time.Second
)

// Listen listens on a channel until ctx ends or the database is closed, on a connection
// of the pool that it keeps, and comes back by itself. heard is called with the payload of every
// notification, from one goroutine, and with missed after every (re)connection:
// what was notified before may have gone unheard. A pooler in transaction mode
// brings no notifications: whoever listens also looks now and then.
func (db *DB) Listen(ctx context.Context, channel string, heard func(payload string, missed bool)) {
	ctx, stop := context.WithCancel(ctx)
	context.AfterFunc(db.background, stop)
	db.listeners.Go(func() {
		for failures := 0; ctx.Err() == nil; failures++ {
			if db.listen(ctx, channel, heard) {
				failures = 0
			}
			select {
			case <-ctx.Done():
			case <-time.After(min(pauseAfter(failures), reconnectAtMost)):
			}
		}
	})
}

// listen listens until its connection is lost; listened says whether it was there.
func (db *DB) listen(ctx context.Context, channel string, heard func(payload string, missed bool)) (listened bool) {
	acquired, err := db.pool.Acquire(ctx)
	if err != nil {
		return false
	}
	conn := acquired.Conn()
	defer acquired.Release()
	defer db.unlisten(ctx, conn)
	begin, cancel := context.WithTimeout(ctx, db.cfg.ConnectTimeout)
	_, err = conn.Exec(begin, "LISTEN "+pgx.Identifier{channel}.Sanitize())
	cancel()
	if err != nil {
		return false
	}
	heard("", true)
	for {
		wait, cancel := context.WithTimeout(ctx, probeEvery)
		n, err := conn.WaitForNotification(wait)
		silent := wait.Err() != nil
		cancel()
		switch {
		case err == nil:
			heard(n.Payload, false)
		case ctx.Err() != nil || !silent || db.probe(ctx, conn) != nil:
			return true
		}
	}
}

// unlisten leaves a connection to others as it was, or closes it.
func (db *DB) unlisten(ctx context.Context, conn *pgx.Conn) {
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if ctx.Err() == nil || conn.IsClosed() {
		_ = conn.Close(last) // it failed
	} else if _, err := conn.Exec(last, "UNLISTEN *"); err != nil {
		_ = conn.Close(last)
	}
}

func (db *DB) probe(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, probeWithin)
	defer cancel()
	return conn.Ping(ctx)
}
