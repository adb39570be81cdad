package httpapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/liwanag/liwanag/internal/api"
	"github.com/liwanag/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/internal/intake"
	"github.com/liwanag/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func (s *Server) registerSubscribers() {
	stream(s, api.AddSubscriber, s.addSubscriber)
	serve(s, api.ListSubscribers, s.listSubscribers)
	serve(s, api.GetSubscriber, s.getSubscriber)
	serve(s, api.EnrichSubscriber, s.enrichSubscriber)
	serve(s, api.EnrichSubscribers, s.enrichSubscribers)
	serve(s, api.EraseSubscriber, s.eraseSubscriber)
	stream(s, api.ExportSubscribers, s.exportSubscribers)
}

// signUpSchema is that of a sign-up, whose unknown fields are kept or refused.
func signUpSchema(s *Server, keepsUnknown bool) *huma.Schema {
	ref := schemaOf[api.SignUp](s)
	if !keepsUnknown {
		return ref
	}
	open := *s.spec.Components.Schemas.SchemaFromRef(ref.Ref)
	open.AdditionalProperties = true
	return &open
}

func (s *Server) addSubscriber(w http.ResponseWriter, r *http.Request, _ *api.SignUp) error {
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
			p.Errors = append(p.Errors, api.FieldFault(f))
		}
		return p
	}
	return writeJSON(w, http.StatusAccepted, result)
}

func subscriberFilter(q api.SubscriberFilter) liwanag.SubscriberFilter {
	return liwanag.SubscriberFilter{Status: liwanag.JobStatus(q.Status), EmailType: liwanag.EmailType(q.EmailType), Source: q.Source,
		Seniority: q.Seniority, Query: q.Q, CreatedAfter: q.Since, CreatedBefore: q.Until}
}

func viewSubscriber(p liwanag.Subscriber) api.Subscriber {
	status := p.EnrichmentStatus
	if status == "" {
		status = liwanag.NoJob
	}
	return api.Subscriber{
		ID: p.ID.String(), Email: p.Email, EmailType: string(p.EmailType), Source: p.Source, EnrichmentStatus: string(status),
		FirstName: p.Summary.FirstName, LastName: p.Summary.LastName, FullName: p.Summary.FullName, Headline: p.Summary.Headline,
		JobTitle: p.Summary.JobTitle, Seniority: p.Summary.Seniority, LinkedinURL: p.Summary.LinkedinURL, Location: p.Summary.Location,
		CompanyName: p.Summary.CompanyName, CompanyDomain: p.Summary.CompanyDomain, CompanyLinkedinURL: p.Summary.CompanyLinkedinURL,
		Headcount: p.Summary.Headcount, Industry: p.Summary.Industry, Metadata: p.Metadata,
		CreatedAt: p.CreatedAt.UTC(), UpdatedAt: p.UpdatedAt.UTC(), EnrichedAt: utc(p.EnrichedAt), UnsubscribedAt: utc(p.SuppressedAt),
	}
}

// utc keeps the zero time zero.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC()
}

func (s *Server) listSubscribers(ctx context.Context, in *api.SubscriberQuery) (runapi.List[api.Subscriber], error) {
	rows, next, err := s.cfg.Store.Subscribers.List(ctx, subscriberFilter(in.SubscriberFilter), pageOf(in.Paging))
	return listOf(rows, next, viewSubscriber), err
}

func viewFailure(f liwanag.JobFailure) *api.JobFailure {
	if f == (liwanag.JobFailure{}) {
		return nil
	}
	return &api.JobFailure{Code: f.Code, Message: f.Message}
}

func viewJob(j liwanag.Job) api.Job {
	return api.Job{ID: j.ID.String(), Status: string(j.Status), RunID: j.RunID.String(), EnrichmentID: j.EnrichmentID, Credits: j.Credits,
		Failure: viewFailure(j.Failure), RetryAt: utc(j.RetryAt), CreatedAt: j.CreatedAt.UTC(), EndedAt: utc(j.EndedAt)}
}

func (s *Server) getSubscriber(ctx context.Context, in *runapi.IDPath) (api.SubscriberDetail, error) {
	id, err := idOf(liwanag.SubscriberKind, in.ID, "subscriber")
	if err != nil {
		return api.SubscriberDetail{}, err
	}
	person, err := s.cfg.Store.Subscribers.Get(ctx, id)
	if err != nil {
		return api.SubscriberDetail{}, named(err, "subscriber")
	}
	jobs, err := s.cfg.Store.Jobs.OfSubscriber(ctx, id)
	if err != nil {
		return api.SubscriberDetail{}, err
	}
	detail := api.SubscriberDetail{Subscriber: viewSubscriber(person), Jobs: listOf(jobs, "", viewJob).Items}
	for i, j := range jobs {
		if j.Status == liwanag.JobPending && !j.RunID.IsZero() {
			waiting, err := s.waitingOf(ctx, j.RunID)
			if err != nil {
				return api.SubscriberDetail{}, err
			}
			detail.Jobs[i].WaitingFor, detail.Jobs[i].WaitingUntil = string(waiting.Waiting), utc(waiting.WaitingUntil)
		}
	}
	profile, err := s.cfg.Store.Subscribers.Profile(ctx, id)
	if err != nil && !errors.Is(err, liwanag.ErrNotFound) {
		return api.SubscriberDetail{}, err
	}
	detail.Profile = profile
	return detail, nil
}

// waitingOf is a run's batch, which knows what it waits for; empty when the run
// has none.
func (s *Server) waitingOf(ctx context.Context, runID liwanag.ID) (liwanag.Batch, error) {
	batch, err := s.cfg.Store.Batches.Get(ctx, runID)
	if errors.Is(err, liwanag.ErrNotFound) {
		return liwanag.Batch{}, nil
	}
	return batch, err
}

func viewEnriched(o enrichment.EnrichOutcome) api.Enriched {
	return api.Enriched{SubscriberID: o.SubscriberID.String(), Result: string(o.Result), RunID: o.RunID.String()}
}

func (s *Server) enrichSubscriber(ctx context.Context, in *runapi.Addressed[*api.EnrichSubscriberRequest]) (api.Enriched, error) {
	id, err := idOf(liwanag.SubscriberKind, in.ID, "subscriber")
	if err != nil {
		return api.Enriched{}, err
	}
	outcomes, err := s.cfg.Enrichment.Enrich(ctx, []liwanag.ID{id}, in.Body != nil && in.Body.Again)
	if err != nil {
		return api.Enriched{}, err
	}
	if outcomes[0].Result == enrichment.EnrichUnknown {
		return api.Enriched{}, notFound("subscriber")
	}
	return viewEnriched(outcomes[0]), nil
}

func invalidField(field, message string) *problem {
	return newProblem(http.StatusUnprocessableEntity, "invalid_field", "the request has fields that cannot be taken", api.FieldFault{Field: field, Message: message})
}

// eraseSubscriber deletes a person. Their jobs and paid calls stay, for the books,
// and name nobody.
func (s *Server) eraseSubscriber(ctx context.Context, in *api.EraseRequest) (none runapi.None, err error) {
	id, err := idOf(liwanag.SubscriberKind, in.ID, "subscriber")
	if err != nil {
		return none, err
	}
	return none, named(s.cfg.Enrichment.Erase(ctx, id), "subscriber")
}

func (s *Server) exportSubscribers(w http.ResponseWriter, r *http.Request, in *api.SubscriberFilter) error {
	return s.download(w, r, "subscribers.csv", func(to *streamer) error {
		return intake.Export(r.Context(), to, s.cfg.Store.Subscribers.Each(r.Context(), subscriberFilter(*in)))
	})
}
