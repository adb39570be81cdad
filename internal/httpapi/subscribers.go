package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/liwanag/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/internal/intake"
	"github.com/liwanag/liwanag/internal/liwanag"
)

const subscribersPath = "/api/v1/subscribers"

func (s *Server) registerSubscribers() {
	add := s.describe("POST", subscribersPath, "add-subscriber", "Add one subscriber", http.StatusAccepted)
	add = answer(body(add, "application/json", signUpSchema(s, false)), "application/json", schemaOf[signedUp](s))
	s.raw(add, s.addSubscriber)
	handle(s, s.describe("GET", subscribersPath, "list-subscribers", "List subscribers, newest first", 200), s.listSubscribers)
	handle(s, s.describe("GET", subscribersPath+"/{id}", "get-subscriber", "One subscriber, with jobs and profile", 200), s.getSubscriber)
	handle(s, s.describe("POST", subscribersPath+"/{id}/enrich", "enrich-subscriber", "Look a subscriber up once more", http.StatusAccepted), s.enrichSubscriber)
	handle(s, s.describe("POST", subscribersPath+"/enrich", "enrich-subscribers", "Look many subscribers up once more", http.StatusAccepted), s.enrichSubscribers)
	silent(s, s.describe("DELETE", subscribersPath+"/{id}", "erase-subscriber", "Erase a subscriber and everything that is known of them", http.StatusNoContent), s.eraseSubscriber)
	export := s.describe("GET", subscribersPath+"/export", "export-subscribers", "All subscribers as CSV, which can be imported again", 200)
	export.Parameters = queryOf[SubscriberQuery](s)
	s.raw(answer(export, "text/csv", &huma.Schema{Type: "string"}), s.exportSubscribers)
}

// signedUp is the answer to a sign-up; intake.Result is its source.
type signedUp struct {
	SubscriberID string `json:"subscriberId"`
	Status       string `json:"status" enum:"created,updated"`
	RunID        string `json:"runId,omitempty" doc:"There if the person has an open job."`
}

// signUpFields describe a sign-up for the API's description; intake decodes it.
type signUpFields struct {
	Email         string         `json:"email"`
	Source        string         `json:"source,omitempty"`
	ID            string         `json:"id,omitempty" doc:"The sender's own id of the person."`
	FirstName     string         `json:"firstName,omitempty"`
	LastName      string         `json:"lastName,omitempty"`
	FullName      string         `json:"fullName,omitempty"`
	CompanyName   string         `json:"companyName,omitempty"`
	CompanyDomain string         `json:"companyDomain,omitempty"`
	LinkedinURL   string         `json:"linkedinUrl,omitempty"`
	Tags          []string       `json:"tags,omitempty" nullable:"false"`
	Metadata      map[string]any `json:"metadata,omitempty"`
	Timestamp     time.Time      `json:"timestamp,omitzero"`
}

// signUpSchema is that of a sign-up, whose unknown fields are kept or refused.
func signUpSchema(s *Server, keepsUnknown bool) *huma.Schema {
	ref := schemaOf[signUpFields](s)
	if !keepsUnknown {
		return ref
	}
	open := *s.api.OpenAPI().Components.Schemas.SchemaFromRef(ref.Ref)
	open.AdditionalProperties = true
	return &open
}

func (s *Server) addSubscriber(w http.ResponseWriter, r *http.Request) error {
	if err := isJSON(r); err != nil {
		return err
	}
	raw, err := s.readBody(w, r, maxJSON)
	if err != nil {
		return err
	}
	items, array, err := intake.DecodeSignUps(raw, true)
	if err == nil && array {
		err = intake.ErrMalformed
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), hookWithin)
	defer cancel()
	results, err := s.cfg.SignUps.Add(ctx, items)
	if err != nil {
		return err
	}
	return answerOne(w, results[0])
}

