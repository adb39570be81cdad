package enrichment

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// Suppress notes in the caller's transaction that people unsubscribed: nothing
// is looked up for them any more. A job that was not sent never will be, the run
// of the others goes on; of one that was sent only the cost is recorded. It is told
// to the sinks. Whoever takes their next sign-up in clears the mark.
func (e *Enricher) Suppress(tx *datastore.Tx, d liwanag.Departure) error {
	_, err := Suppress(tx, d)
	return err
}

// Suppress is Enricher.Suppress for who has none: it needs the rows alone. It
// returns those who had not unsubscribed before. Of those who are new with it nothing is told.
func Suppress(tx *datastore.Tx, d liwanag.Departure, fresh ...liwanag.ID) ([]liwanag.ID, error) {
	if len(d.IDs) == 0 {
		return nil, nil
	}
	left, err := tx.Subscribers.Suppress(d)
	if err != nil || len(left) == 0 {
		return nil, err
	}
	if err := cancelOpen(tx, left, d.At); err != nil {
		return nil, err
	}
	if err := noteLeft(tx, left, d.At); err != nil {
		return nil, err
	}
	var news []liwanag.Announcement
	for _, id := range left {
		if !slices.Contains(fresh, id) {
			news = append(news, liwanag.Announcement{Topic: liwanag.TopicUnsubscribed, Subject: id, At: d.At})
		}
	}
	_, err = datastore.Announce(tx, news)
	return left, err
}

// cancelOpen ends the lookups of people who unsubscribed, and their waiting for another one.
func cancelOpen(tx *datastore.Tx, left []liwanag.ID, at time.Time) error {
	jobs, err := tx.Jobs.OpenOf(left)
	if err != nil {
		return err
	}
	waiting, err := tx.Jobs.WaitingOf(left)
	if err != nil {
		return err
	}
	_, err = tx.Jobs.Move(liwanag.JobMove{IDs: ids(append(jobs, waiting...)), To: liwanag.JobCanceled, At: at,
		From:    []liwanag.JobStatus{liwanag.JobPending, liwanag.JobSubmitted, liwanag.JobHeld, liwanag.JobCanceled},
		Failure: unsubscribed})
	return err
}

// Unsubscribe notes on an operator's word that a person left, and says how many rows that changed.
// ErrNotFound.
func (s *Service) Unsubscribe(ctx context.Context, id liwanag.ID) (rows int, err error) {
	return s.stand(ctx, id, func(tx *datastore.Tx, d liwanag.Departure) ([]liwanag.ID, error) { return Suppress(tx, d) })
}

// Resubscribe notes on an operator's word that a person came back, and says how many rows that
// changed. It looks nobody up. ErrNotFound, ErrSuppressed.
func (s *Service) Resubscribe(ctx context.Context, id liwanag.ID) (rows int, err error) {
	return s.stand(ctx, id, func(tx *datastore.Tx, d liwanag.Departure) ([]liwanag.ID, error) {
		people, err := tx.Subscribers.Get(d.IDs)
		if err != nil || len(people) == 0 {
			return nil, err
		}
		suppressed, err := tx.Suppressions.Of([]string{people[0].EmailKey})
		if err != nil || suppressed.Has(people[0].EmailKey) {
			return nil, cmp.Or(err, error(liwanag.ErrSuppressed))
		}
		return tx.Subscribers.Suppress(liwanag.Departure{IDs: d.IDs})
	})
}

// ResubscribeUpload takes back those who left because a file said so, and of whom nobody else said
// it since, and says how many rows that changed. It looks nobody up, and leaves out who is suppressed.
// ErrNotFound; ErrState while the file is being imported.
func (s *Service) ResubscribeUpload(ctx context.Context, id liwanag.ID) (rows int, err error) {
	var after liwanag.ID
	for more := true; more; {
		err := s.store.Write(ctx, func(tx *datastore.Tx) error {
			up, err := tx.Uploads.Get(id)
			if err == nil && up.Status == liwanag.UploadImporting {
				err = liwanag.NewError(liwanag.Conflict, liwanag.ErrState.Code, "the upload is importing: wait for its end, or cancel it")
			}
			if err != nil {
				return err
			}
			left, err := tx.Subscribers.LeftBy(id.String(), after, suppressAtOnce)
			if more = len(left) > 0; err != nil || !more {
				return err
			}
			after = left[len(left)-1].ID
			changed, err := liftLeft(tx, left)
			rows += len(changed)
			return err
		})
		if err != nil {
			return rows, err
		}
	}
	return rows, nil
}

// liftLeft notes that people came back, but for those who are suppressed.
func liftLeft(tx *datastore.Tx, people []liwanag.Subscriber) ([]liwanag.ID, error) {
	keys := make([]string, len(people))
	for i, p := range people {
		keys[i] = p.EmailKey
	}
	suppressed, err := tx.Suppressions.Of(keys)
	if err != nil {
		return nil, err
	}
	people = slices.DeleteFunc(people, func(p liwanag.Subscriber) bool { return suppressed.Has(p.EmailKey) })
	return tx.Subscribers.Suppress(liwanag.Departure{IDs: idsOf(people)})
}

func (s *Service) stand(ctx context.Context, id liwanag.ID,
	change func(*datastore.Tx, liwanag.Departure) ([]liwanag.ID, error)) (rows int, err error) {
	if _, err := s.store.Subscribers.Get(ctx, id); err != nil {
		return 0, err
	}
	err = s.store.Write(ctx, func(tx *datastore.Tx) error {
		changed, err := change(tx, liwanag.Departure{IDs: []liwanag.ID{id}, At: s.now(), By: liwanag.ByOperator})
		rows = len(changed)
		return err
	})
	return rows, err
}

