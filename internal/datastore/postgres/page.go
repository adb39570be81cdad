package postgres

import (
	"encoding/base64"
	"slices"

	"github.com/liwanag/liwanag/internal/liwanag"
)

const (
	defaultLimit = 50
	maxLimit     = 500
)

func limitOf(p liwanag.Page) int {
	if p.Limit <= 0 {
		return defaultLimit
	}
	return min(p.Limit, maxLimit)
}

// A cursor is the key of the last row of its page, so that rows which come or
// go meanwhile move nothing. Its first byte names the listing: a cursor of
// another one is refused.
func cursorOf(listing byte, key []byte) string {
	return base64.RawURLEncoding.EncodeToString(append([]byte{listing}, key...))
}

// keyOf reads a cursor; nil for the first page.
func keyOf(listing byte, size int, cursor string) ([]byte, error) {
	if cursor == "" {
		return nil, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(b) != 1+size || b[0] != listing {
		return nil, liwanag.ErrInvalidCursor
	}
	return b[1:], nil
}

// newest merges listings that are each newest first into the first n.
func newest[T any](n int, compare func(a, b T) int, listings ...[]T) []T {
	all := slices.Concat(listings...)
	slices.SortFunc(all, func(a, b T) int { return compare(b, a) })
	return all[:min(n, len(all))]
}

// paged cuts the one row too many that says that there is a next page.
func paged[T any](all []T, limit int, cursor func(T) string) ([]T, string) {
	if len(all) <= limit {
		return all, ""
	}
	all = all[:limit]
	return all, cursor(all[limit-1])
}

// statesOr is the states to walk: those given, or one walk without a state.
func statesOr[T ~string](states []T) []T {
	if len(states) == 0 {
		return []T{""}
	}
	return slices.Compact(slices.Sorted(slices.Values(states)))
}
