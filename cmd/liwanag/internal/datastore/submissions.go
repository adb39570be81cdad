package datastore

import (
	"context"
	"slices"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/listing"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

const (
	submissionColumns = `b.id, b.run_id, b.n, b.state, b.name, b.jobs, b.sender, b.token_hash, b.request_digest, b.enrichment_id,
	b.supersedes, b.cause, b.prepared_at, b.sending_at, b.outcome_at, b.grace_until, b.detached, b.follow_at, b.late,
	b.reserved, b.credits, b.duplicates, b.credit_day, b.unconfirmed`
	selectSubmissions = `SELECT ` + submissionColumns + ` FROM submission b `

	submissionListing = 'b'
)

func scanSubmission(r Row) (s liwanag.Submission, err error) {
	err = r.Scan(idTo(liwanag.SubmissionKind, &s.ID), idTo(liwanag.RunKind, &s.RunID), &s.N, textTo(&s.State), &s.Name, &s.Jobs,
		textTo(&s.Sender), digestColumn{&s.TokenHash}, digestColumn{&s.RequestDigest}, textTo(&s.EnrichmentID),
		idTo(liwanag.SubmissionKind, &s.Supersedes), textTo(&s.Cause), timeColumn{&s.PreparedAt}, timeColumn{&s.SendingAt},
		timeColumn{&s.OutcomeAt}, timeColumn{&s.GraceUntil}, &s.Detached, timeColumn{&s.FollowAt}, &s.Late,
		&s.Reserved, &s.Credits, &s.Duplicates, (*int64)(&s.CreditDay), &s.Unconfirmed)
	return s, err
}

// Submissions reads submissions.
type Submissions struct{ reader }

func (s Submissions) Get(ctx context.Context, id liwanag.ID) (liwanag.Submission, error) {
	return one(s.in(ctx), scanSubmission, submissionByID, id.Bytes())
}

func (s Submissions) ByToken(ctx context.Context, hash liwanag.Digest) (liwanag.Submission, error) {
	return one(s.in(ctx), scanSubmission, selectSubmissions+`WHERE b.token_hash = $1`, hash[:])
}

func (s Submissions) ByEnrichment(ctx context.Context, enrichmentID string) (liwanag.Submission, error) {
	return one(s.in(ctx), scanSubmission, selectSubmissions+`WHERE b.enrichment_id = $1`, enrichmentID)
}

const (
	submissionByID   = selectSubmissions + `WHERE b.id = $1`
	submissionsOfRun = selectSubmissions + `WHERE b.run_id = $1 ORDER BY b.n`
	submissionOfJob  = `SELECT ` + submissionColumns + ` FROM submission_job sj /*lite CROSS*/ JOIN submission b ON b.id = sj.submission_id
		WHERE sj.job_id = $1 ORDER BY sj.submission_id DESC LIMIT 1`
	preparedBefore      = `SELECT count(*) FROM submission WHERE state = 'prepared' AND id < $1`
	submissionsInFlight = `SELECT CAST(coalesce(sum(jobs), 0) AS bigint) FROM submission /*lite INDEXED BY submission_flying*/
		WHERE state IN ('sending', 'accepted', 'ambiguous') AND detached = false`
)

// OfRun lists a run's submissions by N.
func (s Submissions) OfRun(ctx context.Context, runID liwanag.ID) ([]liwanag.Submission, error) {
	return list(s.in(ctx), scanSubmission, submissionsOfRun, runID.Bytes())
}

// Due lists submissions whose FollowAt is at or before now, earliest first.
func (s Submissions) Due(ctx context.Context, now time.Time, limit int) ([]liwanag.Submission, error) {
	return list(s.in(ctx), scanSubmission, selectSubmissions+`WHERE b.follow_at <= $1 ORDER BY b.follow_at, b.id LIMIT $2`, micros(now), limit)
}

// List gives a page, newest first. ErrInvalidCursor.
//
// List walks one index a state and merges: a single walk over several states
// would sort them all.
func (s Submissions) List(ctx context.Context, f liwanag.SubmissionFilter, p liwanag.Page) ([]liwanag.Submission, string, error) {
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
		w.and(`b.run_id = $?`, runID.Bytes())
	}
	if state != "" {
		w.and(`b.state = $?`, string(state))
	}
	if after != nil {
		w.and(`b.id < $?`, after)
	}
	return selectSubmissions + w.String() + ` ORDER BY b.id DESC LIMIT ` + w.bind(limit), w.args
}

