package httpapi

import (
	"context"
	"strings"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func (s *Server) registerSubmissions() {
	door.Serve(s.Door, api.ListSubmissions, s.listSubmissions)
	door.Serve(s.Door, api.GetSubmission, s.getSubmission)
	door.Serve(s.Door, api.AdoptSubmission, s.adoptSubmission)
	door.Serve(s.Door, api.ResubmitSubmission, s.decision(s.cfg.Enrichment.Resubmit))
	door.Serve(s.Door, api.FailSubmission, s.decision(s.cfg.Enrichment.Fail))
	door.Serve(s.Door, api.PauseSubmissions, s.pauseSpending)
	door.Serve(s.Door, api.ResumeSubmissions, s.resumeSpending)
	door.Serve(s.Door, api.ReleaseSubmissions, s.releaseSpending)
	door.Serve(s.Door, api.SetBudget, s.setBudget)
	door.Serve(s.Door, api.ListStoppedSources, s.listStoppedSources)
	door.Serve(s.Door, api.ResumeSource, s.resumeSource)
	door.Serve(s.Door, api.DropSource, s.dropSource)
}

func viewSubmission(s liwanag.Submission) api.Submission {
	return api.Submission{ID: s.ID.String(), RunID: s.RunID.String(), N: s.N, State: string(s.State), Name: s.Name,
		EnrichmentID: s.EnrichmentID,
		Jobs:         s.Jobs, Credits: s.Credits, PreparedAt: s.PreparedAt.UTC(), SendingAt: utc(s.SendingAt), OutcomeAt: utc(s.OutcomeAt),
		GraceUntil: utc(s.GraceUntil), Supersedes: s.Supersedes.String(), Cause: s.Cause}
}

func (s *Server) listSubmissions(ctx context.Context, in *api.SubmissionQuery) (runapi.List[api.Submission], error) {
	var filter liwanag.SubmissionFilter
	if in.State != "" {
		filter.States = []liwanag.SubmissionState{liwanag.SubmissionState(in.State)}
	}
	if in.RunID != "" {
		id, err := liwanag.ParseID(liwanag.RunKind, in.RunID)
		if err != nil {
			return runapi.List[api.Submission]{}, door.BadParameter("runId", "an id of the form run_<uuid> is needed")
		}
		filter.RunID = id
	}
	rows, next, err := s.cfg.Store.Submissions.List(ctx, filter, pageOf(in.Paging))
	return listOf(rows, next, viewSubmission), err
}

func (s *Server) getSubmission(ctx context.Context, in *runapi.IDPath) (api.Submission, error) {
	return s.submissionNow(ctx, in.ID)
}

func (s *Server) submissionNow(ctx context.Context, text string) (api.Submission, error) {
	id, err := idOf(liwanag.SubmissionKind, text, "submission")
	if err != nil {
		return api.Submission{}, err
	}
	row, err := s.cfg.Store.Submissions.Get(ctx, id)
	return viewSubmission(row), named(err, "submission")
}

func (s *Server) adoptSubmission(ctx context.Context, in *runapi.Addressed[api.AdoptSubmissionRequest]) (api.Submission, error) {
	id, err := idOf(liwanag.SubmissionKind, in.ID, "submission")
	if err != nil {
		return api.Submission{}, err
	}
	if err := s.cfg.Enrichment.Adopt(ctx, id, in.Body.EnrichmentID); err != nil {
		return api.Submission{}, named(err, "submission")
	}
	return s.submissionNow(ctx, in.ID)
}

func reasonOf(b *api.Reason) string {
	if b == nil {
		return ""
	}
	return b.Reason
}

// decision does what an operator decided about a submission in doubt.
func (s *Server) decision(act func(context.Context, liwanag.ID, string) error) func(context.Context,
	*runapi.Addressed[*api.Reason]) (api.Submission, error) {
	return func(ctx context.Context, in *runapi.Addressed[*api.Reason]) (api.Submission, error) {
		id, err := idOf(liwanag.SubmissionKind, in.ID, "submission")
		if err != nil {
			return api.Submission{}, err
		}
		if err := act(ctx, id, reasonOf(in.Body)); err != nil {
			return api.Submission{}, named(err, "submission")
		}
		return s.submissionNow(ctx, in.ID)
	}
}

func (s *Server) pauseSpending(ctx context.Context, in *api.PauseRequest) (api.Credits, error) {
	if err := s.cfg.Enrichment.Pause(ctx, reasonOf(in.Body)); err != nil {
		return api.Credits{}, err
	}
	return s.creditsNow(ctx)
}

func (s *Server) resumeSpending(ctx context.Context, _ *runapi.NoInput) (api.Credits, error) {
	if err := s.cfg.Enrichment.Resume(ctx); err != nil {
		return api.Credits{}, err
	}
	return s.creditsNow(ctx)
}

func (s *Server) releaseSpending(ctx context.Context, in *api.ReleaseRequest) (api.Credits, error) {
	if strings.TrimSpace(in.Reason) == "" {
		return api.Credits{}, door.InvalidField("reason", "say why spending may go on: it stands in the audit trail")
	}
	if err := s.cfg.Enrichment.Release(ctx, in.Reason); err != nil {
		return api.Credits{}, err
	}
	return s.creditsNow(ctx)
}
