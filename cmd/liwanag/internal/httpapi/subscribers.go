package httpapi

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func (s *Server) registerSubscribers() {
	door.Stream(s.Door, api.AddSubscriber, s.addSubscriber)
	door.Serve(s.Door, api.ListSubscribers, s.listSubscribers)
	door.Serve(s.Door, api.GetSubscriber, s.getSubscriber)
	door.Serve(s.Door, api.EnrichSubscriber, s.enrichSubscriber)
	door.Serve(s.Door, api.EnrichSubscribers, s.enrichSubscribers)
	door.Serve(s.Door, api.TagSubscribers, s.tagSubscribers)
	door.Serve(s.Door, api.EraseSubscriber, s.eraseSubscriber)
	door.Serve(s.Door, api.UnsubscribeSubscribers, s.unsubscribeSubscribers)
	door.Serve(s.Door, api.SuppressSubscribers, s.suppressSubscribers)
	door.Serve(s.Door, api.EraseSubscribers, s.eraseSubscribers)
	door.Serve(s.Door, api.UnsubscribeSubscriber, s.stand(s.cfg.Enrichment.Unsubscribe))
	door.Serve(s.Door, api.ResubscribeSubscriber, s.stand(s.cfg.Enrichment.Resubscribe))
	door.Serve(s.Door, api.ExportPerson, s.exportPerson)
	door.Stream(s.Door, api.ExportSubscribers, s.exportSubscribers)
	door.Serve(s.Door, api.ListCompanies, s.listCompanies)
	door.Serve(s.Door, api.GetCompany, s.getCompany)
}

// signUpSchema is that of a sign-up, whose unknown fields are kept or refused.
func signUpSchema(s *Server, keepsUnknown bool) *huma.Schema {
	ref := door.SchemaOf[api.SignUp](s.Door)
	if !keepsUnknown {
		return ref
	}
	open := *s.Schemas().SchemaFromRef(ref.Ref)
	open.AdditionalProperties = true
	return &open
}

func (s *Server) addSubscriber(w http.ResponseWriter, r *http.Request, _ *api.SignUp) error {
	if err := door.IsJSON(r); err != nil {
		return err
	}
	raw, err := s.ReadBody(w, r, door.MaxJSON)
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
	ctx, cancel := context.WithTimeout(r.Context(), door.HookWithin)
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
		p := door.NewProblem(http.StatusUnprocessableEntity, refused.Code, refused.Message)
		for _, f := range refused.Errors {
			p.Errors = append(p.Errors, api.FieldFault(f))
		}
		return p
	}
	return door.WriteJSON(w, http.StatusAccepted, result)
}

func (s *Server) subscriberFilter(ctx context.Context, q api.SubscriberFilter) (f liwanag.SubscriberFilter, err error) {
	if q, err = s.withView(ctx, q); err != nil {
		return f, err
	}
	f = liwanag.SubscriberFilter{Status: liwanag.JobStatus(q.Status), EmailType: liwanag.EmailType(q.EmailType), Source: q.Source,
		Seniority: q.Seniority, Query: q.Q, Standing: liwanag.Standing(q.Subscribed), CreatedAfter: q.Since, CreatedBefore: q.Until,
		Tag: q.Tag, NameMatches: liwanag.NameMatch(q.NameMatches), SignedUpAfter: q.SignedUpSince,
		JobTitle: q.JobTitle, Industry: q.Industry, Country: q.Country, CompanyDomain: q.CompanyDomain, FoundAfter: q.FoundSince,
		HeadcountMin: q.HeadcountMin, HeadcountMax: q.HeadcountMax, HasLinkedin: truth(q.HasLinkedin), Metadata: q.Metadata}
	if q.RunID != "" {
		if f.RunID, err = liwanag.ParseID(liwanag.RunKind, q.RunID); err != nil {
			return f, door.InvalidFilter("runId", "an id of the form run_<uuid> is needed")
		}
	}
	if q.UploadID != "" {
		if f.UploadID, err = liwanag.ParseID(liwanag.UploadKind, q.UploadID); err != nil {
			return f, door.InvalidFilter("uploadId", "an id of the form upl_<uuid> is needed")
		}
	}
	return f, nil
}

