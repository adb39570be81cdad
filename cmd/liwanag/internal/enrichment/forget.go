package enrichment

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich"
)

// insertDelivery is the only way in for a raw result. What it says of people who
// were erased is taken out before: what is written reaches the database's log,
// and nothing scrubs that when the result is settled.
func insertDelivery(tx *datastore.Tx, d liwanag.Delivery) (fresh bool, err error) {
	jobs, err := concerned(tx, d)
	if err != nil {
		return false, err
	}
	d.Raw = withoutErased(d.Raw, jobs)
	return tx.Deliveries.Insert(d)
}

var jobIDs = regexp.MustCompile(string(liwanag.JobKind) + `[[:xdigit:]-]{36}`)

// concerned are the jobs of a delivery's submission, and those that its body
// names, whether it can be read or not.
func concerned(tx *datastore.Tx, d liwanag.Delivery) ([]liwanag.Job, error) {
	named := map[liwanag.ID]bool{}
	for _, text := range jobIDs.FindAll(d.Raw, -1) {
		if id, err := liwanag.ParseID(liwanag.JobKind, string(text)); err == nil {
			named[id] = true
		}
	}
	jobs, err := tx.Jobs.OfSubmission(d.SubmissionID)
	if err != nil {
		return nil, err
	}
	for _, j := range jobs {
		delete(named, j.ID)
	}
	others, err := tx.Jobs.Get(slices.Collect(maps.Keys(named)))
	return append(jobs, others...), err
}

func isErased(j liwanag.Job) bool { return j.EmailKey == "" }

// withoutErased is a result without what it says of people who were erased. With
// one of them gone, a record that names none of the others may be theirs.
func withoutErased(raw []byte, jobs []liwanag.Job) []byte {
	if !slices.ContainsFunc(jobs, isErased) {
		return raw
	}
	staying := rosterOf(slices.DeleteFunc(slices.Clone(jobs), isErased))
	return rewritten(raw, func(r fullenrich.Record) json.RawMessage {
		if _, ok := staying.owner(r); ok {
			return r.Raw
		}
		return remains(r)
	})
}

// forReview takes out of a body that is kept for review what it says of people who
// left. What an unsubscribed person's record cost is booked by now, and a look at
// it after they came back must find nothing.
func forReview(tx *datastore.Tx, d liwanag.Delivery) error {
	jobs, err := concerned(tx, d)
	if err != nil {
		return err
	}
	var staying, unsubscribed []liwanag.Job
	for _, j := range jobs {
		switch {
		case isErased(j):
		case j.Suppressed:
			unsubscribed = append(unsubscribed, j)
		default:
			staying = append(staying, j)
		}
	}
	if len(staying) == len(jobs) {
		return nil
	}
	stays, left := rosterOf(staying), rosterOf(unsubscribed)
	_, err = tx.Deliveries.Rewrite(d.Digest, rewritten(d.Raw, func(r fullenrich.Record) json.RawMessage {
		if _, ok := stays.owner(r); ok {
			return r.Raw
		}
		if _, ok := left.owner(r); ok {
			return nil
		}
		return remains(r)
	}))
	return err
}

// What is left of a body that cannot be read: one that cannot be read either, for
// the same reason.
var (
	unreadable  = []byte(`[]`)
	unsupported = []byte(`{"datas":[]}`)
)

// rewritten is a result with each record as instead gives it, nil: without it, and
// nothing else but what settling needs.
func rewritten(raw []byte, instead func(r fullenrich.Record) json.RawMessage) []byte {
	res, err := fullenrich.ParseResult(raw)
	switch {
	case errors.Is(err, fullenrich.ErrUnsupportedShape):
		return unsupported
	case err != nil:
		return unreadable
	}
	data := []json.RawMessage{}
	for _, r := range res.Data {
		if record := instead(r); record != nil {
			data = append(data, record)
		}
	}
	body := map[string]any{"id": res.ID, "name": res.Name, "status": res.Status, "data": data}
	if res.Cost.Known {
		body["cost"] = map[string]int64{"credits": res.Cost.Credits}
	}
	kept, err := json.Marshal(body)
	if err != nil {
		return unreadable
	}
	return kept
}

// remains is a record that tells of nobody and is worth as much: whose it was, and
// whether somebody was found, so that its cost is not booked on another person.
func remains(r fullenrich.Record) json.RawMessage {
	custom := map[string]string{}
	for key, kind := range map[string]liwanag.Kind{customJob: liwanag.JobKind, customSubmission: liwanag.SubmissionKind} {
		if id, err := liwanag.ParseID(kind, r.Custom[key]); err == nil {
			custom[key] = id.String()
		} else if r.Custom[key] != "" {
			custom[key] = "unknown"
		}
	}
	record := map[string]any{"custom": custom}
	switch {
	case r.Err != nil:
		record["profile"] = "unreadable"
	case r.Profile.Found():
		record["profile"] = map[string]string{"id": "erased"}
	}
	kept, _ := json.Marshal(record) // texts: they can be encoded
	return kept
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
// names people.
func (s *Service) forgetBodies(ctx context.Context, people []liwanag.Subscriber) error {
	var addresses, forms []string
	for _, p := range people {
		addresses = append(addresses, formsOf(p.Email, p.EmailKey)...)
		jobs, err := s.store.Jobs.OfSubscriber(ctx, p.ID)
		if err != nil {
			return err
		}
		for _, job := range jobs {
			forms = append(forms, job.ID.String())
		}
	}
	receipts, err := s.store.Receipts.Naming(ctx, addresses)
	if err != nil {
		return err
	}
	forms = append(forms, addresses...)
	person, address := naming(forms), naming(addresses)
	bodies, err := s.bodiesNaming(ctx, person)
	if err != nil || len(receipts)+len(bodies) == 0 {
		return err
	}
	return s.store.Write(ctx, func(tx *datastore.Tx) error {
		for _, digest := range bodies {
			d, err := tx.Deliveries.Get(digest) // somebody else may have been taken out of it meanwhile
			if errors.Is(err, liwanag.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			kept := rewritten(d.Raw, func(r fullenrich.Record) json.RawMessage {
				if person.Match(r.Raw) {
					return remains(r)
				}
				return r.Raw
			})
			if address.Match(kept) {
				kept = unreadable
			}
			if _, err := tx.Deliveries.Rewrite(digest, kept); err != nil {
				return err
			}
		}
		return tx.Receipts.DropBodies(receipts)
	})
}

// bodiesNaming are the raw results that say something of a person and are not
// settled.
func (s *Service) bodiesNaming(ctx context.Context, person *regexp.Regexp) (named []liwanag.Digest, err error) {
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
			if person.Match(d.Raw) {
				named = append(named, d.Digest)
			}
		}
		if next == "" {
			return named, nil
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
