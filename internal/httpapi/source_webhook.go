package httpapi

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/liwanag/liwanag/internal/api"
	"github.com/liwanag/liwanag/internal/liwanag"
)

func (s *Server) registerSourceWebhook() {
	op := hook(s, api.SourceWebhook, s.admitSource, s.receiveSource)
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"application/json":                  {Schema: &huma.Schema{}},
		"application/x-www-form-urlencoded": {Schema: &huma.Schema{Type: huma.TypeObject}},
	}}
}

// admitSource lets webhooks in to addresses that there are.
func (s *Server) admitSource(_ http.ResponseWriter, r *http.Request, in *api.SourceWebhookRequest) (way, error) {
	limit, err := s.cfg.Sources.Admit(r.Context(), liwanag.SourceKind(in.Source), in.EndpointID)
	return way{limit: limit, share: s.knownBodies}, err
}

func (s *Server) receiveSource(w http.ResponseWriter, r *http.Request, in *api.SourceWebhookRequest, raw []byte) error {
	told, err := s.cfg.Sources.Receive(r.Context(), liwanag.SourceKind(in.Source), in.EndpointID, r.Header, raw)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusAccepted, told)
}
