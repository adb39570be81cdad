package api

import (
	"encoding/json"
	"net/http"
	"reflect"
	"time"

	"github.com/liwanag/liwanag/workflow/runapi"
)

// Routes of subscribers.
var (
	AddSubscriber = runapi.Post[SignUp, SignedUp]("/subscribers",
		"add-subscriber", "Add one subscriber", http.StatusAccepted).Scoped(ingest)
	ListSubscribers = described(runapi.Get[SubscriberQuery, SubscriberList]("/subscribers",
		"list-subscribers", "List subscribers, newest first").Scoped(read))
	GetSubscriber = runapi.Get[runapi.IDPath, SubscriberDetail]("/subscribers/{id}",
		"get-subscriber", "One subscriber, with jobs and profile").Scoped(read)
	EnrichSubscriber = runapi.Post[runapi.Addressed[*EnrichSubscriberRequest], Enriched]("/subscribers/{id}/enrich",
		"enrich-subscriber", "Look a subscriber up once more", http.StatusAccepted).Scoped(operate)
	EnrichSubscribers = runapi.Post[EnrichMany, EnrichedMany]("/subscribers/enrich",
		"enrich-subscribers", "Look many subscribers up once more", http.StatusAccepted).Scoped(operate)
	TagSubscribers = runapi.Post[TagMany, TaggedMany]("/subscribers/tag",
		"tag-subscribers", "Add tags to many subscribers, or take some away", http.StatusOK).Scoped(operate)
	EraseSubscriber = runapi.Delete[EraseRequest]("/subscribers/{id}",
		"erase-subscriber", "Erase a subscriber, with all addresses of their mailbox; "+
			"the header Liwanag-Rows says how many, Liwanag-Backups which backups still hold them").Scoped(operate)
	UnsubscribeSubscriber = runapi.Post[runapi.Addressed[*StandingRequest], Standing]("/subscribers/{id}/unsubscribe",
		"unsubscribe-subscriber", "Note that a subscriber left: nothing is looked up for them any more", http.StatusOK).Scoped(ingest)
	ResubscribeSubscriber = runapi.Post[runapi.Addressed[*StandingRequest], Standing]("/subscribers/{id}/resubscribe",
		"resubscribe-subscriber", "Note that a subscriber came back; nobody is looked up by it", http.StatusOK).Scoped(operate)
	ExportPerson = runapi.Get[runapi.IDPath, PersonExport]("/subscribers/{id}/export",
		"export-person", "Everything that is kept of one person, for themselves").Scoped(export)
	ExportSubscribers = described(runapi.File[SubscriberExport]("/subscribers/export",
		"export-subscribers", "Subscribers as CSV, which can be imported again; who unsubscribed is left out, and counted in the header Liwanag-Left-Out, unless subscribed says otherwise",
		"text/csv").Scoped(export))
	ListCompanies = described(runapi.Get[CompanyQuery, runapi.List[Company]]("/companies",
		"list-companies", "Companies of subscribers, those with the most people first").Scoped(read))
	GetCompany = described(runapi.Get[CompanyPath, Company]("/companies/{domain}",
		"get-company", "One company, by its domain").Scoped(read))
)

// described says what the description has no words for.
func described[In, Out any](r runapi.Route[In, Out]) runapi.Route[In, Out] {
	r.Description = "A parameter `metadata.KEY` selects those whose metadata have this text for KEY; there may be several."
	return r
}

