package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/workflow/runapi"
)

type keysCommand struct {
	Add    keysAdd    `cmd:"" help:"Make an API key; shows it, once."`
	List   keysList   `cmd:"" help:"List the API keys, newest first."`
	Revoke keysRevoke `cmd:"" help:"Revoke an API key, at once."`
}

type keysAdd struct {
	clientFlags
	Name    string   `arg:"" help:"Who uses it. Two keys may have one name, while one takes the other's place."`
	Scope   []string `name:"scope" required:"" placeholder:"SCOPE" help:"What it may do: ingest, read, export, operate, admin."`
	Expires string   `name:"expires" placeholder:"90d" help:"After how long it opens nothing any more, such as 90d or 12h. Default: never."`
	showFlag
}

// Run makes a key.
func (c *keysAdd) Run(p *program) error {
	wanted := api.AddKeyRequest{Name: c.Name, Scopes: c.Scope}
	if c.Expires != "" {
		lasts, err := daysOf(c.Expires)
		if err != nil || lasts <= 0 {
			return usage("--expires 90d", "%q is no time that a key lasts", c.Expires)
		}
		wanted.ExpiresAt = time.Now().Add(lasts)
	}
	known := runapi.Enum[api.AddKeyRequest]("Scopes")
	for _, scope := range c.Scope {
		if !strings.Contains(","+strings.Join(known, ",")+",", ","+scope+",") {
			return usage("--scope "+strings.Join(known, ","), "there is no scope %q", scope)
		}
	}
	client, err := c.dial()
	if err != nil {
		return err
	}
	made, err := api.AddKey.Call(p.ctx, client, wanted)
	if err != nil {
		return err
	}
	if c.Output == "json" {
		return printJSON(p.out, made)
	}
	p.fields([][2]string{{"id", made.ID}, {"name", made.Name}, {"scopes", strings.Join(made.Scopes, ",")}, {"expires", clock(made.ExpiresAt)},
		{"key", made.Key}})
	fmt.Fprintln(p.err, "The key is shown this once. Keep it where its user finds it.")
	return nil
}

// daysOf reads a duration that may be said in days, such as 90d.
func daysOf(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err
	}
	return time.ParseDuration(text)
}

type keysList struct {
	clientFlags
	outputFlag
}

// Run lists keys.
func (c *keysList) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	type k = api.APIKey
	return list(p, c.outputFlag, pageFlags{All: true}, []column[k]{
		{"id", func(x k) string { return x.ID }},
		{"name", func(x k) string { return x.Name }},
		{"scopes", func(x k) string { return strings.Join(x.Scopes, ",") }},
		{"created", func(x k) string { return clock(x.CreatedAt) }},
		{"expires", func(x k) string { return clock(x.ExpiresAt) }},
		{"last used", func(x k) string { return clock(x.LastUsedAt) }},
	}, func(runapi.Paging) (runapi.List[k], error) {
		return api.ListKeys.Call(p.ctx, client, runapi.NoInput{})
	})
}

type keysRevoke struct {
	clientFlags
	ID  string `arg:"" id:"key" help:"Id of the key."`
	Yes bool   `name:"yes" short:"y" help:"Do not ask."`
}

// Run revokes a key.
func (c *keysRevoke) Run(p *program) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	if !c.Yes {
		if agreed, err := p.agrees("Revoke it? Whoever uses it is refused from now on. [y/N] "); err != nil || !agreed {
			return errors.Join(err, errors.New("nothing was revoked"))
		}
	}
	if _, err := api.RevokeKey.Call(p.ctx, client, runapi.ID(c.ID)); err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.out, c.ID+" revoked")
	return err
}
