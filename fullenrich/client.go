package fullenrich

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// DefaultBaseURL is FullEnrich's API v2.
const DefaultBaseURL = "https://app.fullenrich.com/api/v2"

// MaxBatch is the most contacts one submission takes, by FullEnrich's
// documentation.
const MaxBatch = 100

const (
	opSubmit    = "submit"
	opFetch     = "fetch"
	opCredits   = "credits"
	opVerifyKey = "verify key"

	lookupPath = "contact/reverse/email/bulk"
)

// Config configures a [Client]. Only Key is required.
type Config struct {
	// BaseURL is where the API is, default [DefaultBaseURL]. It must be https;
	// http is taken for loopback addresses only. No user info, query or fragment.
	BaseURL string
	// Key is the workspace's API key.
	Key Secret
	// Header is sent with every request, such as the one that names a sub-account.
	// See [ValidHeader].
	Header http.Header
	// Transport carries the requests. The default has a connect timeout of 5 s, a
	// TLS timeout of 5 s and 20 s for the answer's header, speaks HTTP/1.1, uses
	// no proxy, and gives every submission a connection of its own. One that is
	// given here must not repeat requests; it cannot repeat a submission, whose
	// body can be read once only.
	Transport http.RoundTripper
	// Budget, if set, is asked before every request except those of Submit, whose
	// caller took the budget together with its own commit. An error ends the call.
	Budget func(ctx context.Context) error
	// Observe, if set, is told of every request after its end, with the context of who
	// asked. It must be quick.
	Observe func(context.Context, Call)
}

// Validate reports all faults of the configuration.
func (c Config) Validate() error {
	var faults []error
	if _, err := c.base(); err != nil {
		faults = append(faults, err)
	}
	if c.Key == "" {
		faults = append(faults, errors.New("fullenrich: no API key"))
	}
	for name, values := range c.Header {
		faults = append(faults, ValidHeader(name, strings.Join(values, "")))
	}
	for _, r := range c.Key.Reveal() {
		if r <= ' ' || r > '~' {
			faults = append(faults, errors.New("fullenrich: API key has white space or characters that no key has; was it copied whole?"))
			break
		}
	}
	return errors.Join(faults...)
}

// ours are headers that mean something to this client, or to a transport: with an
// Idempotency-Key net/http would repeat a submission by itself.
var ours = []string{"Authorization", "Accept", "Accept-Encoding", "Connection", "Content-Length", "Content-Type", "Expect", "Host",
	"Idempotency-Key", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "User-Agent", "X-Idempotency-Key"}

// ValidHeader says why a header cannot be one of [Config.Header]: it is none, or the
// client sets it, or it would have requests repeated.
func ValidHeader(name, value string) error {
	odd := func(r rune) bool { return r != '-' && (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'z') }
	switch {
	case name == "" || strings.ContainsFunc(name, odd):
		return errors.New("fullenrich: the name of a header is letters, digits and hyphens")
	case value == "" || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }):
		return errors.New("fullenrich: the value of a header is one line of ASCII")
	case slices.Contains(ours, http.CanonicalHeaderKey(name)):
		return fmt.Errorf("fullenrich: the header %s cannot be set", http.CanonicalHeaderKey(name))
	}
	return nil
}

// base never quotes the URL in an error: a password may stand in it.
func (c Config) base() (*url.URL, error) {
	raw := c.BaseURL
	if raw == "" {
		raw = DefaultBaseURL
	}
	base, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("fullenrich: base URL is not a URL")
	}
	var faults []error
	fault := func(text string) { faults = append(faults, errors.New("fullenrich: base URL "+text)) }
	if base.Hostname() == "" {
		fault("names no host")
	}
	switch base.Scheme {
	case "https":
	case "http":
		if !loopback(base.Hostname()) {
			fault("must be https; http is for loopback addresses only")
		}
	default:
		fault("must begin with https://")
	}
	if base.User != nil {
		fault("must not hold a user or password")
	}
	if base.RawQuery != "" || base.ForceQuery {
		fault("must not hold a query")
	}
	if base.Fragment != "" {
		fault("must not hold a fragment")
	}
	return base, errors.Join(faults...)
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// limits are the times and sizes of a client, changed by its own tests only.
type limits struct {
	connect, tls, header time.Duration
	submit               time.Duration // one submission, connecting included
	call                 time.Duration // one request of any other call
	tries                int           // of any other call
	pause, longestPause  time.Duration // between tries
	body                 int64
}

func defaultLimits() limits {
	return limits{
		connect: 5 * time.Second, tls: 5 * time.Second, header: 20 * time.Second,
		submit: 20 * time.Second, call: 30 * time.Second,
		tries: 3, pause: 500 * time.Millisecond, longestPause: 5 * time.Second,
		body: 16 << 20,
	}
}

// Client calls FullEnrich. It is safe for concurrent use.
type Client struct {
	base   *url.URL
	limits limits
	budget func(ctx context.Context) error
	// observer is Config.Observe, or nil.
	observer func(context.Context, Call)
	// submits and calls differ in their connections: see newTransport.
	submits, calls http.RoundTripper
	header         http.Header
	// The key lives in these closures only, where nothing can print it.
	authorize func(http.Header)
	redact    func(string) string
}

