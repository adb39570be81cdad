package datastore

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// jobColumns are read from "job j LEFT JOIN subscriber s": a job outlives the
// person it was for.
const (
	ownColumns = `j.id, j.subscriber_id, j.run_id, j.upload_id, j.status, j.failure_code, j.failure_message, j.retry_at, j.retries,
	j.credits, j.enrichment_id, j.late, j.created_at, j.ended_at, j.confirmed`
	jobColumns = ownColumns + `, s.email, s.email_key, s.suppressed_at IS NOT NULL, s.source`
	withEmail  = ` LEFT JOIN subscriber s ON s.id = j.subscriber_id `
	selectJobs = `SELECT ` + jobColumns + ` FROM job j` + withEmail

	// isOpen is written as in the partial indexes: only the same words use them.
	isOpen = `status IN ('pending', 'submitted', 'held')`
)

func scanJob(r Row) (j liwanag.Job, err error) {
	err = r.Scan(idTo(liwanag.JobKind, &j.ID), idTo(liwanag.SubscriberKind, &j.SubscriberID), idTo(liwanag.RunKind, &j.RunID),
		idTo(liwanag.UploadKind, &j.UploadID), textTo(&j.Status), textTo(&j.Failure.Code), textTo(&j.Failure.Message),
		timeColumn{&j.RetryAt}, &j.Retries, &j.Credits, textTo(&j.EnrichmentID), &j.Late, timeColumn{&j.CreatedAt},
		timeColumn{&j.EndedAt}, &j.Confirmed, textTo(&j.Email), textTo(&j.EmailKey), &j.Suppressed, textTo(&j.Source))
	return j, err
}

// Jobs reads jobs.
type Jobs struct{ reader }

func (s Jobs) Get(ctx context.Context, id liwanag.ID) (liwanag.Job, error) {
	return one(s.in(ctx), scanJob, selectJobs+`WHERE j.id = $1`, id.Bytes())
}

// OfSubscriber lists a person's jobs, newest first.
func (s Jobs) OfSubscriber(ctx context.Context, subscriberID liwanag.ID) ([]liwanag.Job, error) {
	return list(s.in(ctx), scanJob, selectJobs+`WHERE j.subscriber_id = $1 ORDER BY j.id DESC`, subscriberID.Bytes())
}

const jobsOfRun = selectJobs + `WHERE j.run_id = $1 ORDER BY j.id`

// OfRun lists the jobs of a batch, oldest first.
func (s Jobs) OfRun(ctx context.Context, runID liwanag.ID) ([]liwanag.Job, error) {
	return list(s.in(ctx), scanJob, jobsOfRun, runID.Bytes())
}

const jobsOfSubmission = `SELECT ` + jobColumns + ` FROM submission_job sj /*lite CROSS*/ JOIN job j ON j.id = sj.job_id` + withEmail +
	`WHERE sj.submission_id = $1 ORDER BY sj.job_id`

// OfSubmission lists the jobs of a submission, oldest first.
func (s Jobs) OfSubmission(ctx context.Context, submissionID liwanag.ID) ([]liwanag.Job, error) {
	return list(s.in(ctx), scanJob, jobsOfSubmission, submissionID.Bytes())
}

// RunsOfEmail lists the runs of a person's jobs, newest first.
func (s Jobs) RunsOfEmail(ctx context.Context, emailKey string) ([]liwanag.ID, error) {
	return list(s.in(ctx), scanID(liwanag.RunKind), `
		SELECT DISTINCT run_id FROM job WHERE run_id IS NOT NULL
		AND subscriber_id = (SELECT id FROM subscriber WHERE email_key = $1) ORDER BY run_id DESC`, emailKey)
}

// Unbatched lists pending jobs without a batch, oldest first.
func (s Jobs) Unbatched(ctx context.Context, limit int) ([]liwanag.Job, error) {
	return list(s.in(ctx), scanJob, selectJobs+`WHERE j.run_id IS NULL AND j.status = 'pending' ORDER BY j.id LIMIT $1`, limit)
}

// RetryDue lists jobs whose RetryAt is at or before now, earliest first.
func (s Jobs) RetryDue(ctx context.Context, now time.Time, limit int) ([]liwanag.Job, error) {
	return list(s.in(ctx), scanJob, selectJobs+`WHERE j.retry_at <= $1 ORDER BY j.retry_at, j.id LIMIT $2`, micros(now), limit)
}

