package httpapi

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/access"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// withKey makes a server that is opened by a key, or by anybody.
func withKey(key string) func(*Config) {
	return func(c *Config) { c.Access = access.New(datastore.Alone{Store: c.Store}, key, c.Now) }
}

// mount adds a console of few words.
func (w *world) mount() {
	say := func(text string) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte(text)) })
	}
	w.server.Mount([]door.Page{
		{Pattern: "GET /{$}", Handler: say("overview")},
		{Pattern: "GET /runs/{id}", Handler: say("run")},
		{Pattern: "POST /runs/{id}/cancel", Handler: say("canceled")},
		{Pattern: "GET /sign-in", Open: true, Handler: say("sign in")},
		{Pattern: "GET /assets/{file}", Open: true, Handler: say("asset")},
	}, say("no such page"), func(subject, email string) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			rw.WriteHeader(http.StatusForbidden)
			_, _ = rw.Write([]byte("no role: " + subject + " " + email))
		})
	})
}

// browse asks as a browser does, with a session or without.
func (w *world) browse(method, target, form, session string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(form))
	r.Host = "localhost:8484"
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if form != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if session != "" {
		r.AddCookie(&http.Cookie{Name: "liwanag", Value: session})
	}
	return w.do(r)
}

// signIn signs a browser in.
func (w *world) signIn() (session string) {
	w.t.Helper()
	rec := w.browse("POST", "/sign-in", "key="+apiKey, "")
	cookies := rec.Result().Cookies()
	if rec.Code != 303 || len(cookies) != 1 || cookies[0].Value == "" {
		w.t.Fatalf("sign-in: %d %v %s", rec.Code, rec.Header(), rec.Body)
	}
	return cookies[0].Value
}

func (w *world) wantElsewhere(rec *httptest.ResponseRecorder, path string) {
	w.t.Helper()
	if rec.Code != 303 || rec.Header().Get("Location") != path {
		w.t.Errorf("%d to %q, want %q: %s", rec.Code, rec.Header().Get("Location"), path, rec.Body)
	}
}

func TestASessionOpensPagesAndTheAPI(t *testing.T) {
	w := newWorld(t)
	w.mount()
	w.wantElsewhere(w.browse("GET", "/", "", ""), "/sign-in")
	w.wantElsewhere(w.browse("GET", "/runs/x?tab=1&q=a", "", ""), "/sign-in?next="+url.QueryEscape("/runs/x?tab=1&q=a"))
	w.wantElsewhere(w.browse("POST", "/runs/x/cancel", "a=b", ""), "/sign-in")
	w.wantElsewhere(w.browse("GET", "/nowhere", "", ""), "/sign-in?next=%2Fnowhere")
	w.wantProblem(w.browse("GET", "/api/v1/runs", "", ""), 401, "unauthorized")
	session := w.signIn()
	for target, want := range map[string]string{"/": "overview", "/runs/x": "run", "/nowhere": "no such page",
		"/api/v1/runs": `{"items":[]}` + "\n"} {
		if rec := w.browse("GET", target, "", session); rec.Code != 200 || rec.Body.String() != want {
			t.Errorf("%s: %d %s", target, rec.Code, rec.Body)
		}
	}
	if rec := w.browse("POST", "/runs/x/cancel", "a=b", session); rec.Body.String() != "canceled" {
		t.Errorf("an action: %d %s", rec.Code, rec.Body)
	}
	if rec := w.browse("POST", "/api/v1/submissions/resume", "", session); rec.Code != 200 {
		t.Errorf("an act of the API: %d %s", rec.Code, rec.Body)
	}
	w.wantProblem(w.browse("GET", "/api/v1/nothing", "", session), 404, "not_found")
	w.wantElsewhere(w.browse("POST", "/sign-out", "", session), "/sign-in")
	w.wantElsewhere(w.browse("GET", "/", "", session), "/sign-in")
	w.wantProblem(w.browse("GET", "/api/v1/runs", "", session), 401, "unauthorized")
	w.wantElsewhere(w.browse("POST", "/sign-out", "", ""), "/sign-in")
}

