package liwanag

import "time"

// Topic is what a webhook out tells.
type Topic string

// The topics. Their names are a part of the interface.
const (
	TopicEnriched         Topic = "subscriber.enriched"          // a profile was applied
	TopicEnrichmentFailed Topic = "subscriber.enrichment_failed" // a job ended without one: not_found or failed
	TopicUnsubscribed     Topic = "subscriber.unsubscribed"      // a person left: subscriber.unsubscribedBy says by whom
	TopicUploadCompleted  Topic = "upload.completed"             // every job of an upload is final
	TopicSubmissionHeld   Topic = "submission.held"              // an operator has to decide
	TopicCreditsLow       Topic = "credits.low"                  // the balance fell below the mark
	TopicWebhooksSilent   Topic = "webhooks.silent"              // results are fetched, and FullEnrich's webhooks do not come
	TopicTest             Topic = "test"                         // sent by hand, to see that a sink works
)

// Topics are those that a sink can ask for.
func Topics() []Topic {
	return []Topic{TopicEnriched, TopicEnrichmentFailed, TopicUnsubscribed, TopicUploadCompleted, TopicSubmissionHeld, TopicCreditsLow,
		TopicWebhooksSilent}
}

// Sink is an address that webhooks are sent to, signed as Standard Webhooks says.
type Sink struct {
	ID      ID
	Name    string // for people
	URL     string
	Topics  []Topic  // none: all
	ViewID  ID       // of people it is told of those whom the view selects; zero: of all
	Secrets []string // whsec_<base64>; several while they are rotated, newest first: a message carries a signature of each
	// Disabled sends nothing: by a person, or after everything failed for days.
	Disabled       bool
	DisabledReason string
	// FailingSince is when the first of an unbroken row of failures happened; zero:
	// the last message was taken.
	FailingSince time.Time
	SentAt       time.Time // the last success; zero: never
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// MessageState is the state of a message.
type MessageState string

// The states of a message.
const (
	MessagePending   MessageState = "pending"   // no run yet
	MessageSending   MessageState = "sending"   // a run has it, no attempt has failed
	MessageRetrying  MessageState = "retrying"  // an attempt has failed, its run tries again
	MessageDelivered MessageState = "delivered" // the sink answered 2xx
	MessageFailed    MessageState = "failed"    // the last attempt failed
	MessageDropped   MessageState = "dropped"   // not sent: the sink or the person is gone
)

// Message is one webhook out: what is told to one sink. It holds no personal
// data: what is sent is read when it is sent.
type Message struct {
	ID      ID // also the webhook-id, the same in every attempt
	SinkID  ID
	Topic   Topic
	Subject ID     // the subscriber, upload or submission it is about; zero without one
	JobID   ID     // of a subscriber's: the job that ended; zero without one
	Facts   string // a JSON object of what cannot be read later, or empty
	State   MessageState
	RunID   ID   // that sends it, zero while pending
	Started bool // the runner knows the run
	// Attempts is how many were made; the rest tells of the last one.
	Attempts  int
	Status    int    // HTTP, 0 without an answer
	Error     string // a short text without personal data
	CreatedAt time.Time
	NextAt    time.Time // when it is tried again, zero: not known
	EndedAt   time.Time
}

// MessageAttempt is one try of sending a message.
type MessageAttempt struct {
	MessageID ID
	N         int // from 1
	At        time.Time
	Took      time.Duration
	Status    int // HTTP, 0 without an answer
	Error     string
}

// MessageMove is a compare-and-set of a message's state. Zero fields leave what
// is there, save for NextAt, which is always written.
type MessageMove struct {
	ID       ID
	From     []MessageState
	To       MessageState
	Attempts int // the new value
	Status   int
	Error    string
	NextAt   time.Time
	At       time.Time // becomes EndedAt when To is delivered, failed or dropped; else EndedAt is cleared
}

// MessageFilter selects messages; zero fields do not restrict.
type MessageFilter struct {
	SinkID ID
	States []MessageState
	Topic  Topic
}

// Announcement is something to tell to every sink that asks for its topic.
type Announcement struct {
	Topic   Topic
	Subject ID
	JobID   ID
	Facts   string
	At      time.Time
}

// Wants says whether messages of a topic are made for the sink.
func (s Sink) Wants(topic Topic) bool {
	if s.Disabled {
		return false
	}
	for _, t := range s.Topics {
		if t == topic {
			return true
		}
	}
	return len(s.Topics) == 0
}
