package httpapi

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
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

	"github.com/liwanag/liwanag/internal/access"
	"github.com/liwanag/liwanag/internal/api"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// scope is what a request carries along.
type scope struct {
	id     string
	from   netip.Addr
	share  *share // what its body counts among
	held   int64  // bytes of its body in memory
	actor  string // who asks, once that is known
	intent intent // what it does, for the audit trail
	extend func() // gives it more time, as streamer.extend
}

type scopeKey struct{}

func scopeOf(ctx context.Context) *scope {
	if s, ok := ctx.Value(scopeKey{}).(*scope); ok {
		return s
	}
	return &scope{extend: func() {}}
}

func requestID(ctx context.Context) string { return scopeOf(ctx).id }

// ServeHTTP serves one request: id, headers, log and recovery around what serve
// answers.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := s.cfg.Now()
	asking := scopeOf(r.Context()) // a page asks in its own name, for its browser
	carried := &scope{id: cmp.Or(asking.id, rand.Text()), from: asking.from, share: s.apiBodies}
	if !carried.from.IsValid() {
		carried.from = networkOf(s.clientOf(r))
	}
	r = r.WithContext(context.WithValue(r.Context(), scopeKey{}, carried))
	out := &response{ResponseWriter: w}
	carried.extend = (&streamer{control: http.NewResponseController(out)}).extend
	secureHeaders(out.Header(), carried.id)
	route := "none"
	defer func() { s.access(r, out, route, began) }()
	defer func() {
		carried.share.leave(carried.from, carried.held)
		if fault := recover(); fault == http.ErrAbortHandler {
			panic(fault)
		} else if fault != nil {
			s.recovered(out, r, fault)
		}
	}()
	pattern, err := s.admit(out, r)
	if pattern != "" {
		route = pattern
	}
	if err == nil && s.takesPlace(r, pattern) {
		if err = s.apiPool.enter(r.Context()); err == nil {
			defer s.apiPool.leave()
		}
	}
	if err != nil {
		s.write(out, r, err)
		return
	}
	if pattern == noPage {
		s.missing.ServeHTTP(out, r)
		return
	}
	s.mux.ServeHTTP(out, r)
}

// takesPlace says whether a request counts among those that are worked on. Pages
// do not: what they ask the API for does.
func (s *Server) takesPlace(r *http.Request, pattern string) bool {
	return !ingress(r) && !probes(r) && r.URL.Path != runapi.Listen.Path && !s.pages[pattern] && pattern != noPage
}

