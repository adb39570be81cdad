package access

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// How long a person's session lasts, and how long signing in may take.
const (
	PersonLasts = 12 * time.Hour
	FlowLasts   = 10 * time.Minute
)

// providerWithin bounds a question to the provider.
const providerWithin = 20 * time.Second

// ErrProvider: the provider cannot be asked.
var ErrProvider = liwanag.NewError(liwanag.Unavailable, "provider_unavailable", "the sign-in provider cannot be asked now, try again later")

// NoRole: the provider knows the person, and no role is theirs.
type NoRole struct{ Subject, Email string }

func (e *NoRole) Error() string { return "no role matches " + e.Email + ", subject " + e.Subject }

// ProviderConfig says who vouches for people, and what they may do then. All of it is
// needed but Client.
type ProviderConfig struct {
	Issuer, ClientID, Secret string
	Callback                 string // our address that the provider sends browsers back to
	Roles                    Roles
	Client                   *http.Client
}

// Provider is an OpenID provider. It is safe for concurrent use.
type Provider struct {
	cfg ProviderConfig

	mu    sync.Mutex
	found *oidc.Provider // once it answered
}

// NewProvider returns a provider that is asked for its addresses at the first sign-in.
func NewProvider(cfg ProviderConfig) *Provider {
	cfg.Client = cmp.Or(cfg.Client, &http.Client{Timeout: providerWithin})
	return &Provider{cfg: cfg}
}

// fingerprint tells settings apart: sessions of people end when they change.
func (p *Provider) fingerprint() string {
	return strings.Join([]string{p.cfg.Issuer, p.cfg.ClientID, p.cfg.Roles.text}, "\x00")
}

func (p *Provider) discover(ctx context.Context) (*oidc.Provider, *oauth2.Config, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found == nil {
		// What it finds outlives this request, keys above all.
		found, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), p.cfg.Client), p.cfg.Issuer)
		if err != nil {
			return nil, nil, unavailable(err)
		}
		p.found = found
	}
	var offers struct {
		Scopes []string `json:"scopes_supported"`
	}
	_ = p.found.Claims(&offers) // without them groups are not asked for: some refuse what they do not know
	scopes := []string{oidc.ScopeOpenID, "email", "profile"}
	if slices.Contains(offers.Scopes, "groups") {
		scopes = append(scopes, "groups")
	}
	return p.found, &oauth2.Config{ClientID: p.cfg.ClientID, ClientSecret: p.cfg.Secret, RedirectURL: p.cfg.Callback,
		Endpoint: p.found.Endpoint(), Scopes: scopes}, nil
}

func unavailable(err error) error {
	return liwanag.Wrap(err, ErrProvider.Class, ErrProvider.Code, ErrProvider.Message)
}

