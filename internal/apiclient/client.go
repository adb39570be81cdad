// Package apiclient talks to a running server over its HTTP interface. It
// imports nothing of ours: its types are what is on the wire, and a test beside
// the server proves that both ends agree.
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
	"time"

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
		c.http, c.slow = &http.Client{Transport: transport, CheckRedirect: noRedirect}, &http.Client{Transport: patient, CheckRedirect: noRedirect}
	}
	return c, nil
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Problem is an error that the server answered with.
type Problem struct {
	Type      string       `json:"type"`
	Title     string       `json:"title"`
	Status    int          `json:"status"` // HTTP
	Detail    string       `json:"detail"`
	Code      string       `json:"code"` // stable
	Errors    []FieldFault `json:"errors"`
	RequestID string       `json:"-"` // finds it in the server's log
	// RetryAfter is when the server wants to be asked again; 0: it did not say.
	RetryAfter time.Duration `json:"-"`
}

// FieldFault is the fault of one field.
type FieldFault struct {
	Field   string `json:"field"`
	Message string `json:"message"`
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

// call sends body as JSON, unless nil, and reads the answer into answer, unless
// nil.
func (c *Client) call(ctx context.Context, method, path string, query url.Values, body, answer any) error {
	var payload io.Reader
	contentType := ""
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("apiclient: the request cannot be encoded: %w", err)
		}
		payload, contentType = bytes.NewReader(raw), "application/json"
	}
	res, err := c.send(ctx, method, path, query, contentType, payload)
	if err != nil {
		return err
	}
	return c.decode(res, answer)
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
		return fmt.Errorf("the server at %s answers what this program does not understand: %w\n  Try: use the same version of both", c.base.Redacted(), err)
	}
	return nil
}

// send makes a call; an answer that is no success becomes a *Problem.
func (c *Client) send(ctx context.Context, method, path string, query url.Values, contentType string, body io.Reader) (*http.Response, error) {
	target := c.base.JoinPath(path) // #nosec G125 -- every variable part was escaped by its caller
	target.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, method, target.String(), body)
	if err != nil {
		return nil, fmt.Errorf("apiclient: %w", err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	c.auth(req.Header)
	res, err := c.http.Do(req)
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
		p = &Problem{Title: http.StatusText(res.StatusCode), Code: "unknown", Detail: "the server at " + c.base.Redacted() + " answers like no Liwanag does"}
	}
	p.Status, p.RequestID = res.StatusCode, res.Header.Get("X-Request-Id")
	if seconds, err := time.ParseDuration(res.Header.Get("Retry-After") + "s"); err == nil {
		p.RetryAfter = seconds
	}
	return p
}

// Call makes a call of a route; see runapi.Route.
func (c *Client) Call(ctx context.Context, r runapi.Request, answer any) error {
	if r.Status == http.StatusNoContent {
		answer = nil
	}
	if r.Slow {
		c = &Client{base: c.base, auth: c.auth, http: c.slow}
	}
	return c.call(ctx, r.Method, r.Path, r.Query, r.Body, answer)
}

// Copy makes a call of a route whose answer is a file. An error means that the file
// is not whole.
func (c *Client) Copy(ctx context.Context, r runapi.Request, w io.Writer) (int64, error) {
	res, err := c.send(ctx, r.Method, r.Path, r.Query, "", nil)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	from := &reader{r: res.Body}
	n, err := io.Copy(w, from)
	if err != nil && err == from.fault() {
		err = c.unreachable(err)
	}
	return n, err
}

// get reads one thing.
func get[T any](ctx context.Context, c *Client, path string, query url.Values) (T, error) {
	var v T
	err := c.call(ctx, http.MethodGet, path, query, nil, &v)
	return v, err
}

// post does one thing.
func post[T any](ctx context.Context, c *Client, path string, body any) (T, error) {
	var v T
	err := c.call(ctx, http.MethodPost, path, nil, body, &v)
	return v, err
}

// patch changes one thing.
func patch[T any](ctx context.Context, c *Client, path string, body any) (T, error) {
	var v T
	err := c.call(ctx, http.MethodPatch, path, nil, body, &v)
	return v, err
}

// at makes a path of segments; each is escaped. One that would name another
// path altogether becomes one that names nothing.
func at(segments ...string) string {
	path := "/api/v1"
	for _, s := range segments {
		if s == "" || s == "." || s == ".." {
			s = "-"
		}
		path += "/" + url.PathEscape(s)
	}
	return path
}

// Healthy returns nil if the process is alive.
func (c *Client) Healthy(ctx context.Context) error {
	return c.call(ctx, http.MethodGet, "/healthz", nil, nil, nil)
}

// Ready returns nil if the server can serve.
func (c *Client) Ready(ctx context.Context) error {
	return c.call(ctx, http.MethodGet, "/readyz", nil, nil, nil)
}
