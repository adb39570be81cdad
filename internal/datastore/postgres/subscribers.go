package postgres

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/liwanag/liwanag/internal/liwanag"
)

// subscriberColumns are read from "subscriber s"; the status of the latest job
// comes along.
const subscriberColumns = `s.id, s.email_key, s.email, s.email_type, s.source, s.created_at, s.updated_at, s.enriched_at, s.result_at,
	s.first_name, s.last_name, s.full_name, s.headline, s.job_title, s.seniority, s.linkedin_url, s.location,
	s.company_name, s.company_domain, s.company_linkedin_url, s.headcount, s.industry, s.metadata, s.suppressed_at,
	(SELECT l.status FROM job l WHERE l.subscriber_id = s.id AND l.latest LIMIT 1)`

func scanSubscriber(r row) (s liwanag.Subscriber, err error) {
	f := &s.Summary
	err = r.Scan(idTo(liwanag.SubscriberKind, &s.ID), &s.EmailKey, &s.Email, textTo(&s.EmailType), textTo(&s.Source),
		timeColumn{&s.CreatedAt}, timeColumn{&s.UpdatedAt}, timeColumn{&s.EnrichedAt}, timeColumn{&s.ResultAt},
		textTo(&f.FirstName), textTo(&f.LastName), textTo(&f.FullName), textTo(&f.Headline), textTo(&f.JobTitle),
		textTo(&f.Seniority), textTo(&f.LinkedinURL), textTo(&f.Location), textTo(&f.CompanyName), textTo(&f.CompanyDomain),
		textTo(&f.CompanyLinkedinURL), numberColumn{&f.Headcount}, textTo(&f.Industry), jsonTo(&s.Metadata), timeColumn{&s.SuppressedAt},
		textTo(&s.EnrichmentStatus))
	return s, err
}

type subscribers struct{ reader }

func (s subscribers) Get(ctx context.Context, id liwanag.ID) (liwanag.Subscriber, error) {
	return one(s.in(ctx), scanSubscriber, `SELECT `+subscriberColumns+` FROM subscriber s WHERE s.id = $1`, uuid(id))
}

func (s subscribers) ByEmail(ctx context.Context, emailKey string) (liwanag.Subscriber, error) {
	return one(s.in(ctx), scanSubscriber, `SELECT `+subscriberColumns+` FROM subscriber s WHERE s.email_key = $1`, emailKey)
}

func (s subscribers) Known(ctx context.Context, emailKeys []string) ([]string, error) {
	return list(s.in(ctx), scanString, `SELECT email_key FROM subscriber WHERE email_key = ANY(ARRAY(SELECT unnest($1::text[])))`, texts(emailKeys))
}

func (s subscribers) Profile(ctx context.Context, id liwanag.ID) ([]byte, error) {
	return one(s.in(ctx), scanBytes, `SELECT raw FROM profile WHERE subscriber_id = $1`, uuid(id))
}

func (s subscribers) Count(ctx context.Context) (map[liwanag.JobStatus]int64, error) {
	return counts[liwanag.JobStatus](s.in(ctx), `
		WITH latest AS (SELECT status, count(*) AS n FROM job WHERE latest GROUP BY status)
		SELECT status, n FROM latest
		UNION ALL SELECT 'none', none.n FROM (
			SELECT (SELECT count(*) FROM subscriber) - (SELECT coalesce(sum(n), 0)::bigint FROM latest) AS n) none WHERE none.n > 0`)
}

type subscriberTx struct{ writing }

func (t subscriberTx) Get(ids []liwanag.ID) ([]liwanag.Subscriber, error) {
	return list(t, scanSubscriber, `SELECT `+subscriberColumns+` FROM subscriber s WHERE s.id = ANY($1)`, uuids(ids))
}

