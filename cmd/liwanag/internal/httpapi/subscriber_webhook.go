package httpapi

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// maxSignUpBody bounds a body of up to 500 sign-ups.
const maxSignUpBody = 5 << 20

func (s *Server) registerSubscriberWebhook() {
	op := door.Hook(s.Door, api.SubscriberWebhook, s.admitSignUps, s.receiveSignUps)
	one := signUpSchema(s, true)
	many := &huma.Schema{Type: huma.TypeArray, Items: one, MaxItems: new(int)}
	*many.MaxItems = intake.MaxSignUps
	op.RequestBody = &huma.RequestBody{Required: true,
		Content: door.Content("application/json", &huma.Schema{OneOf: []*huma.Schema{one, many}})}
	op.Responses["202"].Content = door.Content("application/json",
		&huma.Schema{OneOf: []*huma.Schema{door.SchemaOf[api.SignedUp](s.Door), door.SchemaOf[api.SignedUpMany](s.Door)}})
}

func (s *Server) admitSignUps(http.ResponseWriter, *http.Request, *api.SubscriberWebhookRequest) (door.Way, error) {
	return door.Way{Limit: maxSignUpBody, Share: s.Bodies.Unproven}, nil
}

// signUpsKind is how sign-ups by this route count among webhooks.
const signUpsKind = "subscribers"

func (s *Server) receiveSignUps(w http.ResponseWriter, r *http.Request, _ *api.SubscriberWebhookRequest, raw []byte) error {
	err := s.takeSignUps(w, r, raw)
	if err == nil {
		s.cfg.Meter.WebhookAccepted(signUpsKind)
	} else if p := s.ProblemOf(err); p.Status < 500 {
		s.cfg.Meter.WebhookRefused(signUpsKind, p.Code)
	}
	return err
}

func (s *Server) takeSignUps(w http.ResponseWriter, r *http.Request, raw []byte) error {
	proof, err := s.verifier.Verify(r.Header, raw)
	if err != nil {
		return err
	}
	if err := door.IsJSON(r); err != nil {
		return err
	}
	items, array, err := intake.DecodeSignUps(raw, false)
	if err != nil {
		return err
	}
	results, err := s.cfg.SignUps.Receive(r.Context(), api.SubscriberWebhook.Path, proof, items)
	if err != nil {
		return err
	}
	if !array {
		return answerOne(w, results[0])
	}
	return door.WriteJSON(w, http.StatusAccepted, runapi.List[intake.Result]{Items: results})
}
