package enrichment

import (
	"context"
	"errors"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/paid"
	"github.com/liwanag/liwanag/workflow"
)

// Enrollment asks for a lookup of a subscriber.
type Enrollment struct {
	SubscriberID liwanag.ID
	UploadID     liwanag.ID // the upload that asks; zero: none did
	Retries      int        // jobs before this one for the same transient cause
	Confirmed    bool       // somebody was told what it costs and ordered it
	Again        bool       // although another address of the mailbox has a result
}

// Enroll makes a job for each of the people and puts it into a batch, in the
// caller's transaction: first into the open batch with room, then into new ones.
// The job that fills a batch closes it, so that a group of many opens full
// batches. A mailbox with an open job keeps that one, and one with a young result uses it again
// for all its addresses. The answers are in the order of people; after the commit hand their run
// IDs to Service.Start.
func Enroll(tx *datastore.Tx, people []Enrollment, cfg Config, now time.Time) ([]liwanag.Opened, error) {
	cfg = cfg.withDefaults()
	opened, rest, err := takeOver(tx, people, cfg, now)
	if err != nil || len(rest) == 0 {
		return opened, err
	}
	asked := make([]Enrollment, len(rest))
	for i, at := range rest {
		asked[i] = people[at]
	}
	answers, err := intoBatches(tx, asked, cfg, now)
	if err != nil {
		return nil, err
	}
	for i, answer := range answers {
		if answer.Shared {
			if _, err := waits(tx, asked[i], now); err != nil {
				return nil, err
			}
		}
		opened[rest[i]] = answer
	}
	return opened, nil
}

func intoBatches(tx *datastore.Tx, people []Enrollment, cfg Config, now time.Time) ([]liwanag.Opened, error) {
	opened := make([]liwanag.Opened, 0, len(people))
	var fresh []liwanag.Batch
	batch, found, err := tx.Batches.Open(now)
	if err != nil {
		return nil, err
	}
	for len(opened) < len(people) {
		if !found || batch.Size >= cfg.BatchSize {
			batch = liwanag.Batch{RunID: liwanag.NewID(liwanag.RunKind), ClosesAt: now.Add(cfg.BatchWindow),
				State: liwanag.BatchOpen, CreatedAt: now}
			fresh, found = append(fresh, batch), true
		}
		next := people[len(opened):min(len(people), len(opened)+cfg.BatchSize-batch.Size)]
		answers, err := tx.Jobs.Insert(newJobs(next, batch.RunID, now))
		if err != nil {
			return nil, err
		}
		opened = append(opened, answers...)
		n := inserted(answers)
		batch.Size += n
		if len(fresh) > 0 {
			fresh[len(fresh)-1] = closeWhenFull(batch, cfg.BatchSize)
			continue
		}
		if n > 0 {
			if ok, err := tx.Batches.Grow(batch.RunID, n, cfg.BatchSize); err != nil || !ok {
				return nil, errors.Join(err, errChanged)
			}
		}
	}
	if n := len(fresh); n > 0 && fresh[n-1].Size == 0 {
		fresh = fresh[:n-1]
	}
	if len(fresh) == 0 {
		return opened, nil
	}
	return opened, tx.Batches.Insert(fresh)
}

func newJobs(people []Enrollment, runID liwanag.ID, now time.Time) []liwanag.Job {
	jobs := make([]liwanag.Job, len(people))
	for i, p := range people {
		jobs[i] = liwanag.Job{ID: liwanag.NewID(liwanag.JobKind), SubscriberID: p.SubscriberID, RunID: runID,
			UploadID: p.UploadID, Status: liwanag.JobPending, Retries: p.Retries, Confirmed: p.Confirmed, CreatedAt: now}
	}
	return jobs
}

func inserted(answers []liwanag.Opened) (n int) {
	for _, a := range answers {
		if a.Inserted {
			n++
		}
	}
	return n
}

func closeWhenFull(b liwanag.Batch, full int) liwanag.Batch {
	if b.Size >= full {
		b.State = liwanag.BatchClosed
	}
	return b
}

