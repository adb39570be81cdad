package httpapi

import (
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/oauth2-proxy/mockoidc"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/access"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
)

// people is a world whose console people sign in to at a provider.
type people struct {
	*world
	provider *mockoidc.MockOIDC
	url      string
}

func newPeople(t *testing.T, change ...func(*access.ProviderConfig)) *people {
	t.Helper()
	p := &people{}
	var err error
	if p.provider, err = mockoidc.Run(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.provider.Shutdown() })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.url = "http://" + ln.Addr().String()
	roles, err := access.ParseRoles("admin=ada@x.example;viewer=group:sales;export=eve@x.example")
	if err != nil {
		t.Fatal(err)
	}
	cfg := access.ProviderConfig{Issuer: p.provider.Issuer(), ClientID: p.provider.ClientID, Secret: p.provider.ClientSecret,
		Callback: p.url + door.CallbackPath, Roles: roles}
	for _, f := range change {
		f(&cfg)
	}
	p.world = newWorld(t, withSinks(t), func(c *Config) {
		c.Access = access.New(datastore.Alone{Store: c.Store}, apiKey, c.Now)
		c.Access.Trust(access.NewProvider(cfg))
	})
	p.mount()
	served := &httptest.Server{Listener: ln, Config: &http.Server{Handler: p.server}}
	served.Start()
	t.Cleanup(served.Close)
	return p
}

// browser keeps cookies; it follows redirects unless steps says otherwise.
func (p *people) browser(steps bool) *http.Client {
	jar, err := cookiejar.New(nil)
	p.must(err)
	c := &http.Client{Jar: jar}
	if steps {
		c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	return c
}

// get gives the status, the body and where it leads.
func (p *people) get(c *http.Client, address string) (status int, body, to string) {
	p.t.Helper()
	answer, err := c.Get(address)
	p.must(err)
	defer answer.Body.Close()
	return answer.StatusCode, readAll(p.t, answer.Body), answer.Header.Get("Location")
}

func user(email string, verified bool, groups ...string) *mockoidc.MockUser {
	return &mockoidc.MockUser{Subject: "subject-of-" + email, Email: email, EmailVerified: verified, Groups: groups}
}

func TestAPersonSignsInAtTheProvider(t *testing.T) {
	p := newPeople(t)
	p.provider.QueueUser(user("Ada@x.example", true))
	browser := p.browser(false)
	if status, body, _ := p.get(browser, p.url+"/sign-in/provider?next=%2Fruns%2Fx"); status != 200 || body != "run" {
		t.Fatalf("%d %s", status, body)
	}
	if status, body, _ := p.get(browser, p.url+"/api/v1/audit"); status != 200 || !strings.Contains(body, `"name":"ada@x.example"`) {
		t.Errorf("%d %s", status, body)
	}
	p.clock.advance(access.PersonLasts - time.Minute)
	if status, _, _ := p.get(browser, p.url+"/api/v1/runs"); status != 200 {
		t.Errorf("within 12 hours: %d", status)
	}
	p.clock.advance(2 * time.Minute)
	if status, _, _ := p.get(browser, p.url+"/api/v1/runs"); status != 401 {
		t.Errorf("after 12 hours: %d", status)
	}
}

func TestWhatAProviderSaysIsChecked(t *testing.T) {
	p := newPeople(t)
	for _, tc := range []struct {
		who  *mockoidc.MockUser
		want string
	}{
		{user("mallory@x.example", true), "subject-of-mallory@x.example"}, {user("ada@x.example", false), "subject-of-ada@x.example"},
		{user("", true), "subject-of-"}, {user("bob@x.example", true, "Sales", "group:sales"), "subject-of-bob@x.example"},
	} {
		p.provider.QueueUser(tc.who)
		if status, body, _ := p.get(p.browser(false), p.url+"/sign-in/provider"); status != 403 || !strings.Contains(body, tc.want) {
			t.Errorf("%+v: %d %s", tc.who, status, body)
		}
	}
	// Each step by hand: the state is this browser's, and good once.
	browser := p.browser(true)
	_, _, to := p.get(browser, p.url+"/sign-in/provider?next=%2F%2Fevil.example")
	asked, err := url.Parse(to)
	p.must(err)
	for _, name := range []string{"state", "nonce", "code_challenge"} {
		if len(asked.Query().Get(name)) < 43 {
			t.Errorf("%s: %q", name, asked.Query().Get(name))
		}
	}
	if asked.Query().Get("code_challenge_method") != "S256" {
		t.Error(to)
	}
	p.provider.QueueUser(user("ada@x.example", true))
	_, _, back := p.get(browser, to)
	refused := func(what string, c *http.Client, address string) {
		t.Helper()
		if status, _, to := p.get(c, address); status != 303 || to != "/sign-in?failed=2" {
			t.Errorf("%s: %d %s", what, status, to)
		}
	}
	refused("another browser", p.browser(true), back)
	stolen := p.browser(true)
	_, _, _ = p.get(stolen, p.url+"/sign-in/provider")
	refused("another sign-in's state", stolen, back)
	home, err := url.Parse(p.url)
	p.must(err)
	kept := browser.Jar.Cookies(home)
	if status, _, to := p.get(browser, back); status != 303 || to != "/" {
		t.Errorf("%d %s", status, to)
	}
	again := p.browser(true)
	again.Jar.SetCookies(home, kept)
	refused("the same state once more", again, back)
}

func TestAnotherIssuerThanTheSettingSaysIsRefused(t *testing.T) {
	other, err := mockoidc.Run()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Shutdown() })
	// The issuer's document must name the issuer that is set.
	wrong := newPeople(t, func(c *access.ProviderConfig) { c.Issuer = strings.TrimSuffix(other.Issuer(), "/oidc") + "/oidc/" })
	if status, _, _ := wrong.get(wrong.browser(true), wrong.url+"/sign-in/provider"); status != 503 {
		t.Errorf("%d", status)
	}
}

