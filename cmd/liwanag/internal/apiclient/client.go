// Package apiclient talks to a running server over its HTTP interface: it is the
// caller of the routes that runapi and api have, watches what changes, and sends
// files.
package apiclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// Config says which server, and what opens it.
type Config struct {
	Server string // http://host:port; a path before /api is kept
	APIKey string // empty: none is sent
	// HTTPClient makes the calls; default: one that follows no redirect and waits
	// 30 s for an answer to begin, and without end for those of bulk acts.
	HTTPClient *http.Client
}

// Client calls a server. It is safe for concurrent use.
type Client struct {
	base url.URL
	auth func(http.Header)
	http *http.Client
	slow *http.Client // for calls whose answer may take minutes to begin
}

// New returns a client, or what is wrong with cfg.
func New(cfg Config) (*Client, error) {
	base, err := url.Parse(strings.TrimRight(cfg.Server, "/"))
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" || base.User != nil || base.RawQuery != "" {
		return nil, errors.New("the server's address is not of the form http://HOST:PORT\n  Try: LIWANAG_SERVER=http://127.0.0.1:8484")
	}
	c := &Client{base: *base, http: cfg.HTTPClient, slow: cfg.HTTPClient, auth: func(http.Header) {}}
	if key := cfg.APIKey; key != "" { // in a closure, where no printing finds it
		c.auth = func(h http.Header) { h.Set("Authorization", "Bearer "+key) }
	}
	if c.http == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.ResponseHeaderTimeout = 30 * time.Second
		transport.DisableCompression = true
		patient := transport.Clone()
		patient.ResponseHeaderTimeout = 0
		c.http, c.slow = &http.Client{Transport: transport, CheckRedirect: noRedirect},
			&http.Client{Transport: patient, CheckRedirect: noRedirect}
	}
	return c, nil
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Problem is an error that the server answered with.
type Problem struct {
	api.Problem

	RequestID string `json:"-"` // finds it in the server's log
	// RetryAfter is when the server wants to be asked again; 0: it did not say.
	RetryAfter time.Duration `json:"-"`
}

// Error is what happened, with the fields' faults.
func (p *Problem) Error() string {
	text := p.Detail
	if text == "" {
		text = p.Title
	}
	for _, f := range p.Errors {
		if f.Field == "" {
			text += "\n  " + f.Message
			continue
		}
		text += "\n  " + f.Field + ": " + f.Message
	}
	return fmt.Sprintf("%s (%d %s)", text, p.Status, p.Code)
}

// Unreachable: the server could not be asked, or its answer did not come whole.
type Unreachable struct {
	Server string
	Err    error
}

// Error says what to try.
func (u *Unreachable) Error() string {
	return fmt.Sprintf("the server at %s cannot be reached: %v\n  Try: liwanag serve, or set LIWANAG_SERVER", u.Server, u.Err)
}

// Unwrap gives the cause.
func (u *Unreachable) Unwrap() error { return u.Err }

// maxAnswer bounds an answer of JSON, in bytes.
const maxAnswer = 64 << 20

// Call makes a call of a route; see runapi.Route.
func (c *Client) Call(ctx context.Context, r runapi.Request, answer any) error {
	var payload io.Reader
	if r.Body != nil {
		raw, err := json.Marshal(r.Body)
		if err != nil {
			return fmt.Errorf("apiclient: the request cannot be encoded: %w", err)
		}
		payload = bytes.NewReader(raw)
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := c.send(ctx, r, payload)
	if err != nil {
		return err
	}
	if r.Status == http.StatusNoContent {
		answer = nil
	}
	return c.decode(res, answer)
}

// Copy makes a call of a route whose answer is a file, and writes that. An error
// means that the file is not whole.
func (c *Client) Copy(ctx context.Context, r runapi.Request, w io.Writer) (int64, error) {
	res, err := c.send(ctx, r, nil)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	if to, ok := w.(Headed); ok {
		to.Headers(res.Header)
	}
	from := &reader{r: res.Body}
	n, err := io.Copy(w, from)
	if err != nil && err == from.fault() {
		err = c.unreachable(err)
	}
	return n, err
}

// Headed is a writer of Copy that is told the headers of the answer, before anything is written.
type Headed interface{ Headers(http.Header) }

// reader remembers its error, to tell it from the writer's.
type reader struct {
	r      io.Reader
	failed atomic.Pointer[error]
}

// fault is the error of reading, nil without one.
func (r *reader) fault() error {
	if err := r.failed.Load(); err != nil {
		return *err
	}
	return nil
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && err != io.EOF {
		r.failed.Store(&err)
	}
	return n, err
}

func (c *Client) decode(res *http.Response, answer any) error {
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return c.unreachable(err)
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(raw, answer); err != nil {
		return fmt.Errorf("the server at %s answers what this program does not understand: %w\n  Try: use the "+
			"same version of both", c.base.Redacted(), err)
	}
	return nil
}

// send makes a call; an answer that is no success becomes a *Problem.
func (c *Client) send(ctx context.Context, r runapi.Request, body io.Reader) (*http.Response, error) {
	target := c.base.JoinPath(r.Path) // #nosec G125 -- every variable part is escaped
	target.RawQuery = r.Query.Encode()
	req, err := http.NewRequestWithContext(ctx, r.Method, target.String(), body)
	if err != nil {
		return nil, fmt.Errorf("apiclient: %w", err)
	}
	req.Header = r.Header
	c.auth(req.Header)
	caller := c.http
	if r.Slow {
		caller = c.slow
	}
	res, err := caller.Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		defer res.Body.Close()
		return nil, c.problem(res)
	}
	return res, nil
}

// unreachable leaves out the method and address that net/http's errors repeat.
func (c *Client) unreachable(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	var at *url.Error
	if errors.As(err, &at) {
		err = at.Err
	}
	return &Unreachable{Server: c.base.Redacted(), Err: err}
}

func (c *Client) problem(res *http.Response) error {
	p := &Problem{}
	raw, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if err != nil || kind != "application/problem+json" || json.Unmarshal(raw, p) != nil {
		p.Problem = api.Problem{Title: http.StatusText(res.StatusCode), Code: "unknown",
			Detail: "the server at " + c.base.Redacted() + " answers like no Liwanag does"}
	}
	p.Status, p.RequestID = res.StatusCode, res.Header.Get("X-Request-Id")
	if seconds, err := time.ParseDuration(res.Header.Get("Retry-After") + "s"); err == nil {
		p.RetryAfter = seconds
	}
	return p
}

// Ready returns nil if the server can serve.
func (c *Client) Ready(ctx context.Context) error {
	_, err := api.GetReady.Call(ctx, c, runapi.NoInput{})
	return err
}