// InFlight sums the jobs of submissions that are sending, accepted or ambiguous and
// whose run has not ended.
func (s Submissions) InFlight(ctx context.Context) (int, error) {
	n, err := one(s.in(ctx), scanInt, submissionsInFlight)
	return int(n), err
}

// PreparedBefore counts the prepared submissions that are older than this one.
func (s Submissions) PreparedBefore(ctx context.Context, id liwanag.ID) (int, error) {
	n, err := one(s.in(ctx), scanInt, preparedBefore, id.Bytes())
	return int(n), err
}

// OfJob reads a job's latest submission. ErrNotFound.
func (s Submissions) OfJob(ctx context.Context, jobID liwanag.ID) (liwanag.Submission, error) {
	return one(s.in(ctx), scanSubmission, submissionOfJob, jobID.Bytes())
}

// Count counts submissions by state.
func (s Submissions) Count(ctx context.Context) (map[liwanag.SubmissionState]int64, error) {
	return counts[liwanag.SubmissionState](s.in(ctx), `SELECT state, count(*) FROM submission GROUP BY state`)
}

// SubmissionTx writes submissions.
type SubmissionTx struct{ writing }

func (t SubmissionTx) Get(id liwanag.ID) (liwanag.Submission, error) {
	return one(t, scanSubmission, submissionByID, id.Bytes())
}

// OfRun reads a run's submissions by N.
func (t SubmissionTx) OfRun(runID liwanag.ID) ([]liwanag.Submission, error) {
	return list(t, scanSubmission, submissionsOfRun, runID.Bytes())
}

// OfJob reads a job's latest submission. ErrNotFound.
func (t SubmissionTx) OfJob(jobID liwanag.ID) (liwanag.Submission, error) {
	return one(t, scanSubmission, submissionOfJob, jobID.Bytes())
}

// Insert stores a submission and its jobs. Two guards: (run, n) is unique,
// and a unique index over the jobs of open submissions. Either one violated
// is ErrState and nothing is written.
//
// Whether the jobs are held open follows from the state.
func (t SubmissionTx) Insert(s liwanag.Submission, jobIDs []liwanag.ID) error {
	_, err := t.guarded(say(`
		INSERT INTO submission (id, run_id, n, state, name, jobs, sender, token_hash, request_digest, enrichment_id,
			supersedes, cause, prepared_at, sending_at, outcome_at, grace_until, detached, follow_at, late,
			reserved, credits, duplicates, credit_day, unconfirmed)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)`,
		s.ID.Bytes(), s.RunID.Bytes(), s.N, string(s.State), s.Name, s.Jobs, text(s.Sender), digest(s.TokenHash),
		digest(s.RequestDigest), text(s.EnrichmentID), s.Supersedes.Bytes(), text(s.Cause), micros(s.PreparedAt),
		micros(s.SendingAt), micros(s.OutcomeAt), micros(s.GraceUntil), s.Detached, micros(s.FollowAt), s.Late,
		s.Reserved, s.Credits, s.Duplicates, int64(s.CreditDay), s.Unconfirmed),
		say(`INSERT INTO submission_job (submission_id, job_id, open) SELECT $1, id, $2 FROM unnest($3::uuid[]) AS id`,
			s.ID.Bytes(), s.State.Open(), idsOf(t, jobIDs)))
	return err
}

// Attach adds a job to a submission. ErrState: it is open in another one.
func (t SubmissionTx) Attach(id, jobID liwanag.ID, open bool) error {
	_, err := t.guarded(say(`INSERT INTO submission_job (submission_id, job_id, open) VALUES ($1, $2, $3)`, id.Bytes(), jobID.Bytes(), open))
	return err
}

