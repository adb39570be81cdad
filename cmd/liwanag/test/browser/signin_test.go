package browser

import (
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/oauth2-proxy/mockoidc"
	"golang.org/x/net/html"
)

// people is a world whose console people sign in to at a provider.
type people struct {
	*world
	provider *mockoidc.MockOIDC
}

func newPeople(t *testing.T) *people {
	t.Helper()
	provider, err := mockoidc.Run()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = provider.Shutdown() })
	w := newWorld(t, "LIWANAG_OIDC_ISSUER="+provider.Issuer(), "LIWANAG_OIDC_CLIENT_ID="+provider.ClientID,
		"LIWANAG_OIDC_CLIENT_SECRET="+provider.ClientSecret,
		"LIWANAG_OIDC_ROLES=admin=ada@x.example;viewer=group:sales;read=group:read;export=group:export;ingest=group:ingest;operate=group:operate")
	return &people{w, provider}
}

// next is who signs in next at the provider.
func (p *people) next(email string, groups ...string) {
	p.provider.QueueUser(&mockoidc.MockUser{Subject: "subject-of-" + email, Email: email, EmailVerified: true, Groups: groups})
}

const atProvider = `a[href^="/sign-in/provider"]`

func TestAViewerSignsInAtTheProviderAndIsOfferedWhatHeMay(t *testing.T) {
	w := newPeople(t)
	id, run := w.add("grace+found@gmail.com")
	w.wantRun(run, "completed")
	w.next("bob@x.example", "sales")
	p := w.open()
	p.goTo("/subscribers?status=enriched")
	p.at("/sign-in")
	p.accessible("a sign-in with a provider")
	p.click(atProvider)
	p.at("/subscribers") // where one wanted to go
	p.see("•••@gmail.com")
	p.accessible("the list of a viewer")
	for path, title := range map[string]string{"/subscribers/" + id: "•••@gmail.com", "/runs/" + run: "Timeline", "/": "Overview"} {
		p.goTo(path)
		p.see(title)
		if got := eval[string](p, `document.body.innerHTML`); strings.Contains(got, "grace+") {
			t.Errorf("%s tells a viewer an address", path)
		}
		offered := `[...document.querySelectorAll("form[method=post]")].map((f) => f.getAttribute("action")).join(" ")`
		if got := eval[string](p, offered); got != "/sign-out" {
			t.Errorf("%s offers a viewer %s", path, got)
		}
	}
	p.may = []string{"403"}
	p.goTo("/keys")
	p.see("this needs the scope admin")
	p.click(`form[action="/sign-out"] button`)
	p.at("/sign-in")
	p.goTo("/")
	p.at("/sign-in")
	w.next("ada@x.example")
	p.click(atProvider)
	p.see("Overview")
	p.goTo("/audit")
	p.see("bob@x.example")
	p.see("ada@x.example")
}

func TestWhoHasNoRoleIsToldTheirSubject(t *testing.T) {
	w := newPeople(t)
	w.next("mallory@x.example", "marketing")
	p := w.open()
	p.may = []string{"403"}
	p.goTo("/sign-in")
	p.click(atProvider)
	p.see("subject-of-mallory@x.example")
	p.see("LIWANAG_OIDC_ROLES")
	p.accessible("the page of whoever has no role")
	p.goTo("/")
	p.at("/sign-in")
}

func TestSessionsOfKeysEndWhenSigningInWithThemIsTurnedOff(t *testing.T) {
	w := newPeople(t)
	with := w.signedIn()
	w.next("bob@x.example", "sales")
	person := w.open()
	person.goTo("/sign-in")
	person.click(atProvider)
	person.see("Overview")
	for _, p := range []*page{with, person} {
		p.may = []string{"ERR_", "503", "401"} // live updates, while there is no server
	}
	w.restart("LIWANAG_KEY_SIGN_IN=false")
	with.goTo("/runs")
	with.at("/sign-in")
	if eval[bool](with, `!!document.querySelector('input[name="key"]')`) {
		t.Error("a key is asked for")
	}
	with.accessible("a sign-in without keys")
	person.goTo("/runs")
	person.at("/runs")
	person.see("Runs")
}

