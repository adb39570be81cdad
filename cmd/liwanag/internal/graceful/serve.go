// Package graceful serves HTTP until it is told to stop, and then ends without
// cutting off a request that is being served.
package graceful

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// ErrCutOff says that requests took longer than a stop may.
var ErrCutOff = errors.New("requests were cut off: they took longer than the graceful stop may")

// Serve serves l until ctx ends. Then no connection is taken any more, those
// without a request are closed, and requests that are being served may end
// within grace; after it they are cut off: ErrCutOff.
func Serve(ctx context.Context, server *http.Server, l net.Listener, grace time.Duration) error {
	unused := unused{conns: map[net.Conn]bool{}}
	before := server.ConnState
	server.ConnState = func(conn net.Conn, state http.ConnState) {
		if before != nil {
			before(conn, state)
		}
		unused.follow(conn, state)
	}
	server.RegisterOnShutdown(unused.close)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err := server.Shutdown(last)
	if err != nil {
		err = errors.Join(fmt.Errorf("%w (%s)", ErrCutOff, grace), server.Close())
	}
	if end := <-served; !errors.Is(end, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("serve %s: %w", l.Addr(), end))
	}
	return err
}

// unused holds the connections that have not sent anything yet. Clients open
// some in advance and may never use them; a server that stops would wait for
// them for five seconds, and serves none of their requests any more.
type unused struct {
	mu      sync.Mutex
	conns   map[net.Conn]bool
	closing bool
}

// follow is the ConnState of a server.
func (u *unused) follow(conn net.Conn, state http.ConnState) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case state != http.StateNew:
		delete(u.conns, conn)
	case u.closing:
		_ = conn.Close()
	default:
		u.conns[conn] = true
	}
}

func (u *unused) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closing = true
	for conn := range u.conns {
		_ = conn.Close()
	}
}
