package enrichment

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// ReceivedBody is what a body that is still kept says of a person.
type ReceivedBody struct {
	Receipt    liwanag.ID     // of a source's webhook; zero for a result
	Source     liwanag.ID     // of a receipt
	Digest     liwanag.Digest // of a result
	ReceivedAt time.Time
	Body       []byte
}

// Received finds what sources received and what FullEnrich sent of a person, as far
// as it is kept; what is said of others in the same body is left out.
func (s *Service) Received(ctx context.Context, p liwanag.Subscriber) (all []ReceivedBody, err error) {
	addresses := formsOf(p.Email, p.EmailKey)
	person := naming(addresses)
	receipts, err := s.store.Receipts.Naming(ctx, addresses)
	if err != nil {
		return nil, err
	}
	for _, id := range receipts {
		r, err := s.store.Receipts.Get(ctx, id)
		if err != nil && !errors.Is(err, liwanag.ErrNotFound) {
			return nil, err
		}
		if person.Match(r.Body) {
			all = append(all, ReceivedBody{Receipt: r.ID, Source: r.SourceID, ReceivedAt: r.ReceivedAt, Body: about(r.Body, person)})
		}
	}
	results, err := s.bodiesNaming(ctx, person)
	for _, digest := range results {
		d, err := s.store.Deliveries.Get(ctx, digest)
		if err != nil && !errors.Is(err, liwanag.ErrNotFound) {
			return nil, err
		}
		if person.Match(d.Raw) {
			all = append(all, ReceivedBody{Digest: digest, ReceivedAt: d.ReceivedAt, Body: about(d.Raw, person)})
		}
	}
	slices.SortStableFunc(all, func(a, b ReceivedBody) int { return b.ReceivedAt.Compare(a.ReceivedAt) })
	return all, err
}

// about leaves out of lists that name a person the elements that do not. What is no
// JSON, such as a form, tells of one person.
func about(body []byte, person *regexp.Regexp) []byte {
	var list []json.RawMessage
	if json.Unmarshal(body, &list) == nil && list != nil {
		if slices.ContainsFunc(list, func(e json.RawMessage) bool { return person.Match(e) }) {
			list = slices.DeleteFunc(list, func(e json.RawMessage) bool { return !person.Match(e) })
		}
		for i := range list {
			list[i] = about(list[i], person)
		}
		return encoded(list, body)
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(body, &object) != nil || object == nil {
		return body
	}
	for name, member := range object {
		object[name] = about(member, person)
	}
	return encoded(object, body)
}

func encoded(v any, or []byte) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		return or
	}
	return raw
}
