package enrichment

import (
	"context"

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
		one, err = tx.Suppressions.Insert(one)
		return err
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
		return s.markLeft(ctx, one, idsOf(people))
	}
	var marked []liwanag.ID
	for person, err := range s.store.Subscribers.Each(ctx, liwanag.SubscriberFilter{MailDomain: one.Domain, Standing: liwanag.StandingIn}) {
		if err != nil {
			return rows, err
		}
		if marked = append(marked, person.ID); len(marked) == suppressAtOnce {
			n, err := s.markLeft(ctx, one, marked)
			if rows += n; err != nil {
				return rows, err
			}
			marked = marked[:0]
		}
	}
	n, err := s.markLeft(ctx, one, marked)
	return rows + n, err
}

func (s *Service) markLeft(ctx context.Context, one liwanag.Suppression, people []liwanag.ID) (rows int, err error) {
	err = s.store.Write(ctx, func(tx *datastore.Tx) error {
		left, err := Suppress(tx, liwanag.Departure{IDs: people, At: s.now(), By: one.ID.String()})
		rows = len(left)
		return err
	})
	return rows, err
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
