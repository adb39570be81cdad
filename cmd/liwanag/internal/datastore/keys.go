package datastore

import (
	"context"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

const (
	selectKeys = `SELECT id, name, hash, scopes, created_at, expires_at, used_at FROM api_key`

	keyByHash = selectKeys + ` WHERE hash = $1`
	keyByID   = selectKeys + ` WHERE id = $1`
)

func scanKey(r Row) (k liwanag.APIKey, err error) {
	var scopes string
	err = r.Scan(idTo(liwanag.KeyKind, &k.ID), &k.Name, digestColumn{&k.Hash}, &scopes, timeColumn{&k.CreatedAt}, timeColumn{&k.ExpiresAt},
		timeColumn{&k.UsedAt})
	k.Scopes = liwanag.ParseScopes(scopes)
	return k, err
}

// Keys reads API keys.
type Keys struct{ reader }

// ByHash reads a key by the SHA-256 of it. ErrNotFound.
func (s Keys) ByHash(ctx context.Context, hash liwanag.Digest) (liwanag.APIKey, error) {
	return one(s.in(ctx), scanKey, keyByHash, hash[:])
}

// Get reads a key. ErrNotFound.
func (s Keys) Get(ctx context.Context, id liwanag.ID) (liwanag.APIKey, error) {
	return one(s.in(ctx), scanKey, keyByID, id.Bytes())
}

// List lists all, newest first: there are few.
func (s Keys) List(ctx context.Context) ([]liwanag.APIKey, error) {
	return list(s.in(ctx), scanKey, selectKeys+` ORDER BY id DESC`)
}

// KeyTx writes API keys.
type KeyTx struct{ writing }

// Insert stores a key. ErrTooManyKeys when there is no room, or two valid ones have its
// name.
func (t KeyTx) Insert(k liwanag.APIKey) error {
	all, err := one(t, scanInt, `SELECT count(*) FROM api_key`)
	if err != nil {
		return err
	}
	same, err := one(t, scanInt, `SELECT count(*) FROM api_key WHERE name = $1 AND (expires_at IS NULL OR expires_at > $2)`, k.Name, micros(k.CreatedAt))
	if err == nil && (all >= liwanag.MaxKeys || same >= liwanag.KeysOfAName) {
		err = liwanag.ErrTooManyKeys
	}
	if err != nil {
		return err
	}
	return t.must(`INSERT INTO api_key (id, name, hash, scopes, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)`,
		k.ID.Bytes(), k.Name, k.Hash[:], k.Scopes.String(), micros(k.CreatedAt), micros(k.ExpiresAt))
}

// Used notes that a key was used, unless that is known since an earlier time.
func (t KeyTx) Used(id liwanag.ID, at, unlessSince time.Time) error {
	_, err := t.exec(`UPDATE api_key SET used_at = $1 WHERE id = $2 AND (used_at IS NULL OR used_at <= $3)`,
		micros(at), id.Bytes(), micros(unlessSince))
	return err
}

// Delete deletes a key and the passes that were made with it. ErrNotFound.
func (t KeyTx) Delete(id liwanag.ID) error {
	if _, err := t.exec(`DELETE FROM pass WHERE key_id = $1`, id.Bytes()); err != nil {
		return err
	}
	return t.must(`DELETE FROM api_key WHERE id = $1`, id.Bytes())
}
