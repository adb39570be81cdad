package httpapi

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
)

// fill puts something into a pattern's placeholders.
func fill(pattern string) (method, path string) {
	method, path, _ = strings.Cut(pattern, " ")
	return method, strings.NewReplacer("{id}", "x", "{name}", "x", "{token}", "x", "{enrichmentId}", "x", "{$}", "",
		"{file}", "x").Replace(path)
}

func TestEveryRouteNeedsTheKeyUnlessItIsDeclaredOpen(t *testing.T) {
	w := newWorld(t)
	w.mount()
	var open []string
	for _, pattern := range w.server.Routes() {
		r := httptest.NewRequest("", "/", nil)
		r.Method, r.URL.Path = fill(pattern)
		rec := w.do(r)
		if w.server.Pages()[pattern] && !w.server.Open()[pattern] && rec.Code == http.StatusSeeOther &&
			strings.HasPrefix(rec.Header().Get("Location"), "/sign-in") {
			continue
		}
		if rec.Code == http.StatusUnauthorized && strings.HasPrefix(rec.Header().Get("Www-Authenticate"), "Bearer") ||
			rec.Code == http.StatusTooManyRequests {
			continue
		}
		open = append(open, pattern)
	}
	slices.Sort(open)
	want := []string{
		"GET /assets/{file}", "GET /docs", "GET /healthz", "GET /openapi.json", "GET /page.css", "GET /readyz", "GET /sign-in", "GET /sign-in/callback", "GET /sign-in/provider",
		"GET /webhooks/fullenrich/{token}", "GET /webhooks/fullenrich/{token}/contact", "GET /webhooks/subscribers",
		"GET /webhooks/{source}/{endpointId}",
		"POST /sign-in", "POST /sign-out",
		"POST /webhooks/fullenrich/{token}/contact", // 404 before any proof, like the next
		"POST /webhooks/{source}/{endpointId}",      // 404 before any proof: the path is one
	}
	// The webhooks' own proof fails too, so they do not tell from here: see below.
	if diff := cmp.Diff(want, open); diff != "" {
		t.Errorf("open without a key (-want +got):\n%s", diff)
	}
	for _, pattern := range w.server.Routes() {
		method, path := fill(pattern)
		if !strings.HasPrefix(path, "/api/") && !w.server.Open()[pattern] && !w.server.Pages()[pattern] {
			t.Errorf("%s %s is neither under /api nor open", method, path)
		}
		if strings.HasPrefix(path, "/api") && w.server.Open()[pattern] {
			t.Errorf("%s %s is declared open", method, path)
		}
	}
}

func TestNewRoutesFailClosed(t *testing.T) {
	w := newWorld(t)
	w.server.Route("GET /new", func(rw http.ResponseWriter, _ *http.Request) error { rw.WriteHeader(200); return nil })
	r := request("GET", "/new", "")
	r.Header.Del("Authorization")
	w.wantProblem(w.do(r), 401, "unauthorized")
	if rec := w.call("GET", "/new", ""); rec.Code != 200 {
		t.Errorf("with the key: %d", rec.Code)
	}
}

func TestAuthenticationComesBeforeRouting(t *testing.T) {
	w := newWorld(t)
	for _, target := range []string{"/api/v1/nothing", "/api", "/api/", "/api/v1/runs", "/api/v1/../v1/runs", "/api//v1/runs"} {
		r := request("DELETE", target, "")
		r.Header.Del("Authorization")
		w.wantProblem(w.do(r), 401, "unauthorized")
	}
	w.wantProblem(w.call("GET", "/api/v1/nothing", ""), 404, "not_found")
	w.wantProblem(w.call("GET", "/nothing", ""), 404, "not_found")
	for _, unclean := range []string{"/api//v1/runs", "/api/v1/runs/", "/x/../api/v1/runs", "//api/v1/runs"} {
		r := request("GET", "/", "")
		r.URL.Path = unclean
		w.wantProblem(w.do(r), 404, "not_found")
	}
	rec := w.call("DELETE", "/api/v1/runs", "")
	w.wantProblem(rec, 405, "method_not_allowed")
	if got := rec.Header().Get("Allow"); got != "GET, HEAD" {
		t.Errorf("Allow %q", got)
	}
	w.wantProblem(w.call("PUT", "/webhooks/subscribers", ""), 405, "method_not_allowed")
}

