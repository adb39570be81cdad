package datastore

import (
	"context"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/listing"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

const (
	selectSuppressions = `SELECT id, digest, domain, email, reason, created_at FROM suppression`

	suppressionListing = 'x'
)

func scanSuppression(r Row) (s liwanag.Suppression, err error) {
	err = r.Scan(idTo(liwanag.SuppressionKind, &s.ID), textTo(&s.Digest), textTo(&s.Domain), textTo(&s.Email), textTo(&s.Reason),
		timeColumn{&s.CreatedAt})
	return s, err
}

// Suppressions reads whom nobody is to bring in again.
type Suppressions struct{ reader }

// List gives a page, newest first. ErrInvalidCursor.
func (s Suppressions) List(ctx context.Context, p liwanag.Page) ([]liwanag.Suppression, string, error) {
	after, err := listing.Key(suppressionListing, 16, p.Cursor)
	if err != nil {
		return nil, "", err
	}
	var w where
	if after != nil {
		w.and(`id < $?`, after)
	}
	limit := listing.Limit(p)
	all, err := list(s.in(ctx), scanSuppression, selectSuppressions+w.String()+` ORDER BY id DESC LIMIT `+w.bind(limit+1), w.args...)
	if err != nil {
		return nil, "", err
	}
	all, next := listing.Paged(all, limit, func(s liwanag.Suppression) string {
		return listing.Cursor(suppressionListing, s.ID.Bytes())
	})
	return all, next, nil
}

// Of are those that concern addresses, by e-mail key.
func (s Suppressions) Of(ctx context.Context, emailKeys []string) (liwanag.Suppressions, error) {
	return suppressionsOf(s.in(ctx), emailKeys)
}

// SuppressionTx writes whom nobody is to bring in again.
type SuppressionTx struct{ writing }

// Of are those that concern addresses, by e-mail key.
func (t SuppressionTx) Of(emailKeys []string) (liwanag.Suppressions, error) {
	return suppressionsOf(t, emailKeys)
}

func suppressionsOf(q querier, emailKeys []string) (found liwanag.Suppressions, err error) {
	some, err := list(q, scanSuppression, selectSuppressions+` ORDER BY id DESC LIMIT $1`, 1)
	if err != nil || len(some) == 0 || len(emailKeys) == 0 {
		return found, err
	}
	if found.Key, err = suppressionKey(q); err != nil {
		return found, err
	}
	var digests, domains []string
	for _, key := range emailKeys {
		digests, domains = append(digests, found.Key.Of(key)), append(domains, liwanag.DomainsOf(key)...)
	}
	found.All, err = list(q, scanSuppression, selectSuppressions+` WHERE digest = ANY(ARRAY(SELECT unnest($1::text[])))`, wordsOf(q, digests))
	if err != nil {
		return found, err
	}
	more, err := list(q, scanSuppression, selectSuppressions+` WHERE domain = ANY(ARRAY(SELECT unnest($1::text[])))`, wordsOf(q, domains))
	found.All = append(found.All, more...)
	return found, err
}

// Key is the key of the digests.
func (t SuppressionTx) Key() (liwanag.SuppressionKey, error) { return suppressionKey(t) }

// Digest is the digest of an e-mail key.
func (t SuppressionTx) Digest(emailKey string) (string, error) {
	key, err := suppressionKey(t)
	return key.Of(emailKey), err
}

// suppressionKey is the key of the digests.
func suppressionKey(q querier) (liwanag.SuppressionKey, error) {
	return one(q, scanBytes, `SELECT key FROM suppression_key WHERE one = 1`)
}

// Insert stores one, unless what it suppresses is suppressed already, and says which it is.
func (t SuppressionTx) Insert(s liwanag.Suppression) (liwanag.Suppression, error) {
	if _, err := t.exec(`INSERT INTO suppression (id, digest, domain, email, reason, created_at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
		s.ID.Bytes(), text(s.Digest), text(s.Domain), text(s.Email), text(s.Reason), micros(s.CreatedAt)); err != nil {
		return s, err
	}
	if s.Domain != "" {
		return one(t, scanSuppression, selectSuppressions+` WHERE domain = $1`, s.Domain)
	}
	return one(t, scanSuppression, selectSuppressions+` WHERE digest = $1`, s.Digest)
}

// Forget drops the addresses of digests, which stay suppressed.
func (t SuppressionTx) Forget(digest string) error {
	_, err := t.exec(`UPDATE suppression SET email = NULL WHERE digest = $1 AND email IS NOT NULL`, digest)
	return err
}

// Delete deletes one. ErrNotFound.
func (t SuppressionTx) Delete(id liwanag.ID) error {
	return t.must(`DELETE FROM suppression WHERE id = $1`, id.Bytes())
}
