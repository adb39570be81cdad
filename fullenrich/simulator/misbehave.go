package simulator

import (
	"net"
	"net/http"
	"strconv"
	"time"
)

// reset ends the connection with a TCP reset, without an answer.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // no connection of its own (HTTP/2, in memory): the server's way to abort
	}
	raw := conn
	if encrypted, ok := conn.(interface{ NetConn() net.Conn }); ok {
		raw = encrypted.NetConn()
	}
	if tcp, ok := raw.(*net.TCPConn); ok {
		tcp.SetLinger(0) // if it cannot, a plain close must do
	}
	raw.Close()
}

// hang keeps the connection open without an answer until the client leaves, the
// simulator closes, or the time is over (real time; 0 = never).
func (s *Server) hang(w http.ResponseWriter, r *http.Request, limit time.Duration) {
	var over <-chan time.Time
	if limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-r.Context().Done():
	case <-s.done:
	case <-over:
	}
	reset(w)
}

// truncate promises the whole body and ends in the middle of it.
func truncate(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	writeBody(w, http.StatusOK, "application/json", body[:len(body)/2])
}

// drip writes one byte at a time.
type drip struct {
	http.ResponseWriter
	pause  time.Duration
	stop   <-chan struct{}
	closed <-chan struct{}
}

func (d *drip) Unwrap() http.ResponseWriter { return d.ResponseWriter }

func (d *drip) Write(body []byte) (int, error) {
	control := http.NewResponseController(d.ResponseWriter)
	ticker := time.NewTicker(d.pause)
	defer ticker.Stop()
	for i := range body {
		if _, err := d.ResponseWriter.Write(body[i : i+1]); err != nil {
			return i, err
		}
		if err := control.Flush(); err != nil {
			return i, err
		}
		select {
		case <-ticker.C:
		case <-d.stop:
			return i + 1, http.ErrHandlerTimeout
		case <-d.closed:
			return i + 1, http.ErrServerClosed
		}
	}
	return len(body), nil
}
