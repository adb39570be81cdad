package httpapi

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"

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
	s.hook(answer(op, "application/json", schemaOf[sourceAnswer](s)), s.admitSource, s.receiveSource)
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

// admitSource lets webhooks in to addresses that there are.
func (s *Server) admitSource(_ http.ResponseWriter, r *http.Request) (way, error) {
	limit, err := s.cfg.Sources.Admit(r.Context(), liwanag.SourceKind(r.PathValue("source")), r.PathValue("endpointId"))
	return way{limit: limit, share: s.knownBodies}, err
}

func (s *Server) receiveSource(w http.ResponseWriter, r *http.Request, raw []byte) error {
	told, err := s.cfg.Sources.Receive(r.Context(), liwanag.SourceKind(r.PathValue("source")), r.PathValue("endpointId"), r.Header, raw)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusAccepted, told)
}