// OpenRuns lists, in order, the runs after the given one (zero: from the
// first) that have an open job created before the given time.
func (s Jobs) OpenRuns(ctx context.Context, createdBefore time.Time, after liwanag.ID, limit int) ([]liwanag.ID, error) {
	from := append([]byte{}, after.Bytes()...) // never nil: nothing is greater than NULL
	if after.IsZero() {
		from = make([]byte, 16)
	}
	return list(s.in(ctx), scanID(liwanag.RunKind), `
		SELECT DISTINCT run_id FROM job /*lite INDEXED BY job_open_run*/ WHERE run_id > $1 AND created_at < $2 AND `+isOpen+` ORDER BY run_id LIMIT $3`,
		from, micros(createdBefore), limit)
}

// Count counts jobs by status.
func (s Jobs) Count(ctx context.Context) (map[liwanag.JobStatus]int64, error) {
	return counts[liwanag.JobStatus](s.in(ctx), `
		SELECT status, count(*) FROM job GROUP BY status
		/*lite! SELECT status, count(*) FROM job WHERE latest = true GROUP BY status -- two indexes, and no table
		UNION ALL SELECT status, count(*) FROM job WHERE latest = false GROUP BY status*/`)
}

// JobTx writes jobs.
type JobTx struct{ writing }

// Get reads those that exist, in no order, e-mail joined.
func (t JobTx) Get(ids []liwanag.ID) ([]liwanag.Job, error) {
	return list(t, scanJob, selectJobs+`WHERE j.id = ANY($1)`, idsOf(t, ids))
}

// OfRun reads the jobs of a batch, oldest first, e-mail joined.
func (t JobTx) OfRun(runID liwanag.ID) ([]liwanag.Job, error) {
	return list(t, scanJob, jobsOfRun, runID.Bytes())
}

// OfSubmission reads the jobs of a submission, oldest first, e-mail joined.
// A job whose subscriber is gone has no e-mail.
func (t JobTx) OfSubmission(submissionID liwanag.ID) ([]liwanag.Job, error) {
	return list(t, scanJob, jobsOfSubmission, submissionID.Bytes())
}

// OpenOf finds the open jobs of subscribers, in no order, without e-mail.
func (t JobTx) OpenOf(subscriberIDs []liwanag.ID) ([]liwanag.Job, error) {
	return list(t, scanJob, `SELECT `+ownColumns+
		`, CAST(NULL AS text), CAST(NULL AS text), false, CAST(NULL AS text) FROM job j WHERE j.subscriber_id = ANY($1) AND j.`+isOpen,
		idsOf(t, subscriberIDs))
}

// InFlight tells which of the subscribers have a job, of any status, in a
// submission that is sending, accepted, ambiguous or held.
//
// InFlight walks from the person to the open submission of a job, which is one
// of the states asked for unless it is only prepared.
func (t JobTx) InFlight(subscriberIDs []liwanag.ID) ([]liwanag.ID, error) {
	return list(t, scanID(liwanag.SubscriberKind), `
		SELECT DISTINCT j.subscriber_id FROM job j
		/*lite CROSS*/ JOIN submission_job sj ON sj.job_id = j.id AND sj.open = true
		/*lite CROSS*/ JOIN submission b ON b.id = sj.submission_id AND b.state <> 'prepared'
		WHERE j.subscriber_id = ANY($1)`, idsOf(t, subscriberIDs))
}

// NotFoundSince tells which of the subscribers have a latest job that found nobody at
// or after the given time.
func (t JobTx) NotFoundSince(subscriberIDs []liwanag.ID, since time.Time) ([]liwanag.ID, error) {
	return list(t, scanID(liwanag.SubscriberKind), `SELECT subscriber_id FROM job
		WHERE subscriber_id = ANY($1) AND latest = true AND status = 'not_found' AND ended_at >= $2`,
		idsOf(t, subscriberIDs), micros(since))
}

// Insert stores jobs in order and answers in that order. Unique indexes over
// the subscriber and the mailbox of open jobs are the guard: a mailbox with an open job
// keeps it, and the answer names it. Status must be open or final as given (a
// reused result is inserted enriched).
func (t JobTx) Insert(jobs []liwanag.Job) ([]liwanag.Opened, error) {
	if len(jobs) == 0 {
		return []liwanag.Opened{}, nil
	}
	people := make([]liwanag.ID, len(jobs))
	for i, j := range jobs {
		people[i] = j.SubscriberID
	}
	boxes, _, err := boxesOf(t, people)
	if err != nil {
		return nil, err
	}
	inserted := make(map[liwanag.ID]bool, len(jobs))
	for _, round := range rounds(jobs, func(j liwanag.Job) liwanag.ID { return j.SubscriberID }) {
		ids, err := t.insert(round, boxes)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			inserted[id] = true
		}
	}
	opened := make([]liwanag.Opened, len(jobs))
	var kept []int
	for i, j := range jobs {
		if inserted[j.ID] {
			opened[i] = liwanag.Opened{JobID: j.ID, RunID: j.RunID, Inserted: true}
		} else {
			kept = append(kept, i)
		}
	}
	if len(kept) == 0 {
		return opened, nil
	}
	return opened, t.nameOpen(jobs, kept, opened)
}

