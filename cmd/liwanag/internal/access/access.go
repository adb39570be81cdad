// Package access decides who may use the server: by the API key, by a session of
// the console, or by a sign-in link that becomes one.
//
// Sessions and links are 256 random bits, of which the store keeps the SHA-256
// alone. Both belong to the API key that they were made under: another key ends
// them all.
package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// How long passes open the door.
const (
	SessionLasts = 7 * 24 * time.Hour
	LinkLasts    = 15 * time.Minute
)

// ErrRefused: the key, session or link is not a right one (any more).
var ErrRefused = liwanag.NewError(liwanag.Unauthorized, "unauthorized", "the key, session or link is not a right one (any more)")

// Passes keeps sessions and sign-in links. Pass and TakePass answer
// liwanag.ErrNotFound.
type Passes interface {
	Pass(ctx context.Context, hash liwanag.Digest) (liwanag.Pass, error)
	InsertPass(ctx context.Context, p liwanag.Pass) error
	TakePass(ctx context.Context, kind liwanag.PassKind, hash liwanag.Digest) (liwanag.Pass, error)
	KeepPasses(ctx context.Context, keyHash liwanag.Digest) error
}

// Keeper keeps the door. It is safe for concurrent use.
type Keeper struct {
	passes  Passes
	now     func() time.Time
	needed  bool
	keyHash [sha256.Size]byte
}

// New returns a keeper for a key; with an empty one every request may pass, and
// there is nothing to sign in to.
func New(passes Passes, key string, now func() time.Time) *Keeper {
	return &Keeper{passes: passes, now: now, needed: key != "", keyHash: sha256.Sum256([]byte(key))}
}

// Needed says whether there is a key.
func (k *Keeper) Needed() bool { return k.needed }

// Forget ends what was made under other keys, for good: a key that comes back brings no
// session back.
func (k *Keeper) Forget(ctx context.Context) error { return k.passes.KeepPasses(ctx, *k.binding()) }

// Key says whether this is the key. Digests are compared, in constant time.
func (k *Keeper) Key(given string) bool {
	hash := sha256.Sum256([]byte(given))
	return k.needed && subtle.ConstantTimeCompare(hash[:], k.keyHash[:]) == 1
}

// SignIn makes a session for whoever has the key. ErrRefused.
func (k *Keeper) SignIn(ctx context.Context, key string) (session string, err error) {
	if !k.Key(key) {
		return "", ErrRefused
	}
	return k.make(ctx, liwanag.PassSession, SessionLasts)
}

// Link makes a sign-in link's secret, good for one Redeem.
func (k *Keeper) Link(ctx context.Context) (secret string, err error) {
	return k.make(ctx, liwanag.PassLink, LinkLasts)
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
	return k.make(ctx, liwanag.PassSession, SessionLasts)
}

// Session returns nil if a session is a right one, else ErrRefused or the error
// of the store.
func (k *Keeper) Session(ctx context.Context, session string) error {
	if session == "" || !k.needed {
		return ErrRefused
	}
	pass, err := k.passes.Pass(ctx, hashOf(session))
	if errors.Is(err, liwanag.ErrNotFound) || err == nil && (pass.Kind != liwanag.PassSession || !k.valid(pass)) {
		return ErrRefused
	}
	return err
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
	return k.now().Before(p.ExpiresAt) && subtle.ConstantTimeCompare(p.KeyHash[:], k.binding()[:]) == 1
}

// binding is what passes keep of the key: not the digest that a request's key is
// compared with.
func (k *Keeper) binding() *[sha256.Size]byte {
	hash := sha256.Sum256(append([]byte("liwanag pass\x00"), k.keyHash[:]...))
	return &hash
}

func hashOf(secret string) liwanag.Digest { return sha256.Sum256([]byte(secret)) }

func (k *Keeper) make(ctx context.Context, kind liwanag.PassKind, lasts time.Duration) (string, error) {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // it never fails: crypto/rand
	secret := base64.RawURLEncoding.EncodeToString(raw)
	now := k.now().UTC().Truncate(time.Microsecond)
	return secret, k.passes.InsertPass(ctx,
		liwanag.Pass{Hash: hashOf(secret), Kind: kind, KeyHash: *k.binding(), CreatedAt: now, ExpiresAt: now.Add(lasts)})
}

func (k *Keeper) take(ctx context.Context, kind liwanag.PassKind, secret string) (pass liwanag.Pass, err error) {
	if secret == "" {
		return pass, ErrRefused
	}
	pass, err = k.passes.TakePass(ctx, kind, hashOf(secret))
	if errors.Is(err, liwanag.ErrNotFound) {
		err = ErrRefused
	}
	return pass, err
}
