package sqlite

import (
	"context"
	"time"

	"github.com/liwanag/liwanag/internal/liwanag"
)

// jobColumns are read from "job j LEFT JOIN subscriber s": a job outlives the
// person it was for.
const (
	jobColumns = `j.id, j.subscriber_id, j.run_id, j.upload_id, j.status, j.failure_code, j.failure_message, j.retry_at, j.retries,
	j.credits, j.enrichment_id, j.late, j.created_at, j.ended_at, s.email, s.email_key, s.suppressed_at IS NOT NULL`
	withEmail  = ` LEFT JOIN subscriber s ON s.id = j.subscriber_id `
	selectJobs = `SELECT ` + jobColumns + ` FROM job j` + withEmail

	// isOpen is written as in the partial indexes: only the same words use them.
	isOpen = `status IN ('pending', 'submitted', 'held')`
)

func scanJob(r row) (j liwanag.Job, err error) {
	err = r.Scan(id(liwanag.JobKind, &j.ID), id(liwanag.SubscriberKind, &j.SubscriberID), id(liwanag.RunKind, &j.RunID),
		id(liwanag.UploadKind, &j.UploadID), textTo(&j.Status), textTo(&j.Failure.Code), textTo(&j.Failure.Message),
		timeColumn{&j.RetryAt}, &j.Retries, &j.Credits, textTo(&j.EnrichmentID), &j.Late, timeColumn{&j.CreatedAt},
		timeColumn{&j.EndedAt}, textTo(&j.Email), textTo(&j.EmailKey), &j.Suppressed)
	return j, err
}

type jobs struct{ reader }

func (s jobs) Get(ctx context.Context, id liwanag.ID) (liwanag.Job, error) {
	return one(s.in(ctx), scanJob, selectJobs+`WHERE j.id = ?`, id.Bytes())
}

func (s jobs) OfSubscriber(ctx context.Context, subscriberID liwanag.ID) ([]liwanag.Job, error) {
	return list(s.in(ctx), scanJob, selectJobs+`WHERE j.subscriber_id = ? ORDER BY j.id DESC`, subscriberID.Bytes())
}

const jobsOfRun = selectJobs + `WHERE j.run_id = ? ORDER BY j.id`

func (s jobs) OfRun(ctx context.Context, runID liwanag.ID) ([]liwanag.Job, error) {
	return list(s.in(ctx), scanJob, jobsOfRun, runID.Bytes())
}

const jobsOfSubmission = `SELECT ` + jobColumns + ` FROM submission_job sj CROSS JOIN job j ON j.id = sj.job_id` + withEmail +
	`WHERE sj.submission_id = ? ORDER BY sj.job_id`

func (s jobs) OfSubmission(ctx context.Context, submissionID liwanag.ID) ([]liwanag.Job, error) {
	return list(s.in(ctx), scanJob, jobsOfSubmission, submissionID.Bytes())
}

func (s jobs) RunsOfEmail(ctx context.Context, emailKey string) ([]liwanag.ID, error) {
	return list(s.in(ctx), scanID(liwanag.RunKind), `
		SELECT DISTINCT run_id FROM job WHERE run_id IS NOT NULL
		AND subscriber_id = (SELECT id FROM subscriber WHERE email_key = ?) ORDER BY run_id DESC`, emailKey)
}

func (s jobs) Unbatched(ctx context.Context, limit int) ([]liwanag.Job, error) {
	return list(s.in(ctx), scanJob, selectJobs+`WHERE j.run_id IS NULL AND j.status = 'pending' ORDER BY j.id LIMIT ?`, limit)
}

func (s jobs) RetryDue(ctx context.Context, now time.Time, limit int) ([]liwanag.Job, error) {
	return list(s.in(ctx), scanJob, selectJobs+`WHERE j.retry_at <= ? ORDER BY j.retry_at, j.id LIMIT ?`, micros(now), limit)
}

