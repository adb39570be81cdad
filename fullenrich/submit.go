package fullenrich

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// What FullEnrich takes for Contact.Custom. Its pages name 10 keys and, once,
// 20; the smaller number is safe. The limit for keys is ours.
const (
	maxCustomKeys   = 10
	maxCustomKey    = 40  // characters
	maxCustomValue  = 100 // characters
	maxEmail        = 254 // bytes, RFC 5321
	defaultMaxAge   = 10 * time.Second
	acceptedIDField = "enrichment_id" // in the answer to a POST; "id" everywhere else
)

// Contact is an address to look up.
type Contact struct {
	// Email is sent as given: normalize it before. FullEnrich charges twice for
	// an address that stands twice in a batch, so Submit refuses that.
	Email string
	// Custom comes back unchanged with the record: at most 10 keys of 40
	// characters, values of 100.
	Custom map[string]string
}

// SubmitRequest is an order for lookups.
type SubmitRequest struct {
	// Name is shown in FullEnrich's dashboard and echoed in every body. Required.
	Name string
	// WebhookURL is called once, when the batch has ended. ContactWebhookURL is
	// called for each contact that is done. Either may be empty.
	WebhookURL, ContactWebhookURL string
	// Contacts are 1 to [MaxBatch] addresses, each once.
	Contacts []Contact
	// CommittedAt is when the caller durably noted that it is about to send, as
	// time.Now gave it. Required.
	CommittedAt time.Time
	// MaxAge is how old CommittedAt may be when the first byte of the order is
	// about to leave, default 10 s. A sender that was paused for longer gives up,
	// because by then another may have taken over. Both the monotonic and the
	// wall clock count: the former stands still while a machine sleeps.
	MaxAge time.Duration
}

func (r SubmitRequest) faults() []string {
	var faults []string
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if strings.TrimSpace(r.Name) == "" {
		fault("name is empty")
	}
	if r.CommittedAt.IsZero() {
		fault("time of the commit is missing")
	}
	if !webhookURL(r.WebhookURL) || !webhookURL(r.ContactWebhookURL) {
		fault("webhook URL must begin with http:// or https://")
	}
	if len(r.Contacts) < 1 || len(r.Contacts) > MaxBatch {
		fault("%d contacts, must be 1 to %d", len(r.Contacts), MaxBatch)
	}
	seen := make(map[string]int, len(r.Contacts))
	for i, contact := range r.Contacts {
		if text := contact.fault(); text != "" {
			fault("contact %d %s", i, text)
		}
		address := strings.ToLower(contact.Email)
		if first, twice := seen[address]; twice {
			fault("contact %d has the address of contact %d", i, first)
			continue
		}
		seen[address] = i
	}
	return faults
}

func webhookURL(s string) bool {
	return s == "" || strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://")
}

func (c Contact) fault() string {
	unprintable := func(r rune) bool { return r <= ' ' || r == 0x7f }
	switch at := strings.LastIndexByte(c.Email, '@'); {
	case at <= 0 || at == len(c.Email)-1 || len(c.Email) > maxEmail || !utf8.ValidString(c.Email) ||
		strings.ContainsFunc(c.Email, unprintable):
		return "has no valid address"
	case len(c.Custom) > maxCustomKeys:
		return "has more than 10 custom keys"
	}
	for key, value := range c.Custom {
		if key == "" || utf8.RuneCountInString(key) > maxCustomKey {
			return "has a custom key of no or more than 40 characters"
		}
		if utf8.RuneCountInString(value) > maxCustomValue {
			return "has a custom value of more than 100 characters"
		}
	}
	return ""
}

// fresh reports whether the order may still be sent.
func (r SubmitRequest) fresh(now time.Time) bool {
	maxAge := r.MaxAge
	if maxAge <= 0 {
		maxAge = defaultMaxAge
	}
	monotonic := now.Sub(r.CommittedAt)
	wall := now.Round(0).Sub(r.CommittedAt.Round(0))
	return monotonic <= maxAge && wall <= maxAge
}

type wireContact struct {
	Email  string            `json:"email"`
	Custom map[string]string `json:"custom,omitempty"`
}

type wireEvents struct {
	ContactFinished string `json:"contact_finished"`
}

type wireRequest struct {
	Name          string        `json:"name"`
	WebhookURL    string        `json:"webhook_url,omitempty"`
	WebhookEvents *wireEvents   `json:"webhook_events,omitempty"`
	Data          []wireContact `json:"data"`
}

func (r SubmitRequest) payload() ([]byte, error) {
	wire := wireRequest{Name: r.Name, WebhookURL: r.WebhookURL, Data: make([]wireContact, len(r.Contacts))}
	if r.ContactWebhookURL != "" {
		wire.WebhookEvents = &wireEvents{r.ContactWebhookURL}
	}
	for i, contact := range r.Contacts {
		wire.Data[i] = wireContact(contact)
	}
	return json.Marshal(wire)
}