// derived are what a sign-in shows of its secret: none of them tells it, or another.
func derived(flow, what string) string {
	mac := hmac.New(sha256.New, []byte(flow))
	mac.Write([]byte(what))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// StartPerson begins a sign-in at the provider: where to send the browser, and the
// secret that only this browser brings back. ErrProvider.
func (k *Keeper) StartPerson(ctx context.Context) (address, flow string, err error) {
	_, at, err := k.provider.discover(ctx)
	if err != nil {
		return "", "", err
	}
	flow, err = k.make(ctx, liwanag.Pass{Kind: liwanag.PassFlow}, FlowLasts)
	return at.AuthCodeURL(derived(flow, "state"), oidc.Nonce(derived(flow, "nonce")),
		oauth2.S256ChallengeOption(derived(flow, "verifier"))), flow, err
}

// FinishPerson makes a session for whom the provider sent back, once a flow. ErrRefused,
// *NoRole, ErrProvider, or the error of the store.
func (k *Keeper) FinishPerson(ctx context.Context, flow, state, code string) (session string, err error) {
	pass, err := k.take(ctx, liwanag.PassFlow, flow)
	if err != nil {
		return "", err
	}
	if !k.valid(pass) || !hmac.Equal([]byte(state), []byte(derived(flow, "state"))) || code == "" {
		return "", ErrRefused
	}
	who, err := k.provider.redeem(ctx, code, flow)
	if err != nil {
		return "", err
	}
	scopes := k.provider.cfg.Roles.of(who.Email, who.Groups)
	if len(scopes) == 0 {
		return "", &NoRole{Subject: who.Subject, Email: who.Email}
	}
	return k.make(ctx, liwanag.Pass{Kind: liwanag.PassSession, Person: who.Email, Scopes: scopes}, PersonLasts)
}

// person is what a provider says of somebody.
type person struct {
	Subject  string   `json:"sub"`
	Email    string   `json:"email"`
	Verified any      `json:"email_verified"` // some providers say it as a text
	Groups   []string `json:"groups"`
}

// redeem turns a code into a person whose address is verified.
func (p *Provider) redeem(ctx context.Context, code, flow string) (who person, err error) {
	found, at, err := p.discover(ctx)
	if err != nil {
		return who, err
	}
	ctx = oidc.ClientContext(ctx, p.cfg.Client)
	token, err := at.Exchange(ctx, code, oauth2.VerifierOption(derived(flow, "verifier")))
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) {
		return who, errors.Join(ErrRefused, err)
	}
	if err != nil {
		return who, unavailable(err)
	}
	raw, _ := token.Extra("id_token").(string)
	signed, err := found.Verifier(&oidc.Config{ClientID: p.cfg.ClientID}).Verify(ctx, raw)
	if err != nil {
		return who, errors.Join(ErrRefused, err)
	}
	if !hmac.Equal([]byte(signed.Nonce), []byte(derived(flow, "nonce"))) {
		return who, errors.Join(ErrRefused, errors.New("the nonce is another sign-in's"))
	}
	if err := signed.Claims(&who); err != nil {
		return who, errors.Join(ErrRefused, err)
	}
	who.Email = strings.ToLower(strings.TrimSpace(who.Email))
	if who.Email == "" || who.Verified != true && who.Verified != "true" {
		return who, &NoRole{Subject: who.Subject, Email: "an address that the provider has not verified"}
	}
	return who, nil
}

// Roles say what people may do, by their address or group.
type Roles struct {
	text    string
	entries []role
}

type role struct {
	scope         liwanag.Scope
	email, groups string // one of them
}

// roleNames are the scopes, and the viewer.
var roleNames = append(slices.Clone(liwanag.KeyScopes), liwanag.Viewer)

// ParseRoles reads roles such as admin=a@x.example,b@x.example;viewer=group:sales.
func ParseRoles(text string) (Roles, error) {
	all := Roles{text: text}
	for entry := range strings.SplitSeq(text, ";") {
		if strings.TrimSpace(entry) == "" {
			continue
		}
		name, members, ok := strings.Cut(entry, "=")
		scope := liwanag.Scope(strings.TrimSpace(name))
		if !ok || !slices.Contains(roleNames, scope) {
			return Roles{}, fmt.Errorf("%q is no role: one of %s, and = with its people", strings.TrimSpace(name), roleNames)
		}
		for member := range strings.SplitSeq(members, ",") {
			member = strings.TrimSpace(member)
			group, isGroup := strings.CutPrefix(member, "group:")
			switch {
			case isGroup && group != "":
				all.entries = append(all.entries, role{scope: scope, groups: group})
			case !isGroup && strings.Count(member, "@") == 1 && !strings.HasPrefix(member, "@") && !strings.HasSuffix(member, "@"):
				all.entries = append(all.entries, role{scope: scope, email: strings.ToLower(member)})
			default:
				return Roles{}, fmt.Errorf("%q of %s is neither an e-mail address nor group:NAME", member, scope)
			}
		}
	}
	return all, nil
}

// None says whether nobody has a role.
func (r Roles) None() bool { return len(r.entries) == 0 }

// of are the scopes of a person.
func (r Roles) of(email string, groups []string) (all liwanag.Scopes) {
	for _, one := range r.entries {
		mine := one.email != "" && one.email == email || one.groups != "" && slices.Contains(groups, one.groups)
		if mine && !slices.Contains(all, one.scope) {
			all = append(all, one.scope)
		}
	}
	return all
}
