package httpapi

import (
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/liwanag/liwanag/fullenrich"
	"github.com/liwanag/liwanag/internal/enrichment"
)

const (
	fullEnrichHook = "/webhooks/fullenrich/{token}"
	// maxResult bounds a result: a batch of 100 is up to 1 MB.
	maxResult = 8 << 20
	// fullEnrichKind is how results count among webhooks.
	fullEnrichKind = "fullenrich"
)

func (s *Server) registerFullEnrichWebhook() {
	for _, hook := range []struct {
		path, id, summary string
		contact           bool
	}{
		{fullEnrichHook, "fullenrich-webhook", "FullEnrich's result of a batch", false},
		{fullEnrichHook + "/contact", "fullenrich-contact-webhook", "FullEnrich's word of a single contact", true},
	} {
		op := s.describe("POST", hook.path, hook.id, hook.summary, http.StatusOK)
		op.Parameters = []*huma.Param{
			{Name: "token", In: "path", Required: true, Schema: &huma.Schema{Type: huma.TypeString}},
			{Name: fullenrich.SignatureHeader, In: "header", Required: true, Schema: &huma.Schema{Type: huma.TypeString}},
		}
		op.Responses["200"] = &huma.Response{Description: "The body is stored."}
		s.hook(body(op, "application/json", &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}),
			func(w http.ResponseWriter, r *http.Request) (way, error) { return s.admitResult(w, r, hook.contact) },
			func(w http.ResponseWriter, r *http.Request, raw []byte) error {
				return s.receiveResult(w, r, hook.contact, raw)
			})
	}
}

// admitResult lets results in whose token belongs to a submission, and few others.
func (s *Server) admitResult(w http.ResponseWriter, r *http.Request, contact bool) (way, error) {
	known, err := s.cfg.Enrichment.Knows(r.Context(), r.PathValue("token"))
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

// receiveResult answers 200 only when the body is durable.
func (s *Server) receiveResult(w http.ResponseWriter, r *http.Request, contact bool, raw []byte) error {
	if err := s.cfg.Enrichment.Receive(r.Context(), r.PathValue("token"), contact, r.Header.Get(fullenrich.SignatureHeader), raw); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}
