// Package access decides who may use the server, and what they may do: by the
// server's own API key, by a named key with scopes, by a session of the console, or by
// a sign-in link that becomes one.
//
// Named keys, sessions and links are 256 random bits, of which the store keeps the
// SHA-256 alone. Sessions and links belong to the server's own key that they were made
// under: another key ends them all, and so does turning sign-in with keys off. They have
// what the named key has that they were made with, and end with it.
package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// How long passes open the door.
const (
	SessionLasts = 7 * 24 * time.Hour
	LinkLasts    = 15 * time.Minute
)

// usedEvery is how exactly the last use of a key is known.
const usedEvery = time.Minute

// KeyPrefix begins every named key, for whoever searches texts for secrets.
const KeyPrefix = "lwk_"

// secretBytes are those of keys, sessions and links.
const secretBytes = 32

var (
	// ErrRefused: the key, session or link is not a right one (any more).
	ErrRefused = liwanag.NewError(liwanag.Unauthorized, "unauthorized", "the key, session or link is not a right one (any more)")
	// ErrNoKey: named keys would keep nobody out.
	ErrNoKey = liwanag.NewError(liwanag.Conflict, "no_server_key",
		"this server has no API key of its own, so everybody on this machine may do everything: set LIWANAG_API_KEY first")
)

// Store keeps keys, sessions and sign-in links. What reads one thing answers
// liwanag.ErrNotFound.
type Store interface {
	Key(ctx context.Context, hash liwanag.Digest) (liwanag.APIKey, error)
	KeyOf(ctx context.Context, id liwanag.ID) (liwanag.APIKey, error)
	KeyUsed(ctx context.Context, id liwanag.ID, at, unlessSince time.Time) error
	Pass(ctx context.Context, hash liwanag.Digest) (liwanag.Pass, error)
	InsertPass(ctx context.Context, p liwanag.Pass) error
	TakePass(ctx context.Context, kind liwanag.PassKind, hash liwanag.Digest) (liwanag.Pass, error)
	KeepPasses(ctx context.Context, keyHashes [2]liwanag.Digest) error
}

// Who asks, as the audit trail has it.
const (
	ByKey     = "key"     // whoever has an API key
	ByConsole = "console" // a browser with a session
	ByNobody  = "local"   // no key is set: somebody on this machine
)

// Caller is who asks, and what they may do.
type Caller struct {
	By     string
	Name   string // of the named key, or the person; empty: whoever has the server's own key
	Scopes liwanag.Scopes
	key    liwanag.ID // the named one
}

var everything = liwanag.Scopes{liwanag.Admin}

// Anybody is who asks a server without a key.
func Anybody() Caller { return Caller{By: ByNobody, Scopes: everything} }

// Owner is who has the server's own key.
func Owner() Caller { return Caller{By: ByKey, Scopes: everything} }

// Revocable says whether they may lose what they may do while the server runs.
func (c Caller) Revocable() bool { return c.By == ByConsole || !c.key.IsZero() }

// Keeper keeps the door. It is safe for concurrent use.
type Keeper struct {
	store   Store
	now     func() time.Time
	needed  bool
	keyHash [sha256.Size]byte

	provider *Provider // nil: nobody vouches for people
	noKeys   bool      // nobody signs in with a key
}

// New returns a keeper for the server's own key; with an empty one every request may
// pass, and there is nothing to sign in to.
func New(store Store, key string, now func() time.Time) *Keeper {
	return &Keeper{store: store, now: now, needed: key != "", keyHash: sha256.Sum256([]byte(key))}
}

// Trust lets people in for whom a provider vouches. It comes before anything else.
func (k *Keeper) Trust(p *Provider) { k.provider = p }

// RefuseKeys lets nobody sign in with a key any more; sign-in links still do. Sessions
// that were begun before end. It comes before anything else.
func (k *Keeper) RefuseKeys() { k.noKeys = true }

// KeySignIn says whether people sign in with a key.
func (k *Keeper) KeySignIn() bool { return !k.noKeys }

// Trusts says whether there is a provider.
func (k *Keeper) Trusts() bool { return k.needed && k.provider != nil }

// Needed says whether there is a key.
func (k *Keeper) Needed() bool { return k.needed }

// Forget ends what was made under other keys, for good: a key that comes back brings no
// session back. Sessions of people also end with other settings of the provider.
func (k *Keeper) Forget(ctx context.Context) error {
	return k.store.KeepPasses(ctx, [2]liwanag.Digest{*k.binding(), *k.bindingOfPeople()})
}

// Key says whether this is the server's own key. Digests are compared, in constant time.
func (k *Keeper) Key(given string) bool {
	hash := sha256.Sum256([]byte(given))
	return k.needed && subtle.ConstantTimeCompare(hash[:], k.keyHash[:]) == 1
}

// Named is whoever has a named key, and notes that it is used. ErrRefused or the error
// of the store.
func (k *Keeper) Named(ctx context.Context, given string) (Caller, error) {
	if !k.needed || !strings.HasPrefix(given, KeyPrefix) {
		return Caller{}, ErrRefused
	}
	key, err := k.store.Key(ctx, hashOf(given))
	return k.caller(ctx, key, err)
}

// caller is whoever has a key that was read.
func (k *Keeper) caller(ctx context.Context, key liwanag.APIKey, err error) (Caller, error) {
	now := k.now().UTC()
	if errors.Is(err, liwanag.ErrNotFound) || err == nil && key.Expired(now) {
		err = ErrRefused
	}
	if err != nil {
		return Caller{}, err
	}
	if now.Sub(key.UsedAt) >= usedEvery {
		// A disk that is full keeps nobody out who may read.
		_ = k.store.KeyUsed(ctx, key.ID, now.Truncate(time.Microsecond), now.Add(-usedEvery))
	}
	return Caller{By: ByKey, Name: key.Name, Scopes: key.Scopes, key: key.ID}, nil
}

