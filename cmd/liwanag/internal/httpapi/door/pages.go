package door

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/access"
)

// Page is a page of the console, or an action of one.
type Page struct {
	Pattern string // of http.ServeMux, such as "GET /runs/{id}"; neither under /api nor under /webhooks
	Handler http.Handler
	Open    bool // served to whoever has not signed in
}

// pagePolicy is what a page may load: our own files, and nothing inline.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// Mount adds the console's pages, notFound for browsers that ask for a page that is not
// there, and noRole for people who may do nothing. It comes before Serve, once.
//
// Pages pass the same guard, log and id as the API. A browser without a session
// is sent to GET /sign-in?next=…, which is a page too; POST /sign-in and
// POST /sign-out are the server's. A page calls the API through ServeHTTP with
// the browser's Cookie, Host and RemoteAddr; it holds no place among the
// requests that are served at once, so the calls it makes cannot wait for it.
func (d *Door) Mount(pages []Page, NotFound http.Handler, noRole func(subject, email string) http.Handler) {
	d.missing = asPage(NotFound)
	d.noRole = func(subject, email string) http.Handler { return asPage(noRole(subject, email)) }
	for _, p := range pages {
		d.routes = append(d.routes, p.Pattern)
		d.pages[p.Pattern], d.open[p.Pattern] = true, p.Open
		d.mux.Handle(p.Pattern, asPage(p.Handler))
	}
}

// asPage gives a page's answers their headers.
func asPage(page http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", pagePolicy)
		w.Header().Set("Cross-Origin-Opener-Policy", "same-origin")
		page.ServeHTTP(w, r)
	})
}

// wantsPage says whether a browser asks for a page of the console.
func (d *Door) wantsPage(r *http.Request) bool {
	return d.missing != nil && (r.Method == http.MethodGet || r.Method == http.MethodHead) &&
		!under(r.URL.Path, "/api") && !ingress(r) && strings.Contains(r.Header.Get("Accept"), "text/html")
}

// noPage stands for the pattern of a page that is not there.
const noPage = "no page"

// elsewhere is where a browser should go instead.
type elsewhere struct{ path string }

func (e *elsewhere) Error() string { return "httpapi: go to " + e.path }

// admitVisitor lets a browser with a session pass. Another is sent to the sign-in,
// and from there back to a page that it can ask for again; it is no guess.
func (d *Door) admitVisitor(r *http.Request) error {
	err := d.identify(r)
	if !errors.Is(err, access.ErrRefused) {
		return err
	}
	path := signInPath
	if r.Method == http.MethodGet && r.URL.Path != "/" {
		path += "?next=" + url.QueryEscape(r.URL.RequestURI())
	}
	return &elsewhere{path}
}
