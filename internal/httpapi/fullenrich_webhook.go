package httpapi

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/liwanag/liwanag/fullenrich"
)

const (
	fullEnrichHook = "/webhooks/fullenrich/{token}"
	// maxResult bounds a result: a batch of 100 is up to 1 MB.
	maxResult = 8 << 20
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
		s.hook(body(op, "application/json", &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}), maxResult,
			func(w http.ResponseWriter, r *http.Request, raw []byte) error {
				return s.receiveResult(w, r, hook.contact, raw)
			})
	}
}

// receiveResult answers 200 only when the body is durable.
func (s *Server) receiveResult(w http.ResponseWriter, r *http.Request, contact bool, raw []byte) error {
	if err := s.cfg.Enrichment.Receive(r.Context(), r.PathValue("token"), contact, r.Header.Get(fullenrich.SignatureHeader), raw); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}
