package enrichment

import (
	"context"
	"errors"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// Suppress notes in the caller's transaction that people unsubscribed: nothing
// is looked up for them any more. A job that was not sent never will be, the run
// of the others goes on; of one that was sent only the cost is recorded. Whoever
// takes their next sign-up in clears the mark.
func (e *Enricher) Suppress(tx *datastore.Tx, subscriberIDs []liwanag.ID, at time.Time) error {
	return Suppress(tx, subscriberIDs, at)
}

// Suppress is Enricher.Suppress for who has none: it needs the rows alone.
func Suppress(tx *datastore.Tx, subscriberIDs []liwanag.ID, at time.Time) error {
	if len(subscriberIDs) == 0 {
		return nil
	}
	left, err := tx.Subscribers.Suppress(subscriberIDs, at)
	if err != nil {
		return err
	}
	jobs, err := tx.Jobs.OpenOf(left)
	if err != nil {
		return err
	}
	_, err = tx.Jobs.Move(liwanag.JobMove{IDs: ids(jobs), To: liwanag.JobCanceled, At: at,
		From:    []liwanag.JobStatus{liwanag.JobPending, liwanag.JobSubmitted, liwanag.JobHeld},
		Failure: unsubscribed})
	return err
}

// Erase deletes a person and what is known of them: the subscriber, the profile,
// what sources received, and what raw results say of them. A job that was not
// sent never will be; the result of one that was is dropped when it comes, and
// its cost recorded. Jobs and paid calls stay, for the books; they name nobody.
// ErrNotFound; after any other error it is to be repeated, and ErrNotFound then
// says that all but the scrubbing was done, which the next erasure makes up for.
func (s *Service) Erase(ctx context.Context, id liwanag.ID) error {
	person, err := s.store.Subscribers.Get(ctx, id)
	if err != nil {
		return err
	}
	// The person goes between two looks at the bodies: what the first one finds is
	// gone whatever happens later, the second finds what came in between, and of
	// what comes afterwards nothing is stored (insertDelivery).
	if err := s.forgetBodies(ctx, person); err != nil {
		return err
	}
	now, one := s.now(), []liwanag.ID{id}
	err = s.store.Write(ctx, func(tx *datastore.Tx) error {
		jobs, err := tx.Jobs.OpenOf(one)
		if err != nil {
			return err
		}
		if _, err := tx.Jobs.Move(liwanag.JobMove{IDs: ids(jobs), From: []liwanag.JobStatus{liwanag.JobPending}, To: liwanag.JobCanceled, At: now,
			Failure: erased}); err != nil {
			return err
		}
		return errors.Join(tx.Messages.DropAbout(id, now), tx.Subscribers.Delete(one))
	})
	if err != nil {
		return err
	}
	return errors.Join(s.forgetBodies(ctx, person), s.store.Scrub(ctx))
}

// Why the lookup of a person who left ended.
var (
	erased       = liwanag.JobFailure{Code: liwanag.CodeErased, Message: "the subscriber was erased"}
	unsubscribed = liwanag.JobFailure{Code: liwanag.CodeUnsubscribed, Message: "the subscriber unsubscribed"}
)

// left says whether the person of a job was erased or unsubscribed: nothing is
// ordered or kept for them.
func left(j liwanag.Job) (why liwanag.JobFailure, yes bool) {
	switch {
	case j.EmailKey == "":
		return erased, true
	case j.Suppressed:
		return unsubscribed, true
	}
	return liwanag.JobFailure{}, false
}

// Redeliver looks once more at a delivery that could not be applied whole, when
// its cause may be gone. ErrNotFound; ErrState for one that is neither
// quarantined nor unmatched.
func (s *Service) Redeliver(ctx context.Context, digest liwanag.Digest) error {
	err := s.store.Write(ctx, func(tx *datastore.Tx) error {
		d, err := tx.Deliveries.Get(digest)
		if err != nil {
			return err
		}
		to := liwanag.DeliveryStored
		if d.SubmissionID.IsZero() {
			to = liwanag.DeliveryUnmatched
		}
		moved, err := tx.Deliveries.Move(liwanag.DeliveryMove{Digest: digest, To: to,
			From: []liwanag.DeliveryState{liwanag.DeliveryQuarantined, liwanag.DeliveryUnmatched}})
		if err == nil && !moved {
			return liwanag.NewError(liwanag.Conflict, liwanag.ErrState.Code, "only a delivery that is quarantined or unmatched can be replayed")
		}
		return err
	})
	if err != nil {
		return err
	}
	return s.deliver(ctx, digest)
}
