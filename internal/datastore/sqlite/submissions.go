package sqlite

import (
	"context"
	"time"

	"github.com/liwanag/liwanag/internal/datastore/listing"
	"github.com/liwanag/liwanag/internal/liwanag"
)

const (
	submissionColumns = `b.id, b.run_id, b.n, b.state, b.name, b.jobs, b.sender, b.token_hash, b.request_digest, b.enrichment_id,
	b.supersedes, b.cause, b.prepared_at, b.sending_at, b.outcome_at, b.grace_until, b.detached, b.follow_at, b.late,
	b.reserved, b.credits, b.duplicates, b.credit_day`
	selectSubmissions = `SELECT ` + submissionColumns + ` FROM submission b `

	submissionListing = 'b'
)

func scanSubmission(r row) (s liwanag.Submission, err error) {
	err = r.Scan(id(liwanag.SubmissionKind, &s.ID), id(liwanag.RunKind, &s.RunID), &s.N, textTo(&s.State), &s.Name, &s.Jobs,
		textTo(&s.Sender), digestColumn{&s.TokenHash}, digestColumn{&s.RequestDigest}, textTo(&s.EnrichmentID),
		id(liwanag.SubmissionKind, &s.Supersedes), textTo(&s.Cause), timeColumn{&s.PreparedAt}, timeColumn{&s.SendingAt},
		timeColumn{&s.OutcomeAt}, timeColumn{&s.GraceUntil}, &s.Detached, timeColumn{&s.FollowAt}, &s.Late,
		&s.Reserved, &s.Credits, &s.Duplicates, (*int64)(&s.CreditDay))
	return s, err
}

type submissions struct{ reader }

func (s submissions) Get(ctx context.Context, id liwanag.ID) (liwanag.Submission, error) {
	return one(s.in(ctx), scanSubmission, selectSubmissions+`WHERE b.id = ?`, id.Bytes())
}

func (s submissions) ByToken(ctx context.Context, hash liwanag.Digest) (liwanag.Submission, error) {
	return one(s.in(ctx), scanSubmission, selectSubmissions+`WHERE b.token_hash = ?`, hash[:])
}

func (s submissions) ByEnrichment(ctx context.Context, enrichmentID string) (liwanag.Submission, error) {
	return one(s.in(ctx), scanSubmission, selectSubmissions+`WHERE b.enrichment_id = ?`, enrichmentID)
}

const submissionsOfRun = selectSubmissions + `WHERE b.run_id = ? ORDER BY b.n`

func (s submissions) OfRun(ctx context.Context, runID liwanag.ID) ([]liwanag.Submission, error) {
	return list(s.in(ctx), scanSubmission, submissionsOfRun, runID.Bytes())
}

func (s submissions) Due(ctx context.Context, now time.Time, limit int) ([]liwanag.Submission, error) {
	return list(s.in(ctx), scanSubmission, selectSubmissions+`WHERE b.follow_at <= ? ORDER BY b.follow_at, b.id LIMIT ?`, micros(now), limit)
}

// List walks one index a state and merges: a single walk over several states
// would sort them all.
func (s submissions) List(ctx context.Context, f liwanag.SubmissionFilter, p liwanag.Page) ([]liwanag.Submission, string, error) {
	after, err := listing.Key(submissionListing, 16, p.Cursor)
	if err != nil {
		return nil, "", err
	}
	limit := listing.Limit(p)
	var pages [][]liwanag.Submission
	for _, state := range listing.StatesOr(f.States) {
		query, args := submissionQuery(f.RunID, state, after, limit+1)
		page, err := list(s.in(ctx), scanSubmission, query, args...)
		if err != nil {
			return nil, "", err
		}
		pages = append(pages, page)
	}
	all := listing.Newest(limit+1, func(a, b liwanag.Submission) int { return a.ID.Compare(b.ID) }, pages...)
	all, next := listing.Paged(all, limit, func(b liwanag.Submission) string { return listing.Cursor(submissionListing, b.ID.Bytes()) })
	return all, next, nil
}

func submissionQuery(runID liwanag.ID, state liwanag.SubmissionState, after []byte, limit int) (string, []any) {
	var w where
	if !runID.IsZero() {
		w.and(`b.run_id = ?`, runID.Bytes())
	}
	if state != "" {
		w.and(`b.state = ?`, string(state))
	}
	if after != nil {
		w.and(`b.id < ?`, after)
	}
	return selectSubmissions + w.String() + ` ORDER BY b.id DESC LIMIT ?`, append(w.args, limit)
}

func (s submissions) Count(ctx context.Context) (map[liwanag.SubmissionState]int64, error) {
	return counts[liwanag.SubmissionState](s.in(ctx), `SELECT state, count(*) FROM submission GROUP BY state`)
}

type submissionTx struct{ writing }

func (t submissionTx) Get(id liwanag.ID) (liwanag.Submission, error) {
	return one(t, scanSubmission, selectSubmissions+`WHERE b.id = ?`, id.Bytes())
}

func (t submissionTx) OfRun(runID liwanag.ID) ([]liwanag.Submission, error) {
	return list(t, scanSubmission, submissionsOfRun, runID.Bytes())
}