func TestAViewerSeesNoAddress(t *testing.T) {
	p := newPeople(t)
	_, err := api.AddSubscriber.Call(t.Context(), p.client(), api.SignUp{Email: "grace.hopper@gmail.com",
		Metadata: map[string]any{"note": "write to <boss@corp.example>", "a@b.example": "x"}})
	p.must(err)
	p.provider.QueueUser(user("bob@x.example", true, "sales"))
	viewer := p.browser(false)
	p.get(viewer, p.url+"/sign-in/provider")
	read := 0
	for _, pattern := range p.server.Routes() {
		method, path := fill(pattern)
		if method != http.MethodGet || p.server.Open()[pattern] || p.server.Pages()[pattern] || strings.HasSuffix(path, "/events") {
			continue
		}
		status, body, _ := p.get(viewer, p.url+strings.ReplaceAll(path, "/subscribers/x", "/subscribers/grace.hopper@gmail.com"))
		if need := p.server.Scopes()[pattern]; (need == "read") == (status == 403) {
			t.Errorf("%s needs %s: %d", pattern, need, status)
		}
		for _, told := range []string{"grace.hopper", "boss@", "a@b"} {
			if strings.Contains(body, told) {
				t.Errorf("%s tells %s: %s", pattern, told, body)
			}
		}
		if strings.Contains(body, "•••@gmail.com") {
			read++
		}
	}
	if read < 2 {
		t.Errorf("only %d answers are about her", read)
	}
	p.provider.QueueUser(user("eve@x.example", true, "sales"))
	granted := p.browser(false)
	p.get(granted, p.url+"/sign-in/provider")
	for _, path := range []string{"/api/v1/subscribers", "/api/v1/subscribers/export"} {
		if status, body, _ := p.get(granted, p.url+path); status != 200 || !strings.Contains(body, "grace.hopper@gmail.com") {
			t.Errorf("with export: %d %s", status, body)
		}
	}
}

func TestSigningInWithAKeyCanBeTurnedOff(t *testing.T) {
	before := ""
	w := newWorld(t, func(c *Config) {
		asBefore := access.New(datastore.Alone{Store: c.Store}, apiKey, c.Now)
		var err error
		if before, err = asBefore.Begin(t.Context(), access.Owner()); err != nil {
			t.Fatal(err)
		}
		c.Access = access.New(datastore.Alone{Store: c.Store}, apiKey, c.Now)
		c.Access.RefuseKeys()
	})
	w.mount()
	w.wantProblem(w.browse("GET", "/api/v1/runs", "", before), 401, "unauthorized")
	w.wantProblem(w.browse("POST", "/sign-in", "key="+apiKey, ""), 403, "key_sign_in_off")
	link, err := w.server.cfg.Access.Link(t.Context())
	w.must(err)
	w.wantElsewhere(w.browse("POST", "/sign-in", "link="+link, ""), "/")
	if rec := w.call("GET", "/api/v1/runs", ""); rec.Code != 200 {
		t.Errorf("a program's key: %d", rec.Code)
	}
	w.wantProblem(w.browse("GET", "/sign-in/provider", "", ""), 404, "not_found")
}
