package console

import (
	"net/http"
	"net/url"
)

func (c *Console) registerSignIn() {
	c.open("GET /sign-in", func(v *visit) error {
		q := v.URL.Query()
		return v.show(http.StatusOK, frame{Title: "Sign in", Bare: true}, signInPage(q.Get("link"), own(q.Get("next")), q.Has("failed")))
	})
}

// signIn sends a browser without a session to the page that makes one, and back.
func (v *visit) signIn() {
	target := "/sign-in"
	if v.Method == http.MethodGet && v.URL.Path != "/" {
		target += "?next=" + url.QueryEscape(v.URL.RequestURI())
	}
	http.Redirect(v.w, v.Request, target, http.StatusSeeOther)
}