// PreparedBefore counts the prepared submissions that are older than this one.
func (t SubmissionTx) PreparedBefore(id liwanag.ID) (int, error) {
	n, err := one(t, scanInt, preparedBefore, id.Bytes())
	return int(n), err
}

// Move is a compare-and-set of the state. Moving to refused, superseded or
// settled frees the jobs for another submission; enrichment ids and tokens are
// unique, one that another submission holds is ErrState. False: the state was not
// in From, nothing was written.
func (t SubmissionTx) Move(m liwanag.SubmissionMove) (bool, error) {
	s, day := liwanag.Sending{}, any(nil)
	if m.Sending != nil {
		s, day = *m.Sending, int64(m.Sending.CreditDay)
	}
	return t.guarded(say(`
		UPDATE submission SET state = $2, cause = $3, enrichment_id = coalesce($4, enrichment_id), outcome_at = coalesce($5, outcome_at),
			follow_at = NULL, sender = coalesce($6, sender), token_hash = coalesce($7, token_hash), request_digest = coalesce($8, request_digest),
			sending_at = coalesce($9, sending_at), grace_until = coalesce($10, grace_until), credit_day = coalesce($11, credit_day)
		WHERE id = $1 AND state = ANY($12::text[])`,
		m.ID.Bytes(), string(m.To), text(m.Cause), text(m.EnrichmentID), micros(m.At), text(s.Sender), digest(s.TokenHash),
		digest(s.RequestDigest), micros(s.At), micros(s.GraceUntil), day, wordsOf(t, m.From)),
		say(`UPDATE submission_job SET open = $2 WHERE submission_id = $1 AND open <> $2
			AND EXISTS (SELECT 1 FROM submission b WHERE b.id = $1 AND b.state = $3)`, m.ID.Bytes(), m.To.Open(), string(m.To)))
}

// Learn sets an enrichment id where there is none. False: there is one
// already, the same or another. An id that another submission holds is
// ErrState.
func (t SubmissionTx) Learn(id liwanag.ID, enrichmentID string) (bool, error) {
	return t.guarded(say(`UPDATE submission SET enrichment_id = $2 WHERE id = $1 AND enrichment_id IS NULL`, id.Bytes(), enrichmentID))
}

// Cost writes what a settle found out.
func (t SubmissionTx) Cost(c liwanag.SubmissionCost) error {
	return t.must(`UPDATE submission SET reserved = $2, credits = $3, duplicates = $4, late = $5, unconfirmed = $6 WHERE id = $1`,
		c.ID.Bytes(), c.Reserved, c.Credits, c.Duplicates, c.Late, c.Unconfirmed)
}

// Follow sets when the sweep looks at it next; zero: never.
func (t SubmissionTx) Follow(id liwanag.ID, at time.Time) error {
	return t.must(`UPDATE submission SET follow_at = $2 WHERE id = $1`, id.Bytes(), micros(at))
}

// FollowUnsent lets the sweep look at everything now that it would look at later
// and that is prepared or refused.
func (t SubmissionTx) FollowUnsent(at time.Time) error {
	_, err := t.exec(`UPDATE submission SET follow_at = $1 WHERE follow_at > $1 AND state IN ('prepared', 'refused')`, micros(at))
	return err
}

// Detach notes that a run has ended (or, false, that it is open again) on all
// of its submissions, and returns those that are open.
func (t SubmissionTx) Detach(runID liwanag.ID, detached bool) ([]liwanag.Submission, error) {
	if _, err := t.exec(`UPDATE submission SET detached = $2 WHERE run_id = $1 AND detached <> $2`, runID.Bytes(), detached); err != nil {
		return nil, err
	}
	all, err := t.OfRun(runID)
	return slices.DeleteFunc(all, func(s liwanag.Submission) bool { return !s.State.Open() }), err
}

// InFlight sums the jobs of submissions that are sending, accepted or
// ambiguous and whose run has not ended.
func (t SubmissionTx) InFlight() (int, error) {
	n, err := one(t, scanInt, submissionsInFlight)
	return int(n), err
}
