package datastore

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// subscriberColumns are read from "subscriber s"; the status of the latest job
// comes along.
const subscriberColumns = `s.id, s.email_key, s.email, s.email_type, s.source, s.created_at, s.updated_at, s.enriched_at, s.result_at,
	s.first_name, s.last_name, s.full_name, s.headline, s.job_title, s.seniority, s.linkedin_url, s.location,
	s.company_name, s.company_domain, s.company_linkedin_url, s.headcount, s.industry, s.metadata, s.suppressed_at,
	(SELECT l.status FROM job l WHERE l.subscriber_id = s.id AND l.latest = true LIMIT 1)`

func scanSubscriber(r Row) (s liwanag.Subscriber, err error) {
	f := &s.Summary
	err = r.Scan(idTo(liwanag.SubscriberKind, &s.ID), &s.EmailKey, &s.Email, textTo(&s.EmailType), textTo(&s.Source),
		timeColumn{&s.CreatedAt}, timeColumn{&s.UpdatedAt}, timeColumn{&s.EnrichedAt}, timeColumn{&s.ResultAt},
		textTo(&f.FirstName), textTo(&f.LastName), textTo(&f.FullName), textTo(&f.Headline), textTo(&f.JobTitle),
		textTo(&f.Seniority), textTo(&f.LinkedinURL), textTo(&f.Location), textTo(&f.CompanyName), textTo(&f.CompanyDomain),
		textTo(&f.CompanyLinkedinURL), numberColumn{&f.Headcount}, textTo(&f.Industry), jsonTo(&s.Metadata), timeColumn{&s.SuppressedAt},
		textTo(&s.EnrichmentStatus))
	return s, err
}

// Subscribers reads subscribers.
type Subscribers struct{ reader }

func (s Subscribers) Get(ctx context.Context, id liwanag.ID) (liwanag.Subscriber, error) {
	return one(s.in(ctx), scanSubscriber, `SELECT `+subscriberColumns+` FROM subscriber s WHERE s.id = $1`, id.Bytes())
}

func (s Subscribers) ByEmail(ctx context.Context, emailKey string) (liwanag.Subscriber, error) {
	return one(s.in(ctx), scanSubscriber, `SELECT `+subscriberColumns+` FROM subscriber s WHERE s.email_key = $1`, emailKey)
}

// Known tells which of up to 500 e-mail keys have a subscriber, in no order.
func (s Subscribers) Known(ctx context.Context, emailKeys []string) ([]string, error) {
	return list(s.in(ctx), scanString,
		`SELECT email_key FROM subscriber WHERE email_key = ANY(ARRAY(SELECT unnest($1::text[])))`, wordsOf(s.in(ctx), emailKeys))
}

// Profile is all that FullEnrich said, as applied; ErrNotFound without one.
func (s Subscribers) Profile(ctx context.Context, id liwanag.ID) ([]byte, error) {
	return one(s.in(ctx), scanBytes, `SELECT raw FROM profile WHERE subscriber_id = $1`, id.Bytes())
}

// Count counts by the latest job's status (NoJob without one).
func (s Subscribers) Count(ctx context.Context) (map[liwanag.JobStatus]int64, error) {
	return counts[liwanag.JobStatus](s.in(ctx), `
		SELECT status, count(*) FROM job WHERE latest = true GROUP BY status
		UNION ALL SELECT 'none', none.n FROM (
			SELECT (SELECT count(*) FROM subscriber) - (SELECT count(*) FROM job WHERE latest = true) AS n) none WHERE none.n > 0`)
}

// SubscriberTx writes subscribers.
type SubscriberTx struct{ writing }

// Get reads those that exist, in no order.
func (t SubscriberTx) Get(ids []liwanag.ID) ([]liwanag.Subscriber, error) {
	return list(t, scanSubscriber, `SELECT `+subscriberColumns+` FROM subscriber s WHERE s.id = ANY($1)`, idsOf(t, ids))
}

// Upsert stores sign-ups by their unique e-mail key, in order, and answers in
// that order. A new key inserts the row with the ID given. A known key keeps
// ID, Email, EmailType and CreatedAt; the rest becomes what [Subscriber.Merge]
// makes of it. The same key twice in one call: the second is an update.
//
// Upsert inserts what is new in one statement, then updates what was known: an
// import is mostly new rows.
func (t SubscriberTx) Upsert(signUps []liwanag.SignUp) ([]liwanag.SignedUp, error) {
	if len(signUps) == 0 {
		return nil, nil
	}
	inserted, err := t.insert(signUps)
	if err != nil {
		return nil, err
	}
	isNew := make(map[liwanag.ID]bool, len(inserted))
	for _, id := range inserted {
		isNew[id] = true
	}
	done := make([]liwanag.SignedUp, len(signUps))
	var known []int
	for i, s := range signUps {
		if isNew[s.ID] {
			done[i] = liwanag.SignedUp{ID: s.ID, Created: true}
		} else {
			known = append(known, i)
		}
	}
	if len(known) == 0 {
		return done, nil
	}
	return done, t.update(signUps, known, done)
}

// withSummary adds a summary to rows; what it does not say is absent.
func withSummary[T any](r *records[T], summary func(T) liwanag.Summary) *records[T] {
	return r.
		text("first_name", func(t T) string { return summary(t).FirstName }).
		text("last_name", func(t T) string { return summary(t).LastName }).
		text("full_name", func(t T) string { return summary(t).FullName }).
		text("headline", func(t T) string { return summary(t).Headline }).
		text("job_title", func(t T) string { return summary(t).JobTitle }).
		text("seniority", func(t T) string { return summary(t).Seniority }).
		text("linkedin_url", func(t T) string { return summary(t).LinkedinURL }).
		text("location", func(t T) string { return summary(t).Location }).
		text("company_name", func(t T) string { return summary(t).CompanyName }).
		text("company_domain", func(t T) string { return summary(t).CompanyDomain }).
		text("company_linkedin_url", func(t T) string { return summary(t).CompanyLinkedinURL }).
		text("industry", func(t T) string { return summary(t).Industry }).
		known("headcount", func(t T) int64 { return summary(t).Headcount })
}

