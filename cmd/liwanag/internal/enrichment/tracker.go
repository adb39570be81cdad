package enrichment

import (
	"context"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// Tracked says which run an enrichment belongs to.
type Tracked struct {
	RunID        liwanag.ID
	SubmissionID liwanag.ID
	// Registered: its result is still expected. Registering is learning the
	// enrichment id, unregistering is settling; the row stays, so that a late
	// delivery is recognized.
	Registered bool
	State      liwanag.SubmissionState
}

// Tracker finds the run of an enrichment id. ErrNotFound only if it was never
// known.
func (s *Service) Tracker(ctx context.Context, enrichmentID string) (Tracked, error) {
	sub, err := s.store.Submissions.ByEnrichment(ctx, enrichmentID)
	if err != nil {
		return Tracked{}, err
	}
	return Tracked{RunID: sub.RunID, SubmissionID: sub.ID, Registered: sub.State != liwanag.SubmissionSettled, State: sub.State}, nil
}
