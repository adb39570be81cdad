// Package console is the web console: pages rendered by the server, for people
// who steer Liwanag with a browser.
//
// It is a client of the API and of nothing else: whatever a page shows or does,
// it asks or does through internal/apiclient with the browser's own session, so
// any program can do the same.
package console

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/a-h/templ"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
)

// Config configures a Console. API is needed.
type Config struct {
	API http.Handler // serves /api/v1; called in process
	// SignIn says that the API needs a key, so that there is signing in and out.
	SignIn bool
	// Provider says that people sign in with one; NoKeySignIn that nobody does with a key.
	Provider, NoKeySignIn bool
	// May says whether who makes a request has a scope: what they may not do is not
	// offered. nil: everybody has all.
	May func(ctx context.Context, scope string) bool
	Now func() time.Time // default time.Now
	Log *slog.Logger     // default: discards
}

// Console serves the pages. It is safe for concurrent use.
type Console struct {
	cfg   Config
	pages []Page
}

// Page is a page or an action of one, to be mounted.
type Page struct {
	Pattern string // of http.ServeMux
	Handler http.Handler
	Open    bool // served to whoever has not signed in
}

// New returns a console, or what is wrong with cfg.
func New(cfg Config) (*Console, error) {
	if cfg.API == nil {
		return nil, errors.New("console: API is missing")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	c := &Console{cfg: cfg}
	c.registerAssets()
	c.registerSignIn()
	c.registerOverview()
	c.registerRuns()
	c.registerRun()
	c.registerWorkflows()
	c.registerSubscribers()
	c.registerViews()
	c.registerCompanies()
	c.registerUploads()
	c.registerSuppressions()
	c.registerSources()
	c.registerSinks()
	c.registerSubmissions()
	c.registerCredits()
	c.registerKeys()
	c.registerSettings()
	return c, nil
}

// Pages are all pages, for the server that mounts them.
func (c *Console) Pages() []Page { return c.pages }

// NotFound answers for a path that leads nowhere.
func (c *Console) NotFound() http.Handler {
	return c.page(func(*visit) error {
		return &apiclient.Problem{Problem: api.Problem{Status: http.StatusNotFound, Code: "not_found"}}
	})
}

// NoRole answers whom the provider knows and who may do nothing here.
func (c *Console) NoRole(subject, email string) http.Handler {
	return c.page(func(v *visit) error {
		return v.show(http.StatusForbidden, frame{Title: "No role", Bare: true}, noRolePage(subject, email))
	})
}

// handle adds a page, or an action of one, that needs a session.
func (c *Console) handle(pattern string, h func(*visit) error) {
	c.pages = append(c.pages, Page{Pattern: pattern, Handler: c.page(h)})
}

// open adds a page for everybody.
func (c *Console) open(pattern string, h func(*visit) error) {
	c.pages = append(c.pages, Page{Pattern: pattern, Handler: c.page(h), Open: true})
}

// visit is one request for a page.
type visit struct {
	*http.Request
	w       http.ResponseWriter
	api     *apiclient.Client
	now     time.Time
	console *Console
}

// may says whether the visitor has a scope.
func (v *visit) may(scope string) bool {
	return v.console.cfg.May == nil || v.console.cfg.May(v.Context(), scope)
}

// maxForm bounds the forms of pages, in bytes; files go another way.
const maxForm = 2 << 20

// policy is what a page may load: our own files and nothing inline.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func (c *Console) page(h func(*visit) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		v := &visit{Request: r, w: w, now: c.cfg.Now(), console: c}
		var err error
		if v.api, err = c.client(w, r); err == nil {
			err = h(v)
		}
		if err != nil {
			v.fail(err)
		}
	})
}

// fail answers with the page of an error that no page could show better itself.
func (v *visit) fail(err error) {
	fault := faultOf(err)
	if fault.Status == http.StatusUnauthorized {
		v.signIn()
		return
	}
	if fault.Status >= http.StatusInternalServerError && fault.Code == internalFault {
		v.console.cfg.Log.ErrorContext(v.Context(), "a page failed", "request", v.w.Header().Get("X-Request-Id"), "error", err)
		fault.RequestID = v.w.Header().Get("X-Request-Id")
	}
	title := "Something went wrong"
	back := remedy{"To the overview", "/"}
	switch {
	case fault.Status == http.StatusNotFound:
		title = "Not found"
	case fault.Status == http.StatusBadRequest && v.Method == http.MethodGet && v.URL.RawQuery != "":
		title, back = "That filter is not understood", remedy{"Back to the list", v.URL.Path}
	}
	if err := v.show(fault.Status, frame{Title: title}, errorPage(title, fault, back)); err != nil {
		http.Error(v.w, title, http.StatusInternalServerError)
	}
}

// show renders a page into its frame. Nothing is written before all of it could
// be rendered.
func (v *visit) show(status int, f frame, body templ.Component) error {
	f.visit, f.flash = v, v.takeFlash()
	var page bytes.Buffer
	if err := layout(f, body).Render(v.Context(), &page); err != nil {
		return fmt.Errorf("console: page %q cannot be rendered: %w", f.Title, err)
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.Header().Set("Cache-Control", "no-store")
	v.w.WriteHeader(status)
	_, _ = v.w.Write(page.Bytes()) // the browser is gone: nobody to tell
	return nil
}

// form reads the fields of a form that was sent.
func (v *visit) form() error {
	v.Body = http.MaxBytesReader(v.w, v.Body, maxForm)
	err := v.ParseForm()
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return &apiclient.Problem{Problem: api.Problem{Status: http.StatusRequestEntityTooLarge, Code: "too_large",
			Detail: fmt.Sprintf("the form is larger than %d bytes", tooLarge.Limit)}}
	case err != nil:
		return &apiclient.Problem{Problem: api.Problem{Status: http.StatusBadRequest, Code: "malformed", Detail: "the form cannot be read"}}
	}
	return nil
}

// goTo sends the browser to another page, with a message for it to show.
func (v *visit) goTo(path, message string) error {
	if message != "" {
		v.setFlash(message)
	}
	http.Redirect(v.w, v.Request, path, http.StatusSeeOther)
	return nil
}

// internalFault is the code of what is no answer of the API.
const internalFault = "internal"

// faultOf is what went wrong, for a page to show.
func faultOf(err error) *apiclient.Problem {
	var p *apiclient.Problem
	if errors.As(err, &p) {
		shown := *p
		shown.Status = cmp.Or(p.Status, http.StatusInternalServerError)
		return &shown
	}
	return &apiclient.Problem{Problem: api.Problem{Status: http.StatusInternalServerError, Code: internalFault,
		Detail: "a fault of the server: its log tells more under the request's id"}}
}