// answerOne answers for a single sign-up, whose refusal is the request's.
func answerOne(w http.ResponseWriter, result intake.Result) error {
	if refused := result.Error; refused != nil {
		p := newProblem(http.StatusUnprocessableEntity, refused.Code, refused.Message)
		for _, f := range refused.Errors {
			p.Errors = append(p.Errors, fieldFault(f))
		}
		return p
	}
	return writeJSON(w, http.StatusAccepted, result)
}

// SubscriberQuery are the filters of subscribers.
type SubscriberQuery struct {
	Status    string    `query:"status" enum:"none,pending,submitted,held,enriched,not_found,failed,canceled" doc:"enrichmentStatus"`
	EmailType string    `query:"emailType" enum:"personal,corporate"`
	Source    string    `query:"source"`
	Q         string    `query:"q" doc:"Part of address, name or company."`
	Since     time.Time `query:"since" doc:"Created at or after."`
	Until     time.Time `query:"until" doc:"Created before."`
}

func (q SubscriberQuery) filter() liwanag.SubscriberFilter {
	return liwanag.SubscriberFilter{Status: liwanag.JobStatus(q.Status), EmailType: liwanag.EmailType(q.EmailType), Source: q.Source,
		Query: q.Q, CreatedAfter: q.Since, CreatedBefore: q.Until}
}

// Subscriber is a subscriber as the API shows it.
type Subscriber struct {
	ID                 string          `json:"id"`
	Email              string          `json:"email"`
	EmailType          string          `json:"emailType" enum:"personal,corporate"`
	Source             string          `json:"source,omitempty"`
	EnrichmentStatus   string          `json:"enrichmentStatus" doc:"none, or the status of the latest job."`
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
}

func viewSubscriber(p liwanag.Subscriber) Subscriber {
	status := p.EnrichmentStatus
	if status == "" {
		status = liwanag.NoJob
	}
	return Subscriber{
		ID: p.ID.String(), Email: p.Email, EmailType: string(p.EmailType), Source: p.Source, EnrichmentStatus: string(status),
		FirstName: p.Summary.FirstName, LastName: p.Summary.LastName, FullName: p.Summary.FullName, Headline: p.Summary.Headline,
		JobTitle: p.Summary.JobTitle, Seniority: p.Summary.Seniority, LinkedinURL: p.Summary.LinkedinURL, Location: p.Summary.Location,
		CompanyName: p.Summary.CompanyName, CompanyDomain: p.Summary.CompanyDomain, CompanyLinkedinURL: p.Summary.CompanyLinkedinURL,
		Headcount: p.Summary.Headcount, Industry: p.Summary.Industry, Metadata: p.Metadata,
		CreatedAt: p.CreatedAt.UTC(), UpdatedAt: p.UpdatedAt.UTC(), EnrichedAt: utc(p.EnrichedAt),
	}
}

// utc keeps the zero time zero.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC()
}

func (s *Server) listSubscribers(ctx context.Context, in *struct {
	SubscriberQuery
	Paging
}) (list[Subscriber], error) {
	rows, next, err := s.cfg.Store.Subscribers().List(ctx, in.filter(), in.page())
	return listOf(rows, next, viewSubscriber), err
}

// subscriberDetail is a subscriber with all that is known.
type subscriberDetail struct {
	Subscriber
	Jobs    []job           `json:"jobs" nullable:"false" doc:"Newest first."`
	Profile json.RawMessage `json:"profile,omitempty" doc:"All that FullEnrich said."`
}

// job is a job as the API shows it.
type job struct {
	ID           string      `json:"id"`
	Status       string      `json:"status"`
	RunID        string      `json:"runId,omitempty"`
	EnrichmentID string      `json:"enrichmentId,omitempty"`
	Credits      int64       `json:"credits"`
	Failure      *jobFailure `json:"failure,omitempty"`
	WaitingFor   string      `json:"waitingFor,omitempty" doc:"What keeps a pending job from being sent: budget, credits, key, capacity, calls, paused, unavailable."`
	WaitingUntil time.Time   `json:"waitingUntil,omitzero"`
	RetryAt      time.Time   `json:"retryAt,omitzero" doc:"When a new job is made for the person."`
	CreatedAt    time.Time   `json:"createdAt"`
	EndedAt      time.Time   `json:"endedAt,omitzero"`
}

