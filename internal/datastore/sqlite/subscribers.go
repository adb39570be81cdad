package sqlite

import (
	"context"
	"encoding/json"
	"time"

	"github.com/liwanag/liwanag/internal/liwanag"
)

// subscriberColumns are read from "subscriber s"; the status of the latest job
// comes along.
const subscriberColumns = `s.id, s.email_key, s.email, s.email_type, s.source, s.created_at, s.updated_at, s.enriched_at, s.result_at,
	s.first_name, s.last_name, s.full_name, s.headline, s.job_title, s.seniority, s.linkedin_url, s.location,
	s.company_name, s.company_domain, s.company_linkedin_url, s.headcount, s.industry, s.metadata, s.suppressed_at,
	(SELECT l.status FROM job l WHERE l.subscriber_id = s.id AND l.latest = 1)`

func scanSubscriber(r row) (s liwanag.Subscriber, err error) {
	f := &s.Summary
	err = r.Scan(id(liwanag.SubscriberKind, &s.ID), &s.EmailKey, &s.Email, textTo(&s.EmailType), textTo(&s.Source),
		timeColumn{&s.CreatedAt}, timeColumn{&s.UpdatedAt}, timeColumn{&s.EnrichedAt}, timeColumn{&s.ResultAt},
		textTo(&f.FirstName), textTo(&f.LastName), textTo(&f.FullName), textTo(&f.Headline), textTo(&f.JobTitle),
		textTo(&f.Seniority), textTo(&f.LinkedinURL), textTo(&f.Location), textTo(&f.CompanyName), textTo(&f.CompanyDomain),
		textTo(&f.CompanyLinkedinURL), numberColumn{&f.Headcount}, textTo(&f.Industry), jsonTo(&s.Metadata),
		timeColumn{&s.SuppressedAt}, textTo(&s.EnrichmentStatus))
	return s, err
}

// summaryArgs are in the order of the columns first_name to industry.
func summaryArgs(f liwanag.Summary) []any {
	return []any{text(f.FirstName), text(f.LastName), text(f.FullName), text(f.Headline), text(f.JobTitle),
		text(f.Seniority), text(f.LinkedinURL), text(f.Location), text(f.CompanyName), text(f.CompanyDomain),
		text(f.CompanyLinkedinURL), number(f.Headcount), text(f.Industry)}
}

// setSummary is for summaryArgs.
const setSummary = `first_name = ?, last_name = ?, full_name = ?, headline = ?, job_title = ?, seniority = ?, linkedin_url = ?,
	location = ?, company_name = ?, company_domain = ?, company_linkedin_url = ?, headcount = ?, industry = ?`

type subscribers struct{ reader }

func (s subscribers) Get(ctx context.Context, id liwanag.ID) (liwanag.Subscriber, error) {
	return one(s.in(ctx), scanSubscriber, `SELECT `+subscriberColumns+` FROM subscriber s WHERE s.id = ?`, id.Bytes())
}

func (s subscribers) ByEmail(ctx context.Context, emailKey string) (liwanag.Subscriber, error) {
	return one(s.in(ctx), scanSubscriber, `SELECT `+subscriberColumns+` FROM subscriber s WHERE s.email_key = ?`, emailKey)
}

func (s subscribers) Known(ctx context.Context, emailKeys []string) ([]string, error) {
	array, err := jsonArray(emailKeys)
	if err != nil {
		return nil, err
	}
	return list(s.in(ctx), scanString, `SELECT email_key FROM subscriber WHERE email_key IN (SELECT value FROM json_each(?))`, array)
}

// jsonArray passes any number of e-mail keys as one argument.
func jsonArray(emailKeys []string) (string, error) {
	b, err := json.Marshal(emailKeys)
	if err != nil {
		return "", liwanag.Wrap(err, liwanag.Internal, "internal", "datastore: an e-mail key is not text")
	}
	return string(b), nil
}

func scanString(r row) (s string, err error) {
	err = r.Scan(&s)
	return s, err
}

func (s subscribers) Profile(ctx context.Context, id liwanag.ID) ([]byte, error) {
	return one(s.in(ctx), scanBytes, `SELECT raw FROM profile WHERE subscriber_id = ?`, id.Bytes())
}

func scanBytes(r row) (b []byte, err error) {
	err = r.Scan(&b)
	return b, err
}

// Count needs no table: it walks the index of latest jobs.
func (s subscribers) Count(ctx context.Context) (map[liwanag.JobStatus]int64, error) {
	return counts[liwanag.JobStatus](s.in(ctx), `
		SELECT status, count(*) FROM job WHERE latest = 1 GROUP BY status
		UNION ALL SELECT 'none', n FROM (
			SELECT (SELECT count(*) FROM subscriber) - (SELECT count(*) FROM job WHERE latest = 1) AS n) WHERE n > 0`)
}

type subscriberTx struct{ writing }

func (t subscriberTx) Get(ids []liwanag.ID) ([]liwanag.Subscriber, error) {
	return list(t, scanSubscriber, `SELECT `+subscriberColumns+` FROM subscriber s WHERE s.id IN `+eachID, packed(ids))
}

