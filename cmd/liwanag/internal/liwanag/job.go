package liwanag

import "time"

// JobStatus is the state of a job.
type JobStatus string

// The states of a job. Pending, submitted and held are open: a subscriber has at
// most one open job. The others are final, though data that arrives late may
// still turn failed, canceled or held into enriched or not_found.
const (
	JobPending   JobStatus = "pending"   // in a batch or waiting for one, nothing sent
	JobSubmitted JobStatus = "submitted" // its submission is sending, accepted or ambiguous
	JobHeld      JobStatus = "held"      // nobody knows whether it was paid for: an operator decides
	JobEnriched  JobStatus = "enriched"
	JobNotFound  JobStatus = "not_found"
	JobFailed    JobStatus = "failed"
	JobCanceled  JobStatus = "canceled"
)

// Open says whether a job in this state may still go on by itself or by an
// operator.
func (s JobStatus) Open() bool { return s == JobPending || s == JobSubmitted || s == JobHeld }

// Waiting says what the jobs of a batch wait for before they are sent.
type Waiting string

// What jobs wait for.
const (
	WaitingNothing     Waiting = ""
	WaitingBudget      Waiting = "budget"      // the budget of what nobody confirmed is used up until midnight UTC
	WaitingCredits     Waiting = "credits"     // FullEnrich's balance is 0
	WaitingKey         Waiting = "key"         // no key, or FullEnrich refused it
	WaitingCapacity    Waiting = "capacity"    // LIWANAG_MAX_IN_FLIGHT
	WaitingCalls       Waiting = "calls"       // LIWANAG_CALLS_PER_MINUTE or FullEnrich's own limit
	WaitingPaused      Waiting = "paused"      // submissions pause, or a fault of ours
	WaitingUnavailable Waiting = "unavailable" // FullEnrich keeps failing
	WaitingFoundRate   Waiting = "found_rate"  // of this source hardly anybody is found any more: an operator decides
)

// JobFailure says why a job failed. No personal data.
type JobFailure struct {
	Code    string
	Message string
}

// Codes of job failures.
const (
	CodeBadRecord           = "bad_record"
	CodeInvalidEmail        = "invalid_email"
	CodeProviderUnavailable = "provider_unavailable"
	CodeWebhookTimeout      = "webhook_timeout"
	CodeExpired             = "expired"
	CodeMissingRecord       = "missing_record"
	CodeProviderCanceled    = "canceled_by_provider"
	CodeOperatorFailed      = "failed_by_operator"
	CodeUnsubscribed        = "unsubscribed" // never taken back by a retried run
	CodeCanceled            = "canceled"
	CodeRestored            = "restored"
	// CodeOrdered: a lookup that was ordered before a backup was restored goes on instead;
	// never taken back.
	CodeOrdered = "ordered_before"
	CodeCap     = "cap"     // whoever confirmed the upload allowed no more
	CodeDropped = "dropped" // an operator dropped the lookups of a source that stopped finding anybody
	CodeErased  = "erased"  // the person was erased; never taken back either
	// CodeSameMailbox is that of a canceled job that waits for the lookup of another address of
	// its mailbox, and of an enriched one that took that lookup's result over.
	CodeSameMailbox = "same_mailbox"
)

// Job is one lookup of one subscriber.
type Job struct {
	ID           ID
	SubscriberID ID
	RunID        ID // its batch; zero: waits for the scheduled batch
	UploadID     ID // zero unless an upload made it
	Status       JobStatus
	Failure      JobFailure
	// RetryAt is when the sweep makes a new job for the person; zero: never.
	RetryAt time.Time
	// Retries counts the jobs made before this one for the same transient cause.
	Retries int
	// Credits is what the lookup cost, duplicates included.
	Credits      int64
	EnrichmentID string
	Late         bool // the result came after the run had ended
	// Confirmed: somebody was told what the lookup costs and ordered it. The budget
	// of a day bounds the others.
	Confirmed bool
	CreatedAt time.Time
	EndedAt   time.Time

	// Email, EmailKey, Source and whether they unsubscribed are the subscriber's, joined on
	// reading; without an address the person is gone. Read only.
	Email      string
	EmailKey   string
	Suppressed bool
	Source     string
}

// JobMove is a compare-and-set of job states.
type JobMove struct {
	IDs     []ID
	From    []JobStatus // jobs in another state are left alone
	To      JobStatus
	Failure JobFailure // cleared unless given
	RetryAt time.Time  // cleared unless given
	At      time.Time  // becomes EndedAt when To is final, else EndedAt is cleared
}

// JobResult is what a settled record makes of a job.
type JobResult struct {
	ID           ID
	Status       JobStatus
	Failure      JobFailure
	Credits      int64 // the new total
	EnrichmentID string
	Late         bool
	At           time.Time
}

// Opened says what became of a job that was to be inserted.
type Opened struct {
	JobID    ID   // the inserted job's, or that of the mailbox's open one
	RunID    ID   // its batch
	Inserted bool // false: the person already had an open job
	// Shared: the open job is that of another address of the person's mailbox.
	Shared bool
}

// BatchState is the state of a batch.
type BatchState string

// The states of a batch.
const (
	BatchOpen   BatchState = "open"   // takes jobs until it is full or its window ends
	BatchClosed BatchState = "closed" // its jobs are fixed
)

// Batch is the set of jobs of one run; its ID is the run's.
type Batch struct {
	RunID    ID
	ClosesAt time.Time
	Size     int // jobs that were put in
	State    BatchState
	Started  bool // the runner knows the run
	// EndedAt is when the run ended otherwise than completed, as its handlers
	// saw it; a retry clears it.
	EndedAt time.Time
	// Waiting and WaitingUntil say what keeps the batch from being sent.
	Waiting      Waiting
	WaitingUntil time.Time
	CreatedAt    time.Time
}
