package datastore

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// subscriberColumns are read from "subscriber s"; the status of the latest job
// comes along.
const subscriberColumns = `s.id, s.email_key, s.email, s.email_type, s.source, s.created_at, s.updated_at, s.enriched_at, s.result_at,
	s.first_name, s.last_name, s.full_name, s.headline, s.job_title, s.seniority, s.linkedin_url, s.location,
	s.company_name, s.company_domain, s.company_linkedin_url, s.headcount, s.industry, s.metadata, s.suppressed_at, s.unsubscribed_by,
	s.country, s.name_matches, s.stated, s.found, s.sources, s.tags, s.signed_up_at,
	(SELECT l.status FROM job l WHERE l.subscriber_id = s.id AND l.latest = true LIMIT 1)`

func scanSubscriber(r Row) (s liwanag.Subscriber, err error) {
	f := &s.Summary
	err = r.Scan(idTo(liwanag.SubscriberKind, &s.ID), &s.EmailKey, &s.Email, textTo(&s.EmailType), textTo(&s.Source),
		timeColumn{&s.CreatedAt}, timeColumn{&s.UpdatedAt}, timeColumn{&s.EnrichedAt}, timeColumn{&s.ResultAt},
		textTo(&f.FirstName), textTo(&f.LastName), textTo(&f.FullName), textTo(&f.Headline), textTo(&f.JobTitle),
		textTo(&f.Seniority), textTo(&f.LinkedinURL), textTo(&f.Location), textTo(&f.CompanyName), textTo(&f.CompanyDomain),
		textTo(&f.CompanyLinkedinURL), numberColumn{&f.Headcount}, textTo(&f.Industry),
		jsonTo(&s.Metadata), timeColumn{&s.SuppressedAt}, textTo(&s.UnsubscribedBy),
		textTo(&f.Country), textTo(&s.NameMatches), objectTo(&s.Stated), objectTo(&s.Found), wordsTo(&s.Sources), objectTo(&s.Tags),
		timeColumn{&s.SignedUpAt}, textTo(&s.EnrichmentStatus))
	if s.Sources == nil && s.Source != "" {
		s.Sources = []string{s.Source}
	}
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

// Known reads those of up to 500 e-mail keys that have a subscriber, in no order.
func (s Subscribers) Known(ctx context.Context, emailKeys []string) ([]liwanag.Subscriber, error) {
	return list(s.in(ctx), scanSubscriber, `SELECT `+subscriberColumns+
		` FROM subscriber s WHERE s.email_key = ANY(ARRAY(SELECT unnest($1::text[])))`, wordsOf(s.in(ctx), emailKeys))
}

// Profile is all that FullEnrich said, as applied; ErrNotFound without one.
func (s Subscribers) Profile(ctx context.Context, id liwanag.ID) ([]byte, error) {
	return profileOf(s.in(ctx), id)
}

func profileOf(q querier, id liwanag.ID) ([]byte, error) {
	return one(q, scanBytes, `SELECT raw FROM profile WHERE subscriber_id = $1`, id.Bytes())
}

// Count counts by the latest job's status (NoJob without one).
func (s Subscribers) Count(ctx context.Context) (map[liwanag.JobStatus]int64, error) {
	return counts[liwanag.JobStatus](s.in(ctx), `
		SELECT status, count(*) FROM job WHERE latest = true GROUP BY status
		UNION ALL SELECT 'none', none.n FROM (
			SELECT (SELECT count(*) FROM subscriber) - (SELECT count(*) FROM job WHERE latest = true) AS n) none WHERE none.n > 0`)
}

// CountLeftBy counts people who unsubscribed as the given one says.
func (s Subscribers) CountLeftBy(ctx context.Context, by string) (int64, error) {
	return one(s.in(ctx), scanInt, `SELECT count(*) FROM subscriber WHERE unsubscribed_by = $1`, by)
}

// SubscriberTx writes subscribers.
type SubscriberTx struct{ writing }

// Get reads those that exist, in no order.
func (t SubscriberTx) Get(ids []liwanag.ID) ([]liwanag.Subscriber, error) {
	return list(t, scanSubscriber, `SELECT `+subscriberColumns+` FROM subscriber s WHERE s.id = ANY($1)`, idsOf(t, ids))
}

// Profile is all that FullEnrich said, as applied; ErrNotFound without one.
func (t SubscriberTx) Profile(id liwanag.ID) ([]byte, error) { return profileOf(t, id) }

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
	away, err := t.inherit(signUps, inserted)
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
			done[i] = liwanag.SignedUp{ID: s.ID, Created: true, Left: away[s.ID]}
		} else {
			known = append(known, i)
		}
	}
	if len(known) == 0 {
		return done, nil
	}
	return done, t.update(signUps, known, done)
}

