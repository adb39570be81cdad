package app

import (
	"context"
	"net/url"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/console"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// The console: pages, which know the API and nothing else.
func (a *App) buildConsole(context.Context) error {
	c, err := console.New(console.Config{API: a.api, SignIn: a.access.Needed(), Provider: a.access.Trusts(),
		NoKeySignIn: !a.access.KeySignIn(), Now: a.cfg.Now, Log: a.log,
		May: func(ctx context.Context, scope string) bool {
			return door.CallerOf(ctx).Scopes.May(liwanag.Scope(scope))
		}})
	if err != nil {
		return err
	}
	var pages []door.Page
	for _, p := range c.Pages() {
		pages = append(pages, door.Page(p))
	}
	a.api.Mount(pages, c.NotFound(), c.NoRole)
	return nil
}

// SignInLink is an address that signs one browser in, once and within 15 minutes;
// empty while no key is needed.
func (a *App) SignInLink(ctx context.Context) (string, error) {
	if !a.access.Needed() {
		return "", nil
	}
	secret, err := a.access.Link(ctx)
	if err != nil {
		return "", err
	}
	return a.publicURL + "/sign-in?" + url.Values{"link": {secret}}.Encode(), nil
}