// ClaimBatch closes the run's batch and names its jobs; until the batch's window
// ends it snoozes. No two runs ever compete for a job, since a job is in one
// batch. A run without a batch has no jobs.
func (e *Enricher) ClaimBatch(ctx context.Context) (Batch, error) {
	runID, err := runOf(ctx)
	if err != nil {
		return Batch{}, err
	}
	batch, err := e.store.Batches.Get(ctx, runID)
	switch {
	case errors.Is(err, liwanag.ErrNotFound):
		return Batch{}, nil
	case err != nil:
		return Batch{}, err
	}
	if wait := batch.ClosesAt.Sub(e.now()); batch.State == liwanag.BatchOpen && wait > 0 {
		return Batch{}, workflow.Snooze(wait)
	}
	var claimed Batch
	var origin workflow.Attributes
	err = e.store.Write(ctx, func(tx *datastore.Tx) error {
		claimed = Batch{}
		if err := tx.Batches.Close(runID); err != nil {
			return err
		}
		if err := takeBack(tx, runID); err != nil {
			return err
		}
		jobs, err := tx.Jobs.OfRun(runID)
		if err != nil {
			return err
		}
		// A retried run goes on although its jobs are in a submission already.
		jobs = with(jobs, liwanag.JobPending, liwanag.JobSubmitted, liwanag.JobHeld)
		claimed.JobIDs, origin = ids(jobs), originOf(jobs)
		return nil
	})
	if err == nil && len(origin) > 0 {
		err = workflow.SetAttributes(ctx, origin)
	}
	return claimed, err
}

// originOf is where the people of a batch come from, most of them, when several uploads or
// sources share it: attributes of its run.
func originOf(jobs []liwanag.Job) workflow.Attributes {
	origin := workflow.Attributes{}
	counts := map[string]map[string]int{"upload": {}, "source": {}}
	for _, j := range jobs {
		for key, value := range map[string]string{"upload": j.UploadID.String(), "source": j.Source} {
			if j.UploadID.IsZero() && key == "upload" || (workflow.Attributes{key: value}).Validate() != nil {
				continue
			}
			if counts[key][value]++; counts[key][value] > counts[key][origin[key]] {
				origin[key] = value
			}
		}
	}
	return origin
}

// takeBack gives a run that was retried after its end its jobs back: those that
// are failed, canceled or held and have no open job elsewhere. Jobs of an open
// submission follow it; the others are pending, if the run will submit again.
func takeBack(tx *datastore.Tx, runID liwanag.ID) error {
	batch, err := tx.Batches.Get(runID)
	if errors.Is(err, liwanag.ErrNotFound) {
		return nil
	}
	if err != nil || batch.EndedAt.IsZero() {
		return err
	}
	if err := tx.Batches.End(runID, time.Time{}); err != nil {
		return err
	}
	open, err := tx.Submissions.Detach(runID, false)
	if err != nil {
		return err
	}
	for _, s := range open {
		jobs, err := tx.Jobs.OfSubmission(s.ID)
		if err != nil {
			return err
		}
		if _, err := tx.Jobs.Reopen(ids(jobs), paid.JobStatus(s.State)); err != nil {
			return err
		}
		if err := tx.Submissions.Follow(s.ID, time.Time{}); err != nil {
			return err
		}
	}
	subs, err := tx.Submissions.OfRun(runID)
	if err != nil {
		return err
	}
	if n := len(subs); n > 0 && subs[n-1].State != liwanag.SubmissionRefused {
		return nil // the run submits nothing more: what is not in that submission would wait for ever
	}
	jobs, err := tx.Jobs.OfRun(runID)
	if err != nil {
		return err
	}
	lost := ids(with(jobs, liwanag.JobFailed, liwanag.JobCanceled))
	if _, err := tx.Jobs.Reopen(lost, liwanag.JobPending); err != nil {
		return err
	}
	_, err = tx.Jobs.ClearRetry(ids(jobs))
	return err
}

// splitOff moves pending jobs of a run into a closed batch of their own; the
// starter starts it.
func splitOff(tx *datastore.Tx, jobIDs []liwanag.ID, now time.Time) error {
	moved, err := tx.Jobs.Assign(jobIDs, liwanag.ID{})
	if err != nil || len(moved) == 0 {
		return err
	}
	runID := liwanag.NewID(liwanag.RunKind)
	if moved, err = tx.Jobs.Assign(moved, runID); err != nil {
		return err
	}
	return tx.Batches.Insert([]liwanag.Batch{{RunID: runID, ClosesAt: now, Size: len(moved),
		State: liwanag.BatchClosed, CreatedAt: now}})
}