// withFacts adds what is known of people to their rows; what is not is absent. A
// single source is kept by itself.
func withFacts(r *records[liwanag.Subscriber]) *records[liwanag.Subscriber] {
	type person = liwanag.Subscriber
	return r.
		text("source", func(p person) string { return p.Source }).
		text("sources", func(p person) string {
			if len(p.Sources) < 2 {
				return ""
			}
			return jsonOf(p.Sources)
		}).
		text("tags", func(p person) string { return jsonOf(p.Tags) }).
		text("metadata", func(p person) string { return string(p.Metadata) }).
		text("stated", func(p person) string { return jsonOf(p.Stated) }).
		text("found", func(p person) string { return jsonOf(p.Found) }).
		time("signed_up_at", func(p person) time.Time { return p.SignedUpAt }).
		time("updated_at", func(p person) time.Time { return p.UpdatedAt }).
		text("first_name", func(p person) string { return p.Summary.FirstName }).
		text("last_name", func(p person) string { return p.Summary.LastName }).
		text("full_name", func(p person) string { return p.Summary.FullName }).
		text("headline", func(p person) string { return p.Summary.Headline }).
		text("job_title", func(p person) string { return p.Summary.JobTitle }).
		text("seniority", func(p person) string { return p.Summary.Seniority }).
		text("linkedin_url", func(p person) string { return p.Summary.LinkedinURL }).
		text("location", func(p person) string { return p.Summary.Location }).
		text("country", func(p person) string { return p.Summary.Country }).
		text("company_name", func(p person) string { return p.Summary.CompanyName }).
		text("company_domain", func(p person) string { return p.Summary.CompanyDomain }).
		text("company_linkedin_url", func(p person) string { return p.Summary.CompanyLinkedinURL }).
		text("industry", func(p person) string { return p.Summary.Industry }).
		known("headcount", func(p person) int64 { return p.Summary.Headcount }).
		word("name_matches", func(p person) string { return string(p.NameMatches) }).
		word("words", wordsOfPerson)
}

