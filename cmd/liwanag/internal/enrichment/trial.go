package enrichment

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/liwanag/liwanag/fullenrich"
)

// A trial is a webhook of our own: what has to be proved is that a signed body arrives
// under the public URL as it was sent. It is of no paid call, and nothing is kept of it.
type trial struct {
	Trial string `json:"liwanagTrial"`
}

// isTrial says whether a body whose signature is right is one of our own.
func isTrial(raw []byte) bool {
	var t trial
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	return d.Decode(&t) == nil && t.Trial != ""
}

// Try sends a signed webhook through the public URL, as FullEnrich would, and says why
// it did not come through. ErrNoKey without a key to sign with.
func (s *Service) Try(ctx context.Context) error {
	if len(s.cfg.Keys) == 0 || s.cfg.Keys[0] == "" {
		return ErrNoKey
	}
	token := newToken()
	body, err := json.Marshal(trial{token})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.cfg.PublicURL+webhookPath+token, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("the public URL is no address: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(fullenrich.SignatureHeader, fullenrich.Sign(s.cfg.Keys[0], body))
	answer, err := s.trialClient().Do(r)
	if err != nil {
		return fmt.Errorf("it could not be sent: %w", err)
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 4<<10))
	switch answer.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusUnauthorized:
		return fmt.Errorf("it arrived with another signature, or at a server with another key (HTTP 401): a proxy may change bodies")
	case http.StatusNotFound:
		return fmt.Errorf("something else answers there (HTTP 404)")
	}
	return fmt.Errorf("it was answered with HTTP %d", answer.StatusCode)
}

// trialClient is that of probes, unless tests have another way to the public URL.
func (s *Service) trialClient() *http.Client {
	if s.cfg.TrialClient != nil {
		return s.cfg.TrialClient
	}
	return probeClient()
}