// client is a browser without scripts, of whoever signs in.
func (p *people) client() *http.Client {
	p.t.Helper()
	jar, err := cookiejar.New(nil)
	p.must(err)
	c := &http.Client{Jar: jar}
	if status, page := p.ask(c, http.MethodGet, "/sign-in/provider", nil); status != http.StatusOK {
		p.t.Fatalf("signing in: %d %s", status, page)
	}
	return c
}

func (p *people) ask(c *http.Client, method, path string, form url.Values) (status int, page string) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, strings.NewReader(form.Encode()))
	p.must(err)
	r.Header.Set("Accept", "text/html")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	answer, err := c.Do(r)
	p.must(err)
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	p.must(err)
	return answer.StatusCode, string(raw)
}

// offer is what a page leads to: its links, and its forms with what is in them.
type offer struct {
	links []string
	posts map[string]url.Values
}

func offerOf(t *testing.T, page string) (o offer) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	o.posts = map[string]url.Values{}
	var form url.Values
	of := func(n *html.Node, name string) string {
		for _, a := range n.Attr {
			if a.Key == name {
				return a.Val
			}
		}
		return ""
	}
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		switch n.Data {
		case "a":
			o.links = append(o.links, of(n, "href"))
		case "form":
			form = url.Values{}
			if of(n, "method") == "post" {
				o.posts[of(n, "action")] = form
			}
		case "input", "textarea", "button":
			if form != nil && of(n, "name") != "" {
				form.Set(of(n, "name"), of(n, "value"))
			}
			if at := of(n, "formaction"); at != "" {
				o.posts[at] = form
			}
		}
		for child := range n.ChildNodes() {
			walk(child)
		}
	}
	walk(root)
	return o
}

// offered are all pages that those known lead to, and what their forms would send. What is
// led to and forbidden fails the test.
func (p *people) offered(c *http.Client, known []string) (pages int, posts map[string]url.Values) {
	p.t.Helper()
	posts = map[string]url.Values{}
	answers, led := map[string]int{}, map[string]string{}
	for todo := known; len(todo) > 0; todo = todo[1:] {
		path := todo[0]
		if answers[path] != 0 {
			continue
		}
		status, page := p.ask(c, http.MethodGet, path, nil)
		answers[path] = status
		o := offerOf(p.t, page)
		for _, l := range o.links {
			if strings.HasPrefix(l, "/") && !strings.HasPrefix(l, "/docs") && !strings.Contains(l, "?") {
				led[l] = path
				todo = append(todo, l)
			}
		}
		maps.Copy(posts, o.posts)
	}
	for path, from := range led {
		if status := answers[path]; status == http.StatusForbidden || status >= 500 {
			p.t.Errorf("%s leads to %s: %d", from, path, status)
		}
	}
	delete(posts, "/sign-out")
	return len(answers), posts
}

// TestTheConsoleOffersNobodyWhatIsForbidden walks all pages by their links, and sends all
// their forms, as people of each role.
func TestTheConsoleOffersNobodyWhatIsForbidden(t *testing.T) {
	w := newPeople(t)
	known := []string{"/"}
	for _, page := range w.furnish() {
		known = append(known, page.path)
	}
	for _, groups := range [][]string{{"sales"}, {"read", "export"}, {"read", "ingest"}, {"read", "operate"}} {
		w.next("bob@x.example", groups...)
		c := w.client()
		pages, posts := w.offered(c, slices.Clone(known))
		t.Logf("%v: %d pages, %d forms", groups, pages, len(posts))
		acts := slices.Contains(groups, "ingest") || slices.Contains(groups, "operate")
		if pages < 25 || acts != (len(posts) > 5) {
			t.Errorf("%v: %d pages, forms %v", groups, pages, posts)
		}
		for at, form := range posts {
			if status, page := w.ask(c, http.MethodPost, at, form); status == http.StatusForbidden || status >= 500 {
				t.Errorf("%v: %s is offered: %d %s", groups, at, status, page[max(0, strings.Index(page, "<main")):])
			}
		}
	}
}