// ordered is a filter in an order.
func ordered(f liwanag.SubscriberFilter, by api.SubscriberOrder) liwanag.SubscriberFilter {
	f.Sort = liwanag.SubscriberSort(by.Sort)
	f.Ascending = by.Order == "asc" || by.Order == "" && f.Sort == liwanag.SortCompany
	return f
}

// truth is what a text says that is true or false; nil for neither.
func truth(text string) *bool {
	is, err := strconv.ParseBool(text)
	if err != nil {
		return nil
	}
	return &is
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
		Sources: p.Sources, Tags: p.Tags.All(), SignedUpAt: utc(p.SignedUpAt),
		NameFrom: string(p.NameFrom()), CompanyFrom: string(p.CompanyFrom()), NameMatches: string(p.NameMatches), Country: p.Summary.Country,
		Stated: viewStated(p.Stated), Found: viewFound(p.Found),
		CreatedAt: p.CreatedAt.UTC(), UpdatedAt: p.UpdatedAt.UTC(), EnrichedAt: utc(p.EnrichedAt),
		Subscribed: p.SuppressedAt.IsZero(), UnsubscribedAt: utc(p.SuppressedAt), UnsubscribedBy: p.UnsubscribedBy,
	}
}

func viewStated(s liwanag.Statement) *api.Stated {
	if s == (liwanag.Statement{}) {
		return nil
	}
	view := api.Stated(s)
	return &view
}

func viewFound(f liwanag.Finding) *api.Found {
	if f == (liwanag.Finding{}) {
		return nil
	}
	view := api.Found(f)
	return &view
}

// utc keeps the zero time zero.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC()
}

// exactTo is how far totals are counted.
const exactTo = 10_000

func (s *Server) listSubscribers(ctx context.Context, in *api.SubscriberQuery) (out api.SubscriberList, err error) {
	filter, err := s.subscriberFilter(ctx, in.SubscriberFilter)
	if err != nil {
		return out, err
	}
	order, _, err := s.shown(ctx, in.View, in.SubscriberOrder, nil)
	if err != nil {
		return out, err
	}
	filter = ordered(filter, order)
	if out.List, out.PrevCursor, err = s.pageOfSubscribers(ctx, filter, in); err != nil {
		return out, err
	}
	if in.Total {
		total, err := s.cfg.Store.Subscribers.Total(ctx, filter, exactTo+1)
		if err != nil {
			return out, err
		}
		out.TotalIsMore, total = total > exactTo, min(total, exactTo)
		out.Total = &total
	}
	return out, nil
}

// pageOfSubscribers is a page with the cursors of those beside it.
func (s *Server) pageOfSubscribers(ctx context.Context, f liwanag.SubscriberFilter,
	in *api.SubscriberQuery) (page runapi.List[api.Subscriber], before string, err error) {
	people, asked := s.cfg.Store.Subscribers, pageOf(in.Paging)
	if in.Before != "" {
		if in.Cursor != "" {
			return page, "", door.BadParameter("before", "name before or cursor, one of them")
		}
		asked.Cursor = in.Before
		rows, before, err := people.ListBefore(ctx, f, asked)
		next := ""
		if len(rows) > 0 {
			next = people.CursorOf(f, rows[len(rows)-1])
		}
		return listOf(rows, next, viewSubscriber), before, err
	}
	rows, next, err := people.List(ctx, f, asked)
	if in.Cursor != "" && len(rows) > 0 {
		before = people.CursorOf(f, rows[0])
	}
	return listOf(rows, next, viewSubscriber), before, err
}