func (t submissionTx) OfJob(jobID liwanag.ID) (liwanag.Submission, error) {
	return one(t, scanSubmission, `SELECT `+submissionColumns+` FROM submission_job sj CROSS JOIN submission b ON b.id = sj.submission_id
		WHERE sj.job_id = ? ORDER BY sj.submission_id DESC LIMIT 1`, jobID.Bytes())
}

func (t submissionTx) Insert(s liwanag.Submission, jobIDs []liwanag.ID) error {
	return t.atomically(func() error {
		_, err := t.exec(`
			INSERT INTO submission (id, run_id, n, state, name, jobs, sender, token_hash, request_digest, enrichment_id,
				supersedes, cause, prepared_at, sending_at, outcome_at, grace_until, detached, follow_at, late,
				reserved, credits, duplicates, credit_day)
			VALUES `+placeholders(1, 23),
			s.ID.Bytes(), s.RunID.Bytes(), s.N, string(s.State), s.Name, s.Jobs, text(s.Sender), digest(s.TokenHash),
			digest(s.RequestDigest), text(s.EnrichmentID), s.Supersedes.Bytes(), text(s.Cause), micros(s.PreparedAt),
			micros(s.SendingAt), micros(s.OutcomeAt), micros(s.GraceUntil), s.Detached, micros(s.FollowAt), s.Late,
			s.Reserved, s.Credits, s.Duplicates, int64(s.CreditDay))
		if err != nil {
			return err
		}
		// Whether the jobs are held open follows from the state just written.
		_, err = t.exec(`INSERT INTO submission_job (submission_id, job_id, open) SELECT ?2, ids.*, ?3 FROM `+eachID+` AS ids`,
			packed(jobIDs), s.ID.Bytes(), s.State.Open())
		return err
	})
}

func (t submissionTx) Send(s liwanag.Sending) (bool, error) {
	return t.changed(`
		UPDATE submission SET state = 'sending', sender = ?, token_hash = ?, request_digest = ?, sending_at = ?, grace_until = ?, credit_day = ?
		WHERE id = ? AND state = 'prepared'`,
		s.Sender, digest(s.TokenHash), digest(s.RequestDigest), micros(s.At), micros(s.GraceUntil), int64(s.CreditDay), s.ID.Bytes())
}

func (t submissionTx) PreparedBefore(id liwanag.ID) (int, error) {
	n, err := one(t, scanInt, `SELECT count(*) FROM submission WHERE state = 'prepared' AND id < ?`, id.Bytes())
	return int(n), err
}

func (t submissionTx) Move(m liwanag.SubmissionMove) (moved bool, err error) {
	err = t.atomically(func() error {
		moved, err = t.changed(`
			UPDATE submission SET state = ?, cause = ?, enrichment_id = coalesce(?, enrichment_id),
				outcome_at = coalesce(?, outcome_at), follow_at = coalesce(?, follow_at)
			WHERE id = ? AND state IN (SELECT value FROM json_each(?))`,
			string(m.To), text(m.Cause), text(m.EnrichmentID), micros(m.At), micros(m.FollowAt), m.ID.Bytes(), words(m.From))
		if err != nil || !moved {
			return err
		}
		_, err = t.exec(`UPDATE submission_job SET open = ?2 WHERE submission_id = ?1 AND open <> ?2`, m.ID.Bytes(), m.To.Open())
		return err
	})
	return moved && err == nil, err
}

func (t submissionTx) Learn(id liwanag.ID, enrichmentID string) (bool, error) {
	return t.changed(`UPDATE submission SET enrichment_id = ? WHERE id = ? AND enrichment_id IS NULL`, enrichmentID, id.Bytes())
}

func (t submissionTx) Cost(c liwanag.SubmissionCost) error {
	return t.must(`UPDATE submission SET reserved = ?, credits = ?, duplicates = ?, late = ? WHERE id = ?`,
		c.Reserved, c.Credits, c.Duplicates, c.Late, c.ID.Bytes())
}

func (t submissionTx) Follow(id liwanag.ID, at time.Time) error {
	return t.must(`UPDATE submission SET follow_at = ? WHERE id = ?`, micros(at), id.Bytes())
}

func (t submissionTx) Detach(runID liwanag.ID, detached bool) ([]liwanag.Submission, error) {
	if _, err := t.exec(`UPDATE submission SET detached = ?2 WHERE run_id = ?1 AND detached <> ?2`, runID.Bytes(), detached); err != nil {
		return nil, err
	}
	all, err := t.OfRun(runID)
	if err != nil {
		return nil, err
	}
	var open []liwanag.Submission
	for _, s := range all {
		if s.State.Open() {
			open = append(open, s)
		}
	}
	return open, nil
}

func (t submissionTx) InFlight() (int, error) {
	n, err := one(t, scanInt, `
		SELECT coalesce(sum(jobs), 0) FROM submission INDEXED BY submission_flying WHERE state IN ('sending', 'accepted', 'ambiguous') AND detached = 0`)
	return int(n), err
}
