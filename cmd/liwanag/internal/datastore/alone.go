package datastore

import (
	"context"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// Alone are the writes that are a transaction of their own, for those who need no
// other: they declare the few that they use.
type Alone struct{ *Store }

// Pass reads a session or a sign-in link. ErrNotFound.
func (a Alone) Pass(ctx context.Context, hash liwanag.Digest) (liwanag.Pass, error) {
	return a.Passes.Get(ctx, hash)
}

// InsertPass stores a session or a sign-in link.
func (a Alone) InsertPass(ctx context.Context, p liwanag.Pass) error {
	return a.Write(ctx, func(tx *Tx) error { return tx.Passes.Insert(p) })
}

// TakePass deletes a pass of a kind and returns it. ErrNotFound.
func (a Alone) TakePass(ctx context.Context, kind liwanag.PassKind, hash liwanag.Digest) (p liwanag.Pass, err error) {
	err = a.Write(ctx, func(tx *Tx) error {
		p, err = tx.Passes.Take(kind, hash)
		return err
	})
	return p, err
}

// KeepPasses deletes those that were made under another key than one of these.
func (a Alone) KeepPasses(ctx context.Context, keyHashes [2]liwanag.Digest) error {
	return a.Write(ctx, func(tx *Tx) error { return tx.Passes.KeepOnly(keyHashes) })
}

// Key reads an API key by the SHA-256 of it. ErrNotFound.
func (a Alone) Key(ctx context.Context, hash liwanag.Digest) (liwanag.APIKey, error) {
	return a.Keys.ByHash(ctx, hash)
}

// KeyOf reads an API key by its id. ErrNotFound.
func (a Alone) KeyOf(ctx context.Context, id liwanag.ID) (liwanag.APIKey, error) {
	return a.Keys.Get(ctx, id)
}

// KeyUsed notes that an API key was used, unless that is known since an earlier time.
func (a Alone) KeyUsed(ctx context.Context, id liwanag.ID, at, unlessSince time.Time) error {
	return a.Write(ctx, func(tx *Tx) error { return tx.Keys.Used(id, at, unlessSince) })
}

// TakeTurn claims one instant of something that one node does for all.
func (a Alone) TakeTurn(ctx context.Context, name string, at time.Time) (mine bool, err error) {
	err = a.Write(ctx, func(tx *Tx) error {
		mine, err = tx.Ledger.TakeFiring(name, at)
		return err
	})
	return mine && err == nil, err
}
