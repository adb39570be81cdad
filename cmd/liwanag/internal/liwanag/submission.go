package liwanag

import "time"

// SubmissionState is the state of a submission.
type SubmissionState string

// The states of a submission. Prepared, sending, accepted, ambiguous and held
// are open: a job has at most one open submission.
const (
	SubmissionPrepared   SubmissionState = "prepared"   // nothing sent
	SubmissionSending    SubmissionState = "sending"    // may be on the wire
	SubmissionAccepted   SubmissionState = "accepted"   // FullEnrich gave an id
	SubmissionRefused    SubmissionState = "refused"    // FullEnrich said no, or was never reached
	SubmissionAmbiguous  SubmissionState = "ambiguous"  // nobody knows
	SubmissionHeld       SubmissionState = "held"       // nobody knows, an operator decides
	SubmissionSuperseded SubmissionState = "superseded" // nobody knew, another one was sent
	SubmissionSettled    SubmissionState = "settled"    // its result was applied
)

// Open says whether the submission keeps its jobs from being submitted again.
func (s SubmissionState) Open() bool {
	switch s {
	case SubmissionPrepared, SubmissionSending, SubmissionAccepted, SubmissionAmbiguous, SubmissionHeld:
		return true
	}
	return false
}

// Digest is a SHA-256.
type Digest [32]byte

// Submission is one paid POST.
type Submission struct {
	ID     ID
	RunID  ID
	N      int // 1, 2, … within the run
	State  SubmissionState
	Name   string // "liwanag-" + ID, shown in FullEnrich's dashboard
	Jobs   int    // how many
	Sender string // who moved it to sending: an execution, never reused
	// TokenHash is the SHA-256 of the webhook path's token; zero before sending.
	TokenHash     Digest
	RequestDigest Digest // of the addresses and job ids, zero before sending
	EnrichmentID  string // learnt from the answer, a beacon, a webhook or an operator
	Supersedes    ID     // the earlier submission that may have been paid for too
	Cause         string // why it was refused, is ambiguous or held: a short code
	PreparedAt,
	SendingAt,
	OutcomeAt,
	GraceUntil time.Time
	// Detached: its run has ended; the sweep follows it instead.
	Detached bool
	// FollowAt is when the sweep looks at it; zero: never.
	FollowAt   time.Time
	Late       bool  // settled after its run had ended
	Reserved   int64 // credits still reserved for it, on CreditDay
	Credits    int64 // what FullEnrich says it cost
	Duplicates int   // jobs whose result had been paid for before
	CreditDay  Day
	// Unconfirmed is how much of Reserved is for lookups that nobody confirmed.
	Unconfirmed int64
}

// Sending is what is known of a submission from the moment on which it is sent.
type Sending struct {
	Sender        string
	TokenHash     Digest
	RequestDigest Digest
	At            time.Time // becomes SendingAt
	GraceUntil    time.Time
	CreditDay     Day // the new value: the day on which its credits are spent
}

// SubmissionMove is a compare-and-set of a submission's state. Zero fields leave
// what is there, save for Cause, which is always written. FollowAt is zero
// afterwards.
type SubmissionMove struct {
	ID           ID
	From         []SubmissionState
	To           SubmissionState
	EnrichmentID string
	Cause        string
	At           time.Time // becomes OutcomeAt
	Sending      *Sending  // nil: it is not being sent
}

// SubmissionCost is what a settle changes besides the state.
type SubmissionCost struct {
	ID          ID
	Reserved    int64 // the new value
	Unconfirmed int64 // the new value
	Credits     int64 // the new value
	Duplicates  int   // the new value
	Late        bool
}

// SubmissionFilter selects submissions; zero fields do not restrict.
type SubmissionFilter struct {
	States []SubmissionState
	RunID  ID
}

// DeliverySource says where a raw body came from.
type DeliverySource string

// The sources of deliveries.
const (
	FromWebhook  DeliverySource = "webhook"
	FromFetch    DeliverySource = "fetch"
	FromOperator DeliverySource = "operator" // POST /runs/{id}/events with results
)

// DeliveryState is the state of a delivery.
type DeliveryState string

// The states of a delivery.
const (
	DeliveryStored      DeliveryState = "stored"      // durable, nothing looked up yet
	DeliverySent        DeliveryState = "sent"        // the run has the event
	DeliverySettled     DeliveryState = "settled"     // applied; the raw body is dropped
	DeliveryQuarantined DeliveryState = "quarantined" // held a record that is not ours, or no result at all; kept 30 days
	DeliveryUnmatched   DeliveryState = "unmatched"   // valid signature, unknown token; kept 30 days
)

// Delivery is a raw result body as it came.
type Delivery struct {
	Digest       Digest // of token and body (or enrichment id and body): a repeat has the same
	Source       DeliverySource
	TokenHash    Digest // zero unless a webhook
	SubmissionID ID     // zero until known
	EnrichmentID string // as the body names it, empty until read
	Raw          []byte
	Size         int // of Raw when it came, bytes
	State        DeliveryState
	Note         string // why it is quarantined: a short code
	ReceivedAt   time.Time
}

// DeliveryMove is a compare-and-set of a delivery's state. Zero fields leave
// what is there.
type DeliveryMove struct {
	Digest       Digest
	From         []DeliveryState
	To           DeliveryState
	SubmissionID ID
	EnrichmentID string
	Note         string
}

// DeliveryFilter selects deliveries; zero fields do not restrict.
type DeliveryFilter struct {
	States       []DeliveryState
	SubmissionID ID
}