// personOf is the id of a person who is named by id or by address.
func (s *Server) personOf(ctx context.Context, named string) (liwanag.ID, error) {
	if !strings.Contains(named, "@") {
		return idOf(liwanag.SubscriberKind, named, "subscriber")
	}
	email, err := liwanag.ParseEmail(named)
	if err != nil {
		return liwanag.ID{}, door.NotFound("subscriber")
	}
	person, err := s.cfg.Store.Subscribers.ByEmail(ctx, email.Key)
	if !errors.Is(err, liwanag.ErrNotFound) {
		return person.ID, err
	}
	people, err := s.cfg.Store.Subscribers.OfMailbox(ctx, email.Key)
	if err == nil && len(people) == 0 {
		err = door.NotFound("subscriber")
	}
	if err != nil {
		return liwanag.ID{}, err
	}
	return people[0].ID, nil
}

func viewFailure(f liwanag.JobFailure) *api.JobFailure {
	if f == (liwanag.JobFailure{}) {
		return nil
	}
	return &api.JobFailure{Code: f.Code, Message: f.Message}
}

func viewJob(j liwanag.Job) api.Job {
	reason := ""
	if j.Failure.Code == liwanag.CodeSameMailbox || j.Failure.Code == liwanag.CodeUnsubscribed {
		reason = j.Failure.Code
	}
	if j.Status == liwanag.JobEnriched {
		j.Failure = liwanag.JobFailure{}
	}
	return api.Job{ID: j.ID.String(), Status: string(j.Status), RunID: j.RunID.String(), EnrichmentID: j.EnrichmentID, Credits: j.Credits,
		Failure: viewFailure(j.Failure), Reason: reason, RetryAt: utc(j.RetryAt), CreatedAt: j.CreatedAt.UTC(), EndedAt: utc(j.EndedAt)}
}

func (s *Server) getSubscriber(ctx context.Context, in *runapi.IDPath) (api.SubscriberDetail, error) {
	id, err := s.personOf(ctx, in.ID)
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
	people, err := s.cfg.Store.Subscribers.OfMailbox(ctx, person.EmailKey)
	for _, p := range people {
		if p.ID != person.ID {
			detail.SameMailbox = append(detail.SameMailbox, api.SameMailbox{ID: p.ID.String(), Email: p.Email, CreatedAt: p.CreatedAt.UTC()})
		}
	}
	return detail, err
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
	id, err := s.personOf(ctx, in.ID)
	if err != nil {
		return api.Enriched{}, err
	}
	outcomes, err := s.cfg.Enrichment.Enrich(ctx, []liwanag.ID{id}, in.Body != nil && in.Body.Again)
	if err != nil {
		return api.Enriched{}, err
	}
	if outcomes[0].Result == enrichment.EnrichUnknown {
		return api.Enriched{}, door.NotFound("subscriber")
	}
	return viewEnriched(outcomes[0]), nil
}

// eraseSubscriber deletes a person, with all addresses of their mailbox. Their jobs and paid calls stay, for the books,
// and name nobody.
func (s *Server) eraseSubscriber(ctx context.Context, in *api.EraseRequest) (none runapi.None, err error) {
	id, err := s.personOf(ctx, in.ID)
	if err != nil {
		return none, err
	}
	held, err := s.backupsOf(ctx, id)
	if err != nil && !errors.Is(err, liwanag.ErrNotFound) { // who is erased may have to be scrubbed still
		return none, err
	}
	var rows int
	if in.Suppress {
		rows, err = s.cfg.Enrichment.EraseAndSuppress(ctx, id, door.Clip(in.Reason))
	} else {
		rows, err = s.cfg.Enrichment.Erase(ctx, id)
	}
	door.Tell(ctx, api.RowsHeader, strconv.Itoa(rows))
	if len(held) > 0 {
		door.Tell(ctx, api.BackupsHeader, strings.Join(held, ", "))
	}
	return none, named(err, "subscriber")
}

