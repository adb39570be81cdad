package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/liwanag/liwanag/internal/api"
	"github.com/liwanag/liwanag/internal/intake"
	"github.com/liwanag/liwanag/workflow/runapi"
)

const (
	// maxSignUpBody bounds a body of up to 500 sign-ups.
	maxSignUpBody = 5 << 20
	// hookWithin bounds the work for a webhook or a sign-up: when the database hangs,
	// 503 is better than no answer. Its sender repeats it, and makes room for others.
	// FullEnrich waits ten seconds for the answer.
	hookWithin = 8 * time.Second
)

func (s *Server) registerSubscriberWebhook() {
	op := hook(s, api.SubscriberWebhook, s.admitSignUps, s.receiveSignUps)
	one := signUpSchema(s, true)
	many := &huma.Schema{Type: huma.TypeArray, Items: one, MaxItems: new(int)}
	*many.MaxItems = intake.MaxSignUps
	op.RequestBody = &huma.RequestBody{Required: true, Content: content("application/json", &huma.Schema{OneOf: []*huma.Schema{one, many}})}
	op.Responses["202"].Content = content("application/json",
		&huma.Schema{OneOf: []*huma.Schema{schemaOf[api.SignedUp](s), schemaOf[api.SignedUpMany](s)}})
}

func (s *Server) admitSignUps(http.ResponseWriter, *http.Request, *api.SubscriberWebhookRequest) (way, error) {
	return way{limit: maxSignUpBody, share: s.unproven}, nil
}

// way is how a webhook's body comes in.
type way struct {
	limit int64
	share *share
	leave func() // gives back what was taken for it; nil: nothing
}

// hook adds a webhook's route: it is open, since the webhook brings its own
// proof, and it answers a GET, which senders make when an address is entered. A
// full disk is 503: senders repeat that. admit looks at what the path shows; when
// it refuses, the body is left unread. Anybody may send a body slowly, so it is
// read before the webhook takes one of the places for those that are worked on.
func hook[In, Out any](s *Server, route runapi.Route[In, Out], admit func(http.ResponseWriter, *http.Request, *In) (way, error),
	serve func(http.ResponseWriter, *http.Request, *In, []byte) error) *huma.Operation {
	op := describe(s, route)
	s.add(op, route.Open, func(w http.ResponseWriter, r *http.Request) error {
		in := new(In)
		runapi.Decode(r, in, runapi.RFC3339) // texts: each can be read
		looking, cancel := context.WithTimeout(r.Context(), hookWithin)
		by, err := admit(w, r.WithContext(looking), in)
		cancel()
		if err != nil {
			leaveUnread(w)
			return s.hookFault(r, err)
		}
		if by.leave != nil {
			defer by.leave()
		}
		scopeOf(r.Context()).share = by.share
		raw, err := s.readBody(w, r, by.limit)
		if err == nil {
			err = s.hookPool.enter(r.Context())
		}
		if err == nil {
			defer s.hookPool.leave()
			ctx, cancel := context.WithTimeout(r.Context(), hookWithin)
			defer cancel()
			err = serve(w, r.WithContext(ctx), in, raw)
		}
		if err == nil {
			return nil
		}
		return s.hookFault(r, err)
	})
	s.open["GET "+op.Path] = true
	s.route("GET "+op.Path, func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(http.StatusOK)
		return nil
	})
	return op
}

func (s *Server) hookFault(r *http.Request, err error) error {
	p := *s.problemOf(err)
	switch {
	case p.Status == http.StatusUnauthorized:
		return s.failed(r, &p)
	case p.Status == http.StatusInsufficientStorage:
		p.Status, p.Title = http.StatusServiceUnavailable, http.StatusText(http.StatusServiceUnavailable)
	}
	return &p
}

// leaveUnread ends the connection with the answer: to keep it, net/http would read
// the rest of the body first. Not every connection has deadlines (tests).
func leaveUnread(w http.ResponseWriter) {
	w.Header().Set("Connection", "close")
	_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0))
}

// signUpsKind is how sign-ups by this route count among webhooks.
const signUpsKind = "subscribers"

func (s *Server) receiveSignUps(w http.ResponseWriter, r *http.Request, _ *api.SubscriberWebhookRequest, raw []byte) error {
	err := s.takeSignUps(w, r, raw)
	if err == nil {
		s.cfg.Meter.WebhookAccepted(signUpsKind)
	} else if p := s.problemOf(err); p.Status < 500 {
		s.cfg.Meter.WebhookRefused(signUpsKind, p.Code)
	}
	return err
}

func (s *Server) takeSignUps(w http.ResponseWriter, r *http.Request, raw []byte) error {
	proof, err := s.verifier.Verify(r.Header, raw)
	if err != nil {
		return err
	}
	if err := isJSON(r); err != nil {
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
	return writeJSON(w, http.StatusAccepted, runapi.List[intake.Result]{Items: results})
}
