package api

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/liwanag/liwanag/workflow/runapi"
)

// Routes of webhooks out.
var (
	ListSinks = runapi.Get[runapi.NoInput, runapi.List[Sink]]("/sinks",
		"list-sinks", "List the addresses that webhooks are sent to, oldest first").Scoped(operate)
	AddSink = runapi.Post[AddSinkRequest, Sink]("/sinks",
		"add-sink", "Make a sink; the answer shows its secret, once", http.StatusCreated).Scoped(admin)
	GetSink    = runapi.Get[runapi.IDPath, Sink]("/sinks/{id}", "get-sink", "One sink").Scoped(operate)
	ChangeSink = runapi.Patch[runapi.Addressed[ChangeSinkRequest], Sink]("/sinks/{id}",
		"change-sink", "Change a sink; enabling one sends what waits").Scoped(admin)
	RotateSink = runapi.Post[runapi.IDPath, Sink]("/sinks/{id}/rotate",
		"rotate-sink", "Make a new secret, shown once; the one before signs too until the next rotation", http.StatusOK).Scoped(admin)
	TestSink = runapi.Post[runapi.IDPath, Message]("/sinks/{id}/test",
		"test-sink", "Send a message of topic test", http.StatusAccepted).Scoped(operate)
	DeleteSink = runapi.Delete[runapi.IDPath]("/sinks/{id}",
		"delete-sink", "Delete a sink; what was to be sent to it is dropped").Scoped(admin)

	ResendMessages = runapi.Post[runapi.Addressed[*ResendRequest], BulkMessages]("/sinks/{id}/resend",
		"resend-messages", "Send the messages of a sink that did not arrive once more, under the same ids", http.StatusAccepted).Scoped(operate)
	BackfillSink = runapi.Post[runapi.Addressed[*BackfillRequest], BulkMessages]("/sinks/{id}/backfill",
		"backfill-sink", "Tell a sink of people who were found and whom it was never told of", http.StatusAccepted).Scoped(operate)

	ListMessages = runapi.Get[MessageQuery, runapi.List[Message]]("/messages",
		"list-messages", "List webhooks out, newest first").Scoped(read)
	GetMessage = runapi.Get[runapi.IDPath, MessageDetail]("/messages/{id}",
		"get-message", "One message, with its attempts and what would be sent now").Scoped(read)
	ResendMessage = runapi.Post[runapi.IDPath, Message]("/messages/{id}/resend",
		"resend-message", "Send a message that ended once more, under the same id", http.StatusAccepted).Scoped(operate)
)

// Sink is an address that webhooks are sent to.
type Sink struct {
	ID             string    `json:"id"`
	Name           string    `json:"name"`
	URL            string    `json:"url"`
	Topics         []string  `json:"topics" doc:"What it is told; empty: everything."`
	View           string    `json:"view,omitempty" doc:"Of people it is told of those whom this saved view selects; absent: of all."`
	Disabled       bool      `json:"disabled" doc:"Nothing is sent; what comes for it waits if it was disabled for its failures."`
	DisabledReason string    `json:"disabledReason,omitempty" doc:"Why it was disabled without a person."`
	FailingSince   time.Time `json:"failingSince,omitzero" doc:"Absent: it took the last message."`
	SentAt         time.Time `json:"sentAt,omitzero" doc:"About when it took a message last."`
	Secret         string    `json:"secret,omitempty" doc:"There once, in the answer that made it."`
	CreatedAt      time.Time `json:"createdAt"`
	UpdatedAt      time.Time `json:"updatedAt"`
}

// AddSinkRequest describes a sink to make.
type AddSinkRequest struct {
	Name   string   `json:"name,omitempty" maxLength:"100" doc:"Left out: the URL's host."`
	URL    string   `json:"url" minLength:"1" maxLength:"2000" doc:"https; http and inner addresses only within LIWANAG_SINK_ALLOW."`
	Topics []string `json:"topics,omitempty" enum:"subscriber.enriched,subscriber.enrichment_failed,subscriber.unsubscribed,upload.completed,submission.held,credits.low,webhooks.silent" doc:"Left out: all."`
	View   string   `json:"view,omitempty" doc:"Name or id of a saved view: of people it is told of those whom it selects."`
}

