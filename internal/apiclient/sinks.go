package apiclient

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// Sink is an address that webhooks are sent to.
type Sink struct {
	ID             string    `json:"id"`
	Name           string    `json:"name"`
	URL            string    `json:"url"`
	Topics         []string  `json:"topics"` // empty: all
	Disabled       bool      `json:"disabled"`
	DisabledReason string    `json:"disabledReason,omitempty"`
	FailingSince   time.Time `json:"failingSince,omitzero"` // absent: the last message was taken
	SentAt         time.Time `json:"sentAt,omitzero"`       // the last success
	// Secret is there once, in the answer that made it.
	Secret    string    `json:"secret,omitempty"`
	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`
}

// NewSink describes a sink to make.
type NewSink struct {
	Name   string   `json:"name,omitempty"` // default: the URL's host
	URL    string   `json:"url"`
	Topics []string `json:"topics,omitempty"`
}

// SinkChange changes a sink; nil fields leave what is there.
type SinkChange struct {
	Name     *string  `json:"name,omitempty"`
	URL      *string  `json:"url,omitempty"`
	Topics   []string `json:"topics,omitzero"` // empty: all
	Disabled *bool    `json:"disabled,omitempty"`
}

// Message is one webhook out.
type Message struct {
	ID        string    `json:"id"` // the webhook-id, the same in every attempt
	SinkID    string    `json:"sinkId"`
	Topic     string    `json:"topic"`
	Subject   string    `json:"subject,omitempty"` // the id it is about
	State     string    `json:"state"`
	RunID     string    `json:"runId,omitempty"` // that sends it
	Attempts  int       `json:"attempts"`
	Status    int       `json:"status,omitempty"` // HTTP, of the last attempt
	Error     string    `json:"error,omitempty"`
	CreatedAt time.Time `json:"createdAt"`
	NextAt    time.Time `json:"nextAt,omitzero"`
	EndedAt   time.Time `json:"endedAt,omitzero"`
	// Log and Payload are there when one message is read. Payload is what would be
	// sent now.
	Log     []MessageAttempt `json:"log,omitempty"`
	Payload json.RawMessage  `json:"payload,omitempty"`
}

// MessageAttempt is one try of sending a message.
type MessageAttempt struct {
	N      int       `json:"n"`
	At     time.Time `json:"at"`
	TookMs int64     `json:"tookMs"`
	Status int       `json:"status,omitempty"`
	Error  string    `json:"error,omitempty"`
}

// MessageFilter selects messages; empty fields do not restrict.
type MessageFilter struct{ SinkID, State, Topic string }

// Sinks lists all sinks.
func (c *Client) Sinks(ctx context.Context) (List[Sink], error) {
	return get[List[Sink]](ctx, c, at("sinks"), nil)
}

// Sink reads one.
func (c *Client) Sink(ctx context.Context, id string) (Sink, error) {
	return get[Sink](ctx, c, at("sinks", id), nil)
}

// AddSink makes a sink; the answer shows its secret, once.
func (c *Client) AddSink(ctx context.Context, s NewSink) (Sink, error) {
	return post[Sink](ctx, c, at("sinks"), s)
}

// ChangeSink changes a sink. Enabling one that failed forgets its failures.
func (c *Client) ChangeSink(ctx context.Context, id string, change SinkChange) (Sink, error) {
	return patch[Sink](ctx, c, at("sinks", id), change)
}

// RotateSink makes a new secret, shown once. Messages are signed with the old one
// too until the next rotation.
func (c *Client) RotateSink(ctx context.Context, id string) (Sink, error) {
	return post[Sink](ctx, c, at("sinks", id, "rotate"), nil)
}

// TestSink sends a message of topic test.
func (c *Client) TestSink(ctx context.Context, id string) (Message, error) {
	return post[Message](ctx, c, at("sinks", id, "test"), nil)
}

// DeleteSink deletes a sink and its messages.
func (c *Client) DeleteSink(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, at("sinks", id), nil, nil, nil)
}

// Messages reads a page, newest first.
func (c *Client) Messages(ctx context.Context, f MessageFilter, p Page) (List[Message], error) {
	return get[List[Message]](ctx, c, at("messages"), filter{"sinkId": f.SinkID, "state": f.State, "topic": f.Topic}.values(p))
}

// Message reads one, with its log and what would be sent now.
func (c *Client) Message(ctx context.Context, id string) (Message, error) {
	return get[Message](ctx, c, at("messages", id), nil)
}

// Resend sends a message that ended once more, under the same id.
func (c *Client) Resend(ctx context.Context, id string) (Message, error) {
	return post[Message](ctx, c, at("messages", id, "resend"), nil)
}