// insert stores those whose address is new, the first of each, and tells which.
func (t SubscriberTx) insert(signUps []liwanag.SignUp) ([]liwanag.ID, error) {
	r := recordsOf(signUps).
		id("id", func(s liwanag.SignUp) liwanag.ID { return s.ID }).
		word("email_key", func(s liwanag.SignUp) string { return s.EmailKey }).
		word("email", func(s liwanag.SignUp) string { return s.Email }).
		word("email_type", func(s liwanag.SignUp) string { return string(s.EmailType) }).
		text("source", func(s liwanag.SignUp) string { return s.Source }).
		text("metadata", func(s liwanag.SignUp) string { return string(s.Metadata) }).
		time("created_at", func(s liwanag.SignUp) time.Time { return s.At }).
		time("updated_at", func(s liwanag.SignUp) time.Time { return s.At })
	withSummary(r, func(s liwanag.SignUp) liwanag.Summary { return s.Summary })
	return t.insertNew("subscriber", r.Records, `(email_key)`, "")
}

// update merges the sign-ups at the indexes into the rows that are there.
func (t SubscriberTx) update(signUps []liwanag.SignUp, indexes []int, done []liwanag.SignedUp) error {
	keys := make([]string, len(indexes))
	for i, index := range indexes {
		keys[i] = signUps[index].EmailKey
	}
	known, err := list(t, scanSubscriber, `SELECT `+subscriberColumns+
		` FROM subscriber s WHERE s.email_key = ANY($1::text[])`, wordsOf(t, keys))
	if err != nil {
		return err
	}
	people := make(map[string]*liwanag.Subscriber, len(known))
	for i := range known {
		people[known[i].EmailKey] = &known[i]
	}
	for _, index := range indexes {
		s := signUps[index]
		person := cmp.Or(people[s.EmailKey], people[Clean(s.EmailKey)])
		if person == nil {
			return liwanag.NewError(liwanag.Internal, "internal", "datastore: an e-mail key is neither new nor known: is it valid UTF-8?")
		}
		if err := person.Merge(s); err != nil {
			return err
		}
		done[index] = liwanag.SignedUp{ID: person.ID}
	}
	return t.put(known)
}

// put writes what sign-ups and results say of people, each of them once.
func (t SubscriberTx) put(people []liwanag.Subscriber) error {
	type person = liwanag.Subscriber
	r := recordsOf(people).
		id("id", func(p person) liwanag.ID { return p.ID }).
		text("source", func(p person) string { return p.Source }).
		text("metadata", func(p person) string { return string(p.Metadata) }).
		time("updated_at", func(p person) time.Time { return p.UpdatedAt }).
		time("enriched_at", func(p person) time.Time { return p.EnrichedAt }).
		time("result_at", func(p person) time.Time { return p.ResultAt })
	withSummary(r, func(p person) liwanag.Summary { return p.Summary })
	return t.updateEach("subscriber", r.Records, "")
}

// Enrich applies profiles in order, as [Subscriber.Apply] does: an older result
// never overwrites a newer one. The profile row is replaced. A subscriber that is
// gone is skipped. It returns the IDs that were changed.
func (t SubscriberTx) Enrich(results []liwanag.Enriched) (changed []liwanag.ID, err error) {
	ids := make([]liwanag.ID, len(results))
	for i, r := range results {
		ids[i] = r.SubscriberID
	}
	known, err := t.Get(ids)
	if err != nil {
		return nil, err
	}
	people := make(map[liwanag.ID]*liwanag.Subscriber, len(known))
	for i := range known {
		people[known[i].ID] = &known[i]
	}
	latest := make(map[liwanag.ID]liwanag.Enriched, len(known))
	for _, r := range results {
		person := people[r.SubscriberID]
		if person == nil {
			continue
		}
		applied, err := person.Apply(r)
		if err != nil {
			return nil, err
		}
		if applied {
			latest[person.ID] = r
			changed = append(changed, person.ID)
		}
	}
	known = slices.DeleteFunc(known, func(p liwanag.Subscriber) bool { return latest[p.ID].SubscriberID.IsZero() })
	if err := t.put(known); err != nil {
		return nil, err
	}
	profiles := recordsOf(known).
		id("subscriber_id", func(p liwanag.Subscriber) liwanag.ID { return p.ID }).
		bytes("raw", func(p liwanag.Subscriber) []byte { return latest[p.ID].Profile })
	return changed, t.insertAll("profile", profiles.Records, `(subscriber_id) DO UPDATE SET raw = excluded.raw`)
}

// Suppress notes that people unsubscribed, or (zero time) that they came back,
// and returns the IDs that were changed.
func (t SubscriberTx) Suppress(ids []liwanag.ID, at time.Time) ([]liwanag.ID, error) {
	return list(t, scanID(liwanag.SubscriberKind), `
		UPDATE subscriber SET suppressed_at = $2 WHERE id = ANY($1) AND (suppressed_at IS NULL) = (CAST($2 AS bigint) IS NOT NULL) RETURNING id`,
		idsOf(t, ids), micros(at))
}

// Delete deletes people with their profiles; their jobs stay, without them.
func (t SubscriberTx) Delete(ids []liwanag.ID) error {
	_, err := t.exec(`DELETE FROM subscriber WHERE id = ANY($1)`, idsOf(t, ids))
	return err
}