// ChangeSinkRequest changes a sink; what is left out stays.
type ChangeSinkRequest struct {
	Name     *string  `json:"name,omitempty" minLength:"1" maxLength:"100"`
	URL      *string  `json:"url,omitempty" minLength:"1" maxLength:"2000"`
	Topics   []string `json:"topics,omitzero" enum:"subscriber.enriched,subscriber.enrichment_failed,subscriber.unsubscribed,upload.completed,submission.held,credits.low,webhooks.silent" doc:"Left out: as they are; empty: all."`
	Disabled *bool    `json:"disabled,omitempty"`
	View     *string  `json:"view,omitempty" doc:"Name or id of a saved view; empty: it is told of all people."`
}

// ResendRequest selects messages of a sink.
type ResendRequest struct {
	State  string `json:"state,omitempty" enum:"failed,retrying,dropped,delivered" doc:"Left out: failed and retrying ones, which are tried now."`
	Topic  string `json:"topic,omitempty" enum:"subscriber.enriched,subscriber.enrichment_failed,subscriber.unsubscribed,upload.completed,submission.held,credits.low,webhooks.silent,test"`
	DryRun bool   `json:"dryRun,omitempty" doc:"Only count."`
	Expect *int64 `json:"expect,omitempty" minimum:"0" doc:"The count of a dry run: when it is another by now nothing is sent, 409 count_differs."`
	Reason string `json:"reason,omitempty" maxLength:"500"`
}

// BackfillRequest selects people who were found.
type BackfillRequest struct {
	Where  *SubscriberFilter `json:"where,omitempty" doc:"Of those who were found, these; left out: all who are still subscribed."`
	DryRun bool              `json:"dryRun,omitempty" doc:"Only count."`
	Expect *int64            `json:"expect,omitempty" minimum:"0" doc:"The count of a dry run: when it is another by now nothing is sent, 409 count_differs."`
	Reason string            `json:"reason,omitempty" maxLength:"500"`
}

// BulkMessages says how many messages are sent, or would be.
type BulkMessages struct {
	Count  int64 `json:"count"`
	DryRun bool  `json:"dryRun,omitempty"`
}

// MessageFilter selects messages; zero fields do not restrict.
type MessageFilter struct {
	SinkID string `query:"sinkId"`
	State  string `query:"state" enum:"pending,sending,retrying,delivered,failed,dropped"`
	Topic  string `query:"topic" enum:"subscriber.enriched,subscriber.enrichment_failed,subscriber.unsubscribed,upload.completed,submission.held,credits.low,webhooks.silent,test"`
}

// MessageQuery asks for a page of messages.
type MessageQuery struct {
	MessageFilter
	runapi.Paging
}

// Message is one webhook out.
type Message struct {
	ID        string    `json:"id" doc:"Also its webhook-id, the same in every attempt."`
	SinkID    string    `json:"sinkId"`
	SinkName  string    `json:"sinkName,omitempty" doc:"Absent when the sink is gone."`
	Topic     string    `json:"topic"`
	Subject   string    `json:"subject,omitempty" doc:"The id of the subscriber, upload or submission it is about."`
	Email     string    `json:"email,omitempty" doc:"Of the subscriber it is about; absent when they were erased."`
	State     string    `json:"state" enum:"pending,sending,retrying,delivered,failed,dropped"`
	RunID     string    `json:"runId,omitempty" doc:"The run that sends it."`
	Attempts  int       `json:"attempts"`
	Status    int       `json:"status,omitempty" doc:"HTTP, of the last attempt; absent without an answer."`
	Error     string    `json:"error,omitempty"`
	CreatedAt time.Time `json:"createdAt"`
	NextAt    time.Time `json:"nextAt,omitzero" doc:"About when it is tried again."`
	EndedAt   time.Time `json:"endedAt,omitzero"`
}

// MessageDetail is a message with its log.
type MessageDetail struct {
	Message
	Log     []MessageAttempt `json:"log" doc:"Its attempts, oldest first."`
	Payload json.RawMessage  `json:"payload,omitempty" doc:"What would be sent now; absent when what it is about is gone."`
}

// MessageAttempt is one try of sending a message.
type MessageAttempt struct {
	N      int       `json:"n"`
	At     time.Time `json:"at"`
	TookMs int64     `json:"tookMs"`
	Status int       `json:"status,omitempty"`
	Error  string    `json:"error,omitempty"`
}
