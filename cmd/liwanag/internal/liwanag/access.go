package liwanag

import "time"

// PassKind says what a pass opens.
type PassKind string

// The kinds of passes.
const (
	PassSession PassKind = "session" // a browser that signed in, by its cookie
	PassLink    PassKind = "link"    // a sign-in link, good for one sign-in
	PassFlow    PassKind = "flow"    // a sign-in at a provider that has begun
)

// Pass is a console session or a sign-in link. Only the hash of its secret is
// kept.
type Pass struct {
	Hash Digest // SHA-256 of the secret
	Kind PassKind
	// KeyHash is of the API key it was made under: with another key it opens nothing.
	KeyHash Digest
	// KeyID is of the named key it was made with, whose scopes and end it has; zero: of
	// none.
	KeyID ID
	// Person is who signed in at a provider, with Scopes of their own; empty: nobody did.
	Person    string
	Scopes    Scopes
	CreatedAt time.Time
	ExpiresAt time.Time
}

// Act is a manual act, for the audit trail, or what is counted of a client: reads of
// personal data, and failures to prove who they are.
type Act struct {
	Seq     int64 // given by the store, grows
	At      time.Time
	Actor   string // key, console, local (no key is set), or unknown (it failed)
	Name    string // of the named key, or the person who signed in at a provider; empty: neither
	Act     string // such as run.cancel, stable
	Subject string // the id it was done to; empty without one
	Reason  string // as the actor gave it
	Request string // the request's id, as in the log
	Client  string // the address it came from; empty in rows of before there was one
	Times   int64  // how often it happened since At, at least 1
}

// ActFilter selects acts; zero fields do not restrict.
type ActFilter struct{ Subject, Act string }

// Dismissal says that an operator has seen something that needs a person.
type Dismissal struct {
	Kind  string // of what needs a person, such as sink_failing
	Thing string // its id; empty for what is no single thing
	Cause string // why it was shown; with another it is shown again
	At    time.Time
}