// SubscriberFilter selects subscribers, in a query or in a body.
type SubscriberFilter struct {
	View      string `query:"view" json:"view,omitempty" doc:"Name or id of a saved view: what is said here comes before what it says."`
	Status    string `query:"status" json:"status,omitempty" enum:"none,pending,submitted,held,enriched,not_found,failed,canceled" doc:"enrichmentStatus"`
	EmailType string `query:"emailType" json:"emailType,omitempty" enum:"personal,corporate,relay,disposable"`
	Source    string `query:"source" json:"source,omitempty"`
	JobTitle  string `query:"jobTitle" json:"jobTitle,omitempty" doc:"Part of it, in whatever case; a comma separates alternatives."`
	Seniority string `query:"seniority" json:"seniority,omitempty" doc:"As a lookup found it, in whatever case; a comma separates alternatives."`
	Industry  string `query:"industry" json:"industry,omitempty" doc:"Whole, in whatever case."`
	Country   string `query:"country" json:"country,omitempty" doc:"As a lookup found it, in whatever case; a comma separates alternatives."`
	// HeadcountMin and HeadcountMax are of the company, both inclusive.
	HeadcountMin  int64             `query:"headcountMin" json:"headcountMin,omitempty" minimum:"0"`
	HeadcountMax  int64             `query:"headcountMax" json:"headcountMax,omitempty" minimum:"0"`
	CompanyDomain string            `query:"companyDomain" json:"companyDomain,omitempty" doc:"Of the company that is shown; a comma separates alternatives."`
	HasLinkedin   string            `query:"hasLinkedin" json:"hasLinkedin,omitempty" enum:"true,false" doc:"Whether a LinkedIn address is known."`
	FoundSince    time.Time         `query:"foundSince" json:"foundSince,omitzero" doc:"A result was applied at or after."`
	Metadata      map[string]string `query:"metadata.*" json:"metadata,omitempty" doc:"What their metadata have as text; in a query metadata.KEY=TEXT."`
	Subscribed    string            `query:"subscribed" json:"subscribed,omitempty" enum:"true,false,any" doc:"Whether they are still subscribed. Left out: any, and true in an export."`
	Tag           string            `query:"tag" json:"tag,omitempty" doc:"Of any sender, whole."`
	// NameMatches and SignedUpSince are about what was stated.
	NameMatches   string    `query:"nameMatches" json:"nameMatches,omitempty" enum:"yes,no,unknown"`
	SignedUpSince time.Time `query:"signedUpSince" json:"signedUpSince,omitzero" doc:"Signed up at or after, as the sender said, else as they came."`
	Q             string    `query:"q" json:"q,omitempty" doc:"Each word of it is the beginning of a word of address, name, title, company or industry; case and accents make no difference."`
	RunID         string    `query:"runId" json:"runId,omitempty" doc:"Looked up by this run."`
	UploadID      string    `query:"uploadId" json:"uploadId,omitempty" doc:"Looked up for this upload."`
	Since         time.Time `query:"since" json:"since,omitzero" doc:"Created at or after."`
	Until         time.Time `query:"until" json:"until,omitzero" doc:"Created before."`
}

// IsZero says whether it selects everybody.
func (f SubscriberFilter) IsZero() bool { return reflect.ValueOf(f).IsZero() }

// SubscriberOrder is the order of a listing. Whoever lacks what it is sorted by comes last.
type SubscriberOrder struct {
	Sort  string `query:"sort" json:"sort,omitempty" enum:"added,found,company,headcount" doc:"Left out: that of the view, else added."`
	Order string `query:"order" json:"order,omitempty" enum:"asc,desc" doc:"Left out: desc, the newest and largest first, and asc for company."`
}

// SubscriberQuery asks for a page of subscribers.
type SubscriberQuery struct {
	SubscriberFilter
	SubscriberOrder
	Total  bool   `query:"total" doc:"Count all that match too."`
	Before string `query:"before" doc:"A prevCursor, in the place of cursor: the page before."`
	runapi.Paging
}

// SubscriberList is a page of subscribers.
type SubscriberList struct {
	runapi.List[Subscriber]
	PrevCursor  string `json:"prevCursor,omitempty" doc:"For before: absent on the first page."`
	Total       *int64 `json:"total,omitempty" doc:"How many match, exact to 10,000; there if it was asked for."`
	TotalIsMore bool   `json:"totalIsMore,omitempty" doc:"There are more than total."`
}