// insert stores those whose address is new, the first of each, and tells which.
func (t SubscriberTx) insert(signUps []liwanag.SignUp) ([]liwanag.ID, error) {
	type person = liwanag.Subscriber
	people := make([]person, len(signUps))
	for i, s := range signUps {
		people[i] = person{ID: s.ID, EmailKey: s.EmailKey, Email: s.Email, EmailType: s.EmailType, CreatedAt: s.At}
		if err := people[i].Merge(s); err != nil {
			return nil, err
		}
	}
	r := withFacts(recordsOf(people).
		id("id", func(p person) liwanag.ID { return p.ID }).
		word("email_key", func(p person) string { return p.EmailKey }).
		word("email", func(p person) string { return p.Email }).
		word("email_type", func(p person) string { return string(p.EmailType) }).
		time("created_at", func(p person) time.Time { return p.CreatedAt }).
		text("mailbox", func(p person) string { return sharedMailbox(p.EmailKey) }).
		flag("parted", func(person) bool { return true }))
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

// put writes what is known of people, each of them once.
func (t SubscriberTx) put(people []liwanag.Subscriber) error {
	type person = liwanag.Subscriber
	r := withFacts(recordsOf(people).
		id("id", func(p person) liwanag.ID { return p.ID }).
		time("enriched_at", func(p person) time.Time { return p.EnrichedAt }).
		time("result_at", func(p person) time.Time { return p.ResultAt }))
	return t.updateEach("subscriber", r.Records, "")
}

// Unparted is somebody of a release that kept what was said and what was found in one
// place, with all that FullEnrich said, nil for nothing.
type Unparted struct {
	Person  liwanag.Subscriber
	Profile []byte
}

// Unparted lists up to limit such people, by id.
func (t SubscriberTx) Unparted(limit int) ([]Unparted, error) {
	people, err := list(t, scanSubscriber, `SELECT `+subscriberColumns+
		` FROM subscriber s WHERE s.parted = false ORDER BY s.id LIMIT $1`, limit)
	if err != nil || len(people) == 0 {
		return nil, err
	}
	ids := make([]liwanag.ID, len(people))
	for i, p := range people {
		ids[i] = p.ID
	}
	type profile struct {
		of  liwanag.ID
		raw []byte
	}
	profiles, err := list(t, func(r Row) (p profile, err error) {
		err = r.Scan(idTo(liwanag.SubscriberKind, &p.of), &p.raw)
		return p, err
	}, `SELECT subscriber_id, raw FROM profile WHERE subscriber_id = ANY($1)`, idsOf(t, ids))
	byID := make(map[liwanag.ID][]byte, len(profiles))
	for _, p := range profiles {
		byID[p.of] = p.raw
	}
	all := make([]Unparted, len(people))
	for i, p := range people {
		all[i] = Unparted{p, byID[p.ID]}
	}
	return all, err
}

// Part writes people whose two sides stand apart now.
func (t SubscriberTx) Part(people []liwanag.Subscriber) error {
	ids := make([]liwanag.ID, len(people))
	for i, p := range people {
		ids[i] = p.ID
	}
	if err := t.put(people); err != nil {
		return err
	}
	_, err := t.exec(`UPDATE subscriber SET parted = true WHERE id = ANY($1)`, idsOf(t, ids))
	return err
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
		if person.Apply(r) {
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

// ofMailboxes selects people and whoever else has an address of their mailboxes.
const ofMailboxes = `(id = ANY($1) OR mailbox = ANY(ARRAY(SELECT o.mailbox FROM subscriber o WHERE o.id = ANY($1) AND o.mailbox IS NOT NULL)))`

// Tag changes the tags of people by hand, and tells how many had others before.
func (t SubscriberTx) Tag(ids []liwanag.ID, add, remove []string, at time.Time) (int, error) {
	known, err := t.Get(ids)
	if err != nil {
		return 0, err
	}
	known = slices.DeleteFunc(known, func(p liwanag.Subscriber) bool { _, differs := p.Tags.ByHand(add, remove); return !differs })
	for i := range known {
		known[i].Tags, _ = known[i].Tags.ByHand(add, remove)
		known[i].UpdatedAt = at
	}
	return len(known), t.put(known)
}

// Suppress notes that people unsubscribed, or (zero time) that they came back, with
// whoever else has an address of their mailboxes, and returns the IDs that were changed.
// What a file said gives way to what anybody else says: undoing the file then leaves them as they are.
func (t SubscriberTx) Suppress(d liwanag.Departure) ([]liwanag.ID, error) {
	if upload := string(liwanag.UploadKind); !d.At.IsZero() && !strings.HasPrefix(d.By, upload) {
		if _, err := t.exec(`UPDATE subscriber SET unsubscribed_by = $3, suppressed_at = CASE WHEN suppressed_at < $2 THEN $2 ELSE suppressed_at END
			WHERE `+ofMailboxes+` AND suppressed_at IS NOT NULL AND substr(unsubscribed_by, 1, 4) = $4`,
			idsOf(t, d.IDs), micros(d.At), text(d.By), upload); err != nil {
			return nil, err
		}
	}
	return list(t, scanID(liwanag.SubscriberKind), `
		UPDATE subscriber SET suppressed_at = $2, unsubscribed_by = $3
		WHERE `+ofMailboxes+` AND (suppressed_at IS NULL) = (CAST($2 AS bigint) IS NOT NULL) RETURNING id`,
		idsOf(t, d.IDs), micros(d.At), text(d.By))
}

// LeftBy lists up to a number of people who unsubscribed as the given one says, by id, behind the given one.
// A zero id: from the first.
func (t SubscriberTx) LeftBy(by string, after liwanag.ID, limit int) ([]liwanag.Subscriber, error) {
	from := make([]byte, 16)
	if !after.IsZero() {
		from = after.Bytes()
	}
	return list(t, scanSubscriber, `SELECT `+subscriberColumns+
		` FROM subscriber s WHERE s.unsubscribed_by = $1 AND s.id > $2 ORDER BY s.id LIMIT $3`, by, from, limit)
}

// Delete deletes people with their profiles; their jobs stay, without them.
func (t SubscriberTx) Delete(ids []liwanag.ID) error {
	if _, err := t.exec(`UPDATE job SET mailbox = NULL WHERE subscriber_id = ANY($1) AND mailbox IS NOT NULL`, idsOf(t, ids)); err != nil {
		return err
	}
	_, err := t.exec(`DELETE FROM subscriber WHERE id = ANY($1)`, idsOf(t, ids))
	return err
}
