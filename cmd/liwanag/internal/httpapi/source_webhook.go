package httpapi

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

func (s *Server) registerSourceWebhook() {
	op := door.Hook(s.Door, api.SourceWebhook, s.admitSource, s.receiveSource)
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"application/json":                  {Schema: &huma.Schema{}},
		"application/x-www-form-urlencoded": {Schema: &huma.Schema{Type: huma.TypeObject}},
	}}
}

// admitSource lets webhooks in to addresses that there are.
func (s *Server) admitSource(_ http.ResponseWriter, r *http.Request, in *api.SourceWebhookRequest) (door.Way, error) {
	limit, err := s.cfg.Sources.Admit(r.Context(), liwanag.SourceKind(in.Source), in.EndpointID)
	return door.Way{Limit: limit, Share: s.Bodies.Known}, err
}

func (s *Server) receiveSource(w http.ResponseWriter, r *http.Request, in *api.SourceWebhookRequest, raw []byte) error {
	told, err := s.cfg.Sources.Receive(r.Context(), liwanag.SourceKind(in.Source), in.EndpointID, r.Header, raw)
	if err != nil {
		return err
	}
	return door.WriteJSON(w, http.StatusAccepted, told)
}