// jobFailure says why a job or an upload failed.
type jobFailure struct {
	Code    string `json:"code"`
	Message string `json:"message,omitempty"`
}

func viewFailure(f liwanag.JobFailure) *jobFailure {
	if f == (liwanag.JobFailure{}) {
		return nil
	}
	return &jobFailure{f.Code, f.Message}
}

func viewJob(j liwanag.Job) job {
	return job{ID: j.ID.String(), Status: string(j.Status), RunID: j.RunID.String(), EnrichmentID: j.EnrichmentID, Credits: j.Credits,
		Failure: viewFailure(j.Failure), RetryAt: utc(j.RetryAt), CreatedAt: j.CreatedAt.UTC(), EndedAt: utc(j.EndedAt)}
}

func (s *Server) getSubscriber(ctx context.Context, in *IDPath) (subscriberDetail, error) {
	id, err := idOf(liwanag.SubscriberKind, in.ID, "subscriber")
	if err != nil {
		return subscriberDetail{}, err
	}
	person, err := s.cfg.Store.Subscribers().Get(ctx, id)
	if err != nil {
		return subscriberDetail{}, named(err, "subscriber")
	}
	jobs, err := s.cfg.Store.Jobs().OfSubscriber(ctx, id)
	if err != nil {
		return subscriberDetail{}, err
	}
	detail := subscriberDetail{Subscriber: viewSubscriber(person), Jobs: listOf(jobs, "", viewJob).Items}
	for i, j := range jobs {
		if j.Status == liwanag.JobPending && !j.RunID.IsZero() {
			waiting, err := s.waitingOf(ctx, j.RunID)
			if err != nil {
				return subscriberDetail{}, err
			}
			detail.Jobs[i].WaitingFor, detail.Jobs[i].WaitingUntil = string(waiting.Waiting), utc(waiting.WaitingUntil)
		}
	}
	profile, err := s.cfg.Store.Subscribers().Profile(ctx, id)
	if err != nil && !errors.Is(err, liwanag.ErrNotFound) {
		return subscriberDetail{}, err
	}
	detail.Profile = profile
	return detail, nil
}

// waitingOf is a run's batch, which knows what it waits for; empty when the run
// has none.
func (s *Server) waitingOf(ctx context.Context, runID liwanag.ID) (liwanag.Batch, error) {
	batch, err := s.cfg.Store.Batches().Get(ctx, runID)
	if errors.Is(err, liwanag.ErrNotFound) {
		return liwanag.Batch{}, nil
	}
	return batch, err
}

// enriched says what was done for a subscriber.
type enriched struct {
	SubscriberID string `json:"subscriberId"`
	Result       string `json:"result" enum:"started,open,reused,in_flight,not_found" doc:"started: a new job. open: there was one. reused: a young result was used again for nothing. in_flight: an earlier lookup is paid for and expected. not_found: no such subscriber."`
	RunID        string `json:"runId,omitempty"`
}

func viewEnriched(o enrichment.EnrichOutcome) enriched {
	return enriched{o.SubscriberID.String(), string(o.Result), o.RunID.String()}
}

func (s *Server) enrichSubscriber(ctx context.Context, in *struct {
	IDPath
	Body *struct {
		Again bool `json:"again,omitempty" doc:"Order and pay even if there is a result."`
	}
}) (enriched, error) {
	id, err := idOf(liwanag.SubscriberKind, in.ID, "subscriber")
	if err != nil {
		return enriched{}, err
	}
	outcomes, err := s.cfg.Enrichment.Enrich(ctx, []liwanag.ID{id}, in.Body != nil && in.Body.Again)
	if err != nil {
		return enriched{}, err
	}
	if outcomes[0].Result == enrichment.EnrichUnknown {
		return enriched{}, notFound("subscriber")
	}
	return viewEnriched(outcomes[0]), nil
}