func TestOnlyTheKeyOpens(t *testing.T) {
	w := newWorld(t)
	for header, status := range map[string]int{
		"": 401, "Bearer": 401, "Bearer ": 401, "Bearer wrong": 401, "Basic " + apiKey: 401, apiKey: 401, "Bearer " + apiKey[:31]: 401,
		"Bearer " + apiKey + "x": 401, "Bearer " + apiKey: 200, "bearer " + apiKey: 200, "Bearer  " + apiKey: 200,
	} {
		r := request("GET", "/api/v1/workflows", "")
		r.Header.Set("Authorization", header)
		r.RemoteAddr = fmt.Sprintf("10.0.0.%d:1", len(header))
		if rec := w.do(r); rec.Code != status {
			t.Errorf("%q: %d", header, rec.Code)
		}
	}
}

func TestWithoutAKeyOnlyLoopbackNamesAreServed(t *testing.T) {
	w := newWorld(t, withKey(""))
	for host, ours := range map[string]bool{
		"localhost": true, "localhost:8484": true, "LOCALHOST:1": true, "127.0.0.1:8484": true, "[::1]:8484": true, "[::1]": true, "127.1.2.3": true,
		"example.com": false, "example.com:8484": false, "localhost.example.com": false, "127.0.0.1.example.com": false, "10.0.0.1": false, "": false, "0.0.0.0:8484": false,
	} {
		for target, guarded := range map[string]bool{"/api/v1/workflows": true, "/sign-in": true, "/docs": true,
			"/openapi.json": true, "/nothing": true,
			"/healthz": false, "/readyz": false, "/webhooks/subscribers": false} {
			r := request("GET", target, "")
			r.Header.Del("Authorization")
			r.Host = host
			rec := w.do(r)
			if refused := rec.Code == 403; refused != (guarded && !ours) {
				t.Errorf("%s with host %q: %d", target, host, rec.Code)
			}
			if rec.Code == 403 {
				w.wantProblem(rec, 403, "host_not_allowed")
			}
		}
	}
}

func TestPagesOfOtherSitesAreRefused(t *testing.T) {
	for _, key := range []string{"", apiKey} {
		w := newWorld(t, withKey(key))
		for _, tc := range []struct {
			site, origin string
			status       int
		}{
			{"", "", 200}, {"same-origin", "", 200}, {"none", "", 200}, {"cross-site", "", 403}, {"same-site", "", 403},
			{"", "http://localhost:8484", 200}, {"", "https://evil.example", 403}, {"", "null", 403},
		} {
			r := request("POST", "/api/v1/submissions/resume", "")
			if key == "" {
				r.Header.Del("Authorization")
			}
			if tc.site != "" {
				r.Header.Set("Sec-Fetch-Site", tc.site)
			}
			if tc.origin != "" {
				r.Header.Set("Origin", tc.origin)
			}
			rec := w.do(r)
			if rec.Code != tc.status {
				t.Errorf("site %q, origin %q: %d", tc.site, tc.origin, rec.Code)
			}
			if rec.Code == 403 {
				w.wantProblem(rec, 403, "cross_origin")
			}
		}
	}
}

func TestFailedProofsAreLimitedByAddress(t *testing.T) {
	frozen := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	now := func() time.Time { return frozen }
	w := newWorld(t, func(c *Config) { c.Now = func() time.Time { return now() } })
	try := func(path, addr, key string) int {
		r := request("POST", path, "{}")
		r.RemoteAddr = addr
		r.Header.Set("Authorization", key)
		return w.do(r).Code
	}
	for name, path := range map[string]string{"10.0.0.1:%d": "/api/v1/submissions/resume",
		"10.0.0.2:%d": "/webhooks/subscribers", "10.0.0.3:%d": "/webhooks/fullenrich/x"} {
		for i := range 12 {
			want := 401
			if i >= 10 {
				want = 429
			}
			if got := try(path, fmt.Sprintf(name, i), ""); got != want {
				t.Errorf("%s, failure %d: %d, want %d", path, i+1, got, want)
			}
		}
	}
	if got := try("/api/v1/submissions/resume", "10.0.0.1:9", "Bearer "+apiKey); got != 200 {
		t.Errorf("a right key behind the same address: %d", got)
	}
	if got := try("/api/v1/submissions/resume", "10.0.0.9:9", ""); got != 401 {
		t.Errorf("another address: %d", got)
	}
	for i := range 12 { // one IPv6 client has a whole network
		got := try("/api/v1/submissions/resume", fmt.Sprintf("[2001:db8::%x]:1", i+1), "")
		if i == 11 && got != 429 {
			t.Errorf("an IPv6 network: %d", got)
		}
	}
	later := frozen.Add(time.Minute)
	now = func() time.Time { return later }
	if got := try("/api/v1/submissions/resume", "10.0.0.1:1", ""); got != 401 {
		t.Errorf("a minute later: %d", got)
	}
}