func TestASessionEndsWithItsTimeAndWithItsKey(t *testing.T) {
	w := newWorld(t)
	w.mount()
	session := w.signIn()
	w.clock.advance(access.SessionLasts - time.Minute)
	if rec := w.browse("GET", "/", "", session); rec.Code != 200 {
		t.Errorf("within a week: %d", rec.Code)
	}
	other, err := New(func() Config {
		c := w.server.cfg
		c.Access = access.New(datastore.Alone{Store: w.store.Store}, "another-key-of-32-characters-xxx", w.clock.now)
		return c
	}())
	w.must(err)
	w.server, other = other, w.server
	w.wantProblem(w.browse("GET", "/api/v1/runs", "", session), 401, "unauthorized")
	w.server = other
	w.clock.advance(2 * time.Minute)
	w.wantElsewhere(w.browse("GET", "/", "", session), "/sign-in")
}

func TestASignInLinkIsUsedUpByItsButtonAlone(t *testing.T) {
	w := newWorld(t)
	w.mount()
	link, err := w.server.cfg.Access.Link(t.Context())
	w.must(err)
	for range 3 { // previewers of links
		if rec := w.browse("GET", "/sign-in?link="+link, "", ""); rec.Code != 200 {
			t.Fatalf("the page: %d", rec.Code)
		}
	}
	rec := w.browse("POST", "/sign-in", url.Values{"link": {link}, "next": {"/runs/x"}}.Encode(), "")
	w.wantElsewhere(rec, "/runs/x")
	if got := w.browse("GET", "/", "", rec.Result().Cookies()[0].Value); got.Code != 200 {
		t.Errorf("the session: %d", got.Code)
	}
	w.wantElsewhere(w.browse("POST", "/sign-in", "link="+link, ""), "/sign-in?failed=1&next=%2F")
	late, err := w.server.cfg.Access.Link(t.Context())
	w.must(err)
	w.clock.advance(access.LinkLasts)
	w.wantElsewhere(w.browse("POST", "/sign-in", "link="+late, ""), "/sign-in?failed=1&next=%2F")
}

func TestSigningInGoesToLocalPathsOnly(t *testing.T) {
	w := newWorld(t)
	for next, want := range map[string]string{
		"": "/", "/runs?status=failed": "/runs?status=failed", "//evil.example": "/", "https://evil.example": "/", `/\evil.example`: "/", `\\evil.example`: "/",
		"/\t/evil.example": "/", "runs": "/", "javascript:alert(1)": "/", "/a\nb": "/", "/%0d%0aX: y": "/%0D%0AX:%20y",
	} {
		w.wantElsewhere(w.browse("POST", "/sign-in", url.Values{"key": {apiKey}, "next": {next}}.Encode(), ""), want)
	}
}

func TestSessionCookiesAreHeldByTheBrowserAlone(t *testing.T) {
	for public, want := range map[string]string{
		"http://127.0.0.1:8484": "liwanag=S; Path=/; Max-Age=604800; HttpOnly; SameSite=Lax",
		"https://liwanag.test":  "__Host-liwanag=S; Path=/; Max-Age=604800; HttpOnly; Secure; SameSite=Lax",
	} {
		w := newWorld(t, func(c *Config) { c.PublicURL = public })
		rec := w.browse("POST", "/sign-in", "key="+apiKey, "")
		cookie := rec.Header().Get("Set-Cookie")
		session := rec.Result().Cookies()[0].Value
		if got := strings.Replace(cookie, session, "S", 1); got != want {
			t.Errorf("%s: %s", public, got)
		}
		if len(session) < 43 {
			t.Errorf("a session of %d characters", len(session))
		}
	}
}

func TestSigningInAgainMakesAnotherSession(t *testing.T) {
	w := newWorld(t)
	first := w.signIn()
	rec := w.browse("POST", "/sign-in", "key="+apiKey, first)
	if second := rec.Result().Cookies()[0].Value; second == first {
		t.Error("the session is the same")
	}
	w.wantProblem(w.browse("GET", "/api/v1/runs", "", first), 401, "unauthorized")
}

