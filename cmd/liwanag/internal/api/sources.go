package api

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/liwanag/liwanag/workflow/runapi"
)

// Routes of sources and of what they received.
var (
	ListSourceKinds = runapi.Get[runapi.NoInput, runapi.List[SourceKind]]("/source-kinds",
		"list-source-kinds", "The kinds of sources, and how to set each up at its sender").Scoped(read)
	ListSources = runapi.Get[runapi.NoInput, runapi.List[Source]]("/sources",
		"list-sources", "List the endpoints that take webhooks of sign-ups in, oldest first").Scoped(read)
	AddSource = runapi.Post[AddSourceRequest, Source]("/sources",
		"add-source", "Make a source; the answer shows its URL and secret, once", http.StatusCreated).Scoped(admin)
	GetSource    = runapi.Get[runapi.IDPath, Source]("/sources/{id}", "get-source", "One source").Scoped(read)
	ChangeSource = runapi.Patch[runapi.Addressed[ChangeSourceRequest], Source]("/sources/{id}",
		"change-source", "Change a source").Scoped(admin)
	RotateSource = runapi.Post[runapi.Addressed[RotateSourceRequest], Source]("/sources/{id}/rotate",
		"rotate-source", "Make a new secret or URL; the answer shows them, once", http.StatusOK).Scoped(admin)
	TrySource = runapi.Post[runapi.Addressed[TrySourceRequest], TriedSource]("/sources/{id}/try",
		"try-source", "What a body would do; nothing is stored", http.StatusOK).Scoped(operate)
	DeleteSource = runapi.Delete[runapi.IDPath]("/sources/{id}",
		"delete-source", "Delete a source and what is kept of its deliveries").Scoped(admin)

	ListDeliveries = runapi.Get[DeliveryQuery, runapi.List[Delivery]]("/deliveries",
		"list-deliveries", "List the webhooks that came in, newest first").Scoped(operate)
	GetDelivery = runapi.Get[runapi.IDPath, Delivery]("/deliveries/{id}",
		"get-delivery", "One webhook that came in, with its body when it is a source's and still there").Scoped(operate)
	ReplayDelivery = runapi.Post[runapi.IDPath, Delivery]("/deliveries/{id}/replay",
		"replay-delivery", "Take a delivery in once more, as its source is set up now", http.StatusOK).Scoped(operate)
)

// Source is an endpoint that takes webhooks of sign-ups in.
type Source struct {
	ID            string          `json:"id"`
	Name          string          `json:"name"`
	Kind          string          `json:"kind" enum:"generic,ghost,kit,mailchimp"`
	Settings      json.RawMessage `json:"settings,omitempty" doc:"The kind's own, an object: docs/webhooks.md."`
	Secrets       int             `json:"secrets" doc:"How many verify signatures now."`
	SecretMissing bool            `json:"secretMissing,omitempty" doc:"The secret that the sender shows is not entered yet: everything that comes is answered 503 secret_missing."`
	Disabled      bool            `json:"disabled" doc:"Everything that comes is answered 404."`
	URL           string          `json:"url,omitempty" doc:"There once, in the answer that made it."`
	Secret        string          `json:"secret,omitempty" doc:"There once, in the answer that made it."`
	CreatedAt     time.Time       `json:"createdAt"`
	UpdatedAt     time.Time       `json:"updatedAt"`
}

// SourceKind is a kind of source.
type SourceKind struct {
	Kind       string          `json:"kind"`
	Title      string          `json:"title"`
	Signed     bool            `json:"signed" doc:"Whether there is a secret, with the defaults."`
	SecretFrom string          `json:"secretFrom,omitempty" enum:"us,sender" doc:"Who makes the secret, with the defaults: us (it is entered at the sender) or the sender (it is entered here)."`
	Help       string          `json:"help" doc:"How to set it up at the sender."`
	Defaults   json.RawMessage `json:"defaults,omitempty" doc:"Settings that are left out."`
}

// AddSourceRequest describes a source to make.
type AddSourceRequest struct {
	Name     string          `json:"name" minLength:"1" maxLength:"100"`
	Kind     string          `json:"kind" enum:"generic,ghost,kit,mailchimp"`
	Settings json.RawMessage `json:"settings,omitempty" doc:"Left out: the kind's defaults."`
	Secret   string          `json:"secret,omitempty" maxLength:"500" doc:"The sender's. Left out: one is made where ours is entered at the sender."`
}