// backupsOf are the backups that hold a person, escaped.
func (s *Server) backupsOf(ctx context.Context, id liwanag.ID) ([]string, error) {
	person, err := s.cfg.Store.Subscribers.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	people, err := s.cfg.Store.Subscribers.OfMailbox(ctx, person.EmailKey)
	if err != nil {
		return nil, err
	}
	all, err := s.listBackups(ctx, nil)
	first := slices.MinFunc(append(people, person), func(a, b liwanag.Subscriber) int { return a.CreatedAt.Compare(b.CreatedAt) })
	paths := api.Holding(all.Items, first.CreatedAt)
	for i, path := range paths {
		paths[i] = url.PathEscape(path)
	}
	return paths, err
}

func (s *Server) exportSubscribers(w http.ResponseWriter, r *http.Request, in *api.SubscriberExport) error {
	filter, err := s.subscriberFilter(r.Context(), in.SubscriberFilter)
	if err != nil {
		return err
	}
	order, names, err := s.shown(r.Context(), in.View, in.SubscriberOrder, split(in.Columns))
	if err != nil {
		return err
	}
	if filter = ordered(filter, order); filter.Standing == "" {
		filter.Standing = liwanag.StandingIn
	}
	if filter.IDs, err = s.exported(r.Context(), in.IDs); err != nil {
		return err
	}
	columns, err := intake.ColumnsOf(strings.Join(names, ","))
	if err != nil {
		return door.BadParameter("columns", err.Error())
	}
	if filter.Standing == liwanag.StandingIn {
		left, err := s.cfg.Store.Subscribers.CountLeft(r.Context(), filter)
		if err != nil {
			return err
		}
		w.Header().Set(api.LeftOutHeader, strconv.FormatInt(left, 10))
	}
	people := first(in.Limit, s.cfg.Store.Subscribers.Each(r.Context(), filter))
	if in.Format == "jsonl" {
		return s.DownloadAs(w, r, "subscribers.jsonl", "application/x-ndjson", func(to *door.Streamer) error {
			return writeLines(r.Context(), to, people, len(names) > 0, columns)
		})
	}
	return s.Download(w, r, "subscribers.csv", func(to *door.Streamer) error { return intake.Export(r.Context(), to, people, columns...) })
}

// exported are the ids that an export names; none: it names nobody.
func (s *Server) exported(ctx context.Context, texts string) ([]liwanag.ID, error) {
	named := split(texts)
	if len(named) > maxExported {
		return nil, door.BadParameter("ids", "at most 500")
	}
	ids, err := s.subscriberIDs(ctx, named)
	if err != nil {
		return nil, door.BadParameter("ids", "ids of the form sub_<uuid> are needed, with commas between them")
	}
	return ids, nil
}

const maxExported = 500

// split are the parts of a text that commas separate; none of an empty one.
func split(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

// first yields n items at most; 0: all.
func first[T any](n int, items iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		left := n
		for item, err := range items {
			if left--; !yield(item, err) || left == 0 {
				return
			}
		}
	}
}

// stand changes a person's standing by hand.
func (s *Server) stand(change func(context.Context, liwanag.ID) (int, error)) func(context.Context,
	*runapi.Addressed[*api.StandingRequest]) (api.Standing, error) {
	return func(ctx context.Context, in *runapi.Addressed[*api.StandingRequest]) (api.Standing, error) {
		id, err := s.personOf(ctx, in.ID)
		if err != nil {
			return api.Standing{}, err
		}
		rows, err := change(ctx, id)
		if err != nil {
			return api.Standing{}, named(err, "subscriber")
		}
		p, err := s.cfg.Store.Subscribers.Get(ctx, id)
		return api.Standing{SubscriberID: id.String(), Subscribed: p.SuppressedAt.IsZero(), UnsubscribedAt: utc(p.SuppressedAt),
			UnsubscribedBy: p.UnsubscribedBy, Rows: rows}, named(err, "subscriber")
	}
}