// secureHeaders are on every answer; pages loosen the policy for their own style.
func secureHeaders(h http.Header, id string) {
	h.Set("X-Request-Id", id)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
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
func (s *Server) admit(w http.ResponseWriter, r *http.Request) (pattern string, err error) {
	if !ingress(r) && !probes(r) {
		if err := s.admitBrowser(r); err != nil {
			return "", err
		}
	}
	authenticated := false
	if under(r.URL.Path, "/api") {
		if err := s.authenticate(w, r); err != nil {
			return "", err
		}
		authenticated = true
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return "", newProblem(http.StatusUnsupportedMediaType, "unsupported_encoding", "send the body as it is, without Content-Encoding")
	}
	if clean := path.Clean(r.URL.Path); clean != r.URL.Path || r.Method == http.MethodConnect {
		return "", newProblem(http.StatusNotFound, "not_found", "there is no such route")
	}
	handler, pattern := s.mux.Handler(r)
	if pattern == "" && s.wantsPage(r) {
		return noPage, s.admitVisitor(r)
	}
	if pattern == "" {
		return "", s.unrouted(w, handler, r)
	}
	if !authenticated && !s.open[pattern] {
		if s.pages[pattern] {
			return pattern, s.admitVisitor(r)
		}
		if err := s.authenticate(w, r); err != nil {
			return pattern, err
		}
	}
	return pattern, nil
}

func under(path, prefix string) bool {
	return path == prefix || strings.HasPrefix(path, prefix+"/")
}

// admitBrowser keeps web pages of others away: a page that made its own name
// point here (without a key there is nothing else to stop it), and one that lets
// its visitor's browser send a form.
func (s *Server) admitBrowser(r *http.Request) error {
	if !s.cfg.Access.Needed() {
		if !loopbackHost(r.Host) {
			return newProblem(http.StatusForbidden, "host_not_allowed", "without an API key only this machine's own names are served, such as localhost: set LIWANAG_API_KEY")
		}
		if name := forwarded(r.Header); name != "" {
			return newProblem(http.StatusForbidden, "proxy_not_allowed", "without an API key nothing is served through a proxy, and this request has "+name+": set LIWANAG_API_KEY")
		}
	}
	if err := s.csrf.Check(r); err != nil {
		return newProblem(http.StatusForbidden, "cross_origin", "another site's page may not do this")
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

// authenticate lets the key and sessions of the console pass. Failures are
// counted by address: wrong keys slow it down, see throttle; whoever brings nothing
// is told so ten times a minute.
func (s *Server) authenticate(w http.ResponseWriter, r *http.Request) error {
	err := s.identify(r)
	if !errors.Is(err, access.ErrRefused) {
		return err
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="liwanag"`)
	refused := newProblem(http.StatusUnauthorized, "unauthorized", "send the API key as Authorization: Bearer <key>, or sign in")
	if r.Header.Get("Authorization") != "" {
		return refused // a wrong key has been counted
	}
	return s.failed(r, refused)
}

// failed counts a failure and returns it, or that there were too many.
func (s *Server) failed(r *http.Request, failure *problem) error {
	if err := s.failures.Count(scopeOf(r.Context()).from); err != nil {
		return err
	}
	return failure
}

// identify finds out who asks: whoever has the key, or else a browser that
// signed in. access.ErrRefused, a problem when there were too many wrong keys, or
// the error of the store.
func (s *Server) identify(r *http.Request) error {
	carried := scopeOf(r.Context())
	if !s.cfg.Access.Needed() {
		carried.actor = actorLocal
		return nil
	}
	if header := r.Header.Get("Authorization"); header != "" {
		scheme, key, _ := strings.Cut(header, " ")
		right, err := s.guesses.Try(r.Context(), carried.from, func() bool {
			return strings.EqualFold(scheme, "Bearer") && s.cfg.Access.Key(strings.TrimSpace(key))
		})
		if err != nil {
			return err
		}
		if !right {
			return access.ErrRefused
		}
		carried.actor = actorKey
		return nil
	}
	err := s.cfg.Access.Session(r.Context(), s.sessionOf(r))
	if err == nil {
		carried.actor = actorConsole
	}
	return err
}

// unrouted turns the router's own answers into problems.
func (s *Server) unrouted(w http.ResponseWriter, router http.Handler, r *http.Request) error {
	probe := &probe{header: http.Header{}}
	router.ServeHTTP(probe, r)
	if probe.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", probe.header.Get("Allow"))
		return newProblem(http.StatusMethodNotAllowed, "method_not_allowed", "this route takes "+probe.header.Get("Allow"))
	}
	return newProblem(http.StatusNotFound, "not_found", "there is no such route")
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
func (s *Server) recovered(w *response, r *http.Request, fault any) {
	what := fmt.Sprintf("%T", fault)
	if err, ok := fault.(runtime.Error); ok {
		what = err.Error()
	}
	s.cfg.Log.LogAttrs(r.Context(), slog.LevelError, "a handler panicked", slog.String("request", requestID(r.Context())),
		slog.String("panic", what), slog.String("stack", string(debug.Stack())))
	if w.status != 0 {
		panic(http.ErrAbortHandler) // the answer has begun: cut it off, so that it does not look whole
	}
	s.write(w, r, internal(nil))
}

// access logs a request by its route: paths and queries hold tokens and
// addresses.
func (s *Server) access(r *http.Request, w *response, route string, began time.Time) {
	took := s.cfg.Now().Sub(began)
	s.meter(r, route, w.status, took)
	level := slog.LevelInfo
	if s.open[route] && w.status < 400 && !under(r.URL.Path, "/webhooks") {
		level = slog.LevelDebug // probes and pages
	}
	s.cfg.Log.LogAttrs(r.Context(), level, "request", slog.String("request", requestID(r.Context())), slog.String("route", route),
		slog.Int("status", w.status), slog.Int64("bytes", w.bytes), slog.Duration("took", took))
}

// meter counts a request. One without a route has a method of anybody's making.
func (s *Server) meter(r *http.Request, route string, status int, took time.Duration) {
	method, path, found := strings.Cut(route, " ")
	if !found {
		method, path = "any", route
	}
	if r.URL.Path == runapi.Listen.Path {
		took = 0 // it lasts as long as its listener likes
	}
	s.cfg.Meter.Request(method, path, status, max(took, 0))
}

// response remembers what was answered.
type response struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *response) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}
