package liwanag

import (
	"encoding/json"
	"time"
)

// SourceKind says which sender's webhooks a source takes in.
type SourceKind string

// The kinds of sources.
const (
	SourceGeneric   SourceKind = "generic"   // any JSON, by a field mapping
	SourceGhost     SourceKind = "ghost"     // Ghost's member webhooks
	SourceKit       SourceKind = "kit"       // Kit's signed webhook endpoints
	SourceMailchimp SourceKind = "mailchimp" // Mailchimp's audience webhooks
)

// Source is an endpoint that takes webhooks of sign-ups in.
type Source struct {
	ID   ID
	Name string // for people, and the source of sign-ups that name none
	Kind SourceKind
	// TokenHash is the SHA-256 of the last part of its path, which is a credential
	// by itself: the token is shown once.
	TokenHash Digest
	// Secrets verify signatures; several while they are rotated, newest first.
	Secrets []string
	// Settings are the kind's own, a JSON object, or nil.
	Settings json.RawMessage
	// Disabled turns everything away.
	Disabled  bool
	CreatedAt time.Time
	UpdatedAt time.Time
}

// ReceiptState is what became of a webhook that a source received.
type ReceiptState string

// The states of a receipt.
const (
	ReceiptAccepted ReceiptState = "accepted" // taken in; single elements may have been refused
	ReceiptIgnored  ReceiptState = "ignored"  // authentic, and not a sign-up event
	ReceiptRejected ReceiptState = "rejected" // authentic, and nothing of it could be taken: replay it after mending
	ReceiptRefused  ReceiptState = "refused"  // no proof or a wrong one: nothing of it is kept
)

// Receipt is a webhook as a source received it.
type Receipt struct {
	ID       ID
	SourceID ID
	State    ReceiptState
	Code     string // why it was not accepted, stable
	Reason   string // the same for people, without personal data
	// Body is as it came; nil once it is dropped, and always for a refused one.
	Body []byte
	// Kept says whether Body is still there, in listings too, which leave it out.
	// Read only.
	Kept        bool
	ContentType string
	Size        int // of Body when it came, bytes
	// How many elements did what.
	Created, Updated, Unsubscribed, Failed int
	ReceivedAt                             time.Time
	ReplayedAt                             time.Time // zero: never
}

// ReceiptFilter selects receipts; zero fields do not restrict.
type ReceiptFilter struct {
	SourceID ID
	States   []ReceiptState
}