func TestEveryAnswerHasItsHeaders(t *testing.T) {
	w := newWorld(t)
	w.mount()
	seen := map[string]bool{}
	for _, target := range []string{"/", "/docs", "/api/v1/runs", "/api/v1/nothing", "/healthz", "/webhooks/subscribers"} {
		h := w.call("GET", target, "").Header()
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Cross-Origin-Resource-Policy": "same-origin"} {
			if h.Get(name) != want {
				t.Errorf("%s: %s is %q", target, name, h.Get(name))
			}
		}
		if csp := h.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") ||
			!strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", target, csp)
		}
		if strings.HasPrefix(target, "/api") && h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s may be cached", target)
		}
		id := h.Get("X-Request-Id")
		if len(id) < 20 || seen[id] {
			t.Errorf("%s: request id %q", target, id)
		}
		seen[id] = true
	}
}

func TestPanicsAreProblemsAndTellNothing(t *testing.T) {
	w := newWorld(t)
	w.server.Route("GET /api/v1/panic", func(http.ResponseWriter, *http.Request) error { panic("secret of ada@example.com") })
	w.server.Route("GET /api/v1/late", func(rw http.ResponseWriter, _ *http.Request) error { _, _ = rw.Write([]byte("half")); panic("x") })
	w.server.Route("GET /api/v1/nil", func(http.ResponseWriter, *http.Request) error { var p *http.Request; _ = p.Method; return nil })
	for _, target := range []string{"/api/v1/panic", "/api/v1/nil"} {
		rec := w.call("GET", target, "")
		w.wantProblem(rec, 500, "internal")
		if strings.Contains(rec.Body.String(), "goroutine") || strings.Contains(rec.Body.String(), "secret") {
			t.Errorf("tells: %s", rec.Body)
		}
	}
	log := w.log.String()
	if strings.Contains(log, "ada@example.com") || !strings.Contains(log, "nil pointer dereference") ||
		strings.Count(log, "guard_test.go") < 2 {
		t.Errorf("log: %s", log)
	}
	func() {
		defer func() {
			if recover() != http.ErrAbortHandler {
				t.Error("half an answer is not cut off")
			}
		}()
		w.call("GET", "/api/v1/late", "")
	}()
}

func TestAccessLogHoldsNoTokenQueryOrAddress(t *testing.T) {
	w := newWorld(t)
	w.call("GET", "/api/v1/runs?q=ada%40example.com", "")
	w.call("POST", "/webhooks/fullenrich/t0ken", "{}")
	w.call("GET", "/nothing/p4th", "")
	w.call("POST", "/api/v1/subscribers", `{"email":"grace@gmail.com\n"}`)
	r := request("GET", "/api/v1/runs", "")
	r.Header.Set("Authorization", "Bearer wr0ng")
	w.do(r)
	log := w.log.String()
	for _, secret := range []string{"ada", "grace", "t0ken", "wr0ng", "p4th", apiKey, "192.0.2.1"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %q:\n%s", secret, log)
		}
	}
	for _, route := range []string{`route="GET /api/v1/runs" status=200`,
		`route="POST /webhooks/fullenrich/{token}" status=401`, `route=none status=404`} {
		if !strings.Contains(log, route) {
			t.Errorf("the log lacks %s:\n%s", route, log)
		}
	}
}