// insert takes each person once and tells which jobs are new. What it supersedes
// is the job that was the latest before: the update does not see what the insert
// did. In SQLite a trigger does it.
func (t JobTx) insert(jobs []liwanag.Job, boxes map[liwanag.ID]string) ([]liwanag.ID, error) {
	r := recordsOf(jobs).
		id("id", func(j liwanag.Job) liwanag.ID { return j.ID }).
		id("subscriber_id", func(j liwanag.Job) liwanag.ID { return j.SubscriberID }).
		id("run_id", func(j liwanag.Job) liwanag.ID { return j.RunID }).
		id("upload_id", func(j liwanag.Job) liwanag.ID { return j.UploadID }).
		word("status", func(j liwanag.Job) string { return string(j.Status) }).
		text("failure_code", func(j liwanag.Job) string { return j.Failure.Code }).
		text("failure_message", func(j liwanag.Job) string { return j.Failure.Message }).
		time("retry_at", func(j liwanag.Job) time.Time { return j.RetryAt }).
		number("retries", func(j liwanag.Job) int64 { return int64(j.Retries) }).
		number("credits", func(j liwanag.Job) int64 { return j.Credits }).
		text("enrichment_id", func(j liwanag.Job) string { return j.EnrichmentID }).
		flag("late", func(j liwanag.Job) bool { return j.Late }).
		flag("confirmed", func(j liwanag.Job) bool { return j.Confirmed }).
		flag("latest", func(liwanag.Job) bool { return true }).
		time("created_at", func(j liwanag.Job) time.Time { return j.CreatedAt }).
		time("ended_at", func(j liwanag.Job) time.Time { return j.EndedAt }).
		text("mailbox", func(j liwanag.Job) string { return boxes[j.SubscriberID] })
	return t.insertNew("job", r.Records, "",
		`UPDATE job SET latest = false WHERE subscriber_id = ANY(ARRAY(SELECT subscriber_id FROM inserted)) AND latest`)
}

// nameOpen answers for the persons whose mailbox kept the open job it had.
func (t JobTx) nameOpen(jobs []liwanag.Job, kept []int, opened []liwanag.Opened) error {
	people := make([]liwanag.ID, len(kept))
	for i, index := range kept {
		people[i] = jobs[index].SubscriberID
	}
	byPerson, err := t.OpenOfMailboxes(people)
	if err != nil {
		return err
	}
	open, err := t.OpenOf(people)
	if err != nil {
		return err
	}
	for _, j := range open {
		byPerson[j.SubscriberID] = liwanag.Opened{JobID: j.ID, RunID: j.RunID}
	}
	for _, index := range kept {
		opened[index] = byPerson[jobs[index].SubscriberID]
	}
	return nil
}

// Move is a compare-and-set: it changes those jobs that are in a From state
// and returns their IDs.
func (t JobTx) Move(m liwanag.JobMove) ([]liwanag.ID, error) {
	return list(t, scanID(liwanag.JobKind), `
		UPDATE job SET status = $2, failure_code = $3, failure_message = $4, retry_at = $5, ended_at = $6
		WHERE id = ANY($1) AND status = ANY($7::text[]) RETURNING id`,
		idsOf(t, m.IDs), string(m.To), text(m.Failure.Code), text(m.Failure.Message), micros(m.RetryAt),
		micros(endedAt(m.To, m.At)), wordsOf(t, m.From))
}

func endedAt(status liwanag.JobStatus, at time.Time) time.Time {
	if status.Open() {
		return time.Time{}
	}
	return at
}

