package enrichment

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/liwanag/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/internal/liwanag"
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
	// what comes afterwards nothing is kept.
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

// formsOf are the texts by which a body may name a person.
func formsOf(email, key string) []string {
	var forms []string
	for _, address := range []string{email, key} {
		inJSON, _ := json.Marshal(address) // a text: it can be encoded
		forms = append(forms, address, strings.Trim(string(inJSON), `"`), strings.Trim(strconv.QuoteToASCII(address), `"`),
			url.QueryEscape(address), strings.ReplaceAll(address, "@", "%40"))
	}
	slices.Sort(forms)
	return slices.Compact(forms)
}

// forgetBodies drops what sources received and takes out of raw results what
// names a person.
func (s *Service) forgetBodies(ctx context.Context, p liwanag.Subscriber) error {
	receipts, err := s.store.Receipts.Naming(ctx, formsOf(p.Email, p.EmailKey))
	if err != nil {
		return err
	}
	rewritten, err := s.bodiesWithout(ctx, p)
	if err != nil || len(receipts)+len(rewritten) == 0 {
		return err
	}
	return s.store.Write(ctx, func(tx *datastore.Tx) error {
		for digest, raw := range rewritten {
			if _, err := tx.Deliveries.Rewrite(digest, raw); err != nil {
				return err
			}
		}
		return tx.Receipts.DropBodies(receipts)
	})
}

// bodiesWithout are the raw results that say something of a person and are not
// settled, each without it.
func (s *Service) bodiesWithout(ctx context.Context, p liwanag.Subscriber) (map[liwanag.Digest][]byte, error) {
	forms := formsOf(p.Email, p.EmailKey)
	jobs, err := s.store.Jobs.OfSubscriber(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	for _, job := range jobs {
		forms = append(forms, job.ID.String())
	}
	person, rewritten := naming(forms), map[liwanag.Digest][]byte{}
	unsettled := []liwanag.DeliveryState{liwanag.DeliveryStored, liwanag.DeliverySent, liwanag.DeliveryQuarantined, liwanag.DeliveryUnmatched}
	for page := (liwanag.Page{Limit: 200}); ; {
		rows, next, err := s.store.Deliveries.List(ctx, liwanag.DeliveryFilter{States: unsettled}, page)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			d, err := s.store.Deliveries.Get(ctx, row.Digest)
			if err != nil && !errors.Is(err, liwanag.ErrNotFound) {
				return nil, err
			}
			if !person.Match(d.Raw) {
				continue
			}
			kept := only(d.Raw, func(record []byte) bool { return !person.Match(record) })
			if person.Match(kept) {
				kept = nothing
			}
			rewritten[d.Digest] = kept
		}
		if next == "" {
			return rewritten, nil
		}
		page.Cursor = next
	}
}

// naming finds the forms in a text, whatever their case, each as a word of its
// own: ana@example.net is not in joana@example.net.
func naming(forms []string) *regexp.Regexp {
	const before, after = `(?:^|[^\pL\pN._+-]|\\[bfnrt]|\\u[[:xdigit:]]{4}|%[[:xdigit:]]{2})`, `(?:$|[^\pL\pN._-]|\.(?:$|[^\pL\pN]))`
	quoted := make([]string, len(forms))
	for i, f := range forms {
		quoted[i] = regexp.QuoteMeta(f)
	}
	return regexp.MustCompile(`(?i)` + before + `(?:` + strings.Join(quoted, "|") + `)` + after)
}

// nothing is what is left of a body that names a person where no record is.
var nothing = []byte("{}")

// only is a result with the records that are to be kept. What cannot be read as a
// result is emptied.
func only(raw []byte, keep func(record []byte) bool) []byte {
	var result map[string]json.RawMessage
	var records []json.RawMessage
	if json.Unmarshal(raw, &result) != nil || json.Unmarshal(result["data"], &records) != nil {
		return nothing
	}
	data, err := json.Marshal(slices.DeleteFunc(records, func(r json.RawMessage) bool { return !keep(r) }))
	result["data"] = data
	kept, encodeErr := json.Marshal(result)
	if err != nil || encodeErr != nil {
		return nothing
	}
	return kept
}

// forReview takes out of a body that is kept for review what it says of people who
// left. A record that names none of the others may be theirs, and goes too.
func forReview(tx *datastore.Tx, d liwanag.Delivery, jobs []liwanag.Job) error {
	staying := map[string]bool{}
	complete := true
	for _, j := range jobs {
		if _, gone := left(j); gone {
			complete = false
		} else {
			staying[j.ID.String()], staying[j.EmailKey] = true, true
		}
	}
	if complete {
		return nil
	}
	_, err := tx.Deliveries.Rewrite(d.Digest, only(d.Raw, func(record []byte) bool {
		var of struct {
			Input  struct{ Email string }
			Custom map[string]any
		}
		_ = json.Unmarshal(record, &of) // what cannot be read names nobody
		job, _ := of.Custom[customJob].(string)
		return staying[job] || staying[emailKey(of.Input.Email)]
	}))
	return err
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
