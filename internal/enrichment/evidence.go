package enrichment

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/liwanag/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/internal/liwanag"
)

// deliveryGap is the time after which FullEnrich repeats a delivery: an address
// that was reachable without a longer gap has received it.
const deliveryGap = time.Minute

// verdict is what becomes of a submission in doubt whose grace is over: sent once
// more, or held for the given cause.
type verdict struct {
	resubmit bool
	cause    string
}

// judge decides on a submission in doubt whose grace is over. A webhook would
// have told us if it had been accepted; that none came proves something only
// when FullEnrich is known to reach the public URL, and could reach it all the
// time.
func judge(s liwanag.Submission, secondDoubt bool, evidence liwanag.Evidence, cfg Config) verdict {
	proven := !evidence.ProvenAt.IsZero() || loopback(cfg.PublicURL) && loopback(cfg.BaseURL)
	switch {
	case s.Cause == causeNoID || s.Cause == causeIDTaken:
		return verdict{cause: s.Cause} // it answered 2xx, so it took it
	case cfg.OnAmbiguous == Hold:
		return verdict{cause: causePolicy}
	case secondDoubt:
		return verdict{cause: causeTwice}
	case !proven:
		return verdict{cause: causeUnproven}
	case !reachable(evidence.Reaches, s.SendingAt, s.GraceUntil):
		return verdict{cause: causeUnreachable}
	}
	return verdict{resubmit: true}
}

// reachable says whether one unbroken reach covers the time, up to a gap at both
// ends.
func reachable(reaches []liwanag.Reach, from, to time.Time) bool {
	for _, r := range reaches {
		if !r.Since.After(from.Add(deliveryGap)) && !r.Until.Before(to.Add(-deliveryGap)) {
			return true
		}
	}
	return false
}

// probeOver asks the public URL for its health.
func probeOver(client *http.Client, publicURL string) func(context.Context) error {
	return func(ctx context.Context) error {
		if publicURL == "" {
			return fmt.Errorf("enrichment: there is no public URL to probe")
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, publicURL+"/healthz", nil)
		if err != nil {
			return fmt.Errorf("enrichment: probe of the public URL: %w", err)
		}
		answer, err := client.Do(request)
		if err != nil {
			return fmt.Errorf("enrichment: probe of the public URL: %w", err)
		}
		defer answer.Body.Close()
		_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 4<<10))
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("enrichment: probe of the public URL: status %d", answer.StatusCode)
		}
		return nil
	}
}

// probe notes that the public URL reaches us, while a submission needs it.
func (e *Enricher) probe(ctx context.Context) error {
	unsettled, _, err := e.store.Submissions.List(ctx, liwanag.SubmissionFilter{States: []liwanag.SubmissionState{
		liwanag.SubmissionSending, liwanag.SubmissionAmbiguous, liwanag.SubmissionAccepted}}, liwanag.Page{Limit: 1})
	if err != nil || len(unsettled) == 0 {
		return err
	}
	at := e.now() // before: a process may stand still after the answer
	if err := e.cfg.Probe(ctx); err != nil {
		e.cfg.Log.WarnContext(ctx, "the public URL does not reach this server: a webhook could be lost", "error", err)
		return nil // a gap is what the evidence shows; nothing else to do
	}
	return e.store.Write(ctx, func(tx *datastore.Tx) error {
		return tx.Ledger.Reached(e.cfg.PublicURL, at, deliveryGap)
	})
}