// New returns a client, or all faults of c.
func New(c Config) (*Client, error) { return newClient(c, defaultLimits()) }

func newClient(c Config, l limits) (*Client, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	base, err := c.base()
	if err != nil {
		return nil, err
	}
	key := c.Key.Reveal()
	client := &Client{
		base:      base,
		limits:    l,
		budget:    c.Budget,
		observer:  c.Observe,
		header:    c.Header.Clone(),
		authorize: func(h http.Header) { h.Set("Authorization", "Bearer "+key) },
		redact:    func(text string) string { return strings.ReplaceAll(text, key, redacted) },
	}
	if c.Transport != nil {
		client.submits, client.calls = c.Transport, c.Transport
		return client, nil
	}
	// A server that closes an idle connection just when a POST is written on it
	// leaves an ambiguous submission; a connection of its own cannot be idle.
	submits := newTransport(l)
	submits.DisableKeepAlives = true
	client.submits, client.calls = submits, newTransport(l)
	return client, nil
}

func newTransport(l limits) *http.Transport {
	// HTTP/2 repeats requests by rules of its own; a call a second has no use for it.
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: l.connect}).DialContext,
		TLSHandshakeTimeout:    l.tls,
		ResponseHeaderTimeout:  l.header,
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConnsPerHost:    2,
		IdleConnTimeout:        30 * time.Second,
		DisableCompression:     true,
		Protocols:              &protocols,
	}
}

// CloseIdleConnections closes connections that wait for a next call.
func (c *Client) CloseIdleConnections() {
	if calls, ok := c.calls.(interface{ CloseIdleConnections() }); ok {
		calls.CloseIdleConnections() // those of submits never idle, or it is the same
	}
}

// Fetched is the result of an enrichment and the body it was read from.
type Fetched struct {
	Result Result
	Raw    []byte
}

// Fetch asks for the result of an enrichment. A running one has the status
// StatusInProgress, in whichever way FullEnrich says so; one that ran out of
// credits comes with the data that was paid for. An enrichment that is unknown
// or older than three months is an [Error] with status 404.
//
// Fetch repeats on a network error, 5xx and 429, at most three tries in all, if
// the wait is at most 5 s: 0.5 s and 1 s, half as much more or less; the
// Retry-After; without one after a 429, the next calendar minute.
func (c *Client) Fetch(ctx context.Context, enrichmentID string) (Fetched, error) {
	if !ValidEnrichmentID(enrichmentID) {
		return Fetched{}, requestFault(opFetch, []string{"enrichment id is not a UUID"})
	}
	id := strings.ToLower(enrichmentID)
	answer, refusal := c.get(ctx, opFetch, lookupPath, id)
	if refusal != nil {
		if refusal.Status == http.StatusBadRequest && refusal.Code == CodeInProgress {
			return Fetched{Result{ID: id, Status: StatusInProgress}, answer.body}, nil
		}
		if refusal.Status != http.StatusPaymentRequired || refusal.Err != nil {
			return Fetched{}, refusal
		}
	}
	result, err := ParseResult(answer.body)
	if refusal != nil && (err != nil || result.Status == "") {
		return Fetched{}, refusal // a 402 that is not a result
	}
	if err == nil && result.ID != "" && result.ID != id {
		err = ErrOtherEnrichment
	}
	if err != nil {
		return Fetched{result, answer.body}, answer.unreadable(opFetch, err)
	}
	result.ID = id
	return Fetched{result, answer.body}, nil
}

// Credits returns the balance of the workspace; it can have fractions. It
// repeats as Fetch does.
func (c *Client) Credits(ctx context.Context) (float64, error) {
	body, answer, err := c.account(ctx, opCredits, "account/credits")
	if err != nil {
		return 0, err
	}
	balance, ok := body.field("balance").number()
	if !ok {
		return 0, answer.unreadable(opCredits, fmt.Errorf("%w: no balance", ErrMalformed))
	}
	return balance, nil
}

// VerifyKey returns the workspace that the key belongs to; an unknown key is an
// [Error] with status 401. It repeats as Fetch does.
func (c *Client) VerifyKey(ctx context.Context) (workspaceID string, err error) {
	body, answer, err := c.account(ctx, opVerifyKey, "account/keys/verify")
	if err != nil {
		return "", err
	}
	workspaceID = body.field("workspace_id").text()
	if workspaceID == "" {
		return "", answer.unreadable(opVerifyKey, fmt.Errorf("%w: no workspace id", ErrMalformed))
	}
	return workspaceID, nil
}

func (c *Client) account(ctx context.Context, op, path string) (tree, *answer, error) {
	answer, refusal := c.get(ctx, op, path)
	if refusal != nil {
		return tree{}, nil, refusal
	}
	body, err := parseTree(answer.body)
	if err != nil {
		return tree{}, nil, answer.unreadable(op, err)
	}
	return body, answer, nil
}