// CompanyQuery asks for a page of companies: of those who match.
type CompanyQuery struct {
	SubscriberFilter
	runapi.Paging
}

// CompanyPath is the path of one company.
type CompanyPath struct {
	Domain string `path:"domain"`
	SubscriberFilter
}

// Company is where people work, as lookups and sign-ups say; what was found comes first.
type Company struct {
	Domain      string           `json:"domain"`
	Name        string           `json:"name,omitempty"`
	LinkedinURL string           `json:"linkedinUrl,omitempty"`
	Headcount   int64            `json:"headcount,omitempty"`
	Industry    string           `json:"industry,omitempty"`
	People      int64            `json:"people" doc:"How many match."`
	Seniorities map[string]int64 `json:"seniorities" doc:"How many of them have each seniority that was found."`
	NewestAt    time.Time        `json:"newestAt" doc:"When the newest of them was added."`
}

// SubscriberExport asks for a file of subscribers.
type SubscriberExport struct {
	SubscriberFilter
	SubscriberOrder
	Columns string `query:"columns" doc:"Those of the file, in this order, with commas between them; metadata.KEY is a member of the metadata. Left out: those of the view, else all, as a file that can be imported again."`
	Format  string `query:"format" enum:"csv,jsonl" default:"csv"`
	IDs     string `query:"ids" doc:"Only these of those that match, ids with commas between them, at most 500."`
	Limit   int    `query:"limit" minimum:"1" maximum:"1000000000" doc:"The newest of them, at most; absent: all."`
}

// SignUp is one person to add; everything but Email may be empty.
type SignUp struct {
	Email         string         `json:"email"`
	Source        string         `json:"source,omitempty"`
	ID            string         `json:"id,omitempty" doc:"The sender's own id of the person."`
	FirstName     string         `json:"firstName,omitempty"`
	LastName      string         `json:"lastName,omitempty"`
	FullName      string         `json:"fullName,omitempty"`
	CompanyName   string         `json:"companyName,omitempty"`
	CompanyDomain string         `json:"companyDomain,omitempty"`
	LinkedinURL   string         `json:"linkedinUrl,omitempty"`
	Tags          []string       `json:"tags,omitempty"`
	Metadata      map[string]any `json:"metadata,omitempty"`
	Timestamp     time.Time      `json:"timestamp,omitzero"`
}

// SignedUp says what became of a SignUp.
type SignedUp struct {
	SubscriberID string `json:"subscriberId,omitempty"`
	Status       string `json:"status" enum:"created,updated,suppressed" doc:"suppressed: nothing was stored, and there is no id."`
	RunID        string `json:"runId,omitempty" doc:"There if the person has an open job."`
}

