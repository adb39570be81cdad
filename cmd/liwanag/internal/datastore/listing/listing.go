// Package listing is what pages of a listing have in common, whatever database
// they come from: limits, cursors, and the merging of several walks into one.
package listing

import (
	"encoding/base64"
	"slices"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// The numbers of rows of a page: when none is asked for, and at most.
const (
	DefaultLimit = 50
	MaxLimit     = 500
)

// Limit is how many rows a page has.
func Limit(p liwanag.Page) int {
	if p.Limit <= 0 {
		return DefaultLimit
	}
	return min(p.Limit, MaxLimit)
}

// Cursor is the key of the last row of its page, so that rows which come or
// go meanwhile move nothing. Its first byte names the listing: a cursor of
// another one is refused.
func Cursor(listing byte, key []byte) string {
	return base64.RawURLEncoding.EncodeToString(append([]byte{listing}, key...))
}

// Key reads a cursor; nil for the first page. [liwanag.ErrInvalidCursor].
func Key(listing byte, size int, cursor string) ([]byte, error) {
	key, err := KeyFrom(listing, size, cursor)
	if err == nil && len(key) > size {
		return nil, liwanag.ErrInvalidCursor
	}
	return key, err
}

// KeyFrom is Key for keys of size bytes at least.
func KeyFrom(listing byte, size int, cursor string) ([]byte, error) {
	if cursor == "" {
		return nil, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(b) < 1+size || b[0] != listing {
		return nil, liwanag.ErrInvalidCursor
	}
	return b[1:], nil
}

// Newest merges listings that are each newest first into the first n.
func Newest[T any](n int, compare func(a, b T) int, listings ...[]T) []T {
	all := slices.Concat(listings...)
	slices.SortFunc(all, func(a, b T) int { return compare(b, a) })
	return all[:min(n, len(all))]
}

// Paged cuts the one row too many that says that there is a next page.
func Paged[T any](all []T, limit int, cursor func(T) string) ([]T, string) {
	if len(all) <= limit {
		return all, ""
	}
	all = all[:limit]
	return all, cursor(all[limit-1])
}

// StatesOr is the states to walk: those given, or one walk without a state.
func StatesOr[T ~string](states []T) []T {
	if len(states) == 0 {
		return []T{""}
	}
	return slices.Compact(slices.Sorted(slices.Values(states)))
}