func TestFailedSignInsAreLimitedByAddress(t *testing.T) {
	w := newWorld(t, func(c *Config) { at := time.Now(); c.Now = func() time.Time { return at } })
	for i := range 12 {
		rec := w.browse("POST", "/sign-in", "link=wrong", "")
		if i < 10 {
			w.wantElsewhere(rec, "/sign-in?failed=1&next=%2F")
		} else {
			w.wantProblem(rec, 429, "too_many_failures")
		}
		if rec.Header().Get("Set-Cookie") != "" {
			t.Error("a wrong key makes a session")
		}
	}
	w.wantElsewhere(w.browse("POST", "/sign-in", "key="+apiKey, ""), "/")
}

func TestPagesOfOtherSitesCannotSignInOrAct(t *testing.T) {
	w := newWorld(t)
	w.mount()
	session := w.signIn()
	for _, site := range []string{"cross-site", "same-site"} {
		for _, target := range []string{"/sign-in", "/sign-out", "/runs/x/cancel", "/api/v1/submissions/pause"} {
			r := httptest.NewRequest("POST", target, strings.NewReader("key="+apiKey))
			r.Host = "localhost:8484"
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Sec-Fetch-Site", site)
			r.AddCookie(&http.Cookie{Name: "liwanag", Value: session})
			w.wantProblem(w.do(r), 403, "cross_origin")
		}
	}
	r := httptest.NewRequest("POST", "/api/v1/submissions/pause", strings.NewReader(`reason=x`))
	r.Host = "localhost:8484"
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.AddCookie(&http.Cookie{Name: "liwanag", Value: session})
	w.wantProblem(w.do(r), 415, "unsupported_media_type")
}

func TestWithoutAKeyThereIsNothingToSignInTo(t *testing.T) {
	w := newWorld(t, withKey(""))
	w.mount()
	if rec := w.browse("GET", "/", "", ""); rec.Code != 200 {
		t.Errorf("%d", rec.Code)
	}
	w.wantElsewhere(w.browse("POST", "/sign-in", "next=/runs/x", ""), "/runs/x")
}

func TestASessionThatCannotBeLookedUpIsNoStranger(t *testing.T) {
	session := newWorld(t).signIn()
	w := newWorld(t, func(c *Config) { c.Access = access.New(deafPasses{}, apiKey, time.Now) })
	w.mount()
	for _, target := range []string{"/", "/api/v1/runs"} {
		w.wantProblem(w.browse("GET", target, "", session), 503, "database_unavailable")
	}
}

// deafPasses cannot say who has a session.
type deafPasses struct{ access.Store }

func (deafPasses) Pass(context.Context, liwanag.Digest) (liwanag.Pass, error) {
	return liwanag.Pass{}, liwanag.ErrDatabase
}

func TestPagesDoNotWaitForTheRequestsTheyMake(t *testing.T) {
	serving(t, func(c *Config) { c.MaxRequests = 2 }, func(t *testing.T, w *world, _ *pipes, _ func() error) {
		w.server.Mount([]door.Page{{Pattern: "GET /nested", Open: true, Handler: http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			if rec := w.call("GET", "/api/v1/workflows", ""); rec.Code != 200 {
				t.Errorf("the API in a page: %d %s", rec.Code, rec.Body)
			}
			rw.WriteHeader(200)
		})}}, http.NotFoundHandler(), nil)
		began := time.Now()
		for range 20 {
			go w.call("GET", "/nested", "")
		}
		synctest.Wait()
		if took := time.Since(began); took > 0 {
			t.Errorf("it took %s", took)
		}
	})
}

func TestPagesHaveTheConsolesPolicy(t *testing.T) {
	w := newWorld(t)
	w.mount()
	for _, target := range []string{"/sign-in", "/", "/nowhere"} {
		h := w.browse("GET", target, "", w.signIn()).Header()
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
			"Cache-Control":           "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin",
		} {
			if h.Get(name) != want {
				t.Errorf("%s: %s is %q", target, name, h.Get(name))
			}
		}
	}
}