// Subscriber is a person who signed up.
type Subscriber struct {
	ID                 string          `json:"id"`
	Email              string          `json:"email"`
	EmailType          string          `json:"emailType" enum:"personal,corporate,relay,disposable"`
	Source             string          `json:"source,omitempty" doc:"The first."`
	Sources            []string        `json:"sources,omitempty" doc:"All, the first first."`
	Tags               []string        `json:"tags,omitempty" doc:"Those of any sender."`
	EnrichmentStatus   string          `json:"enrichmentStatus" doc:"none, or the status of the latest job."`
	FirstName          string          `json:"firstName,omitempty"`
	LastName           string          `json:"lastName,omitempty"`
	FullName           string          `json:"fullName,omitempty"`
	Headline           string          `json:"headline,omitempty"`
	JobTitle           string          `json:"jobTitle,omitempty"`
	Seniority          string          `json:"seniority,omitempty"`
	LinkedinURL        string          `json:"linkedinUrl,omitempty"`
	Location           string          `json:"location,omitempty"`
	Country            string          `json:"country,omitempty"`
	CompanyName        string          `json:"companyName,omitempty"`
	CompanyDomain      string          `json:"companyDomain,omitempty"`
	CompanyLinkedinURL string          `json:"companyLinkedinUrl,omitempty"`
	Headcount          int64           `json:"headcount,omitempty"`
	Industry           string          `json:"industry,omitempty"`
	NameFrom           string          `json:"nameFrom,omitempty" enum:"stated,found" doc:"Which side the three names are of."`
	CompanyFrom        string          `json:"companyFrom,omitempty" enum:"stated,found" doc:"Which side all of the company is of."`
	NameMatches        string          `json:"nameMatches" enum:"yes,no,unknown" doc:"Whether the name that was found is the one that was stated. no: both are whole, in one script, and share nothing."`
	Stated             *Stated         `json:"stated,omitempty" doc:"What sign-ups and files said."`
	Found              *Found          `json:"found,omitempty" doc:"What a lookup found."`
	Metadata           json.RawMessage `json:"metadata,omitempty"`
	SignedUpAt         time.Time       `json:"signedUpAt,omitzero" doc:"When they signed up, as the sender said; the earliest."`
	CreatedAt          time.Time       `json:"createdAt"`
	UpdatedAt          time.Time       `json:"updatedAt"`
	EnrichedAt         time.Time       `json:"enrichedAt,omitzero"`
	Subscribed         bool            `json:"subscribed" doc:"false: they unsubscribed, and nothing is looked up for them."`
	UnsubscribedAt     time.Time       `json:"unsubscribedAt,omitzero" doc:"Absent: they did not unsubscribe, or came back."`
	UnsubscribedBy     string          `json:"unsubscribedBy,omitempty" doc:"Who said so: operator, webhook, or the id of a source or an upload."`
}

// LeftOutHeader says in an export how many of those that match are not in it since they unsubscribed.
const LeftOutHeader = "Liwanag-Left-Out"

// BackupsHeader lists, after an erasure, the backups that still hold the person, each path
// escaped as in a URL.
const BackupsHeader = "Liwanag-Backups"

// RowsHeader says how many subscribers were erased: one mailbox may have several.
const RowsHeader = "Liwanag-Rows"

// StandingRequest says why a subscriber's standing is changed by hand.
type StandingRequest struct {
	Reason string `json:"reason,omitempty" doc:"Kept in the audit trail: no personal data."`
}

// Standing is whether a person is subscribed after it was changed by hand.
type Standing struct {
	SubscriberID   string    `json:"subscriberId"`
	Subscribed     bool      `json:"subscribed"`
	UnsubscribedAt time.Time `json:"unsubscribedAt,omitzero"`
	UnsubscribedBy string    `json:"unsubscribedBy,omitempty"`
	Rows           int       `json:"rows" doc:"How many subscribers changed: one mailbox may have several; 0: it was so before."`
}

// Stated is what was said of a person: by themselves, or in a list.
type Stated struct {
	FirstName     string    `json:"firstName,omitempty"`
	LastName      string    `json:"lastName,omitempty"`
	FullName      string    `json:"fullName,omitempty"`
	CompanyName   string    `json:"companyName,omitempty"`
	CompanyDomain string    `json:"companyDomain,omitempty"`
	LinkedinURL   string    `json:"linkedinUrl,omitempty"`
	At            time.Time `json:"at,omitzero" doc:"The last time that something was said."`
}

// Found is what a lookup found of a person.
type Found struct {
	FirstName          string    `json:"firstName,omitempty"`
	LastName           string    `json:"lastName,omitempty"`
	FullName           string    `json:"fullName,omitempty"`
	CompanyName        string    `json:"companyName,omitempty"`
	CompanyDomain      string    `json:"companyDomain,omitempty"`
	LinkedinURL        string    `json:"linkedinUrl,omitempty"`
	JobTitle           string    `json:"jobTitle,omitempty"`
	Seniority          string    `json:"seniority,omitempty"`
	Headline           string    `json:"headline,omitempty"`
	Location           string    `json:"location,omitempty"`
	Country            string    `json:"country,omitempty"`
	CompanyLinkedinURL string    `json:"companyLinkedinUrl,omitempty"`
	Headcount          int64     `json:"headcount,omitempty"`
	Industry           string    `json:"industry,omitempty"`
	At                 time.Time `json:"at,omitzero" doc:"When it was applied."`
}

