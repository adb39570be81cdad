package liwanag

import "time"

// PassKind says what a pass opens.
type PassKind string

// The kinds of passes.
const (
	PassSession PassKind = "session" // a browser that signed in, by its cookie
	PassLink    PassKind = "link"    // a sign-in link, good for one sign-in
)

// Pass is a console session or a sign-in link. Only the hash of its secret is
// kept.
type Pass struct {
	Hash Digest // SHA-256 of the secret
	Kind PassKind
	// KeyHash is of the API key it was made under: with another key it opens nothing.
	KeyHash   Digest
	CreatedAt time.Time
	ExpiresAt time.Time
}

// Act is a manual act, for the audit trail.
type Act struct {
	Seq     int64 // given by the store, grows
	At      time.Time
	Actor   string // key, console, or local (no key is set)
	Act     string // such as run.cancel, stable
	Subject string // the id it was done to; empty without one
	Reason  string // as the actor gave it
	Request string // the request's id, as in the log
}

// ActFilter selects acts; zero fields do not restrict.
type ActFilter struct{ Subject, Act string }
