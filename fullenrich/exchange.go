package fullenrich

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"
)

// progress follows one request through the transport, on however many
// connections it tries. Its hooks run on the transport's goroutines, some after
// the request has returned.
type progress struct {
	mu                              sync.Mutex
	asked, connected, wrote, answer bool
}

// Stages of a request, for messages.
const (
	stageConnect = "connect"
	stageWrite   = "write"
	stageAnswer  = "answer"
	stageBody    = "body"
)

func (p *progress) set(field *bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	*field = true
}

func (p *progress) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn:              func(string) { p.set(&p.asked) },
		GotConn:              func(httptrace.GotConnInfo) { p.set(&p.connected) },
		WroteHeaders:         func() { p.set(&p.wrote) },
		GotFirstResponseByte: func() { p.set(&p.answer) },
	})
}

// nothingWritten reports whether the transport, by its own account, never got
// to write. A transport that does not trace gives no account.
func (p *progress) nothingWritten() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked && !p.wrote
}

// wroteAnything reports whether writing is known to have begun.
func (p *progress) wroteAnything() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wrote || p.answer
}

func (p *progress) stage() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.answer || p.wrote:
		return stageAnswer
	case p.connected:
		return stageWrite
	}
	return stageConnect
}

// answer is what came back, with as much of the body as could be read.
type answer struct {
	status  int
	header  http.Header
	body    []byte
	bodyErr error
}

func (a *answer) ok() bool { return a.status >= 200 && a.status < 300 }

// exchange makes one request and reads the answer. A nil answer comes with an
// error; an answer may have a broken body.
//
// It uses the transport and not an http.Client, whose business is to follow
// redirects: a 307 or 308 would carry the body, and the key, elsewhere.
func (c *Client) exchange(via http.RoundTripper, request *http.Request) (*answer, error) {
	for name, values := range c.header {
		request.Header[http.CanonicalHeaderKey(name)] = values
	}
	c.authorize(request.Header)
	request.Header.Set("Accept", "application/json")
	// Set by us, so that no transport inflates a gzip bomb on our behalf.
	request.Header.Set("Accept-Encoding", "identity")
	request.Header.Set("User-Agent", "liwanag-fullenrich")
	response, err := via.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	if response == nil || response.Body == nil {
		return nil, errors.New("transport returned neither answer nor error")
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, c.limits.body+1))
	if err == nil && int64(len(body)) > c.limits.body {
		err = ErrTooLarge
	}
	return &answer{response.StatusCode, response.Header, body, err}, nil
}

// refusal turns an answer that is not 2xx into an error.
func (c *Client) refusal(op string, a *answer) *Error {
	e := &Error{Op: op, Outcome: OutcomeRefused, Status: a.status, Answer: keep(a.body),
		RetryAfter: retryAfter(a.header, time.Now())}
	if a.bodyErr != nil {
		e.Err, e.Stage = a.bodyErr, stageBody
		return e
	}
	code, message, ours := envelope(a.body)
	e.Code, e.Message, e.Envelope = c.redact(code), cleanMessage(c.redact(message)), ours
	return e
}

// unreadable is the error for a 2xx answer that does not say what it should.
func (a *answer) unreadable(op string, err error) *Error {
	return &Error{Op: op, Outcome: OutcomeAmbiguous, Status: a.status, Answer: keep(a.body), Err: err, Stage: stageBody}
}

// get makes a call that may be repeated. The answer is not nil when the error
// has a status.
func (c *Client) get(ctx context.Context, op string, path ...string) (*answer, *Error) {
	for try := 1; ; try++ {
		answer, failure := c.getOnce(ctx, op, path)
		if failure == nil || try >= c.limits.tries || !repeatable(failure) {
			return answer, failure
		}
		pause := c.pause(try, failure)
		if pause > c.limits.longestPause || !sleep(ctx, pause) {
			return answer, failure
		}
	}
}

func (c *Client) getOnce(ctx context.Context, op string, path []string) (answer *answer, failure *Error) {
	began := time.Now()
	defer func() { c.observe(ctx, op, began, failure) }()
	if c.budget != nil {
		if err := c.budget(ctx); err != nil {
			return nil, &Error{Op: op, Outcome: OutcomeNotSent, Err: &budgetError{err}}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, c.limits.call)
	defer cancel()
	var way progress
	// The path is made of constants and of an id that was checked to be a UUID.
	request, err := http.NewRequestWithContext(way.trace(ctx), http.MethodGet, c.base.JoinPath(path...).String(), nil) // #nosec G125
	if err != nil {
		return nil, requestFault(op, []string{"no request can be made"})
	}
	answer, err = c.exchange(c.calls, request)
	switch {
	case err != nil && way.nothingWritten():
		return nil, &Error{Op: op, Outcome: OutcomeNotSent, Err: err, Stage: way.stage()}
	case err != nil:
		return nil, &Error{Op: op, Outcome: OutcomeAmbiguous, Err: err, Stage: way.stage()}
	case !answer.ok():
		return answer, c.refusal(op, answer)
	case answer.bodyErr != nil:
		return answer, answer.unreadable(op, answer.bodyErr)
	}
	return answer, nil
}

// repeatable reports whether a later try may go better.
func repeatable(e *Error) bool {
	if errors.Is(e.Err, errBudget) || errors.Is(e.Err, context.Canceled) ||
		errors.Is(e.Err, ErrInvalidRequest) || errors.Is(e.Err, ErrTooLarge) {
		return false
	}
	return e.Status == http.StatusTooManyRequests || e.Status >= 500 || e.Err != nil
}

// pause is how long to wait after the failed try with this number.
func (c *Client) pause(try int, e *Error) time.Duration {
	pause := c.limits.pause << min(max(try-1, 0), 10)
	jittered := pause/2 + rand.N(pause) // #nosec G404 -- spreads load, keeps no secret
	if e.Status == http.StatusTooManyRequests && e.RetryAfter == 0 {
		now := time.Now()
		return now.Truncate(time.Minute).Add(time.Minute).Sub(now) + jittered
	}
	return max(jittered, e.RetryAfter)
}

// sleep waits, and reports false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