// ChangeSourceRequest changes a source; what is left out stays.
type ChangeSourceRequest struct {
	Name     *string         `json:"name,omitempty" maxLength:"100"`
	Settings json.RawMessage `json:"settings,omitempty" doc:"Replaces all of them. Another proof makes the secrets useless: they are forgotten, and a new one is made where ours is entered at the sender."`
	Disabled *bool           `json:"disabled,omitempty"`
}

// RotateSourceRequest makes a new secret, or a new URL, or both.
type RotateSourceRequest struct {
	Secret     string `json:"secret,omitempty" maxLength:"500" doc:"The sender's new one."`
	MakeSecret bool   `json:"makeSecret,omitempty" doc:"Make one of ours. The old one goes on verifying."`
	DropOld    bool   `json:"dropOld,omitempty" doc:"Forget all secrets but the newest."`
	URL        bool   `json:"url,omitempty" doc:"Make a new URL; the old one stops at once."`
}

// TrySourceRequest is a body to try on a source.
type TrySourceRequest struct {
	Body        string          `json:"body"`
	ContentType string          `json:"contentType,omitempty" doc:"As the sender says; the kind decides how a body is read."`
	Settings    json.RawMessage `json:"settings,omitempty" doc:"Tried instead of the source's own."`
}

// TriedSource says what a body would do.
type TriedSource struct {
	State  string      `json:"state" enum:"accepted,ignored,rejected"`
	Code   string      `json:"code,omitempty"`
	Reason string      `json:"reason,omitempty"`
	Items  []TriedItem `json:"items"`
}

// TriedItem is one person in a tried body.
type TriedItem struct {
	Event  string       `json:"event" enum:"subscribed,updated,unsubscribed,ignored"`
	SignUp *TriedSignUp `json:"signUp,omitempty" doc:"As it would be stored."`
	Error  string       `json:"error,omitempty"`
	Errors []FieldFault `json:"errors,omitempty"`
}

// TriedSignUp is a person as they would be stored.
type TriedSignUp struct {
	Email         string          `json:"email"`
	EmailType     string          `json:"emailType" enum:"personal,corporate,relay,disposable"`
	Source        string          `json:"source,omitempty"`
	FirstName     string          `json:"firstName,omitempty"`
	LastName      string          `json:"lastName,omitempty"`
	FullName      string          `json:"fullName,omitempty"`
	CompanyName   string          `json:"companyName,omitempty"`
	CompanyDomain string          `json:"companyDomain,omitempty"`
	LinkedinURL   string          `json:"linkedinUrl,omitempty"`
	Tags          []string        `json:"tags,omitempty"`
	SignedUpAt    time.Time       `json:"signedUpAt,omitzero"`
	Metadata      json.RawMessage `json:"metadata,omitempty"`
}

// DeliveryFilter selects deliveries; zero fields do not restrict.
type DeliveryFilter struct {
	Source string `query:"source" doc:"The id of a source, or fullenrich. Left out: of all sources."`
	State  string `query:"state" enum:"accepted,ignored,rejected,refused,stored,sent,settled,quarantined,unmatched"`
}

// DeliveryQuery asks for a page of deliveries.
type DeliveryQuery struct {
	DeliveryFilter
	runapi.Paging
}

// Delivery is a webhook that came in: at a source, or from FullEnrich.
type Delivery struct {
	ID           string    `json:"id"`
	Source       string    `json:"source" enum:"generic,ghost,kit,mailchimp,fullenrich"`
	SourceID     string    `json:"sourceId,omitempty"`
	State        string    `json:"state" enum:"accepted,ignored,rejected,refused,stored,sent,settled,quarantined,unmatched" doc:"The first four at a source, the others from FullEnrich."`
	Code         string    `json:"code,omitempty" doc:"Why it was not accepted, or not all of it."`
	Reason       string    `json:"reason,omitempty"`
	Size         int       `json:"size" doc:"In bytes."`
	ContentType  string    `json:"contentType,omitempty"`
	Created      int       `json:"created,omitempty"`
	Updated      int       `json:"updated,omitempty"`
	Unsubscribed int       `json:"unsubscribed,omitempty"`
	Failed       int       `json:"failed,omitempty"`
	SubmissionID string    `json:"submissionId,omitempty"`
	EnrichmentID string    `json:"enrichmentId,omitempty"`
	Replayable   bool      `json:"replayable"`
	ReceivedAt   time.Time `json:"receivedAt"`
	ReplayedAt   time.Time `json:"replayedAt,omitzero"`
	Body         string    `json:"body,omitempty"`
}