// Submit orders lookups with one POST and returns the id of the enrichment, in
// lower case. Every other end is an [*Error] whose Outcome is what is known; it
// is never repeated here. The whole call takes at most 20 s.
//
// The end of ctx is honored until the first byte of the order is handed out;
// from then on only the answer or the 20 s end the call, because going away
// would turn a certain outcome into an ambiguous one.
func (c *Client) Submit(ctx context.Context, r SubmitRequest) (enrichmentID string, err error) {
	if fault := requestFault(opSubmit, r.faults()); fault != nil {
		return "", fault
	}
	payload, err := r.payload()
	if err != nil {
		return "", requestFault(opSubmit, []string{"cannot be encoded"})
	}
	if err := ctx.Err(); err != nil {
		return "", &Error{Op: opSubmit, Outcome: OutcomeNotSent, Err: err, Stage: stageConnect}
	}
	order := &order{payload: payload, fresh: func() bool { return r.fresh(time.Now()) }}
	call, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.limits.submit)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		if order.withdraw() {
			cancel()
		}
	})
	defer stop()

	var way progress
	began := time.Now()
	answer, err := c.post(way.trace(call), order)
	if err != nil {
		err = order.failure(ctx, &way, err)
	} else {
		enrichmentID, err = c.accepted(answer)
	}
	failure, _ := errors.AsType[*Error](err)
	c.observe(ctx, opSubmit, began, failure)
	return enrichmentID, err
}

func (c *Client) post(ctx context.Context, order *order) (*answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base.JoinPath(lookupPath).String(), nil)
	if err != nil {
		return nil, err
	}
	// Without GetBody no transport has the means to send it again. There is
	// deliberately no Idempotency-Key either: with one net/http would try.
	request.Body, request.ContentLength = order, int64(len(order.payload))
	request.Header.Set("Content-Type", "application/json")
	return c.exchange(c.submits, request)
}

// accepted reads the answer to a submission.
func (c *Client) accepted(a *answer) (string, error) {
	id := ""
	if body, err := parseTree(a.body); err == nil {
		id = enrichmentID(body, acceptedIDField, "id")
	}
	switch {
	case (a.ok() || a.status == http.StatusPaymentRequired) && ValidEnrichmentID(id):
		return id, nil
	case a.ok() && a.bodyErr != nil:
		return "", a.unreadable(opSubmit, fmt.Errorf("%w: %w", ErrNoEnrichmentID, a.bodyErr))
	case a.ok():
		return "", a.unreadable(opSubmit, ErrNoEnrichmentID)
	case a.status < 200:
		return "", &Error{Op: opSubmit, Outcome: OutcomeAmbiguous, Status: a.status, Err: ErrNoEnrichmentID}
	}
	return "", c.refusal(opSubmit, a)
}

// order is the body of a submission. It can be read once, from beginning to
// end, and only while it is fresh and not withdrawn. That makes it the proof of
// what happened, whatever the transport does: as long as no byte was read, none
// was sent, and after withdraw none ever will be.
type order struct {
	payload []byte
	fresh   func() bool

	mu    sync.Mutex
	begun bool // a byte was handed out
	shut  bool // no byte will be handed out
	stale bool // because it was too old
	next  int
}

// Read hands out the order. The age is looked at here, at the last moment
// before writing: a connection that was found in time says little, because the
// writing is done by another goroutine.
func (o *order) Read(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.begun {
		if !o.shut && !o.fresh() {
			o.shut, o.stale = true, true
		}
		if o.shut {
			return 0, io.ErrClosedPipe
		}
	}
	if o.next == len(o.payload) {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	o.begun = true
	n := copy(p, o.payload[o.next:])
	o.next += n
	return n, nil
}

// Close does nothing: the order is held by its reader alone.
func (o *order) Close() error { return nil }

// withdraw shuts the order and reports whether no byte of it was handed out.
func (o *order) withdraw() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.begun {
		o.shut = true
	}
	return !o.begun
}

// failure says what is known when no answer came.
func (o *order) failure(ctx context.Context, way *progress, err error) *Error {
	unsent := o.withdraw() && !way.wroteAnything()
	failure := &Error{Op: opSubmit, Outcome: OutcomeAmbiguous, Err: err, Stage: way.stage()}
	o.mu.Lock()
	stale := o.stale
	o.mu.Unlock()
	switch {
	case stale:
		failure.Err = ErrStale
	case unsent:
		failure.Outcome = OutcomeNotSent
		if ended := ctx.Err(); ended != nil {
			failure.Err = ended
		}
	}
	return failure
}