func (s jobs) OpenRuns(ctx context.Context, createdBefore time.Time, after liwanag.ID, limit int) ([]liwanag.ID, error) {
	return list(s.in(ctx), scanID(liwanag.RunKind), `
		SELECT DISTINCT run_id FROM job INDEXED BY job_open_run WHERE run_id > ? AND created_at < ? AND `+isOpen+` ORDER BY run_id LIMIT ?`,
		append([]byte{}, after.Bytes()...), micros(createdBefore), limit) // never nil: nothing is greater than NULL
}

// Count needs no table: it walks the two indexes of statuses.
func (s jobs) Count(ctx context.Context) (map[liwanag.JobStatus]int64, error) {
	return counts[liwanag.JobStatus](s.in(ctx), `
		SELECT status, count(*) FROM job WHERE latest = 1 GROUP BY status
		UNION ALL SELECT status, count(*) FROM job WHERE latest = 0 GROUP BY status`)
}

type jobTx struct{ writing }

func (t jobTx) Get(ids []liwanag.ID) ([]liwanag.Job, error) {
	return list(t, scanJob, selectJobs+`WHERE j.id IN `+eachID, packed(ids))
}

func (t jobTx) OfRun(runID liwanag.ID) ([]liwanag.Job, error) {
	return list(t, scanJob, jobsOfRun, runID.Bytes())
}

func (t jobTx) OfSubmission(submissionID liwanag.ID) ([]liwanag.Job, error) {
	return list(t, scanJob, jobsOfSubmission, submissionID.Bytes())
}

func (t jobTx) OpenOf(subscriberIDs []liwanag.ID) ([]liwanag.Job, error) {
	return list(t, scanJob, `
		SELECT j.id, j.subscriber_id, j.run_id, j.upload_id, j.status, j.failure_code, j.failure_message, j.retry_at, j.retries,
			j.credits, j.enrichment_id, j.late, j.created_at, j.ended_at, NULL, NULL, 0
		FROM job j WHERE j.subscriber_id IN `+eachID+` AND j.`+isOpen, packed(subscriberIDs))
}

// InFlight walks from the person to the open submission of a job, which is one
// of the states asked for unless it is only prepared.
func (t jobTx) InFlight(subscriberIDs []liwanag.ID) ([]liwanag.ID, error) {
	return list(t, scanID(liwanag.SubscriberKind), `
		SELECT DISTINCT j.subscriber_id FROM job j
		CROSS JOIN submission_job sj ON sj.job_id = j.id AND sj.open = 1
		CROSS JOIN submission b ON b.id = sj.submission_id AND b.state <> 'prepared'
		WHERE j.subscriber_id IN `+eachID, packed(subscriberIDs))
}

func (t jobTx) Insert(jobs []liwanag.Job) ([]liwanag.Opened, error) {
	opened := make([]liwanag.Opened, len(jobs))
	var kept []int
	err := multiRow(len(jobs), func(from, to int) error {
		inserted, err := t.insert(jobs[from:to])
		if err != nil {
			return err
		}
		for i := from; i < to; i++ {
			if inserted[jobs[i].ID] {
				opened[i] = liwanag.Opened{JobID: jobs[i].ID, RunID: jobs[i].RunID, Inserted: true}
			} else {
				kept = append(kept, i)
			}
		}
		return nil
	})
	if err != nil || len(kept) == 0 {
		return opened, err
	}
	return opened, t.nameOpen(jobs, kept, opened)
}

const insertJob = `INSERT INTO job (id, subscriber_id, run_id, upload_id, status, failure_code, failure_message, retry_at,
	retries, credits, enrichment_id, late, created_at, ended_at) VALUES `

func (t jobTx) insert(jobs []liwanag.Job) (map[liwanag.ID]bool, error) {
	const columns = 14
	args := make([]any, 0, columns*len(jobs))
	ids := make([]liwanag.ID, 0, len(jobs))
	for _, j := range jobs {
		ids = append(ids, j.ID)
		args = append(args, j.ID.Bytes(), j.SubscriberID.Bytes(), j.RunID.Bytes(), j.UploadID.Bytes(), string(j.Status),
			text(j.Failure.Code), text(j.Failure.Message), micros(j.RetryAt), j.Retries, j.Credits, text(j.EnrichmentID),
			j.Late, micros(j.CreatedAt), micros(j.EndedAt))
	}
	return t.stored("job", ids, insertJob+placeholders(len(jobs), columns)+` ON CONFLICT (subscriber_id) WHERE `+isOpen+` DO NOTHING`, args...)
}

