package apiclient

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// SignUp is one person to add; everything but Email may be empty.
type SignUp struct {
	Email         string         `json:"email"`
	Source        string         `json:"source,omitempty"`
	ID            string         `json:"id,omitempty"`
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
	SubscriberID string `json:"subscriberId"`
	Status       string `json:"status"`          // created or updated
	RunID        string `json:"runId,omitempty"` // there if the person has an open job
}

// Subscriber is a person who signed up.
type Subscriber struct {
	ID                 string          `json:"id"`
	Email              string          `json:"email"`
	EmailType          string          `json:"emailType"`
	Source             string          `json:"source,omitempty"`
	EnrichmentStatus   string          `json:"enrichmentStatus"`
	FirstName          string          `json:"firstName,omitempty"`
	LastName           string          `json:"lastName,omitempty"`
	FullName           string          `json:"fullName,omitempty"`
	Headline           string          `json:"headline,omitempty"`
	JobTitle           string          `json:"jobTitle,omitempty"`
	Seniority          string          `json:"seniority,omitempty"`
	LinkedinURL        string          `json:"linkedinUrl,omitempty"`
	Location           string          `json:"location,omitempty"`
	CompanyName        string          `json:"companyName,omitempty"`
	CompanyDomain      string          `json:"companyDomain,omitempty"`
	CompanyLinkedinURL string          `json:"companyLinkedinUrl,omitempty"`
	Headcount          int64           `json:"headcount,omitempty"`
	Industry           string          `json:"industry,omitempty"`
	Metadata           json.RawMessage `json:"metadata,omitempty"`
	CreatedAt          time.Time       `json:"createdAt"`
	UpdatedAt          time.Time       `json:"updatedAt"`
	EnrichedAt         time.Time       `json:"enrichedAt,omitzero"`
	// Jobs and Profile are there when one subscriber is read.
	Jobs    []Job           `json:"jobs,omitempty"`
	Profile json.RawMessage `json:"profile,omitempty"`
}

// Job is one lookup of a subscriber.
type Job struct {
	ID           string    `json:"id"`
	Status       string    `json:"status"`
	RunID        string    `json:"runId,omitempty"`
	EnrichmentID string    `json:"enrichmentId,omitempty"`
	Credits      int64     `json:"credits"`
	Failure      *Failure  `json:"failure,omitempty"`
	WaitingFor   string    `json:"waitingFor,omitempty"`
	WaitingUntil time.Time `json:"waitingUntil,omitzero"`
	RetryAt      time.Time `json:"retryAt,omitzero"`
	CreatedAt    time.Time `json:"createdAt"`
	EndedAt      time.Time `json:"endedAt,omitzero"`
}

// Failure says why a job, an upload or a run failed; Step, Reason and Attempts
// are a run's.
type Failure struct {
	Step     string `json:"step,omitempty"`
	Reason   string `json:"reason,omitempty"`
	Code     string `json:"code,omitempty"`
	Message  string `json:"message,omitempty"`
	Attempts int    `json:"attempts,omitempty"`
}

// SubscriberFilter selects subscribers; zero fields do not restrict.
type SubscriberFilter struct {
	Status, EmailType, Source, Query string
	Since, Until                     time.Time // created
}

func (f SubscriberFilter) filter() filter {
	return filter{"status": f.Status, "emailType": f.EmailType, "source": f.Source, "q": f.Query, "since": timeText(f.Since), "until": timeText(f.Until)}
}

// Enriched says what was done for a subscriber: Result is started, open,
// reused, in_flight or not_found.
type Enriched struct {
	SubscriberID string `json:"subscriberId"`
	Result       string `json:"result"`
	RunID        string `json:"runId,omitempty"`
}

// EnrichMany selects subscribers to enrich: up to 500 IDs, or a page of those
// with a Status.
type EnrichMany struct {
	IDs    []string `json:"ids,omitempty"`
	Status string   `json:"status,omitempty"`
	Again  bool     `json:"again,omitempty"`
	Cursor string   `json:"cursor,omitempty"` // NextCursor of the answer before
}

// AddSubscriber adds one person, or updates them.
func (c *Client) AddSubscriber(ctx context.Context, s SignUp) (SignedUp, error) {
	return post[SignedUp](ctx, c, at("subscribers"), s)
}

// Subscribers reads a page, newest first.
func (c *Client) Subscribers(ctx context.Context, f SubscriberFilter, p Page) (List[Subscriber], error) {
	return get[List[Subscriber]](ctx, c, at("subscribers"), f.filter().values(p))
}

// Subscriber reads one, with jobs and profile.
func (c *Client) Subscriber(ctx context.Context, id string) (Subscriber, error) {
	return get[Subscriber](ctx, c, at("subscribers", id), nil)
}

// Enrich looks a subscriber up once more; again pays even if there is a result.
func (c *Client) Enrich(ctx context.Context, id string, again bool) (Enriched, error) {
	return post[Enriched](ctx, c, at("subscribers", id, "enrich"), map[string]bool{"again": again})
}

// EnrichMany looks subscribers up once more; go on with NextCursor.
func (c *Client) EnrichMany(ctx context.Context, m EnrichMany) (List[Enriched], error) {
	return post[List[Enriched]](ctx, c, at("subscribers", "enrich"), m)
}

// Export writes all that match as CSV and returns the bytes written. An error
// means that the file is not whole.
func (c *Client) Export(ctx context.Context, f SubscriberFilter, w io.Writer) (int64, error) {
	return c.download(ctx, at("subscribers", "export"), f.filter(), w)
}

func (c *Client) download(ctx context.Context, path string, f filter, w io.Writer) (int64, error) {
	res, err := c.send(ctx, http.MethodGet, path, f.values(Page{}), "", nil)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	from := &reader{r: res.Body}
	n, err := io.Copy(w, from)
	if err != nil && err == from.fault() {
		err = c.unreachable(err)
	}
	return n, err
}

// reader remembers its error, to tell it from the writer's.
type reader struct {
	r      io.Reader
	failed atomic.Pointer[error]
}

// fault is the error of reading, nil without one.
func (r *reader) fault() error {
	if err := r.failed.Load(); err != nil {
		return *err
	}
	return nil
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && err != io.EOF {
		r.failed.Store(&err)
	}
	return n, err
}
