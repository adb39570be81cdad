package httpapi

import (
	"context"
	"errors"
	"net/http"

	"github.com/liwanag/liwanag/internal/liwanag"
)

const enrichmentsPath = "/api/v1/enrichments"

func (s *Server) registerEnrichments() {
	handle(s, s.describe("POST", enrichmentsPath, "trigger-enrichment", "Trigger the scheduled batch; it always starts a run", http.StatusAccepted), s.triggerBatch)
	handle(s, s.describe("GET", enrichmentsPath+"/{enrichmentId}", "get-enrichment", "Which run an enrichment of FullEnrich belongs to", 200), s.getTracked)
}

// triggered names the runs that were started.
type triggered struct {
	RunID  string   `json:"runId" doc:"The first of runIds."`
	RunIDs []string `json:"runIds" nullable:"false"`
}

func (s *Server) triggerBatch(ctx context.Context, _ *struct{}) (triggered, error) {
	ids, err := s.cfg.Enrichment.RunScheduledBatch(ctx, true)
	if err != nil {
		return triggered{}, err
	}
	if len(ids) == 0 {
		return triggered{}, errors.New("httpapi: the scheduled batch was triggered and started no run")
	}
	runs := texts(ids)
	return triggered{RunID: runs[0], RunIDs: runs}, nil
}

// tracked says which run an enrichment belongs to.
type tracked struct {
	RunID        string `json:"runId"`
	SubmissionID string `json:"submissionId"`
	Registered   bool   `json:"registered" doc:"Its result is still expected."`
	State        string `json:"state" doc:"Of the submission."`
}

func (s *Server) getTracked(ctx context.Context, in *struct {
	EnrichmentID string `path:"enrichmentId"`
}) (tracked, error) {
	t, err := s.cfg.Enrichment.Tracker(ctx, in.EnrichmentID)
	if errors.Is(err, liwanag.ErrNotFound) {
		return tracked{}, notFound("submission")
	}
	return tracked{t.RunID.String(), t.SubmissionID.String(), t.Registered, string(t.State)}, err
}
