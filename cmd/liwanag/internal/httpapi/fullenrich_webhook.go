package httpapi

import (
	"context"
	"crypto/sha256"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/why"
)

const (
	maxResult = door.MaxHookBody
	// fullEnrichKind is how results count among webhooks.
	fullEnrichKind = "fullenrich"
)

func (s *Server) registerFullEnrichWebhook() {
	batch := door.Hook(s.Door, api.FullEnrichWebhook, s.admitResult(false), s.receiveResult(false))
	contact := door.Hook(s.Door, api.FullEnrichContactWebhook, s.admitResult(true), s.receiveResult(true))
	for _, op := range []*huma.Operation{batch, contact} {
		op.RequestBody = &huma.RequestBody{Required: true,
			Content: door.Content("application/json", &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true})}
		op.Responses["200"].Description = "The body is stored."
	}
}

// admitResult lets results in whose token belongs to a submission, and few others.
func (s *Server) admitResult(contact bool) func(http.ResponseWriter, *http.Request, *api.FullEnrichWebhookRequest) (door.Way, error) {
	return func(w http.ResponseWriter, r *http.Request, in *api.FullEnrichWebhookRequest) (door.Way, error) {
		known, err := s.cfg.Enrichment.Knows(r.Context(), in.Token)
		if err != nil || known {
			s.turnedAway(r.Context(), in.Token, err)
			return door.Way{Limit: maxResult, Share: s.Bodies.Known}, err
		}
		from := door.From(r.Context())
		if contact || !s.Strangers.Enter(from) {
			s.cfg.Meter.WebhookRefused(fullEnrichKind, enrichment.ErrUnknownToken.Code)
			s.turnedAway(r.Context(), in.Token, enrichment.ErrUnknownToken)
			return door.Way{}, enrichment.ErrUnknownToken
		}
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(door.StrangerWithin))
		return door.Way{Limit: maxResult, Share: s.Strangers.Share, Leave: func() { s.Strangers.Leave(from) }}, nil
	}
}

// receiveResult answers 200 only when the body is durable.
func (s *Server) receiveResult(contact bool) func(http.ResponseWriter, *http.Request, *api.FullEnrichWebhookRequest, []byte) error {
	return func(w http.ResponseWriter, r *http.Request, in *api.FullEnrichWebhookRequest, raw []byte) error {
		if err := s.cfg.Enrichment.Receive(r.Context(), in.Token, contact, in.Signature, raw); err != nil {
			s.turnedAway(r.Context(), in.Token, err)
			return err
		}
		w.WriteHeader(http.StatusOK)
		return nil
	}
}

// turnedAway counts a result that was turned away, with the paid call that it was for if
// its address is known: somebody may ask why that waits.
func (s *Server) turnedAway(ctx context.Context, token string, err error) {
	if err == nil {
		return
	}
	subject := ""
	if sub, err := s.cfg.Store.Submissions.ByToken(ctx, sha256.Sum256([]byte(token))); err == nil {
		subject = sub.ID.String()
	}
	switch code := liwanag.CodeOf(err); liwanag.ClassOf(err) {
	case liwanag.Unauthorized: // which the door counts
		door.About(ctx, subject, code)
	case liwanag.NotFound:
		s.TurnedAway(ctx, why.ActAddress, subject, code)
	default:
		s.TurnedAway(ctx, why.ActWebhook, subject, code)
	}
}
