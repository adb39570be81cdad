package liwanag

import (
	"encoding/json"
	"reflect"
	"strings"
	"time"
	"unicode"
)

// EmailType says whether an address belongs to a mail provider or to a company.
type EmailType string

// The e-mail types.
const (
	Personal  EmailType = "personal"
	Corporate EmailType = "corporate" // a work address, for people
	// Relay hides an address behind another one, such as Apple's Hide My Email: it is looked up by hand alone.
	Relay EmailType = "relay"
	// Disposable is given away for minutes or days, and looked up by hand alone too.
	Disposable EmailType = "disposable"
)

// Subscriber is a person who signed up, one for each normalised address. What was
// said of them and what was found stand apart; lists show one of each, see [Subscriber.Settle].
type Subscriber struct {
	ID        ID
	EmailKey  string // normalised: trimmed, NFC, lower-cased; unique
	Email     string // as it is sent to FullEnrich: trimmed, NFC, domain lower-cased
	EmailType EmailType
	Source    string   // the first
	Sources   []string // all, the first first
	Tags      TagLists
	Metadata  json.RawMessage // a JSON object, or nil
	Stated    Statement       // written by sign-ups alone
	Found     Finding         // written by results alone
	// Summary and NameMatches follow from Stated and Found.
	Summary     Summary
	NameMatches NameMatch
	// EnrichmentStatus is the status of the person's latest job, or empty
	// ("none") without one. Read only.
	EnrichmentStatus JobStatus
	// SignedUpAt is when they signed up, as the sender says; the earliest that one
	// said. Zero: none did.
	SignedUpAt time.Time
	CreatedAt  time.Time
	UpdatedAt  time.Time
	// EnrichedAt is when a profile was applied; zero without one.
	EnrichedAt time.Time
	// ResultAt is how old the profile is: when the lookup it came from was
	// sent. A result older than this never overwrites it.
	ResultAt time.Time
	// SuppressedAt is when the person unsubscribed: nothing is looked up for them
	// any more. Zero: they did not, or came back.
	SuppressedAt time.Time
	// UnsubscribedBy is who said so: ByOperator, ByWebhook, or the id of a source or an upload.
	// Empty for who left before it was noted.
	UnsubscribedBy string
}

// Who says that somebody unsubscribed, beside sources and uploads, whose ids do.
const (
	ByOperator = "operator" // by hand: API, console or command line
	ByWebhook  = "webhook"  // a field of a sign-up at POST /webhooks/subscribers
)

// Departure is people who unsubscribed, when, and who says so. It is of their mailboxes: whoever
// else has an address of one leaves, too.
type Departure struct {
	IDs []ID
	At  time.Time
	By  string
}

// Standing selects by whether people are subscribed.
type Standing string

// The standings. The zero value is everybody.
const (
	StandingIn   Standing = "true"
	StandingLeft Standing = "false"
	StandingAny  Standing = "any"
)

// SignUp is one address as intake stores it. Empty fields leave what is there.
type SignUp struct {
	ID         ID // used when the address is new
	EmailKey   string
	Email      string
	EmailType  EmailType
	Source     string
	Sources    []string // further ones, of a file that knows several
	Tags       []string // nil: the sender says nothing of them
	TagsOf     string   // whose list of tags it is; empty: that of Source
	AddsTags   bool     // Tags are added to that list, which they replace otherwise
	Metadata   json.RawMessage
	Stated     Statement // without At
	Left       bool      // the sender says that they unsubscribed: stores leave that to intake
	LeftAt     time.Time // when, as the sender says; zero: it does not
	SignedUpAt time.Time // as the sender says
	At         time.Time
}

// SignedUp says what became of a SignUp.
type SignedUp struct {
	ID      ID   // the subscriber's, old or new
	Created bool // false: the address was known, and its row was updated
	// Left: it is new, and its mailbox unsubscribed under another address.
	Left bool
}

