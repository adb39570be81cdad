package door

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/access"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// authenticate lets keys and sessions of the console pass. Failures are
// counted by address: wrong keys slow it down, see throttle; whoever brings nothing
// is told so ten times a minute.
func (d *Door) authenticate(w http.ResponseWriter, r *http.Request) error {
	err := d.identify(r)
	if !errors.Is(err, access.ErrRefused) {
		return err
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="liwanag"`)
	refused := NewProblem(http.StatusUnauthorized, "unauthorized", "send an API key as Authorization: Bearer <key>, or sign in")
	if r.Header.Get("Authorization") != "" {
		return refused // a wrong key has been counted
	}
	return d.failed(r, failedAccess, refused)
}

// failed counts a failure and returns it, or that there were too many.
func (d *Door) failed(r *http.Request, what string, failure *Problem) error {
	d.refused(r.Context(), what)
	if err := d.failures.Count(scopeOf(r.Context()).from); err != nil {
		return err
	}
	return failure
}

// identify finds out who asks: whoever has a key, or else a browser that
// signed in. access.ErrRefused, a problem when there were too many wrong keys, or
// the error of the store.
func (d *Door) identify(r *http.Request) (err error) {
	carried := scopeOf(r.Context())
	if !d.cfg.Access.Needed() {
		carried.caller = access.Anybody()
		return nil
	}
	scheme, key, sent := credentials(r)
	if !sent {
		carried.caller, err = d.cfg.Access.Session(r.Context(), d.sessionOf(r))
		return err
	}
	if !strings.EqualFold(scheme, "Bearer") {
		key = ""
	}
	carried.caller, err = d.keyOf(r.Context(), key)
	return err
}

// credentials are the key that a request brings; not sent: it may have a session.
func credentials(r *http.Request) (scheme, key string, sent bool) {
	header := r.Header.Get("Authorization")
	scheme, key, _ = strings.Cut(header, " ")
	return scheme, strings.TrimSpace(key), header != ""
}

// keyOf is whoever has a key. Nobody guesses a named one, so that it is looked up at
// once; the server's own may be one that people think of.
func (d *Door) keyOf(ctx context.Context, key string) (access.Caller, error) {
	caller, err := d.cfg.Access.Named(ctx, key)
	if !errors.Is(err, access.ErrRefused) {
		return caller, err
	}
	right, err := d.guesses.Try(ctx, scopeOf(ctx).from, func() bool { return d.cfg.Access.Key(key) })
	if err != nil || !right {
		d.refused(ctx, failedKey)
		return access.Caller{}, cmp.Or(err, error(access.ErrRefused))
	}
	return access.Owner(), nil
}

// allow refuses whoever lacks the scope of a route. A route that declares none is for
// those who may do everything.
func (d *Door) allow(ctx context.Context, need liwanag.Scope) error {
	carried := scopeOf(ctx)
	if carried.caller.Scopes.May(need) {
		return nil
	}
	need = cmp.Or(need, liwanag.Admin)
	d.tally.count(talliedBy{actor: carried.caller.By, name: carried.caller.Name, act: failedScope, client: carried.client})
	return NewProblem(http.StatusForbidden, "missing_scope_"+string(need), "this needs the scope "+string(need)+
		", and "+cmp.Or(carried.caller.Scopes.String(), "nothing")+" is all that you have: ask for a key or a role with it")
}

// recheckEvery is how soon whoever lost what they had is cut off.
const recheckEvery = 500 * time.Millisecond

// errRevoked ends the requests of whoever lost what they had.
var errRevoked = NewProblem(http.StatusUnauthorized, "unauthorized", "the key was revoked, or the session ended")

// whileAllowed is a request that ends when its key is revoked or its session over;
// done must follow it.
func (d *Door) whileAllowed(r *http.Request) (_ *http.Request, done func()) {
	if !scopeOf(r.Context()).caller.Revocable() {
		return r, func() {}
	}
	ctx, end := context.WithCancelCause(r.Context())
	go func() {
		tick := time.NewTicker(recheckEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			if errors.Is(d.still(ctx, r), access.ErrRefused) {
				end(errRevoked)
				return
			}
		}
	}()
	return r.WithContext(ctx), func() { end(nil) }
}

// still says whether who made a request is who they were. access.ErrRefused, or the
// error of the store.
func (d *Door) still(ctx context.Context, r *http.Request) (err error) {
	if _, key, sent := credentials(r); sent {
		_, err = d.cfg.Access.Named(ctx, key)
	} else {
		_, err = d.cfg.Access.Session(ctx, d.sessionOf(r))
	}
	return err
}