// nameOpen answers for the persons who kept the open job they had.
func (t jobTx) nameOpen(jobs []liwanag.Job, kept []int, opened []liwanag.Opened) error {
	people := make([]liwanag.ID, len(kept))
	for i, index := range kept {
		people[i] = jobs[index].SubscriberID
	}
	open, err := t.OpenOf(people)
	if err != nil {
		return err
	}
	byPerson := make(map[liwanag.ID]liwanag.Job, len(open))
	for _, j := range open {
		byPerson[j.SubscriberID] = j
	}
	for _, index := range kept {
		j := byPerson[jobs[index].SubscriberID]
		opened[index] = liwanag.Opened{JobID: j.ID, RunID: j.RunID}
	}
	return nil
}

func (t jobTx) Move(m liwanag.JobMove) ([]liwanag.ID, error) {
	return list(t, scanID(liwanag.JobKind), `
		UPDATE job SET status = ?2, failure_code = ?3, failure_message = ?4, retry_at = ?5, ended_at = ?6
		WHERE id IN `+eachID+` AND status IN (SELECT value FROM json_each(?7)) RETURNING id`,
		packed(m.IDs), string(m.To), text(m.Failure.Code), text(m.Failure.Message), micros(m.RetryAt),
		endedAt(m.To, m.At), words(m.From))
}

func endedAt(status liwanag.JobStatus, at time.Time) any {
	if status.Open() {
		return nil
	}
	return micros(at)
}

// Reopen goes job by job, since two of them may be one person's: the second
// must see the first.
func (t jobTx) Reopen(ids []liwanag.ID, to liwanag.JobStatus) ([]liwanag.ID, error) {
	var reopened []liwanag.ID
	for _, id := range ids {
		ok, err := t.changed(`
			UPDATE job SET status = ?2, failure_code = NULL, failure_message = NULL, retry_at = NULL, ended_at = NULL
			WHERE id = ?1 AND status IN ('failed', 'canceled', 'held') AND coalesce(failure_code, '') NOT IN (?3, ?4)
			AND NOT EXISTS (SELECT 1 FROM job o WHERE o.subscriber_id = job.subscriber_id AND o.id <> job.id AND o.`+isOpen+`)`,
			id.Bytes(), string(to), liwanag.CodeUnsubscribed, liwanag.CodeErased)
		if err != nil {
			return nil, err
		}
		if ok {
			reopened = append(reopened, id)
		}
	}
	return reopened, nil
}

// Settle forgets RetryAt: a person who has a result gets no further job.
func (t jobTx) Settle(results []liwanag.JobResult) error {
	for _, r := range results {
		_, err := t.exec(`
			UPDATE job SET status = ?, failure_code = ?, failure_message = ?, credits = ?, enrichment_id = ?, late = ?,
				ended_at = ?, retry_at = NULL WHERE id = ?`,
			string(r.Status), text(r.Failure.Code), text(r.Failure.Message), r.Credits, text(r.EnrichmentID), r.Late,
			endedAt(r.Status, r.At), r.ID.Bytes())
		if err != nil {
			return err
		}
	}
	return nil
}

func (t jobTx) Assign(ids []liwanag.ID, runID liwanag.ID) ([]liwanag.ID, error) {
	return list(t, scanID(liwanag.JobKind), `
		UPDATE job SET run_id = ?2 WHERE id IN `+eachID+` AND status = 'pending' AND (run_id IS NULL) = (?2 IS NOT NULL) RETURNING id`,
		packed(ids), runID.Bytes())
}

func (t jobTx) ClearRetry(ids []liwanag.ID) ([]liwanag.ID, error) {
	return list(t, scanID(liwanag.JobKind),
		`UPDATE job SET retry_at = NULL WHERE id IN `+eachID+` AND retry_at IS NOT NULL RETURNING id`, packed(ids))
}