// Reopen is Move from failed, canceled and held to the given open status for
// those jobs whose mailbox has no other open job and whose failure code is
// not CodeUnsubscribed: the way a retried run takes its jobs back.
//
// Reopen takes the first of a mailbox's jobs that may come back: of two of them
// the second has to see the first.
func (t JobTx) Reopen(ids []liwanag.ID, to liwanag.JobStatus) (reopened []liwanag.ID, err error) {
	type whose struct {
		id  liwanag.ID
		box string
	}
	all, err := list(t, func(r Row) (w whose, err error) {
		var person liwanag.ID
		err = r.Scan(idTo(liwanag.JobKind, &w.id), idTo(liwanag.SubscriberKind, &person), textTo(&w.box))
		w.box = cmp.Or(w.box, person.String())
		return w, err
	}, `SELECT id, subscriber_id, mailbox FROM job WHERE id = ANY($1)`, idsOf(t, ids))
	if err != nil {
		return nil, err
	}
	box, boxes := make(map[liwanag.ID]string, len(all)), make([]string, len(all))
	for i, w := range all {
		box[w.id], boxes[i] = w.box, w.box
	}
	for _, round := range rounds(ids, func(id liwanag.ID) string { return box[id] }) {
		open, err := openBoxes(t, boxes)
		if err != nil {
			return nil, err
		}
		round = slices.DeleteFunc(round, func(id liwanag.ID) bool { o, taken := open[box[id]]; return taken && o.job != id })
		some, err := list(t, scanID(liwanag.JobKind), `
			UPDATE job SET status = $2, failure_code = NULL, failure_message = NULL, retry_at = NULL, ended_at = NULL
			WHERE id = ANY($1) AND status IN ('failed', 'canceled', 'held') AND coalesce(failure_code, '') NOT IN ($3, $4, $5)
			AND NOT EXISTS (SELECT 1 FROM job o WHERE o.subscriber_id = job.subscriber_id AND o.id <> job.id AND o.`+isOpen+`)
			RETURNING id`, idsOf(t, round), string(to), liwanag.CodeUnsubscribed, liwanag.CodeErased, liwanag.CodeOrdered)
		if err != nil {
			return nil, err
		}
		reopened = append(reopened, some...)
	}
	return reopened, nil
}

// Settle writes results unconditionally: the caller decided on rows that it
// read in this transaction.
//
// Settle forgets RetryAt: a person who has a result gets no further job.
func (t JobTx) Settle(results []liwanag.JobResult) error {
	for _, round := range rounds(results, func(r liwanag.JobResult) liwanag.ID { return r.ID }) {
		r := recordsOf(round).
			id("id", func(r liwanag.JobResult) liwanag.ID { return r.ID }).
			word("status", func(r liwanag.JobResult) string { return string(r.Status) }).
			text("failure_code", func(r liwanag.JobResult) string { return r.Failure.Code }).
			text("failure_message", func(r liwanag.JobResult) string { return r.Failure.Message }).
			number("credits", func(r liwanag.JobResult) int64 { return r.Credits }).
			text("enrichment_id", func(r liwanag.JobResult) string { return r.EnrichmentID }).
			flag("late", func(r liwanag.JobResult) bool { return r.Late }).
			time("ended_at", func(r liwanag.JobResult) time.Time { return endedAt(r.Status, r.At) })
		if err := t.updateEach("job", r.Records, "retry_at = NULL"); err != nil {
			return err
		}
	}
	return nil
}

// Assign puts pending jobs that have no batch into one (zero: takes pending
// jobs out of theirs) and returns the IDs it changed.
func (t JobTx) Assign(ids []liwanag.ID, runID liwanag.ID) ([]liwanag.ID, error) {
	return list(t, scanID(liwanag.JobKind), `
		UPDATE job SET run_id = $2 WHERE id = ANY($1) AND status = 'pending' AND (run_id IS NULL) = (CAST($2 AS uuid) IS NOT NULL) RETURNING id`,
		idsOf(t, ids), runID.Bytes())
}

// Confirm notes that somebody confirmed what the jobs of a run cost.
func (t JobTx) Confirm(runID liwanag.ID) error {
	_, err := t.exec(`UPDATE job SET confirmed = true WHERE run_id = $1 AND confirmed = false`, runID.Bytes())
	return err
}

// CountOf counts the jobs of an upload.
func (t JobTx) CountOf(uploadID liwanag.ID) (int64, error) {
	return one(t, scanInt, `SELECT count(*) FROM job WHERE upload_id = $1`, uploadID.Bytes())
}

// PendingOf lists the pending jobs of subscribers with a source, oldest first.
func (t JobTx) PendingOf(source string, limit int) ([]liwanag.Job, error) {
	return list(t, scanJob, selectJobs+`WHERE j.status = 'pending' AND s.source = $1 ORDER BY j.id LIMIT $2`, source, limit)
}

// ClearRetry forgets RetryAt and returns the IDs that had one.
func (t JobTx) ClearRetry(ids []liwanag.ID) ([]liwanag.ID, error) {
	return list(t, scanID(liwanag.JobKind),
		`UPDATE job SET retry_at = NULL WHERE id = ANY($1) AND retry_at IS NOT NULL RETURNING id`, idsOf(t, ids))
}
