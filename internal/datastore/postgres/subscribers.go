package postgres

import (
	"context"
	"encoding/json"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/liwanag/liwanag/internal/liwanag"
)

// subscriberColumns are read from "subscriber s"; the status of the latest job
// comes along.
const subscriberColumns = `s.id, s.email_key, s.email, s.email_type, s.source, s.created_at, s.updated_at, s.enriched_at, s.result_at,
	s.first_name, s.last_name, s.full_name, s.headline, s.job_title, s.seniority, s.linkedin_url, s.location,
	s.company_name, s.company_domain, s.company_linkedin_url, s.headcount, s.industry, s.metadata,
	(SELECT l.status FROM job l WHERE l.subscriber_id = s.id AND l.latest LIMIT 1)`

func scanSubscriber(r row) (s liwanag.Subscriber, err error) {
	f := &s.Summary
	err = r.Scan(idTo(liwanag.SubscriberKind, &s.ID), &s.EmailKey, &s.Email, textTo(&s.EmailType), textTo(&s.Source),
		timeColumn{&s.CreatedAt}, timeColumn{&s.UpdatedAt}, timeColumn{&s.EnrichedAt}, timeColumn{&s.ResultAt},
		textTo(&f.FirstName), textTo(&f.LastName), textTo(&f.FullName), textTo(&f.Headline), textTo(&f.JobTitle),
		textTo(&f.Seniority), textTo(&f.LinkedinURL), textTo(&f.Location), textTo(&f.CompanyName), textTo(&f.CompanyDomain),
		textTo(&f.CompanyLinkedinURL), numberColumn{&f.Headcount}, textTo(&f.Industry), jsonTo(&s.Metadata),
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
	return list(s.in(ctx), scanString, `SELECT email_key FROM subscriber WHERE email_key = ANY(ARRAY(SELECT unnest($1::text[])))`, emailKeys)
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

const summaryColumns = `first_name, last_name, full_name, headline, job_title, seniority, linkedin_url, location,
	company_name, company_domain, company_linkedin_url, industry, headcount`

// summaryArgs are arrays in the order of summaryColumns.
func summaryArgs[T any](rows []T, summary func(T) liwanag.Summary) []any {
	var args []any
	for _, field := range []func(liwanag.Summary) string{
		func(f liwanag.Summary) string { return f.FirstName },
		func(f liwanag.Summary) string { return f.LastName },
		func(f liwanag.Summary) string { return f.FullName },
		func(f liwanag.Summary) string { return f.Headline },
		func(f liwanag.Summary) string { return f.JobTitle },
		func(f liwanag.Summary) string { return f.Seniority },
		func(f liwanag.Summary) string { return f.LinkedinURL },
		func(f liwanag.Summary) string { return f.Location },
		func(f liwanag.Summary) string { return f.CompanyName },
		func(f liwanag.Summary) string { return f.CompanyDomain },
		func(f liwanag.Summary) string { return f.CompanyLinkedinURL },
		func(f liwanag.Summary) string { return f.Industry },
	} {
		args = append(args, texts(rows, func(r T) string { return field(summary(r)) }))
	}
	return append(args, column(rows, func(r T) int64 { return summary(r).Headcount }))
}

const insertSubscribers = `
	INSERT INTO subscriber (id, email_key, email, email_type, source, metadata, created_at, updated_at, ` + summaryColumns + `)
	SELECT id, email_key, email, email_type, nullif(source, ''), nullif(metadata, ''), at, at,
		nullif(first_name, ''), nullif(last_name, ''), nullif(full_name, ''), nullif(headline, ''), nullif(job_title, ''),
		nullif(seniority, ''), nullif(linkedin_url, ''), nullif(location, ''), nullif(company_name, ''), nullif(company_domain, ''),
		nullif(company_linkedin_url, ''), nullif(industry, ''), nullif(headcount, 0)
	FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[],
		$8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[],
		$18::text[], $19::text[], $20::bigint[]) AS s (id, email_key, email, email_type, source, metadata, at, ` + summaryColumns + `)
	ON CONFLICT (email_key) DO NOTHING RETURNING id`

// insert stores those whose address is new, the first of each, and tells which.
func (t subscriberTx) insert(signUps []liwanag.SignUp) ([]liwanag.ID, error) {
	args := []any{
		column(signUps, func(s liwanag.SignUp) pgtype.UUID { return uuid(s.ID) }),
		texts(signUps, func(s liwanag.SignUp) string { return s.EmailKey }),
		texts(signUps, func(s liwanag.SignUp) string { return s.Email }),
		texts(signUps, func(s liwanag.SignUp) liwanag.EmailType { return s.EmailType }),
		texts(signUps, func(s liwanag.SignUp) string { return s.Source }),
		texts(signUps, func(s liwanag.SignUp) string { return string(s.Metadata) }),
		column(signUps, func(s liwanag.SignUp) pgtype.Int8 { return micros(s.At) }),
	}
	args = append(args, summaryArgs(signUps, func(s liwanag.SignUp) liwanag.Summary { return s.Summary })...)
	return list(t, scanID(liwanag.SubscriberKind), insertSubscribers, args...)
}

// knownSubscriber is the row that the n-th of the sign-ups has already.
type knownSubscriber struct {
	n        int
	id       liwanag.ID
	metadata json.RawMessage
}

func scanKnown(r row) (k knownSubscriber, err error) {
	err = r.Scan(&k.n, idTo(liwanag.SubscriberKind, &k.id), jsonTo(&k.metadata))
	return k, err
}

// update merges the sign-ups at the indexes into the rows that are there.
func (t subscriberTx) update(signUps []liwanag.SignUp, indexes []int, done []liwanag.SignedUp) error {
	known, err := list(t, scanKnown, `
		SELECT u.n - 1, s.id, s.metadata FROM unnest($1::text[]) WITH ORDINALITY AS u (email_key, n)
		JOIN subscriber s ON s.email_key = u.email_key ORDER BY u.n`,
		texts(indexes, func(index int) string { return signUps[index].EmailKey }))
	if err != nil {
		return err
	}
	metadata := make(map[liwanag.ID]json.RawMessage, len(known))
	for _, k := range known {
		metadata[k.id] = k.metadata
		done[indexes[k.n]] = liwanag.SignedUp{ID: k.id}
	}
	for _, round := range rounds(indexes, func(index int) liwanag.ID { return done[index].ID }) {
		for _, index := range round {
			id := done[index].ID
			if metadata[id], err = mergeObjects(metadata[id], signUps[index].Metadata); err != nil {
				return err
			}
		}
		args := []any{
			column(round, func(index int) pgtype.UUID { return uuid(done[index].ID) }),
			texts(round, func(index int) string { return signUps[index].Source }),
			texts(round, func(index int) string { return string(metadata[done[index].ID]) }),
			column(round, func(index int) pgtype.Int8 { return micros(signUps[index].At) }),
		}
		args = append(args, summaryArgs(round, func(index int) liwanag.Summary { return signUps[index].Summary })...)
		if _, err := t.exec(updateSubscribers, args...); err != nil {
			return err
		}
	}
	return nil
}

// mergeSummary replaces what is given and keeps the rest.
const mergeSummary = `first_name = coalesce(nullif(u.first_name, ''), s.first_name), last_name = coalesce(nullif(u.last_name, ''), s.last_name),
	full_name = coalesce(nullif(u.full_name, ''), s.full_name), headline = coalesce(nullif(u.headline, ''), s.headline),
	job_title = coalesce(nullif(u.job_title, ''), s.job_title), seniority = coalesce(nullif(u.seniority, ''), s.seniority),
	linkedin_url = coalesce(nullif(u.linkedin_url, ''), s.linkedin_url), location = coalesce(nullif(u.location, ''), s.location),
	company_name = coalesce(nullif(u.company_name, ''), s.company_name), company_domain = coalesce(nullif(u.company_domain, ''), s.company_domain),
	company_linkedin_url = coalesce(nullif(u.company_linkedin_url, ''), s.company_linkedin_url),
	industry = coalesce(nullif(u.industry, ''), s.industry), headcount = coalesce(nullif(u.headcount, 0), s.headcount)`

const updateSubscribers = `
	UPDATE subscriber s SET source = coalesce(nullif(u.source, ''), s.source), metadata = nullif(u.metadata, ''), updated_at = u.at, ` + mergeSummary + `
	FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[],
		$5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[],
		$15::text[], $16::text[], $17::bigint[]) AS u (id, source, metadata, at, ` + summaryColumns + `)
	WHERE s.id = u.id`

// mergeObjects puts the members of b into a.
func mergeObjects(a, b json.RawMessage) (json.RawMessage, error) {
	switch {
	case len(b) == 0:
		return a, nil
	case len(a) == 0:
		return b, nil
	}
	merged := map[string]json.RawMessage{}
	for _, object := range []json.RawMessage{a, b} {
		if err := json.Unmarshal(object, &merged); err != nil {
			return nil, liwanag.NewError(liwanag.Invalid, "invalid_metadata", "metadata is not a JSON object")
		}
	}
	return json.Marshal(merged)
}

const enrichSubscribers = `
	WITH changed AS (
		UPDATE subscriber s SET updated_at = u.at, enriched_at = u.at, result_at = u.result_at, ` + mergeSummary + `
		FROM unnest($1::uuid[], $2::bytea[], $3::bigint[], $4::bigint[],
			$5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[],
			$15::text[], $16::text[], $17::bigint[]) AS u (id, raw, result_at, at, ` + summaryColumns + `)
		WHERE s.id = u.id AND (s.result_at IS NULL OR s.result_at <= u.result_at) RETURNING s.id, u.raw
	)
	INSERT INTO profile (subscriber_id, raw) SELECT id, raw FROM changed
	ON CONFLICT (subscriber_id) DO UPDATE SET raw = excluded.raw RETURNING subscriber_id`

func (t subscriberTx) Enrich(results []liwanag.Enriched) ([]liwanag.ID, error) {
	var changed []liwanag.ID
	for _, round := range rounds(results, func(r liwanag.Enriched) liwanag.ID { return r.SubscriberID }) {
		args := []any{
			column(round, func(r liwanag.Enriched) pgtype.UUID { return uuid(r.SubscriberID) }),
			column(round, func(r liwanag.Enriched) []byte { return r.Profile }),
			column(round, func(r liwanag.Enriched) pgtype.Int8 { return micros(r.ResultAt) }),
			column(round, func(r liwanag.Enriched) pgtype.Int8 { return micros(r.At) }),
		}
		args = append(args, summaryArgs(round, func(r liwanag.Enriched) liwanag.Summary { return r.Summary })...)
		ids, err := list(t, scanID(liwanag.SubscriberKind), enrichSubscribers, args...)
		if err != nil {
			return nil, err
		}
		changed = append(changed, ids...)
	}
	return changed, nil
}