// NewKey makes a named key: what to store of it, and itself, to be shown once. ErrNoKey.
func (k *Keeper) NewKey(name string, scopes liwanag.Scopes, expires time.Time) (key liwanag.APIKey, secret string, err error) {
	if !k.needed {
		return key, "", ErrNoKey
	}
	secret = KeyPrefix + randomSecret()
	return liwanag.APIKey{ID: liwanag.NewID(liwanag.KeyKind), Name: name, Hash: hashOf(secret), Scopes: scopes,
		CreatedAt: k.now().UTC().Truncate(time.Microsecond), ExpiresAt: expires}, secret, nil
}

// Begin makes a session for whoever has a key. ErrRefused.
func (k *Keeper) Begin(ctx context.Context, by Caller) (session string, err error) {
	if !k.needed || k.noKeys || by.By != ByKey {
		return "", ErrRefused
	}
	return k.make(ctx, liwanag.Pass{Kind: liwanag.PassSession, KeyID: by.key}, SessionLasts)
}

// Link makes a sign-in link's secret, good for one Redeem.
func (k *Keeper) Link(ctx context.Context) (secret string, err error) {
	return k.make(ctx, liwanag.Pass{Kind: liwanag.PassLink}, LinkLasts)
}

// Redeem makes a session for whoever has a link, and uses the link up.
// ErrRefused.
func (k *Keeper) Redeem(ctx context.Context, link string) (session string, err error) {
	pass, err := k.take(ctx, liwanag.PassLink, link)
	if err != nil {
		return "", err
	}
	if !k.valid(pass) {
		return "", ErrRefused
	}
	return k.make(ctx, liwanag.Pass{Kind: liwanag.PassSession}, SessionLasts)
}

// Session is whoever has a session. ErrRefused or the error of the store.
func (k *Keeper) Session(ctx context.Context, session string) (Caller, error) {
	if session == "" || !k.needed {
		return Caller{}, ErrRefused
	}
	pass, err := k.store.Pass(ctx, hashOf(session))
	if errors.Is(err, liwanag.ErrNotFound) || err == nil && (pass.Kind != liwanag.PassSession || !k.valid(pass)) {
		err = ErrRefused
	}
	switch {
	case err != nil:
		return Caller{}, err
	case !pass.KeyID.IsZero():
		key, err := k.store.KeyOf(ctx, pass.KeyID)
		caller, err := k.caller(ctx, key, err)
		caller.By = ByConsole
		return caller, err
	case pass.Person != "" && !k.Trusts():
		return Caller{}, ErrRefused
	case pass.Person != "":
		return Caller{By: ByConsole, Name: pass.Person, Scopes: pass.Scopes}, nil
	}
	return Caller{By: ByConsole, Scopes: everything}, nil
}

// SignOut ends a session; one that is none is no error.
func (k *Keeper) SignOut(ctx context.Context, session string) error {
	_, err := k.take(ctx, liwanag.PassSession, session)
	if errors.Is(err, ErrRefused) {
		return nil
	}
	return err
}

func (k *Keeper) valid(p liwanag.Pass) bool {
	return k.now().Before(p.ExpiresAt) && subtle.ConstantTimeCompare(p.KeyHash[:], k.bindingOf(p)[:]) == 1
}

func (k *Keeper) bindingOf(p liwanag.Pass) *[sha256.Size]byte {
	if p.Person != "" {
		return k.bindingOfPeople()
	}
	return k.binding()
}

// bindingOfPeople is what sessions of people keep of the key and of the provider.
func (k *Keeper) bindingOfPeople() *[sha256.Size]byte {
	of := k.digest("liwanag pass")
	if k.provider != nil {
		of = append(of, k.provider.fingerprint()...)
	}
	hash := sha256.Sum256(append([]byte("liwanag person\x00"), of...))
	return &hash
}

// binding is what passes keep of the key: not the digest that a request's key is
// compared with, and another one where nobody signs in with keys.
func (k *Keeper) binding() *[sha256.Size]byte {
	if k.noKeys {
		return (*[sha256.Size]byte)(k.digest("liwanag pass without keys"))
	}
	return (*[sha256.Size]byte)(k.digest("liwanag pass"))
}

func (k *Keeper) digest(of string) []byte {
	hash := sha256.Sum256(append([]byte(of+"\x00"), k.keyHash[:]...))
	return hash[:]
}

func hashOf(secret string) liwanag.Digest { return sha256.Sum256([]byte(secret)) }

func randomSecret() string {
	raw := make([]byte, secretBytes)
	_, _ = rand.Read(raw) // it never fails: crypto/rand
	return base64.RawURLEncoding.EncodeToString(raw)
}

// make stores a pass that lasts a while, and returns its secret.
func (k *Keeper) make(ctx context.Context, p liwanag.Pass, lasts time.Duration) (string, error) {
	secret := randomSecret()
	now := k.now().UTC().Truncate(time.Microsecond)
	p.Hash, p.KeyHash, p.CreatedAt, p.ExpiresAt = hashOf(secret), *k.bindingOf(p), now, now.Add(lasts)
	return secret, k.store.InsertPass(ctx, p)
}

func (k *Keeper) take(ctx context.Context, kind liwanag.PassKind, secret string) (pass liwanag.Pass, err error) {
	if secret == "" {
		return pass, ErrRefused
	}
	pass, err = k.store.TakePass(ctx, kind, hashOf(secret))
	if errors.Is(err, liwanag.ErrNotFound) {
		err = ErrRefused
	}
	return pass, err
}