// Upsert inserts what is new in multi-row statements, then updates what was
// known, in order: an import is mostly new rows.
func (t subscriberTx) Upsert(signUps []liwanag.SignUp) ([]liwanag.SignedUp, error) {
	done := make([]liwanag.SignedUp, len(signUps))
	var known []int
	err := multiRow(len(signUps), func(from, to int) error {
		created, err := t.insert(signUps[from:to])
		if err != nil {
			return err
		}
		for i := from; i < to; i++ {
			if created[signUps[i].ID] {
				done[i] = liwanag.SignedUp{ID: signUps[i].ID, Created: true}
			} else {
				known = append(known, i)
			}
		}
		return nil
	})
	if err != nil || len(known) == 0 {
		return done, err
	}
	return done, t.update(signUps, known, done)
}

const insertSubscriber = `INSERT INTO subscriber (id, email_key, email, email_type, source, created_at, updated_at,
	first_name, last_name, full_name, headline, job_title, seniority, linkedin_url, location,
	company_name, company_domain, company_linkedin_url, headcount, industry, metadata) VALUES `

// insert stores those whose address is new and tells which.
func (t subscriberTx) insert(signUps []liwanag.SignUp) (map[liwanag.ID]bool, error) {
	const columns = 21
	args := make([]any, 0, columns*len(signUps))
	ids := make([]liwanag.ID, 0, len(signUps))
	for _, s := range signUps {
		at := micros(s.At)
		ids = append(ids, s.ID)
		args = append(args, s.ID.Bytes(), s.EmailKey, s.Email, string(s.EmailType), text(s.Source), at, at)
		args = append(append(args, summaryArgs(s.Summary)...), jsonText(s.Metadata))
	}
	return t.stored("subscriber", ids, insertSubscriber+placeholders(len(signUps), columns)+` ON CONFLICT (email_key) DO NOTHING`, args...)
}

// update merges the sign-ups at the indexes into the rows that are there.
func (t subscriberTx) update(signUps []liwanag.SignUp, indexes []int, done []liwanag.SignedUp) error {
	keys := make([]string, len(indexes))
	for i, index := range indexes {
		keys[i] = signUps[index].EmailKey
	}
	array, err := jsonArray(keys)
	if err != nil {
		return err
	}
	rows, err := list(t, scanSubscriber,
		`SELECT `+subscriberColumns+` FROM subscriber s WHERE s.email_key IN (SELECT value FROM json_each(?))`, array)
	if err != nil {
		return err
	}
	byKey := make(map[string]*liwanag.Subscriber, len(rows))
	for i := range rows {
		byKey[rows[i].EmailKey] = &rows[i]
	}
	for _, index := range indexes {
		known := byKey[signUps[index].EmailKey]
		if known == nil {
			return liwanag.NewError(liwanag.Internal, "internal", "datastore: an e-mail key is neither new nor known: is it valid UTF-8?")
		}
		if err := known.Merge(signUps[index]); err != nil {
			return err
		}
		if err := t.put(*known); err != nil {
			return err
		}
		done[index] = liwanag.SignedUp{ID: known.ID}
	}
	return nil
}

// put writes what sign-ups and results say of a person.
func (t subscriberTx) put(s liwanag.Subscriber) error {
	args := append(summaryArgs(s.Summary), text(s.Source), jsonText(s.Metadata), micros(s.UpdatedAt), micros(s.EnrichedAt),
		micros(s.ResultAt), s.ID.Bytes())
	return t.must(`UPDATE subscriber SET `+setSummary+`, source = ?, metadata = ?, updated_at = ?, enriched_at = ?, result_at = ?
		WHERE id = ?`, args...)
}

func (t subscriberTx) Enrich(results []liwanag.Enriched) ([]liwanag.ID, error) {
	var changed []liwanag.ID
	for _, r := range results {
		people, err := t.Get([]liwanag.ID{r.SubscriberID})
		if err != nil {
			return nil, err
		}
		if len(people) == 0 {
			continue
		}
		if applied, err := people[0].Apply(r); err != nil || !applied {
			if err != nil {
				return nil, err
			}
			continue
		}
		if err := t.put(people[0]); err != nil {
			return nil, err
		}
		if _, err := t.exec(`INSERT INTO profile (subscriber_id, raw) VALUES (?, ?)
			ON CONFLICT (subscriber_id) DO UPDATE SET raw = excluded.raw`, r.SubscriberID.Bytes(), []byte(r.Profile)); err != nil {
			return nil, err
		}
		changed = append(changed, r.SubscriberID)
	}
	return changed, nil
}

func (t subscriberTx) Suppress(ids []liwanag.ID, at time.Time) ([]liwanag.ID, error) {
	return list(t, scanID(liwanag.SubscriberKind), `
		UPDATE subscriber SET suppressed_at = ?2 WHERE id IN `+eachID+` AND (suppressed_at IS NULL) = (?2 IS NOT NULL) RETURNING id`,
		packed(ids), micros(at))
}

func (t subscriberTx) Delete(ids []liwanag.ID) error {
	_, err := t.exec(`DELETE FROM subscriber WHERE id IN `+eachID, packed(ids))
	return err
}