// SubscriberDetail is a subscriber with all that is known.
type SubscriberDetail struct {
	Subscriber
	Jobs    []Job           `json:"jobs" doc:"Newest first."`
	Profile json.RawMessage `json:"profile,omitempty" doc:"All that FullEnrich said."`
	// SameMailbox shares standing, suppression and erasure.
	SameMailbox []SameMailbox `json:"sameMailbox,omitempty" doc:"Other subscribers whose address leads to the same mailbox, as at Gmail: they unsubscribe and are erased together."`
}

// Since is when the first of the mailbox came.
func (d SubscriberDetail) Since() time.Time {
	since := d.CreatedAt
	for _, other := range d.SameMailbox {
		if other.CreatedAt.Before(since) {
			since = other.CreatedAt
		}
	}
	return since
}

// SameMailbox is a subscriber with another address of a mailbox.
type SameMailbox struct {
	ID        string    `json:"id"`
	Email     string    `json:"email"`
	CreatedAt time.Time `json:"createdAt"`
}

// PersonExport is everything that is kept of a person. What is said of others in the
// same bodies is left out.
type PersonExport struct {
	ExportedAt time.Time           `json:"exportedAt"`
	Subscriber SubscriberDetail    `json:"subscriber"`
	Tags       map[string][]string `json:"tagsBySender,omitempty" doc:"Each sender's list; a source has its id, a file or a call the name of its source."`
	Received   []ReceivedBody      `json:"received" doc:"Webhooks of sources and results of FullEnrich that name them and are still kept, newest first."`
}

// ReceivedBody is what was received about a person.
type ReceivedBody struct {
	DeliveryID string          `json:"deliveryId"`
	Source     string          `json:"source" doc:"The id of a source, or fullenrich."`
	ReceivedAt time.Time       `json:"receivedAt"`
	Body       json.RawMessage `json:"body" doc:"What of it is about them; a text when it is no JSON."`
}

// Job is one lookup of a subscriber.
type Job struct {
	ID           string      `json:"id"`
	Status       string      `json:"status"`
	RunID        string      `json:"runId,omitempty"`
	EnrichmentID string      `json:"enrichmentId,omitempty"`
	Credits      int64       `json:"credits"`
	Failure      *JobFailure `json:"failure,omitempty"`
	Reason       string      `json:"reason,omitempty" enum:"same_mailbox,unsubscribed" doc:"Why no lookup of its own was made. same_mailbox: that of another address of the mailbox counts for this one, too, at no cost."`
	WaitingFor   string      `json:"waitingFor,omitempty" doc:"What keeps a pending job from being sent: budget, credits, key, capacity, calls, paused, unavailable, found_rate."`
	WaitingUntil time.Time   `json:"waitingUntil,omitzero"`
	RetryAt      time.Time   `json:"retryAt,omitzero" doc:"When a new job is made for the person."`
	CreatedAt    time.Time   `json:"createdAt"`
	EndedAt      time.Time   `json:"endedAt,omitzero"`
}

// JobFailure says why a job or an upload failed.
type JobFailure struct {
	Code    string `json:"code"`
	Message string `json:"message,omitempty"`
}

// EnrichSubscriberRequest says how a subscriber is looked up once more.
type EnrichSubscriberRequest struct {
	Again bool `json:"again,omitempty" doc:"Order and pay even if there is a result, or lately was none."`
}

