package enrichment

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/paid"
)

// judge says why a submission in doubt whose grace is over is held; empty: it is
// sent once more.
func (e *Enricher) judge(sub liwanag.Submission, again bool, evidence liwanag.Evidence) (cause string) {
	return paid.Judge(paid.Doubtful{Submission: sub, Again: again, Evidence: evidence, Hold: e.cfg.OnAmbiguous == Hold,
		Local: loopback(e.cfg.PublicURL) && loopback(e.cfg.BaseURL)})
}

// probeClient follows no redirect and no proxy of the environment: FullEnrich does not
// either, and the answer has to be ours.
func probeClient() *http.Client {
	return &http.Client{Timeout: 5 * time.Second,
		Transport:     &http.Transport{Proxy: nil, DisableKeepAlives: true, TLSHandshakeTimeout: 5 * time.Second},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
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
	err = e.cfg.Probe(ctx)
	e.probed.Store(&probed{at, err})
	if err != nil {
		e.cfg.Log.WarnContext(ctx, "the public URL does not reach this server: a webhook could be lost", "error", err)
		return nil // a gap is what the evidence shows; nothing else to do
	}
	return e.store.Write(ctx, func(tx *datastore.Tx) error {
		return tx.Ledger.Reached(e.cfg.PublicURL, at, paid.DeliveryGap)
	})
}

// probed is how a look at the public URL ended.
type probed struct {
	at  time.Time
	err error
}

// Probed is when this process last looked whether the public URL reaches it, and why it
// does not; the zero time: it did not look.
func (e *Enricher) Probed() (time.Time, error) {
	if p := e.probed.Load(); p != nil {
		return p.at, p.err
	}
	return time.Time{}, nil
}

// Reach says why the public URL does not reach this server; nil: it does.
func (s *Service) Reach(ctx context.Context) error { return s.cfg.Probe(ctx) }
