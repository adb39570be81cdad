package liwanag

import (
	"slices"
	"strings"
	"time"
)

// Scope is something that a caller may do: every route needs one.
type Scope string

// The scopes of keys. Viewer is for people alone: it is Read without e-mail addresses.
const (
	Ingest  Scope = "ingest"
	Read    Scope = "read"
	Export  Scope = "export"
	Operate Scope = "operate"
	Admin   Scope = "admin" // stands for all
	Viewer  Scope = "viewer"
)

// KeyScopes are those that a key may have.
var KeyScopes = Scopes{Ingest, Read, Export, Operate, Admin}

// Scopes are what a caller may do.
type Scopes []Scope

// May says whether they have a scope; nothing but Admin has the empty one.
func (s Scopes) May(need Scope) bool {
	return slices.Contains(s, Admin) || need != "" && slices.Contains(s, need) || need == Read && slices.Contains(s, Viewer)
}

// SeeAddresses says whether they show e-mail addresses: whatever else a viewer may do
// shows them.
func (s Scopes) SeeAddresses() bool {
	return slices.ContainsFunc(s, func(one Scope) bool { return one != Viewer && one != Ingest })
}

// String joins them by commas.
func (s Scopes) String() string { return strings.Join(s.Words(), ",") }

// Words are their texts.
func (s Scopes) Words() []string {
	words := make([]string, len(s))
	for i, one := range s {
		words[i] = string(one)
	}
	return words
}

// ParseScopes reads what String wrote.
func ParseScopes(text string) (all Scopes) {
	for word := range strings.SplitSeq(text, ",") {
		if word != "" {
			all = append(all, Scope(word))
		}
	}
	return all
}

// APIKey is a key beside the server's own. Only its hash is kept.
type APIKey struct {
	ID        ID
	Name      string // who uses it; two may have one name
	Hash      Digest // SHA-256 of the key
	Scopes    Scopes
	CreatedAt time.Time
	ExpiresAt time.Time // zero: never
	UsedAt    time.Time // to the minute; zero: never
}

// Expired says whether it opens nothing any more.
func (k APIKey) Expired(now time.Time) bool { return !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt) }

const (
	// MaxKeys is how many keys there may be.
	MaxKeys = 500
	// KeysOfAName is how many valid ones may have one name: the old and the new.
	KeysOfAName = 2
)

// ErrTooManyKeys: two valid keys have the name, or there are 500.
var ErrTooManyKeys = &Error{Class: Conflict, Code: "too_many_keys",
	Message: "two valid keys of this name are there, or 500 keys: revoke one first (liwanag keys list)"}
