package httpapi

import (
	"context"
	"errors"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func (s *Server) registerEnrichments() {
	door.Serve(s.Door, api.TriggerEnrichment, s.triggerEnrichment)
	door.Serve(s.Door, api.GetEnrichment, s.getEnrichment)
}

func (s *Server) triggerEnrichment(ctx context.Context, _ *runapi.NoInput) (api.Triggered, error) {
	ids, err := s.cfg.Enrichment.RunScheduledBatch(ctx, true)
	if err != nil {
		return api.Triggered{}, err
	}
	if len(ids) == 0 {
		return api.Triggered{}, errors.New("httpapi: the scheduled batch was triggered and started no run")
	}
	runs := texts(ids)
	return api.Triggered{RunID: runs[0], RunIDs: runs}, nil
}

func (s *Server) getEnrichment(ctx context.Context, in *api.EnrichmentPath) (api.Tracked, error) {
	t, err := s.cfg.Enrichment.Tracker(ctx, in.EnrichmentID)
	if errors.Is(err, liwanag.ErrNotFound) {
		return api.Tracked{}, door.NotFound("submission")
	}
	return api.Tracked{RunID: t.RunID.String(), SubmissionID: t.SubmissionID.String(), Registered: t.Registered, State: string(t.State)}, err
}