// Enriched is a profile to apply to a subscriber.
type Enriched struct {
	SubscriberID ID
	Found        Finding         // without At
	Profile      json.RawMessage // all that FullEnrich said, one record
	ResultAt     time.Time       // when the lookup was sent
	At           time.Time       // when it is applied
}

// SubscriberFilter selects subscribers; zero fields do not restrict. Its JSON is how views are stored.
type SubscriberFilter struct {
	Status    JobStatus `json:"status,omitzero"` // of the latest job; NoJob selects those without one
	EmailType EmailType `json:"emailType,omitzero"`
	Source    string    `json:"source,omitzero"`
	// These ignore case, and a comma in them separates alternatives.
	JobTitle  string `json:"jobTitle,omitzero"` // part of it
	Seniority string `json:"seniority,omitzero"`
	Country   string `json:"country,omitzero"`
	Industry  string `json:"industry,omitzero"` // the one filter of these in which a comma is a comma
	// CompanyDomain is of the company that is shown.
	CompanyDomain string            `json:"companyDomain,omitzero"`
	HeadcountMin  int64             `json:"headcountMin,omitzero"` // 0: without a bound
	HeadcountMax  int64             `json:"headcountMax,omitzero"`
	HasLinkedin   *bool             `json:"hasLinkedin,omitzero"` // whether a LinkedIn address is known
	FoundAfter    time.Time         `json:"foundAfter,omitzero"`  // a result was applied at or after
	Metadata      map[string]string `json:"metadata,omitzero"`    // each member of their metadata has this text
	Tag           string            `json:"tag,omitzero"`         // of any sender
	// NameMatches selects those whose found name says this of the stated one.
	NameMatches NameMatch `json:"nameMatches,omitzero"`
	// SignedUpAfter goes by the time that was stated, else by that of their coming.
	SignedUpAfter time.Time `json:"signedUpAfter,omitzero"`
	Query         string    `json:"query,omitzero"` // each word of it begins one of [Subscriber.SearchWords]
	Standing      Standing  `json:"standing,omitzero"`
	// MailDomain selects addresses at a domain and its subdomains.
	MailDomain    string    `json:"mailDomain,omitzero"`
	CreatedAfter  time.Time `json:"createdAfter,omitzero"`
	CreatedBefore time.Time `json:"createdBefore,omitzero"`
	IDs           []ID      `json:"ids,omitzero"`
	RunID         ID        `json:"runId,omitzero"`    // a lookup of theirs is in the run
	UploadID      ID        `json:"uploadId,omitzero"` // a lookup of theirs was ordered by the upload

	// Sort and Ascending are the order of a listing; the zero values: newest first.
	Sort      SubscriberSort `json:"sort,omitzero"`
	Ascending bool           `json:"ascending,omitzero"`
}

// Check is ErrInvalidFilter for texts that a database would read in its own way: one
// ends at a NUL and then finds everybody, another cannot hold it.
func (f SubscriberFilter) Check() error {
	for _, field := range reflect.ValueOf(f).Fields() {
		if field.Kind() == reflect.String && strings.ContainsFunc(field.String(), unicode.IsControl) {
			return ErrInvalidFilter
		}
	}
	for key, value := range f.Metadata {
		if strings.ContainsFunc(key+value, unicode.IsControl) {
			return ErrInvalidFilter
		}
	}
	return nil
}

// SubscriberSort is what a listing of subscribers is in the order of. Whoever has no
// such value comes last.
type SubscriberSort string

// The orders. The zero value is [SortAdded].
const (
	SortAdded     SubscriberSort = "added"
	SortFound     SubscriberSort = "found"
	SortCompany   SubscriberSort = "company" // by name, ignoring the case of ASCII letters
	SortHeadcount SubscriberSort = "headcount"
)

// NoJob is the filter value and the listing text for a subscriber that never
// had a job.
const NoJob JobStatus = "none"

// Page asks for one page of a listing. Limit 0 means 50; at most 500.
type Page struct {
	Limit  int
	Cursor string // as the page before returned it, empty for the first
}
