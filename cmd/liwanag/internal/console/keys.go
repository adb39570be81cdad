package console

import (
	"net/http"
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/apiclient"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func (c *Console) registerKeys() {
	c.handle("GET /keys", func(v *visit) error { return c.keys(v, api.APIKey{}, nil) })
	c.handle("POST /keys", c.addKey)
	c.handle("POST /keys/{id}/revoke", func(v *visit) error {
		if _, err := api.RevokeKey.Call(v.Context(), v.api, runapi.ID(v.PathValue("id"))); err != nil {
			return c.keys(v, api.APIKey{}, err)
		}
		return v.goTo("/keys", "The key is revoked: it opens nothing any more.")
	})
}

// scopeWords say what each scope lets a key do.
var scopeWords = [][2]string{
	{"ingest", "bring people in, by row or by file, and note that they left"},
	{"read", "see people, runs, paid calls and figures"},
	{"export", "take files of people away"},
	{"operate", "steer runs, lookups and paid calls, change and erase people, read raw deliveries"},
	{"admin", "all of it, and sources, webhooks out, the budget, keys and the audit trail"},
}

// keysView is what the list of keys shows; Made is there once, with its secret.
type keysView struct {
	*visit
	Keys []api.APIKey
	Made api.APIKey
}

func (c *Console) keys(v *visit, made api.APIKey, fault error) error {
	list, err := api.ListKeys.Call(v.Context(), v.api, runapi.NoInput{})
	if err != nil {
		return err
	}
	return v.showOr(fault, frame{Title: "API keys", Nav: "/keys", Here: "/keys"}, keysPage(keysView{v, list.Items, made}))
}

func (c *Console) addKey(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	wanted := api.AddKeyRequest{Name: v.PostForm.Get("name"), Scopes: v.PostForm["scope"]}
	if day := v.PostForm.Get("expires"); day != "" {
		at, err := time.Parse(time.DateOnly, day)
		if err != nil {
			return c.keys(v, api.APIKey{}, &apiclient.Problem{Problem: api.Problem{Status: http.StatusUnprocessableEntity,
				Code: "invalid_field", Detail: "the day of expiry cannot be read"}})
		}
		wanted.ExpiresAt = at
	}
	made, err := api.AddKey.Call(v.Context(), v.api, wanted)
	return c.keys(v, made, err)
}

// ended says whether a key opens nothing any more.
func (v keysView) ended(k api.APIKey) bool {
	return !k.ExpiresAt.IsZero() && !v.now.Before(k.ExpiresAt)
}

func scopesText(k api.APIKey) string { return strings.Join(k.Scopes, ", ") }
