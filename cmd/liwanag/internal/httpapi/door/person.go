package door

import (
	"cmp"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/access"
)

const (
	providerPath = "/sign-in/provider"
	// CallbackPath is where a provider sends browsers back to.
	CallbackPath = "/sign-in/callback"
)

// What fails at a provider, as the audit trail has it.
const (
	failedPerson = "person.refuse" // what came back is not what was asked for
	failedRole   = "role.refuse"   // the person is known, and has no role
)

// flowCookie is that of a sign-in that has begun: its secret, and where to go then.
func (d *Door) flowCookie() (name string, secure bool) {
	name, secure = d.sessionCookie()
	return name + "_sign_in", secure
}

// askProvider sends a browser to the provider.
func (d *Door) askProvider(w http.ResponseWriter, r *http.Request) error {
	if !d.cfg.Access.Trusts() {
		return NewProblem(http.StatusNotFound, "not_found", "there is no such route")
	}
	if err := d.starts.Count(scopeOf(r.Context()).from); err != nil {
		return err
	}
	address, flow, err := d.cfg.Access.StartPerson(r.Context())
	if err != nil {
		return err
	}
	name, secure := d.flowCookie()
	setCookie(w, name, flow+"."+base64.RawURLEncoding.EncodeToString([]byte(localPath(r.URL.Query().Get("next")))), access.FlowLasts, secure)
	return &elsewhere{address}
}

// hearProvider makes a session for whom the provider sent back.
func (d *Door) hearProvider(w http.ResponseWriter, r *http.Request) error {
	if !d.cfg.Access.Trusts() {
		return NewProblem(http.StatusNotFound, "not_found", "there is no such route")
	}
	name, secure := d.flowCookie()
	cookie, _ := r.Cookie(name) // without one it is refused
	flow, after, _ := strings.Cut(cmp.Or(cookie, &http.Cookie{}).Value, ".")
	next, _ := base64.RawURLEncoding.DecodeString(after)
	setCookie(w, name, "", -time.Second, secure)
	query := r.URL.Query()
	session, err := d.cfg.Access.FinishPerson(r.Context(), flow, query.Get("state"), query.Get("code"))
	var none *access.NoRole
	switch {
	case errors.As(err, &none):
		d.refused(r.Context(), failedRole)
		if d.noRole == nil {
			return NewProblem(http.StatusForbidden, "no_role", none.Error())
		}
		d.noRole(none.Subject, none.Email).ServeHTTP(w, r)
		return nil
	case errors.Is(err, access.ErrRefused):
		d.refused(r.Context(), failedPerson)
		return cmp.Or(d.failures.Count(scopeOf(r.Context()).from), error(&elsewhere{signInPath + "?failed=2"}))
	case err != nil:
		return err
	}
	return d.begin(w, r, session, access.PersonLasts, localPath(string(next)))
}