// Enriched says what was done for a subscriber.
type Enriched struct {
	SubscriberID string `json:"subscriberId"`
	Result       string `json:"result" enum:"started,open,reused,same_mailbox,recently_not_found,in_flight,not_found,unsubscribed,suppressed" doc:"started: a new job. open: there was one. same_mailbox: another address of the mailbox is looked up, or has a young result, which counts for this one. reused: a young result was used again for nothing. recently_not_found: FullEnrich did not find them lately. in_flight: an earlier lookup is paid for and expected. not_found: no such subscriber. unsubscribed: nothing is looked up for them."`
	RunID        string `json:"runId,omitempty"`
}

// EnrichMany selects subscribers by id or by a filter, and says how sure the caller
// is of what it costs.
type EnrichMany struct {
	IDs    []string          `json:"ids,omitempty" maxItems:"500" doc:"These; or else filter."`
	Filter *SubscriberFilter `json:"filter,omitempty" doc:"All that match; an empty one is everybody. It needs expect."`
	Status string            `json:"status,omitempty" enum:"none,failed,not_found,canceled,enriched" doc:"The same as filter.status."`
	DryRun bool              `json:"dryRun,omitempty" doc:"Only count, and say what it costs."`
	Expect *int64            `json:"expect,omitempty" minimum:"0" doc:"The count of a dry run: when it is another by now nothing is ordered, 409 count_differs."`
	Again  bool              `json:"again,omitempty" doc:"Order and pay even if there is a result."`
	Cap    *int64            `json:"cap,omitempty" minimum:"0" doc:"Credits that they may cost: whoever is above it is left out."`
	Cursor string            `json:"cursor,omitempty" doc:"Leave it out: all that match are dealt with at once."`
}

// EnrichedMany says what was done for each, or what would be.
type EnrichedMany struct {
	Items   []Enriched       `json:"items" doc:"Empty for a dry run."`
	Count   int64            `json:"count" doc:"Lookups that are ordered."`
	Credits int64            `json:"credits" doc:"What they cost at most."`
	LeftOut map[string]int64 `json:"leftOut" doc:"How many of those selected are not looked up, by result."`
	DryRun  bool             `json:"dryRun,omitempty"`
	// The rest is that of a dry run.
	Balance    *float64  `json:"balance,omitempty" doc:"As FullEnrich said last; absent when it never did."`
	BalanceAt  time.Time `json:"balanceAt,omitzero"`
	BudgetLeft *int64    `json:"budgetLeft,omitempty" doc:"Credits of this UTC day; absent without a limit."`
}

// TagMany selects subscribers by id or by a filter, and says how their tags change.
type TagMany struct {
	IDs    []string          `json:"ids,omitempty" maxItems:"500" doc:"These, ids or addresses; or else filter."`
	Filter *SubscriberFilter `json:"filter,omitempty" doc:"All that match; an empty one is everybody. It needs expect."`
	Add    []string          `json:"add,omitempty" maxItems:"50"`
	Remove []string          `json:"remove,omitempty" maxItems:"50" doc:"Whichever sender gave them."`
	DryRun bool              `json:"dryRun,omitempty" doc:"Only count."`
	Expect *int64            `json:"expect,omitempty" minimum:"0" doc:"The count of a dry run: when it is another by now nothing is done, 409 count_differs."`
}

// TaggedMany says how many were selected, and how many had other tags before.
type TaggedMany struct {
	Count   int64 `json:"count"`
	Changed int64 `json:"changed" doc:"0 for a dry run."`
	DryRun  bool  `json:"dryRun,omitempty"`
}

// EraseRequest erases a subscriber.
type EraseRequest struct {
	runapi.IDPath
	Reason   string `query:"reason" doc:"Kept in the audit trail: no personal data."`
	Suppress bool   `query:"suppress" doc:"Keep an HMAC of the address, so that whoever brings it again stores nothing and looks nobody up."`
}