func TestABusyAPIDoesNotStarveWebhooks(t *testing.T) {
	serving(t, func(c *Config) { c.MaxRequests = 2 }, func(t *testing.T, w *world, _ *pipes, _ func() error) {
		get := func(target string, status int) *httptest.ResponseRecorder {
			t.Helper()
			rec := w.call("GET", target, "")
			if rec.Code != status {
				t.Errorf("%s: %d %s", target, rec.Code, rec.Body)
			}
			return rec
		}
		release := make(chan struct{})
		w.server.Route("GET /api/v1/slow", func(http.ResponseWriter, *http.Request) error { <-release; return nil })
		for range 2 {
			go w.call("GET", "/api/v1/slow", "")
		}
		synctest.Wait()
		began := time.Now()
		w.wantProblem(get("/api/v1/workflows", 503), 503, "busy")
		if took := time.Since(began); took != door.PoolPatience {
			t.Errorf("refused after %s", took)
		}
		get("/webhooks/subscribers", 200)
		if rec := w.do(sign(w, request("POST", api.SubscriberWebhook.Path, `{"email":"a@gmail.com"}`), "msg_1")); rec.Code != 202 {
			t.Errorf("webhook: %d %s", rec.Code, rec.Body)
		}
		get("/healthz", 200)
		get("/readyz", 200)
		if took := time.Since(began); took != door.PoolPatience {
			t.Errorf("webhooks and probes waited: %s", took-door.PoolPatience)
		}
		close(release)
		synctest.Wait()
		get("/api/v1/workflows", 200)
	})
}

func TestSlowSendersDoNotStarveWebhooks(t *testing.T) {
	serving(t, func(c *Config) { c.MaxRequests = 2 }, func(t *testing.T, w *world, p *pipes, _ func() error) {
		for range 10 {
			conn, ok := p.dial()
			if !ok {
				t.Fatal("nobody listens")
			}
			defer conn.Close()
			go func() {
				_, _ = fmt.Fprintf(conn, "POST /webhooks/fullenrich/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n{", maxResult)
			}()
		}
		synctest.Wait()
		began := time.Now()
		if rec := w.do(sign(w, request("POST", api.SubscriberWebhook.Path, `{"email":"a@gmail.com"}`), "msg_1")); rec.Code != 202 ||
			time.Since(began) > 0 {
			t.Errorf("after %s: %d %s", time.Since(began), rec.Code, rec.Body)
		}
	})
}

func TestBodiesInMemoryAreBounded(t *testing.T) {
	w := newWorld(t)
	from := netip.MustParseAddr("10.0.0.9")
	for range 4 {
		if !w.server.Bodies.Unproven.Enter(from, door.MaxUnproven/4-2) {
			t.Fatal("there is no room at all")
		}
		from = from.Next()
	}
	w.wantProblem(w.do(sign(w, request("POST", api.SubscriberWebhook.Path, `{"email":"a@gmail.com"}`), "msg_1")), 503, "busy")
	if rec := w.call("POST", "/api/v1/subscribers", `{"email":"a@gmail.com"}`); rec.Code != 202 {
		t.Errorf("the API is starved: %d", rec.Code)
	}
	for range 4 {
		from = from.Prev()
		w.server.Bodies.Unproven.Leave(from, door.MaxUnproven/4-2)
	}
	if rec := w.do(sign(w, request("POST", api.SubscriberWebhook.Path, `{"email":"a@gmail.com"}`), "msg_1")); rec.Code != 202 {
		t.Errorf("when there is room again: %d", rec.Code)
	}
	if api, hook := w.server.Bodies.API.Held(), w.server.Bodies.Unproven.Held(); api != 0 || hook != 0 {
		t.Errorf("held after the requests: %d, %d", api, hook)
	}
}

func TestCompressedBodiesAreRefused(t *testing.T) {
	w := newWorld(t)
	before := w.rows()
	for _, target := range []string{"/api/v1/subscribers", "/api/v1/uploads", "/webhooks/subscribers",
		"/webhooks/fullenrich/x", "/api/v1/submissions/pause"} {
		for _, encoding := range []string{"gzip", "br", "x"} {
			r := request("POST", target, "{}")
			r.Header.Set("Content-Encoding", encoding)
			w.wantProblem(w.do(r), 415, "unsupported_encoding")
		}
	}
	if w.rows() != before {
		t.Error("something was stored")
	}
}
