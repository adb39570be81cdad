package apiclient

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// Source is an endpoint that takes webhooks of sign-ups in.
type Source struct {
	ID       string          `json:"id"`
	Name     string          `json:"name"`
	Kind     string          `json:"kind"`
	Settings json.RawMessage `json:"settings,omitempty"`
	Secrets  int             `json:"secrets"` // how many verify signatures now
	Disabled bool            `json:"disabled"`
	// URL and Secret are there once, in the answer that made them.
	URL       string    `json:"url,omitempty"`
	Secret    string    `json:"secret,omitempty"`
	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`
}

// SourceKind says what the settings of a kind are, for people and programs.
type SourceKind struct {
	Kind  string `json:"kind"`
	Title string `json:"title"`
	// Signed says whether the sender signs, so that there is a secret.
	Signed bool `json:"signed"`
	// SecretFrom is who makes the secret: us (ours is shown once and given to the
	// sender), sender (the sender shows it), or empty.
	SecretFrom string `json:"secretFrom,omitempty"`
	Help       string `json:"help"` // how to set it up at the sender, in a few lines
	// Defaults are the settings of a new source.
	Defaults json.RawMessage `json:"defaults,omitempty"`
}

// NewSource describes a source to make; Secret is the sender's, empty: one is
// made where the kind needs one.
type NewSource struct {
	Name     string          `json:"name"`
	Kind     string          `json:"kind"`
	Settings json.RawMessage `json:"settings,omitempty"`
	Secret   string          `json:"secret,omitempty"`
}

// SourceChange changes a source; nil fields leave what is there.
type SourceChange struct {
	Name     *string         `json:"name,omitempty"`
	Settings json.RawMessage `json:"settings,omitempty"`
	Disabled *bool           `json:"disabled,omitempty"`
}

// SourceRotation makes a new secret, or a new URL, or both.
type SourceRotation struct {
	Secret string `json:"secret,omitempty"` // the sender's new one; empty with MakeSecret: one is made
	// MakeSecret makes a secret. The old one goes on verifying until DropOld.
	MakeSecret bool `json:"makeSecret,omitempty"`
	DropOld    bool `json:"dropOld,omitempty"` // forget all secrets but the newest
	URL        bool `json:"url,omitempty"`     // the old URL stops at once
}

// SourceTrial is a body to try on a source, without storing anything.
type SourceTrial struct {
	Body        string          `json:"body"`
	ContentType string          `json:"contentType,omitempty"` // default application/json
	Settings    json.RawMessage `json:"settings,omitempty"`    // tried instead of the source's own
}

// SourceTried says what a body would do.
type SourceTried struct {
	State  string      `json:"state"` // accepted, ignored or rejected
	Code   string      `json:"code,omitempty"`
	Reason string      `json:"reason,omitempty"` // of the code, for people
	Items  []TriedItem `json:"items"`
}

// TriedItem is one person in a tried body.
type TriedItem struct {
	Event  string          `json:"event"`            // subscribed, updated, unsubscribed or ignored
	SignUp json.RawMessage `json:"signUp,omitempty"` // as it would be stored
	Error  string          `json:"error,omitempty"`  // a code
	Errors []FieldFault    `json:"errors,omitempty"`
}

// Delivery is a webhook as it came in: at a source, or from FullEnrich.
type Delivery struct {
	ID       string `json:"id"`
	Source   string `json:"source"` // fullenrich, or the source's kind
	SourceID string `json:"sourceId,omitempty"`
	// State is accepted, ignored, rejected or refused at a source; stored, sent,
	// settled, quarantined or unmatched from FullEnrich.
	State        string    `json:"state"`
	Code         string    `json:"code,omitempty"`
	Reason       string    `json:"reason,omitempty"`
	Size         int       `json:"size"` // bytes
	ContentType  string    `json:"contentType,omitempty"`
	Created      int       `json:"created,omitempty"`
	Updated      int       `json:"updated,omitempty"`
	Unsubscribed int       `json:"unsubscribed,omitempty"`
	Failed       int       `json:"failed,omitempty"`
	SubmissionID string    `json:"submissionId,omitempty"`
	EnrichmentID string    `json:"enrichmentId,omitempty"`
	Replayable   bool      `json:"replayable"` // its body is still there
	ReceivedAt   time.Time `json:"receivedAt"`
	ReplayedAt   time.Time `json:"replayedAt,omitzero"`
	// Body is there when one delivery of a source is read and it was not dropped.
	Body string `json:"body,omitempty"`
}

// DeliveryFilter selects deliveries: Source is a source's id, fullenrich, or
// empty for all sources.
type DeliveryFilter struct{ Source, State string }

// Sources lists all sources.
func (c *Client) Sources(ctx context.Context) (List[Source], error) {
	return get[List[Source]](ctx, c, at("sources"), nil)
}

// SourceKinds lists the kinds of sources there are.
func (c *Client) SourceKinds(ctx context.Context) (List[SourceKind], error) {
	return get[List[SourceKind]](ctx, c, at("source-kinds"), nil)
}

// Source reads one.
func (c *Client) Source(ctx context.Context, id string) (Source, error) {
	return get[Source](ctx, c, at("sources", id), nil)
}

// AddSource makes a source; the answer shows its URL and secret, once.
func (c *Client) AddSource(ctx context.Context, s NewSource) (Source, error) {
	return post[Source](ctx, c, at("sources"), s)
}

// ChangeSource changes a source.
func (c *Client) ChangeSource(ctx context.Context, id string, change SourceChange) (Source, error) {
	return patch[Source](ctx, c, at("sources", id), change)
}

// RotateSource makes a new secret or URL; the answer shows them, once.
func (c *Client) RotateSource(ctx context.Context, id string, r SourceRotation) (Source, error) {
	return post[Source](ctx, c, at("sources", id, "rotate"), r)
}

// TrySource says what a body would do at a source; nothing is stored.
func (c *Client) TrySource(ctx context.Context, id string, t SourceTrial) (SourceTried, error) {
	return post[SourceTried](ctx, c, at("sources", id, "try"), t)
}

// DeleteSource deletes a source and what is kept of its deliveries.
func (c *Client) DeleteSource(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, at("sources", id), nil, nil, nil)
}

// Deliveries reads a page, newest first.
func (c *Client) Deliveries(ctx context.Context, f DeliveryFilter, p Page) (List[Delivery], error) {
	return get[List[Delivery]](ctx, c, at("deliveries"), filter{"source": f.Source, "state": f.State}.values(p))
}

// Delivery reads one, with its body when it is a source's and still there.
func (c *Client) Delivery(ctx context.Context, id string) (Delivery, error) {
	return get[Delivery](ctx, c, at("deliveries", id), nil)
}

// Replay takes a delivery in once more, as its source is set up now.
func (c *Client) Replay(ctx context.Context, id string) (Delivery, error) {
	return post[Delivery](ctx, c, at("deliveries", id, "replay"), nil)
}
