package door

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/access"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// scope is what a request carries along.
type scope struct {
	id      string
	from    netip.Addr
	client  string // the address itself, for the audit trail
	refused bool   // it did not prove who it is, which is counted
	about   string // the id of what it is about, and why its proof fails
	code    string
	share   *Share        // what its body counts among
	held    int64         // bytes of its body in memory
	caller  access.Caller // who asks, once that is known
	intent  intent        // what it does, for the audit trail
	extend  func()        // gives it more time, as Streamer.Extend
	header  http.Header
}

type scopeKey struct{}

func scopeOf(ctx context.Context) *scope {
	if s, ok := ctx.Value(scopeKey{}).(*scope); ok {
		return s
	}
	return &scope{extend: func() {}, header: http.Header{}}
}

// From is the network that a request comes from.
func From(ctx context.Context) netip.Addr { return scopeOf(ctx).from }

// Extend gives a request more time, which it has as long as it asks for it.
func Extend(ctx context.Context) { scopeOf(ctx).extend() }

// Tell adds a header to the answer of a request.
func Tell(ctx context.Context, name, value string) { scopeOf(ctx).header.Set(name, value) }

// CallerOf is who makes a request, and what they may do.
func CallerOf(ctx context.Context) access.Caller { return scopeOf(ctx).caller }

func requestID(ctx context.Context) string { return scopeOf(ctx).id }

// ServeHTTP serves one request: id, headers, log and recovery around what serve
// answers.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := d.cfg.Now()
	asking := scopeOf(r.Context()) // a page asks in its own name, for its browser
	carried := &scope{header: w.Header(), id: cmp.Or(asking.id, rand.Text()), from: asking.from, client: asking.client, share: d.Bodies.API}
	if !carried.from.IsValid() {
		client := d.ClientOf(r)
		carried.from, carried.client = networkOf(client), client.String()
	}
	out := &response{ResponseWriter: w, body: newBody(r)}
	r = r.WithContext(context.WithValue(r.Context(), scopeKey{}, carried))
	r.Body = out.body
	route := "none"
	if d.cfg.Span != nil && !probes(r) && r.URL.Path != runapi.Listen.Path { // which lasts as long as its listener likes
		ctx, end := d.cfg.Span(r, !under(r.URL.Path, "/api"))
		r = r.WithContext(ctx)
		defer func() {
			method, path := split(route)
			end(method, path, out.status)
		}()
	}
	carried.extend = (&Streamer{control: http.NewResponseController(out)}).Extend
	d.secureHeaders(out.Header(), carried.id)
	defer func() { d.logged(r, out, route, began) }()
	defer func() {
		carried.share.Leave(carried.from, carried.held)
		if fault := recover(); fault == http.ErrAbortHandler {
			panic(fault)
		} else if fault != nil {
			d.recovered(out, r, fault)
		}
	}()
	if one := connectionOf(r.Context()); one != nil && one.isSpare() && !probes(r) {
		d.Write(out, r, Busy())
		return
	}
	pattern, err := d.admit(out, r)
	if pattern != "" {
		route = pattern
	}
	if err == nil && d.takesPlace(r, pattern) {
		if err = d.apiPool.enter(r.Context()); err == nil {
			defer d.apiPool.leave()
		}
	}
	if err != nil {
		d.Write(out, r, err)
		return
	}
	r, over := d.whileAllowed(r)
	defer over()
	out.masked = !carried.caller.Scopes.SeeAddresses() && under(r.URL.Path, "/api")
	if pattern == noPage {
		d.missing.ServeHTTP(out, r)
		return
	}
	d.mux.ServeHTTP(out, r)
}

// takesPlace says whether a request counts among those that are worked on. Pages
// do not: what they ask the API for does.
func (d *Door) takesPlace(r *http.Request, pattern string) bool {
	return !ingress(r) && !probes(r) && r.URL.Path != runapi.Listen.Path && !d.pages[pattern] && pattern != noPage
}

// secureHeaders are on every answer; pages loosen the policy for their own style.
func (d *Door) secureHeaders(h http.Header, id string) {
	h.Set("X-Request-Id", id)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if _, https := d.sessionCookie(); https {
		h.Set("Strict-Transport-Security", "max-age=31536000") // a year, of this host alone
	}
}

// ingress are requests that bring a proof of their own.
func ingress(r *http.Request) bool { return under(r.URL.Path, "/webhooks") }

// probes are the questions of whoever keeps the process running.
func probes(r *http.Request) bool {
	return r.URL.Path == api.GetHealth.Path || r.URL.Path == api.GetReady.Path
}

