package api

import (
	"net/http"

	"github.com/liwanag/liwanag/workflow/runapi"
)

// Routes that need no key: what keeps the process running asks two of them, and
// webhooks bring a proof of their own. What is in a webhook its sender defines.
var (
	GetHealth = open[runapi.NoInput, Health](http.MethodGet, "/healthz", "health", "The process is alive", http.StatusOK)
	GetReady  = open[runapi.NoInput, Health](http.MethodGet, "/readyz",
		"ready", "The process can serve: its database answers", http.StatusOK)

	SubscriberWebhook = open[SubscriberWebhookRequest, SignedUp](http.MethodPost, "/webhooks/subscribers",
		"subscriber-webhook", "One sign-up, or an array of up to 500, signed as Standard Webhooks says", http.StatusAccepted)
	SourceWebhook = open[SourceWebhookRequest, SourceAnswer](http.MethodPost, "/webhooks/{source}/{endpointId}",
		"source-webhook", "A webhook of a source, as its sender sends it", http.StatusAccepted)
	FullEnrichWebhook = open[FullEnrichWebhookRequest, runapi.None](http.MethodPost, "/webhooks/fullenrich/{token}",
		"fullenrich-webhook", "FullEnrich's result of a batch", http.StatusOK)
	FullEnrichContactWebhook = open[FullEnrichWebhookRequest, runapi.None](http.MethodPost, "/webhooks/fullenrich/{token}/contact",
		"fullenrich-contact-webhook", "FullEnrich's word of a single contact", http.StatusOK)
)

func open[In, Out any](method, path, id, summary string, status int) runapi.Route[In, Out] {
	return runapi.Route[In, Out]{Operation: runapi.Operation{Method: method, Path: path, ID: id, Summary: summary, Status: status, Open: true}}
}

// Health says that all is well; what is not is a Problem.
type Health struct {
	Status string `json:"status" enum:"ok"`
	// Detail is what a person should know all the same. Whoever asks needs no key, so
	// it names no run.
	Detail []string `json:"detail,omitempty" doc:"What a person should know all the same, such as runs without a definition."`
}

// SubscriberWebhookRequest carries the signature of a body of one SignUp or many.
type SubscriberWebhookRequest struct {
	WebhookID string `header:"webhook-id" required:"true"`
	Timestamp string `header:"webhook-timestamp" required:"true"`
	Signature string `header:"webhook-signature" required:"true"`
}

// SignedUpMany answers an array.
type SignedUpMany struct {
	Items []SignedUpItem `json:"items"`
}

// SignedUpItem answers one element of an array.
type SignedUpItem struct {
	SubscriberID string       `json:"subscriberId,omitempty"`
	Status       string       `json:"status,omitempty" enum:"created,updated,suppressed"`
	RunID        string       `json:"runId,omitempty"`
	Error        *SignUpFault `json:"error,omitempty"`
}

// SignUpFault says why an element was refused.
type SignUpFault struct {
	Code    string       `json:"code"`
	Message string       `json:"message"`
	Errors  []FieldFault `json:"errors,omitempty"`
}

// SourceWebhookRequest says at which endpoint a webhook arrives.
type SourceWebhookRequest struct {
	Source     string `path:"source" doc:"The kind of the source."`
	EndpointID string `path:"endpointId" doc:"The source's own part of the URL, a credential."`
}

// SourceAnswer is what a sender is told.
type SourceAnswer struct {
	DeliveryID   string `json:"deliveryId"`
	State        string `json:"state" enum:"accepted,ignored"`
	Created      int    `json:"created"`
	Updated      int    `json:"updated"`
	Unsubscribed int    `json:"unsubscribed"`
	Failed       int    `json:"failed" doc:"Elements that could not be taken."`
}

// FullEnrichWebhookRequest carries a result, and the signature of it.
type FullEnrichWebhookRequest struct {
	Token     string `path:"token"`
	Signature string `header:"X-Signature-SHA1" required:"true"`
}
