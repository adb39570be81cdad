package door

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/access"
)

const (
	signInPath  = "/sign-in"
	signOutPath = "/sign-out"
	maxSignIn   = 16 << 10
)

// registerSignIn adds what the sign-in's form and the sign-out's button do; they
// answer browsers.
func (d *Door) registerSignIn() {
	for pattern, serve := range map[string]func(http.ResponseWriter, *http.Request) error{
		"POST " + signInPath: d.signIn, "POST " + signOutPath: d.signOut,
		"GET " + providerPath: d.askProvider, "GET " + CallbackPath: d.hearProvider,
	} {
		d.Route(pattern, serve)
		d.open[pattern], d.pages[pattern] = true, true
	}
}

// signIn turns an API key, or a sign-in link's secret, into a session.
func (d *Door) signIn(w http.ResponseWriter, r *http.Request) error {
	scopeOf(r.Context()).share = d.Bodies.Unproven
	read := readsBody(r.Context())
	raw, err := d.ReadBody(w, r, maxSignIn)
	read()
	if err != nil {
		return err
	}
	form, err := url.ParseQuery(string(raw))
	if err != nil || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return NewProblem(http.StatusUnsupportedMediaType, "unsupported_media_type", "send the form application/x-www-form-urlencoded")
	}
	next := localPath(form.Get("next"))
	if !d.cfg.Access.Needed() {
		return &elsewhere{next}
	}
	ctx := r.Context()
	session, err := d.newSession(ctx, strings.TrimSpace(form.Get("key")), strings.TrimSpace(form.Get("link")))
	if errors.Is(err, access.ErrRefused) {
		return &elsewhere{signInPath + "?" + url.Values{"failed": {"1"}, "next": {next}}.Encode()}
	}
	if err != nil {
		return err
	}
	return d.begin(w, r, session, access.SessionLasts, next)
}

// begin gives a browser its new session, takes the one before away, and sends it on.
func (d *Door) begin(w http.ResponseWriter, r *http.Request, session string, lasts time.Duration, next string) (err error) {
	ctx := r.Context()
	if scopeOf(ctx).caller, err = d.cfg.Access.Session(ctx, session); err != nil {
		return err
	}
	if err := d.audit(ctx, intent{name: "session.begin"}); err != nil {
		return err
	}
	if old := d.sessionOf(r); old != "" {
		if err := d.cfg.Access.SignOut(ctx, old); err != nil {
			return err
		}
	}
	d.setSession(w, session, lasts)
	return &elsewhere{next}
}

// newSession makes a session of a sign-in link, or else of a key. access.ErrRefused, a
// problem when there were too many wrong ones, or the error of the store.
func (d *Door) newSession(ctx context.Context, key, link string) (session string, err error) {
	if link != "" {
		session, err = d.cfg.Access.Redeem(ctx, link)
		if errors.Is(err, access.ErrRefused) {
			d.refused(ctx, failedLink)
			err = cmp.Or(d.failures.Count(scopeOf(ctx).from), err)
		}
		return session, err
	}
	if !d.cfg.Access.KeySignIn() {
		return "", NewProblem(http.StatusForbidden, "key_sign_in_off", "signing in with a key is off on this server (LIWANAG_KEY_SIGN_IN)")
	}
	by, err := d.keyOf(ctx, key)
	if err != nil {
		return "", err
	}
	return d.cfg.Access.Begin(ctx, by)
}

// signOut ends the browser's session.
func (d *Door) signOut(w http.ResponseWriter, r *http.Request) error {
	if d.identify(r) == nil && d.cfg.Access.Needed() {
		if err := d.audit(r.Context(), intent{name: "session.end"}); err != nil {
			return err
		}
		if err := d.cfg.Access.SignOut(r.Context(), d.sessionOf(r)); err != nil {
			return err
		}
	}
	d.setSession(w, "", -time.Second)
	return &elsewhere{signInPath}
}

// localPath is a path of ours to go to, or the first page: whatever a browser
// could take for another site's address is none.
func localPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.Contains(next, `\`) || u.Host != "" ||
		u.Scheme != "" {
		return "/"
	}
	return u.RequestURI()
}

// sessionCookie is the cookie's name: with the prefix a browser takes it from
// this host alone, and over TLS alone.
func (d *Door) sessionCookie() (name string, secure bool) {
	if strings.HasPrefix(d.cfg.PublicURL, "https://") {
		return "__Host-liwanag", true
	}
	return "liwanag", false
}

// setSession gives a browser its session, or takes it away.
func (d *Door) setSession(w http.ResponseWriter, session string, lasts time.Duration) {
	name, secure := d.sessionCookie()
	setCookie(w, name, session, lasts, secure)
}

func setCookie(w http.ResponseWriter, name, value string, lasts time.Duration, secure bool) {
	// #nosec G124 -- Secure wherever the public URL is https
	http.SetCookie(w, &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: int(lasts.Seconds()), HttpOnly: true,
		Secure: secure, SameSite: http.SameSiteLaxMode})
}

// sessionOf is the session that a request brings; empty without one.
func (d *Door) sessionOf(r *http.Request) string {
	name, _ := d.sessionCookie()
	cookie, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return cookie.Value
}