// admit decides who may pass before it is looked up where to, and returns the
// route. Whatever is neither under /api nor a route that was declared open
// needs the key too, so that a new route is closed unless somebody opens it.
func (d *Door) admit(w http.ResponseWriter, r *http.Request) (pattern string, err error) {
	if !ingress(r) && !probes(r) {
		if err := d.admitBrowser(r); err != nil {
			return "", err
		}
	}
	authenticated := under(r.URL.Path, "/api")
	if authenticated {
		if err := d.authenticate(w, r); err != nil {
			return "", err
		}
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return "", NewProblem(http.StatusUnsupportedMediaType, "unsupported_encoding", "send the body as it is, without Content-Encoding")
	}
	if clean := path.Clean(r.URL.Path); clean != r.URL.Path || r.Method == http.MethodConnect {
		return "", NewProblem(http.StatusNotFound, "not_found", "there is no such route")
	}
	handler, pattern := d.mux.Handler(r)
	if pattern == "" && d.wantsPage(r) {
		return noPage, d.admitVisitor(r)
	}
	if pattern == "" {
		return "", d.unrouted(w, handler, r)
	}
	switch {
	case d.open[pattern]:
		return pattern, nil
	case d.pages[pattern]: // what it asks the API for needs scopes
		return pattern, d.admitVisitor(r)
	case !authenticated:
		if err := d.authenticate(w, r); err != nil {
			return pattern, err
		}
	}
	return pattern, d.allow(r.Context(), d.scopes[pattern])
}

func under(path, prefix string) bool {
	return path == prefix || strings.HasPrefix(path, prefix+"/")
}

// admitBrowser keeps web pages of others away: a page that made its own name
// point here (without a key there is nothing else to stop it), and one that lets
// its visitor's browser send a form.
func (d *Door) admitBrowser(r *http.Request) error {
	if !d.cfg.Access.Needed() {
		if !loopbackHost(r.Host) {
			return NewProblem(http.StatusForbidden, "host_not_allowed",
				"without an API key only this machine's own names are served, such as localhost: set LIWANAG_API_KEY")
		}
		if name := forwarded(r.Header); name != "" {
			return NewProblem(http.StatusForbidden, "proxy_not_allowed",
				"without an API key nothing is served through a proxy, and this request has "+name+": set LIWANAG_API_KEY")
		}
	}
	if err := d.csrf.Check(r); err != nil {
		return NewProblem(http.StatusForbidden, "cross_origin", "another site's page may not do this")
	}
	return nil
}

func loopbackHost(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// unrouted turns the router's own answers into problems.
func (d *Door) unrouted(w http.ResponseWriter, router http.Handler, r *http.Request) error {
	probe := &probe{header: http.Header{}}
	router.ServeHTTP(probe, r)
	if probe.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", probe.header.Get("Allow"))
		return NewProblem(http.StatusMethodNotAllowed, "method_not_allowed", "this route takes "+probe.header.Get("Allow"))
	}
	return NewProblem(http.StatusNotFound, "not_found", "there is no such route")
}

// probe learns what the router would answer.
type probe struct {
	header http.Header
	status int
}

func (p *probe) Header() http.Header         { return p.header }
func (p *probe) Write(b []byte) (int, error) { return len(b), nil }
func (p *probe) WriteHeader(status int)      { p.status = status }

// recovered answers for a handler that panicked. The value may hold what a
// client sent, so only faults of the runtime are logged with it.
func (d *Door) recovered(w *response, r *http.Request, fault any) {
	what := fmt.Sprintf("%T", fault)
	if err, ok := fault.(runtime.Error); ok {
		what = err.Error()
	}
	d.cfg.Log.LogAttrs(r.Context(), slog.LevelError, "a handler panicked", slog.String("request", requestID(r.Context())),
		slog.String("panic", what), slog.String("stack", string(debug.Stack())))
	if w.status != 0 {
		panic(http.ErrAbortHandler) // the answer has begun: cut it off, so that it does not look whole
	}
	d.Write(w, r, internal(nil))
}

// logged logs a request by its route: paths and queries hold tokens and
// addresses.
func (d *Door) logged(r *http.Request, w *response, route string, began time.Time) {
	took := d.cfg.Now().Sub(began)
	d.meter(r, route, w.status, took)
	level := slog.LevelInfo
	if d.open[route] && w.status < 400 && !under(r.URL.Path, "/webhooks") {
		level = slog.LevelDebug // probes and pages
	}
	if scopeOf(r.Context()).refused {
		level = slog.LevelDebug // counted: whoever guesses fills no log
	}
	d.cfg.Log.LogAttrs(r.Context(), level, "request", slog.String("request", requestID(r.Context())), slog.String("route", route),
		slog.Int("status", w.status), slog.Int64("bytes", w.bytes), slog.Duration("took", took))
}

// meter counts a request.
func (d *Door) meter(r *http.Request, route string, status int, took time.Duration) {
	method, path := split(route)
	if r.URL.Path == runapi.Listen.Path {
		took = 0 // it lasts as long as its listener likes
	}
	d.cfg.Count(method, path, status, max(took, 0))
}

// split parts the pattern of a route. A request without one has a method of anybody's
// making.
func split(route string) (method, path string) {
	method, path, found := strings.Cut(route, " ")
	if !found {
		return "any", route
	}
	return method, path
}

// response remembers what was answered.
type response struct {
	http.ResponseWriter
	body   *body // of the request
	status int
	bytes  int64
	masked bool // whoever asks may not see e-mail addresses
}

func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *response) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
		w.body.leave(w.ResponseWriter)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}
