package console

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
)

// client calls the API in the name of a browser: with its session, from its
// address, under the name it knows the server by.
func (c *Console) client(w http.ResponseWriter, r *http.Request) (*apiclient.Client, error) {
	return apiclient.New(apiclient.Config{
		Server:     "http://console",
		HTTPClient: &http.Client{Transport: &inProcess{api: c.cfg.API, w: w, browser: r}, CheckRedirect: noRedirect},
	})
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// inProcess is a http.RoundTripper that calls a handler. Bodies are streamed both
// ways.
type inProcess struct {
	api     http.Handler
	w       http.ResponseWriter
	browser *http.Request
}

// RoundTrip returns when the handler has begun to answer.
func (t *inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(req.Context())
	inner := req.Clone(ctx)
	inner.Host, inner.RemoteAddr, inner.RequestURI = t.browser.Host, t.browser.RemoteAddr, req.URL.RequestURI()
	inner.TLS = t.browser.TLS
	inner.URL.Scheme, inner.URL.Host = "", ""
	for _, cookie := range t.browser.Header["Cookie"] {
		inner.Header.Add("Cookie", cookie)
	}
	if inner.Body == nil {
		inner.Body = http.NoBody
	}
	body, pipe := io.Pipe()
	answer := &answer{outer: t.w, header: http.Header{}, pipe: pipe, began: make(chan struct{})}
	go answer.serve(t.api, inner)
	select {
	case <-answer.began:
	case <-ctx.Done():
	}
	if err := ctx.Err(); err != nil { // an answer to nobody is none, also when it came first
		cancel()
		_ = body.CloseWithError(err)
		return nil, err
	}
	if answer.fault != nil {
		cancel()
		return nil, answer.fault
	}
	return &http.Response{
		Status: http.StatusText(answer.status), StatusCode: answer.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: answer.sent, ContentLength: -1, Request: req, Body: &answered{body, cancel},
	}, nil
}

// answered ends the handler when nobody reads its answer any more.
type answered struct {
	*io.PipeReader
	cancel context.CancelFunc
}

// Close gives the rest of the answer up.
func (a *answered) Close() error {
	a.cancel()
	return a.PipeReader.Close()
}

// answer is the http.ResponseWriter of a handler that is called in process.
type answer struct {
	outer  http.ResponseWriter // the browser's, whose deadlines hold for the handler
	header http.Header
	pipe   *io.PipeWriter

	once   sync.Once
	began  chan struct{}
	status int
	sent   http.Header
	fault  error
}

var errAborted = errors.New("console: the API gave its answer up")

func (a *answer) serve(api http.Handler, r *http.Request) {
	defer func() {
		if recover() != nil { // the API has logged it, or cut its answer off on purpose
			a.once.Do(func() { a.fault = errAborted; close(a.began) })
			_ = a.pipe.CloseWithError(io.ErrUnexpectedEOF)
			return
		}
		a.WriteHeader(http.StatusOK)
		_ = a.pipe.Close()
		_ = r.Body.Close()
	}()
	api.ServeHTTP(a, r)
}

// Header is what WriteHeader sends.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader begins the answer.
func (a *answer) WriteHeader(status int) {
	if status < http.StatusOK {
		return
	}
	a.once.Do(func() {
		a.status, a.sent = status, a.header.Clone()
		close(a.began)
	})
}

// Write hands bytes to whoever reads the answer.
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.pipe.Write(p)
}

// Flush does nothing: nothing is held back.
func (a *answer) Flush() { a.WriteHeader(http.StatusOK) }

// Unwrap lets the handler set the deadlines of the browser's connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.outer }
