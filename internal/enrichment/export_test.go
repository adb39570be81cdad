package enrichment

import (
	"context"

	"github.com/liwanag/liwanag/internal/liwanag"
)

// TakeOver is what a second execution of the submit step does first.
func (e *Enricher) TakeOver(ctx context.Context, runID liwanag.ID) (liwanag.Submission, error) {
	return e.prepare(ctx, runID)
}

// Transmit sends a prepared submission, as any execution that holds it would.
func (e *Enricher) Transmit(ctx context.Context, sub liwanag.Submission) error {
	_, _, err := e.transmit(ctx, sub)
	return err
}
