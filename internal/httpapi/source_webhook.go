package httpapi

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/liwanag/liwanag/internal/intake/sources"
	"github.com/liwanag/liwanag/internal/liwanag"
)

const sourceHook = "/webhooks/{source}/{endpointId}"

func (s *Server) registerSourceWebhook() {
	op := s.describe("POST", sourceHook, "source-webhook", "A webhook of a source, as its sender sends it", http.StatusAccepted)
	text := &huma.Schema{Type: huma.TypeString}
	op.Parameters = []*huma.Param{
		{Name: "source", In: "path", Required: true, Schema: text, Description: "The kind of the source."},
		{Name: "endpointId", In: "path", Required: true, Schema: text, Description: "The source's own part of the URL, a credential."},
	}
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"application/json":                  {Schema: &huma.Schema{}},
		"application/x-www-form-urlencoded": {Schema: &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}},
	}}
	s.hookOf(answer(op, "application/json", schemaOf[sourceAnswer](s)), sourceLimit, s.receiveSource)
}

// sourceAnswer describes what a sender is told; sources.Answer is its source.
type sourceAnswer struct {
	DeliveryID   string `json:"deliveryId"`
	State        string `json:"state" enum:"accepted,ignored"`
	Created      int    `json:"created"`
	Updated      int    `json:"updated"`
	Unsubscribed int    `json:"unsubscribed"`
	Failed       int    `json:"failed" doc:"Elements that could not be taken."`
}

// sourceLimit is how large a webhook may be; one to a kind that does not exist is
// not read.
func sourceLimit(r *http.Request) (int64, error) {
	limit := sources.MaxBody(liwanag.SourceKind(r.PathValue("source")))
	if limit == 0 {
		return 0, sources.ErrUnknown
	}
	return limit, nil
}

func (s *Server) receiveSource(w http.ResponseWriter, r *http.Request, raw []byte) error {
	told, err := s.cfg.Sources.Receive(r.Context(), liwanag.SourceKind(r.PathValue("source")), r.PathValue("endpointId"), r.Header, raw)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusAccepted, told)
}
