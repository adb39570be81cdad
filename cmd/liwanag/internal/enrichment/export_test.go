package enrichment

import (
	"context"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich"
)

// Place finds the jobs of an unmatched delivery, as it was read some time ago.
func (s *Service) Place(ctx context.Context, d liwanag.Delivery) error {
	res, err := fullenrich.ParseResult(d.Raw)
	if err != nil {
		return err
	}
	return s.place(ctx, d, res)
}

// FollowOne looks after a due submission, as it was read some time ago.
func (s *Service) FollowOne(ctx context.Context, sub liwanag.Submission) error {
	return s.followOne(ctx, sub)
}

// TakeOver is what a second execution of the submit step does first.
func (e *Enricher) TakeOver(ctx context.Context, runID liwanag.ID) (liwanag.Submission, error) {
	return e.prepare(ctx, runID)
}

// WakeWaiting wakes the runs that wait for what is over.
func (s *Service) WakeWaiting(ctx context.Context) error { return s.wakeWaiting(ctx) }

// Transmit sends a prepared submission, as any execution that holds it would.
func (e *Enricher) Transmit(ctx context.Context, sub liwanag.Submission) error {
	_, _, err := e.transmit(ctx, sub)
	return err
}

// ScrubWith makes scrubs fail.
func (s *Service) ScrubWith(scrub func(context.Context) error) { s.scrubs = scrub }
