package enrichment

import (
	"context"
	"slices"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// suppressAtOnce is how many people a transaction marks.
const suppressAtOnce = 200

// AddSuppression suppresses an address, or a domain with its subdomains: nobody brings it in again.
// People who are here stay, as unsubscribed: nothing is looked up for them. What is suppressed already
// stays as it is. rows is how many subscribers were marked.
func (s *Service) AddSuppression(ctx context.Context, email *liwanag.Email, domain, reason string) (one liwanag.Suppression,
	rows int, err error) {
	one = liwanag.Suppression{ID: liwanag.NewID(liwanag.SuppressionKind), Domain: domain, Reason: reason, CreatedAt: s.now()}
	err = s.store.Write(ctx, func(tx *datastore.Tx) (err error) {
		if email != nil {
			one.Email = email.Address
			if one.Digest, err = tx.Suppressions.Digest(email.Key); err != nil {
				return err
			}
		}
		if one, err = tx.Suppressions.Insert(one); err != nil {
			return err
		}
		return noteSuppressed(tx, one)
	})
	if err == nil {
		rows, err = s.markSuppressed(ctx, one, email)
	}
	return one, rows, err
}

// markSuppressed marks those who are here already; none comes in meanwhile.
func (s *Service) markSuppressed(ctx context.Context, one liwanag.Suppression, email *liwanag.Email) (rows int, err error) {
	if email != nil {
		people, err := s.store.Subscribers.OfMailbox(ctx, email.Key)
		if err != nil {
			return 0, err
		}
		return s.leave(ctx, idsOf(people), one.ID.String())
	}
	var marked []liwanag.ID
	for person, err := range s.store.Subscribers.Each(ctx, liwanag.SubscriberFilter{MailDomain: one.Domain, Standing: liwanag.StandingIn}) {
		if err != nil {
			return rows, err
		}
		if marked = append(marked, person.ID); len(marked) == suppressAtOnce {
			n, err := s.leave(ctx, marked, one.ID.String())
			if rows += n; err != nil {
				return rows, err
			}
			marked = marked[:0]
		}
	}
	n, err := s.leave(ctx, marked, one.ID.String())
	return rows + n, err
}

// leave notes that people left, and says how many rows that changed.
func (s *Service) leave(ctx context.Context, people []liwanag.ID, by string) (rows int, err error) {
	err = s.store.Write(ctx, func(tx *datastore.Tx) error {
		left, err := Suppress(tx, liwanag.Departure{IDs: people, At: s.now(), By: by})
		rows = len(left)
		return err
	})
	return rows, err
}

// UnsubscribeAll notes on an operator's word that up to some hundred people left, and says how many rows
// that changed. Whoever is not there is passed over.
func (s *Service) UnsubscribeAll(ctx context.Context, ids []liwanag.ID) (rows int, err error) {
	return s.leave(ctx, ids, liwanag.ByOperator)
}

// suppressedAtOnce is how many people a transaction suppresses, each under an id of its own.
const suppressedAtOnce = 25

// SuppressAll suppresses the addresses of people, who stay as unsubscribed, and says how many rows that
// changed. Whoever is not there is passed over, and who is suppressed stays so for the reason that was given then.
func (s *Service) SuppressAll(ctx context.Context, ids []liwanag.ID, reason string) (rows int, err error) {
	for piece := range slices.Chunk(ids, suppressedAtOnce) {
		n := 0
		err := s.store.Write(ctx, func(tx *datastore.Tx) (err error) {
			n, err = s.suppressEach(tx, piece, reason)
			return err
		})
		if rows += n; err != nil {
			return rows, err
		}
	}
	return rows, nil
}

func (s *Service) suppressEach(tx *datastore.Tx, ids []liwanag.ID, reason string) (rows int, err error) {
	people, err := tx.Subscribers.Get(ids)
	if err != nil {
		return 0, err
	}
	for _, p := range people {
		one := liwanag.Suppression{ID: liwanag.NewID(liwanag.SuppressionKind), Email: p.Email, Reason: reason, CreatedAt: s.now()}
		if one.Digest, err = tx.Suppressions.Digest(p.EmailKey); err != nil {
			return rows, err
		}
		if one, err = tx.Suppressions.Insert(one); err == nil {
			err = noteSuppressed(tx, one)
		}
		if err != nil {
			return rows, err
		}
		left, err := Suppress(tx, liwanag.Departure{IDs: []liwanag.ID{p.ID}, At: s.now(), By: one.ID.String()})
		if rows += len(left); err != nil {
			return rows, err
		}
	}
	return rows, nil
}

// RemoveSuppression lets an address or a domain in again. It looks nobody up. ErrNotFound.
func (s *Service) RemoveSuppression(ctx context.Context, id liwanag.ID) error {
	if err := s.store.Write(ctx, func(tx *datastore.Tx) error { return tx.Suppressions.Delete(id) }); err != nil {
		return err
	}
	for more := true; more; {
		err := s.store.Write(ctx, func(tx *datastore.Tx) error {
			people, err := tx.Subscribers.LeftBy(id.String(), liwanag.ID{}, suppressAtOnce)
			if more = len(people) > 0; err != nil || !more {
				return err
			}
			_, err = tx.Subscribers.Suppress(liwanag.Departure{IDs: idsOf(people)})
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