// Upsert inserts what is new in one statement, then updates what was known: an
// import is mostly new rows.
func (t subscriberTx) Upsert(signUps []liwanag.SignUp) ([]liwanag.SignedUp, error) {
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
func (t subscriberTx) insert(signUps []liwanag.SignUp) ([]liwanag.ID, error) {
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
	return list(t, scanID(liwanag.SubscriberKind), `
		INSERT INTO subscriber (`+r.columns()+`) SELECT `+r.columns()+` FROM `+r.as("s")+`
		ON CONFLICT (email_key) DO NOTHING RETURNING id`, r.args...)
}

// numbered is the row that the n-th of the sign-ups has already.
type numbered struct {
	n      int
	person liwanag.Subscriber
}

// after scans one column before others.
type after struct {
	row
	first any
}

func (a after) Scan(dest ...any) error { return a.row.Scan(append([]any{a.first}, dest...)...) }

func scanNumbered(r row) (k numbered, err error) {
	k.person, err = scanSubscriber(after{r, &k.n})
	return k, err
}

// update merges the sign-ups at the indexes into the rows that are there.
func (t subscriberTx) update(signUps []liwanag.SignUp, indexes []int, done []liwanag.SignedUp) error {
	known, err := list(t, scanNumbered, `
		SELECT u.n - 1, `+subscriberColumns+` FROM unnest($1::text[]) WITH ORDINALITY AS u (email_key, n)
		JOIN subscriber s ON s.email_key = u.email_key ORDER BY u.n`,
		arrayOf(indexes, func(index int) string { return signUps[index].EmailKey }))
	if err != nil {
		return err
	}
	people := map[liwanag.ID]liwanag.Subscriber{}
	for _, k := range known {
		person, again := people[k.person.ID]
		if !again {
			person = k.person
		}
		index := indexes[k.n]
		if err := person.Merge(signUps[index]); err != nil {
			return err
		}
		people[person.ID] = person
		done[index] = liwanag.SignedUp{ID: person.ID}
	}
	return t.put(slices.Collect(maps.Values(people)))
}

// put writes what sign-ups and results say of people, each of them once.
func (t subscriberTx) put(people []liwanag.Subscriber) error {
	if len(people) == 0 {
		return nil
	}
	r := recordsOf(people).
		id("id", func(s liwanag.Subscriber) liwanag.ID { return s.ID }).
		text("source", func(s liwanag.Subscriber) string { return s.Source }).
		text("metadata", func(s liwanag.Subscriber) string { return string(s.Metadata) }).
		time("updated_at", func(s liwanag.Subscriber) time.Time { return s.UpdatedAt }).
		time("enriched_at", func(s liwanag.Subscriber) time.Time { return s.EnrichedAt }).
		time("result_at", func(s liwanag.Subscriber) time.Time { return s.ResultAt })
	withSummary(r, func(s liwanag.Subscriber) liwanag.Summary { return s.Summary })
	set := make([]string, 0, len(r.names))
	for _, name := range r.names[1:] {
		set = append(set, name+` = u.`+name)
	}
	_, err := t.exec(`UPDATE subscriber s SET `+strings.Join(set, ", ")+` FROM `+r.as("u")+` WHERE s.id = u.id`, r.args...)
	return err
}

func (t subscriberTx) Enrich(results []liwanag.Enriched) ([]liwanag.ID, error) {
	ids := make([]liwanag.ID, len(results))
	for i, r := range results {
		ids[i] = r.SubscriberID
	}
	known, err := t.Get(ids)
	if err != nil {
		return nil, err
	}
	people := make(map[liwanag.ID]liwanag.Subscriber, len(known))
	for _, person := range known {
		people[person.ID] = person
	}
	var changed []liwanag.ID
	latest := map[liwanag.ID]liwanag.Enriched{}
	for _, r := range results {
		person, there := people[r.SubscriberID]
		if !there {
			continue
		}
		applied, err := person.Apply(r)
		if err != nil {
			return nil, err
		}
		if applied {
			people[person.ID], latest[person.ID] = person, r
			changed = append(changed, person.ID)
		}
	}
	if len(changed) == 0 {
		return nil, nil
	}
	maps.DeleteFunc(people, func(id liwanag.ID, _ liwanag.Subscriber) bool { return latest[id].SubscriberID.IsZero() })
	if err := t.put(slices.Collect(maps.Values(people))); err != nil {
		return nil, err
	}
	r := recordsOf(slices.Collect(maps.Values(latest))).
		id("subscriber_id", func(e liwanag.Enriched) liwanag.ID { return e.SubscriberID }).
		bytes("raw", func(e liwanag.Enriched) []byte { return e.Profile })
	_, err = t.exec(`INSERT INTO profile (`+r.columns()+`) SELECT `+r.columns()+` FROM `+r.as("u")+`
		ON CONFLICT (subscriber_id) DO UPDATE SET raw = excluded.raw`, r.args...)
	return changed, err
}

func (t subscriberTx) Suppress(ids []liwanag.ID, at time.Time) ([]liwanag.ID, error) {
	return list(t, scanID(liwanag.SubscriberKind), `
		UPDATE subscriber SET suppressed_at = $2 WHERE id = ANY($1) AND (suppressed_at IS NULL) = ($2::bigint IS NOT NULL) RETURNING id`,
		uuids(ids), micros(at))
}

func (t subscriberTx) Delete(ids []liwanag.ID) error {
	_, err := t.exec(`DELETE FROM subscriber WHERE id = ANY($1)`, uuids(ids))
	return err
}