// enrichMany selects subscribers by id or by status.
type enrichMany struct {
	IDs    []string `json:"ids,omitempty" maxItems:"500" nullable:"false" doc:"These; or else status."`
	Status string   `json:"status,omitempty" enum:"none,failed,not_found,canceled,enriched" doc:"A page of those with this enrichmentStatus, newest first; go on with nextCursor."`
	Again  bool     `json:"again,omitempty" doc:"Order and pay even if there is a result."`
	Cursor string   `json:"cursor,omitempty" doc:"nextCursor of the answer before."`
}

// enrichPiece is how many subscribers are enriched in one transaction.
const enrichPiece = 200

func (s *Server) enrichSubscribers(ctx context.Context, in *struct{ Body enrichMany }) (list[enriched], error) {
	if (len(in.Body.IDs) > 0) == (in.Body.Status != "") {
		return list[enriched]{}, invalidField("ids", "name ids or a status, one of them")
	}
	ids, next, err := s.selected(ctx, in.Body)
	if err != nil {
		return list[enriched]{}, err
	}
	answer := list[enriched]{Items: []enriched{}, NextCursor: next}
	for piece := range slices.Chunk(ids, enrichPiece) {
		outcomes, err := s.cfg.Enrichment.Enrich(ctx, piece, in.Body.Again)
		if err != nil {
			return list[enriched]{}, err
		}
		answer.Items = append(answer.Items, listOf(outcomes, "", viewEnriched).Items...)
	}
	return answer, nil
}

func (s *Server) selected(ctx context.Context, q enrichMany) (ids []liwanag.ID, next string, err error) {
	if q.Status != "" {
		people, next, err := s.cfg.Store.Subscribers().List(ctx, liwanag.SubscriberFilter{Status: liwanag.JobStatus(q.Status)},
			liwanag.Page{Limit: 500, Cursor: q.Cursor})
		for _, p := range people {
			ids = append(ids, p.ID)
		}
		return ids, next, err
	}
	for _, text := range q.IDs {
		id, err := liwanag.ParseID(liwanag.SubscriberKind, text)
		if err != nil {
			return nil, "", invalidField("ids", "an id of the form sub_<uuid> is needed")
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, "", nil
}

func invalidField(field, message string) *problem {
	return newProblem(http.StatusUnprocessableEntity, "invalid_field", "the request has fields that cannot be taken", fieldFault{field, message})
}

// eraseSubscriber deletes a person. Their jobs and paid calls stay, for the books,
// and name nobody.
func (s *Server) eraseSubscriber(ctx context.Context, in *struct {
	IDPath
	Reason string `query:"reason" doc:"Kept in the audit trail: no personal data."`
}) error {
	id, err := idOf(liwanag.SubscriberKind, in.ID, "subscriber")
	if err != nil {
		return err
	}
	return named(s.cfg.Enrichment.Erase(ctx, id), "subscriber")
}

func (s *Server) exportSubscribers(w http.ResponseWriter, r *http.Request) error {
	filter, err := subscriberFilterOf(r)
	if err != nil {
		return err
	}
	return s.download(w, r, "subscribers.csv", func(to *streamer) error {
		return intake.Export(r.Context(), to, s.cfg.Store.Subscribers().Each(r.Context(), filter))
	})
}

func subscriberFilterOf(r *http.Request) (liwanag.SubscriberFilter, error) {
	query := r.URL.Query()
	q := SubscriberQuery{Status: query.Get("status"), EmailType: query.Get("emailType"), Source: query.Get("source"), Q: query.Get("q")}
	for name, into := range map[string]*time.Time{"since": &q.Since, "until": &q.Until} {
		if text := query.Get(name); text != "" {
			at, err := time.Parse(time.RFC3339, text)
			if err != nil {
				return liwanag.SubscriberFilter{}, badParameter(name, "it is no time")
			}
			*into = at
		}
	}
	return q.filter(), nil
}
