package httpapi

import (
	"context"
	"encoding/json"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/workflow/runapi"
)

func (s *Server) exportPerson(ctx context.Context, in *runapi.IDPath) (api.PersonExport, error) {
	detail, err := s.getSubscriber(ctx, in)
	if err != nil {
		return api.PersonExport{}, err
	}
	id, err := idOf(liwanag.SubscriberKind, detail.ID, "subscriber")
	if err != nil {
		return api.PersonExport{}, err
	}
	person, err := s.cfg.Store.Subscribers.Get(ctx, id)
	if err != nil {
		return api.PersonExport{}, named(err, "subscriber")
	}
	out := api.PersonExport{ExportedAt: s.cfg.Now().UTC(), Subscriber: detail, Tags: person.Tags, Received: []api.ReceivedBody{}}
	door.Extend(ctx)
	bodies, err := s.cfg.Enrichment.Received(ctx, person)
	if err != nil {
		return api.PersonExport{}, err
	}
	for _, b := range bodies {
		if !json.Valid(b.Body) {
			b.Body, _ = json.Marshal(string(b.Body)) // a text
		}
		view := api.ReceivedBody{DeliveryID: b.Receipt.String(), Source: b.Source.String(), ReceivedAt: b.ReceivedAt.UTC(), Body: b.Body}
		if b.Receipt.IsZero() {
			view.DeliveryID, view.Source = viewDelivery(liwanag.Delivery{Digest: b.Digest}).ID, fromFullEnrich
		}
		out.Received = append(out.Received, view)
	}
	return out, nil
}
