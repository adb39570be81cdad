package simulator

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync"
	"syscall"
)

// InMemory is a transport that calls a handler without a socket: what
// testing/synctest needs, in both directions. It reports to httptrace, fails
// with a connection reset when the handler aborts, with an unexpected EOF when
// the body is shorter than promised, and ends the handler's context when the
// caller leaves or closes the body.
func InMemory(h http.Handler) http.RoundTripper { return inMemory{h} }

type inMemory struct{ handler http.Handler }

func (t inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		body, err = io.ReadAll(r.Body)
		if err = errors.Join(err, r.Body.Close()); err != nil {
			return nil, err
		}
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	traceSent(httptrace.ContextClientTrace(r.Context()))
	// As on a socket, only the caller's leaving crosses over, no value of its context.
	ctx, cancel := context.WithCancel(context.Background())
	left := context.AfterFunc(r.Context(), cancel)
	server := r.Clone(ctx)
	server.Body = io.NopCloser(bytes.NewReader(body))
	server.RequestURI, server.RemoteAddr = r.URL.RequestURI(), "127.0.0.1:1"
	if server.Host == "" {
		server.Host = r.URL.Host
	}
	if r.URL.Scheme == "https" {
		server.TLS = &tls.ConnectionState{}
	}
	reader, writer := io.Pipe()
	w := &memoryWriter{header: http.Header{}, pipe: writer, sent: make(chan struct{}), limit: -1}
	go serve(t.handler, w, server)
	select {
	case <-w.sent:
	case <-ctx.Done():
		cancel()
		reader.CloseWithError(r.Context().Err()) // or the answer waits for a reader for ever
		return nil, r.Context().Err()
	}
	if w.aborted {
		left()
		cancel()
		return nil, errReset
	}
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil && trace.GotFirstResponseByte != nil {
		trace.GotFirstResponseByte()
	}
	stop := context.AfterFunc(ctx, func() { reader.CloseWithError(r.Context().Err()) })
	return &http.Response{
		Status: strconv.Itoa(w.status) + " " + http.StatusText(w.status), StatusCode: w.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: w.answer, ContentLength: w.limit, Request: r,
		Body: &memoryBody{PipeReader: reader, end: func() { stop(); left(); cancel() }},
	}, nil
}

func traceSent(trace *httptrace.ClientTrace) {
	if trace == nil {
		return
	}
	if trace.GotConn != nil {
		trace.GotConn(httptrace.GotConnInfo{})
	}
	if trace.WroteHeaders != nil {
		trace.WroteHeaders()
	}
	if trace.WroteRequest != nil {
		trace.WroteRequest(httptrace.WroteRequestInfo{})
	}
}

var errReset = &net.OpError{Op: "read", Net: "memory", Err: syscall.ECONNRESET}

func serve(h http.Handler, w *memoryWriter, r *http.Request) {
	defer func() {
		if cause := recover(); cause != nil {
			w.abort()
		}
	}()
	h.ServeHTTP(w, r)
	w.finish()
}

type memoryWriter struct {
	header  http.Header
	answer  http.Header // as it was when the status was written
	status  int
	limit   int64 // the promised length, or -1
	written int64
	pipe    *io.PipeWriter
	once    sync.Once
	sent    chan struct{}
	aborted bool
}

func (w *memoryWriter) Header() http.Header { return w.header }

func (w *memoryWriter) WriteHeader(status int) {
	w.once.Do(func() {
		w.status, w.answer = status, w.header.Clone()
		if length, err := strconv.ParseInt(w.answer.Get("Content-Length"), 10, 64); err == nil {
			w.limit = length
		}
		close(w.sent)
	})
}

func (w *memoryWriter) Write(body []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	n, err := w.pipe.Write(body)
	w.written += int64(n)
	return n, err
}

func (w *memoryWriter) Flush() { w.WriteHeader(http.StatusOK) }

func (w *memoryWriter) abort() {
	w.once.Do(func() {
		w.aborted = true
		close(w.sent)
	})
	w.pipe.CloseWithError(errReset)
}

func (w *memoryWriter) finish() {
	w.WriteHeader(http.StatusOK)
	if w.limit > w.written {
		w.pipe.CloseWithError(io.ErrUnexpectedEOF)
		return
	}
	w.pipe.Close()
}

type memoryBody struct {
	*io.PipeReader
	end func()
}

func (b *memoryBody) Close() error {
	err := b.PipeReader.Close()
	b.end()
	return err
}