// Erase deletes a person and what is known of them: the subscriber, the profile,
// what sources received, and what raw results say of them. A job that was not
// sent never will be; the result of one that was is dropped when it comes, and
// its cost recorded. Jobs and paid calls stay, for the books; they name nobody.
// ErrNotFound; after any other error it is to be repeated, and the sweep repeats a scrub
// that failed.
// It is of the mailbox: it says how many subscribers that were.
func (s *Service) Erase(ctx context.Context, id liwanag.ID) (rows int, err error) {
	return s.eraseOne(ctx, id, nil)
}

// EraseAndSuppress is Erase, and keeps an HMAC of the address, so that nobody brings the person in again.
func (s *Service) EraseAndSuppress(ctx context.Context, id liwanag.ID, reason string) (rows int, err error) {
	return s.eraseOne(ctx, id, &liwanag.Suppression{Reason: reason})
}

// EraseAll is Erase of up to some hundred people, without its end, which is Scrub; suppress, which may be
// nil, says why their addresses are suppressed. Whoever is not there is passed over.
func (s *Service) EraseAll(ctx context.Context, ids []liwanag.ID, suppress *liwanag.Suppression) (rows int, err error) {
	all := map[liwanag.ID]liwanag.Subscriber{}
	for _, id := range ids {
		if _, there := all[id]; there {
			continue
		}
		person, err := s.store.Subscribers.Get(ctx, id)
		if errors.Is(err, liwanag.ErrNotFound) {
			continue
		}
		if err != nil {
			return 0, err
		}
		people, err := s.store.Subscribers.OfMailbox(ctx, person.EmailKey)
		if err != nil {
			return 0, err
		}
		for _, p := range people {
			all[p.ID] = p
		}
	}
	if len(all) == 0 {
		return 0, nil
	}
	people := slices.SortedFunc(maps.Values(all), func(a, b liwanag.Subscriber) int { return a.ID.Compare(b.ID) })
	return len(people), s.erase(ctx, people, suppress)
}

func (s *Service) eraseOne(ctx context.Context, id liwanag.ID, suppress *liwanag.Suppression) (rows int, err error) {
	person, err := s.store.Subscribers.Get(ctx, id)
	if _, owed := s.unscrubbed.Load(id); owed && errors.Is(err, liwanag.ErrNotFound) {
		return 0, s.Scrub(ctx) // the rest was done
	}
	if err != nil {
		return 0, err
	}
	people, err := s.store.Subscribers.OfMailbox(ctx, person.EmailKey)
	if err != nil || len(people) == 0 {
		return 0, cmp.Or(err, error(liwanag.ErrNotFound))
	}
	if err := s.erase(ctx, people, suppress); err != nil {
		return 0, errors.Join(err, s.scrubOwed(ctx))
	}
	return len(people), s.Scrub(ctx)
}

// erase deletes people.
//
// They go between two looks at the bodies: what the first one finds is gone whatever happens later, the second
// finds what came in between, and of what comes afterwards nothing is stored (insertDelivery).
func (s *Service) erase(ctx context.Context, people []liwanag.Subscriber, suppress *liwanag.Suppression) error {
	if err := s.noteErasing(ctx, people, suppress); err != nil {
		return err
	}
	if err := s.forgetBodies(ctx, people); err != nil {
		return err
	}
	now, them := s.now(), idsOf(people)
	for _, one := range them {
		s.unscrubbed.Store(one, true)
	}
	err := s.store.Write(ctx, func(tx *datastore.Tx) error {
		jobs, err := tx.Jobs.OpenOf(them)
		if err != nil {
			return err
		}
		waiting, err := tx.Jobs.WaitingOf(them)
		if err != nil {
			return err
		}
		if _, err := tx.Jobs.Move(liwanag.JobMove{IDs: ids(append(jobs, waiting...)), To: liwanag.JobCanceled, At: now,
			From: []liwanag.JobStatus{liwanag.JobPending, liwanag.JobCanceled}, Failure: erased}); err != nil {
			return err
		}
		for _, one := range them {
			if err := tx.Messages.DropAbout(one, now); err != nil {
				return err
			}
		}
		if err := tx.Subscribers.Delete(them); err != nil {
			return err
		}
		for _, p := range people {
			if err := remember(tx, p, suppress, now); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	var forms []string
	for _, p := range people {
		forms = append(forms, formsOf(p.Email, p.EmailKey)...)
	}
	return errors.Join(s.forgetBodies(ctx, people), s.forgetUploads(ctx, naming(forms)))
}

// Scrub overwrites what erasures left in the files of the database.
func (s *Service) Scrub(ctx context.Context) error {
	err := s.scrubs(ctx)
	if err == nil {
		s.unscrubbed.Clear()
	}
	return err
}

// scrubOwed scrubs what an erasure could not.
func (s *Service) scrubOwed(ctx context.Context) (err error) {
	s.unscrubbed.Range(func(any, any) bool { err = s.Scrub(ctx); return false })
	return err
}

// remember keeps of an erased person the HMAC of the address at most.
func remember(tx *datastore.Tx, person liwanag.Subscriber, suppress *liwanag.Suppression, now time.Time) error {
	digest, err := tx.Suppressions.Digest(person.EmailKey)
	if err != nil {
		return err
	}
	if suppress != nil {
		one := *suppress
		one.ID, one.Digest, one.CreatedAt = liwanag.NewID(liwanag.SuppressionKind), digest, now
		if _, err := tx.Suppressions.Insert(one); err != nil {
			return err
		}
	}
	return tx.Suppressions.Forget(digest)
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
