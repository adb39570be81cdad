package console

import (
	"net/http"
	"net/url"
)

func (c *Console) registerSignIn() {
	c.open("GET /sign-in", func(v *visit) error {
		q := v.URL.Query()
		return v.show(http.StatusOK, frame{Title: "Sign in", Bare: true}, signInPage(signInView{
			Link: q.Get("link"), Next: own(q.Get("next")), Failed: q.Get("failed"), Provider: c.cfg.Provider, NoKey: c.cfg.NoKeySignIn}))
	})
}

// signInView is what the sign-in offers.
type signInView struct {
	Link, Next      string
	Failed          string // empty: nothing did; 2: at the provider
	Provider, NoKey bool
}

// provider is where people go to sign in.
func (v signInView) provider() string {
	return address("/sign-in/provider", url.Values{"next": {v.Next}})
}

// signIn sends a browser without a session to the page that makes one, and back.
func (v *visit) signIn() {
	target := "/sign-in"
	if v.Method == http.MethodGet && v.URL.Path != "/" {
		target += "?next=" + url.QueryEscape(v.URL.RequestURI())
	}
	http.Redirect(v.w, v.Request, target, http.StatusSeeOther)
}
