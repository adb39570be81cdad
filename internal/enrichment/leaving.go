package enrichment

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/liwanag/liwanag/internal/liwanag"
)

// Suppress notes in the caller's transaction that people unsubscribed: nothing
// is looked up for them any more. A job that was not sent never will be, the run
// of the others goes on; of one that was sent only the cost is recorded. Whoever
// takes their next sign-up in clears the mark.
func (e *Enricher) Suppress(tx liwanag.Tx, subscriberIDs []liwanag.ID, at time.Time) error {
	if len(subscriberIDs) == 0 {
		return nil
	}
	left, err := tx.Subscribers().Suppress(subscriberIDs, at)
	if err != nil {
		return err
	}
	jobs, err := tx.Jobs().OpenOf(left)
	if err != nil {
		return err
	}
	_, err = tx.Jobs().Move(liwanag.JobMove{IDs: ids(jobs), To: liwanag.JobCanceled, At: at,
		From:    []liwanag.JobStatus{liwanag.JobPending, liwanag.JobSubmitted, liwanag.JobHeld},
		Failure: liwanag.JobFailure{Code: liwanag.CodeUnsubscribed, Message: "the subscriber unsubscribed"}})
	return err
}

// Erase deletes a person and what is known of them: the subscriber, the profile,
// what sources received, and what raw results say of them. A job that was not
// sent never will be; the result of one that was is dropped when it comes, and
// its cost recorded. Jobs and paid calls stay, for the books; they name nobody.
// ErrNotFound. Repeating it after any other error finishes it.
func (s *Service) Erase(ctx context.Context, id liwanag.ID) error {
	person, err := s.store.Subscribers().Get(ctx, id)
	if err != nil {
		return err
	}
	receipts, err := s.store.Receipts().Naming(ctx, formsOf(person))
	if err != nil {
		return err
	}
	rewritten, err := s.bodiesWithout(ctx, person)
	if err != nil {
		return err
	}
	now, one := s.now(), []liwanag.ID{id}
	err = s.store.Write(ctx, func(tx liwanag.Tx) error {
		jobs, err := tx.Jobs().OpenOf(one)
		if err != nil {
			return err
		}
		if _, err := tx.Jobs().Move(liwanag.JobMove{IDs: ids(jobs), From: []liwanag.JobStatus{liwanag.JobPending}, To: liwanag.JobCanceled, At: now,
			Failure: erased}); err != nil {
			return err
		}
		for digest, raw := range rewritten {
			if _, err := tx.Deliveries().Rewrite(digest, raw); err != nil {
				return err
			}
		}
		return errors.Join(tx.Receipts().DropBodies(receipts), tx.Messages().DropAbout(id, now), tx.Subscribers().Delete(one))
	})
	if err != nil {
		return err
	}
	return s.store.Scrub(ctx)
}

var erased = liwanag.JobFailure{Code: liwanag.CodeErased, Message: "the subscriber was erased"}

// whoLeft says who of the people of jobs unsubscribed or was erased.
func whoLeft(tx liwanag.Tx, jobs []liwanag.Job) (map[liwanag.ID]bool, error) {
	left, asked := map[liwanag.ID]bool{}, make([]liwanag.ID, len(jobs))
	for i, j := range jobs {
		left[j.SubscriberID], asked[i] = true, j.SubscriberID
	}
	people, err := tx.Subscribers().Get(asked)
	for _, p := range people {
		left[p.ID] = !p.SuppressedAt.IsZero()
	}
	return left, err
}

// formsOf are the texts by which a body may name a person.
func formsOf(p liwanag.Subscriber) []string {
	var forms []string
	for _, address := range []string{p.Email, p.EmailKey} {
		inJSON, _ := json.Marshal(address) // a text: it can be encoded
		forms = append(forms, address, strings.Trim(string(inJSON), `"`), url.QueryEscape(address), strings.ReplaceAll(address, "@", "%40"))
	}
	slices.Sort(forms)
	return slices.Compact(forms)
}

// bodiesWithout are the raw results that say something of a person and are not
// settled, each without it.
func (s *Service) bodiesWithout(ctx context.Context, p liwanag.Subscriber) (map[liwanag.Digest][]byte, error) {
	forms := formsOf(p)
	jobs, err := s.store.Jobs().OfSubscriber(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	for _, job := range jobs {
		forms = append(forms, job.ID.String())
	}
	rewritten := map[liwanag.Digest][]byte{}
	unsettled := []liwanag.DeliveryState{liwanag.DeliveryStored, liwanag.DeliverySent, liwanag.DeliveryQuarantined, liwanag.DeliveryUnmatched}
	for page := (liwanag.Page{Limit: 200}); ; {
		rows, next, err := s.store.Deliveries().List(ctx, liwanag.DeliveryFilter{States: unsettled}, page)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			d, err := s.store.Deliveries().Get(ctx, row.Digest)
			if err != nil && !errors.Is(err, liwanag.ErrNotFound) {
				return nil, err
			}
			if names(d.Raw, forms) {
				rewritten[d.Digest] = without(d.Raw, forms)
			}
		}
		if next == "" {
			return rewritten, nil
		}
		page.Cursor = next
	}
}

func names(raw []byte, forms []string) bool {
	lower := bytes.ToLower(raw)
	return slices.ContainsFunc(forms, func(f string) bool { return bytes.Contains(lower, []byte(strings.ToLower(f))) })
}

// without takes the records that name a person out of a result. What cannot be
// read as one, or names the person elsewhere, is emptied.
func without(raw []byte, forms []string) []byte {
	var result map[string]json.RawMessage
	var records []json.RawMessage
	if json.Unmarshal(raw, &result) != nil || json.Unmarshal(result["data"], &records) != nil {
		return []byte("{}")
	}
	records = slices.DeleteFunc(records, func(r json.RawMessage) bool { return names(r, forms) })
	data, err := json.Marshal(records)
	result["data"] = data
	left, encodeErr := json.Marshal(result)
	if err != nil || encodeErr != nil || names(left, forms) {
		return []byte("{}")
	}
	return left
}

// Redeliver looks once more at a delivery that could not be applied whole, when
// its cause may be gone. ErrNotFound; ErrState for one that is neither
// quarantined nor unmatched.
func (s *Service) Redeliver(ctx context.Context, digest liwanag.Digest) error {
	err := s.store.Write(ctx, func(tx liwanag.Tx) error {
		d, err := tx.Deliveries().Get(digest)
		if err != nil {
			return err
		}
		to := liwanag.DeliveryStored
		if d.SubmissionID.IsZero() {
			to = liwanag.DeliveryUnmatched
		}
		moved, err := tx.Deliveries().Move(liwanag.DeliveryMove{Digest: digest, To: to,
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
