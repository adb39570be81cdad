package httpapi

import (
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/liwanag/liwanag/internal/api"
	"github.com/liwanag/liwanag/internal/enrichment"
)

const (
	// maxResult bounds a result: a batch of 100 is up to 1 MB.
	maxResult = 8 << 20
	// fullEnrichKind is how results count among webhooks.
	fullEnrichKind = "fullenrich"
)

func (s *Server) registerFullEnrichWebhook() {
	batch := hook(s, api.FullEnrichWebhook, s.admitResult(false), s.receiveResult(false))
	contact := hook(s, api.FullEnrichContactWebhook, s.admitResult(true), s.receiveResult(true))
	for _, op := range []*huma.Operation{batch, contact} {
		op.RequestBody = &huma.RequestBody{Required: true,
			Content: content("application/json", &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true})}
		op.Responses["200"].Description = "The body is stored."
	}
}

// admitResult lets results in whose token belongs to a submission, and few others.
func (s *Server) admitResult(contact bool) func(http.ResponseWriter, *http.Request, *api.FullEnrichWebhookRequest) (way, error) {
	return func(w http.ResponseWriter, r *http.Request, in *api.FullEnrichWebhookRequest) (way, error) {
		known, err := s.cfg.Enrichment.Knows(r.Context(), in.Token)
		if err != nil || known {
			return way{limit: maxResult, share: s.knownBodies}, err
		}
		from := scopeOf(r.Context()).from
		if contact || !s.strangers.enter(from) {
			s.cfg.Meter.WebhookRefused(fullEnrichKind, enrichment.ErrUnknownToken.Code)
			return way{}, enrichment.ErrUnknownToken
		}
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(strangerWithin))
		return way{limit: maxResult, share: s.strangers.share, leave: func() { s.strangers.leave(from) }}, nil
	}
}

// receiveResult answers 200 only when the body is durable.
func (s *Server) receiveResult(contact bool) func(http.ResponseWriter, *http.Request, *api.FullEnrichWebhookRequest, []byte) error {
	return func(w http.ResponseWriter, r *http.Request, in *api.FullEnrichWebhookRequest, raw []byte) error {
		if err := s.cfg.Enrichment.Receive(r.Context(), in.Token, contact, in.Signature, raw); err != nil {
			return err
		}
		w.WriteHeader(http.StatusOK)
		return nil
	}
}
