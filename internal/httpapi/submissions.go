package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/liwanag/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow/runapi"
)

const submissionsPath = "/api/v1/submissions"

func (s *Server) registerSubmissions() {
	handle(s, s.describe("GET", submissionsPath, "list-submissions", "List paid calls, newest first", 200), s.listSubmissions)
	handle(s, s.describe("GET", submissionsPath+"/{id}", "get-submission", "One paid call", 200), func(ctx context.Context, in *runapi.IDPath) (submission, error) {
		return s.submissionNow(ctx, in.ID)
	})
	handle(s, s.describe("POST", submissionsPath+"/{id}/adopt", "adopt-submission", "Give a submission in doubt the enrichment id that FullEnrich's dashboard shows", http.StatusAccepted), s.adoptSubmission)
	handle(s, s.describe("POST", submissionsPath+"/{id}/resubmit", "resubmit-submission", "Send a submission in doubt once more; it may be paid for twice", http.StatusAccepted),
		func(ctx context.Context, in *actOnSubmission) (submission, error) {
			return s.decide(ctx, in, s.cfg.Enrichment.Resubmit)
		})
	handle(s, s.describe("POST", submissionsPath+"/{id}/fail", "fail-submission", "Give a submission in doubt up", http.StatusAccepted),
		func(ctx context.Context, in *actOnSubmission) (submission, error) {
			return s.decide(ctx, in, s.cfg.Enrichment.Fail)
		})
	handle(s, s.describe("POST", submissionsPath+"/pause", "pause-submissions", "Stop all spending", 200), s.pauseSpending)
	handle(s, s.describe("POST", submissionsPath+"/resume", "resume-submissions", "Let spending go on", 200), s.resumeSpending)
}

// submission is a submission as the API shows it.
type submission struct {
	ID           string    `json:"id"`
	RunID        string    `json:"runId"`
	N            int       `json:"n" doc:"1, 2, … within the run."`
	State        string    `json:"state" enum:"prepared,sending,accepted,refused,ambiguous,held,superseded,settled"`
	Name         string    `json:"name" doc:"As FullEnrich's dashboard shows it."`
	EnrichmentID string    `json:"enrichmentId,omitempty"`
	Jobs         int       `json:"jobs"`
	Credits      int64     `json:"credits"`
	PreparedAt   time.Time `json:"preparedAt"`
	SendingAt    time.Time `json:"sendingAt,omitzero"`
	OutcomeAt    time.Time `json:"outcomeAt,omitzero"`
	GraceUntil   time.Time `json:"graceUntil,omitzero"`
	Supersedes   string    `json:"supersedes,omitempty"`
	Cause        string    `json:"cause,omitempty"`
}

func viewSubmission(s liwanag.Submission) submission {
	return submission{ID: s.ID.String(), RunID: s.RunID.String(), N: s.N, State: string(s.State), Name: s.Name, EnrichmentID: s.EnrichmentID,
		Jobs: s.Jobs, Credits: s.Credits, PreparedAt: s.PreparedAt.UTC(), SendingAt: utc(s.SendingAt), OutcomeAt: utc(s.OutcomeAt),
		GraceUntil: utc(s.GraceUntil), Supersedes: s.Supersedes.String(), Cause: s.Cause}
}

func (s *Server) listSubmissions(ctx context.Context, in *struct {
	State string `query:"state" enum:"prepared,sending,accepted,refused,ambiguous,held,superseded,settled"`
	RunID string `query:"runId"`
	runapi.Paging
}) (runapi.List[submission], error) {
	var filter liwanag.SubmissionFilter
	if in.State != "" {
		filter.States = []liwanag.SubmissionState{liwanag.SubmissionState(in.State)}
	}
	if in.RunID != "" {
		id, err := liwanag.ParseID(liwanag.RunKind, in.RunID)
		if err != nil {
			return runapi.List[submission]{}, badParameter("runId", "an id of the form run_<uuid> is needed")
		}
		filter.RunID = id
	}
	rows, next, err := s.cfg.Store.Submissions().List(ctx, filter, pageOf(in.Paging))
	return listOf(rows, next, viewSubmission), err
}

func (s *Server) submissionNow(ctx context.Context, text string) (submission, error) {
	id, err := idOf(liwanag.SubmissionKind, text, "submission")
	if err != nil {
		return submission{}, err
	}
	row, err := s.cfg.Store.Submissions().Get(ctx, id)
	return viewSubmission(row), named(err, "submission")
}

func (s *Server) adoptSubmission(ctx context.Context, in *struct {
	runapi.IDPath
	Body struct {
		EnrichmentID string `json:"enrichmentId" minLength:"1" maxLength:"200"`
	}
}) (submission, error) {
	id, err := idOf(liwanag.SubmissionKind, in.ID, "submission")
	if err != nil {
		return submission{}, err
	}
	if err := s.cfg.Enrichment.Adopt(ctx, id, in.Body.EnrichmentID); err != nil {
		return submission{}, named(err, "submission")
	}
	return s.submissionNow(ctx, in.ID)
}

// actOnSubmission is an operator's act and why.
type actOnSubmission struct {
	runapi.IDPath
	Body *reasonBody
}

type reasonBody struct {
	Reason string `json:"reason,omitempty" maxLength:"500"`
}

func (b *reasonBody) reason() string {
	if b == nil {
		return ""
	}
	return b.Reason
}

func (s *Server) decide(ctx context.Context, in *actOnSubmission, act func(context.Context, liwanag.ID, string) error) (submission, error) {
	id, err := idOf(liwanag.SubmissionKind, in.ID, "submission")
	if err != nil {
		return submission{}, err
	}
	if err := act(ctx, id, in.Body.reason()); err != nil {
		return submission{}, named(err, "submission")
	}
	return s.submissionNow(ctx, in.ID)
}

func (s *Server) pauseSpending(ctx context.Context, in *struct{ Body *reasonBody }) (credits, error) {
	if err := s.cfg.Enrichment.Pause(ctx, in.Body.reason()); err != nil {
		return credits{}, err
	}
	return s.creditsNow(ctx)
}

func (s *Server) resumeSpending(ctx context.Context, _ *struct{}) (credits, error) {
	if err := s.cfg.Enrichment.Resume(ctx); err != nil {
		return credits{}, err
	}
	return s.creditsNow(ctx)
}
