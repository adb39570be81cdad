package door

import (
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// body is what a request brings, and knows whether it was read for as long as anything
// comes.
type body struct {
	io.ReadCloser
	conn  *connection // nil without one (tests)
	ended atomic.Bool
}

// newBody is the body of a request. That of a page that asks in its own name does not come
// by the connection of its browser, which stays as it is.
func newBody(r *http.Request) *body {
	b := &body{ReadCloser: r.Body, conn: connectionOf(r.Context())}
	if r.Body == nil {
		b.ReadCloser = http.NoBody
	}
	b.ended.Store(b.ReadCloser == http.NoBody || scopeOf(r.Context()).id != "")
	return b
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.ended.Store(true)
	}
	return n, err
}

// leave ends the connection with the answer where the rest of the body is not read: to
// keep it, net/http would first wait for the rest, for as long as its client likes.
func (b *body) leave(w http.ResponseWriter) {
	if b.ended.Load() {
		return
	}
	w.Header().Set("Connection", "close")
	_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)) // not every connection has deadlines
	if b.conn != nil {
		b.conn.lingers.Store(true)
	}
}

// What is still taken, and dropped, from a client that has its answer and goes on
// sending: a connection that is closed at once takes the answer with it.
const (
	lingersFor = 5 * time.Second
	lingersAt  = 2 * MaxHookBody // bytes
)

// linger closes the connection when its client has had time to read the answer.
func (c *connection) linger() {
	c.becomes(waitsIdle) // whoever needs the room takes it
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // it may be closed
	}
	_ = c.SetReadDeadline(time.Now().Add(lingersFor))
	_, _ = io.CopyN(io.Discard, c.Conn, lingersAt) // it ends one way or the other
	_ = c.Close()
}
