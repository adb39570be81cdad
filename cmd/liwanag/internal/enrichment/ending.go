package enrichment

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/paid"
	"github.com/liwanag/liwanag/workflow"
)

// maxRetries is how many new jobs a person gets for the same transient cause.
const maxRetries = 8

// retryAfterFailure is when the sweep makes a new job after the n-th failed one
// (0 for the first): 5, 10, 20, 40 … minutes later, at most 6 h.
func retryAfterFailure(n int) time.Duration {
	return min(5*time.Minute<<min(max(n, 0), 10), 6*time.Hour)
}

// permanentCodes are failures that another try would only repeat. Everything else
// (FullEnrich down, our database down, a lost worker) passes.
var permanentCodes = []string{liwanag.CodeInvalidEmail, liwanag.CodeExpired, liwanag.CodeOperatorFailed,
	liwanag.CodeBadRecord, workflow.CodePanic, workflow.CodeDefinition}

// MarkFailed ends the jobs of a run that failed or timed out: those that were
// not sent are failed, with a later try for a transient cause; those of an
// accepted submission are failed until its result comes; those of one in doubt
// are held. Jobs that are final stay as they are.
func (e *Enricher) MarkFailed(ctx context.Context, f workflow.Failure) error {
	failure := liwanag.JobFailure{Code: f.Code, Message: f.Message}
	switch {
	case f.Step == stepSubmit && f.Code == "", f.Step == stepBatch && f.Code == "":
		failure.Code = liwanag.CodeProviderUnavailable
	case f.Step == stepWait && f.Reason == workflow.ReasonTimeout:
		failure = liwanag.JobFailure{Code: liwanag.CodeWebhookTimeout, Message: "no result came in time; it is applied whenever it comes"}
	case failure.Code == "":
		failure.Code = string(f.Reason)
	}
	transient := f.Reason != workflow.ReasonCanceled && !slices.Contains(permanentCodes, failure.Code)
	runID, err := runOf(ctx)
	if err != nil {
		return err
	}
	return e.end(ctx, runID, func(tx *datastore.Tx, open []liwanag.Submission, now time.Time) error {
		for _, s := range open {
			if err := failSubmission(tx, s, failure, now); err != nil {
				return err
			}
		}
		return failPending(tx, runID, failure, transient, now)
	})
}

// failSubmission decides what becomes of an open submission when its run failed.
func failSubmission(tx *datastore.Tx, s liwanag.Submission, failure liwanag.JobFailure, now time.Time) error {
	switch s.State {
	case liwanag.SubmissionPrepared:
		return release(tx, s, paid.CauseRunEnded, now)
	case liwanag.SubmissionAccepted:
	default:
		return hold(tx, s, paid.CauseRunEnded, now)
	}
	jobs, err := tx.Jobs.OfSubmission(s.ID)
	if err != nil {
		return err
	}
	failed, err := tx.Jobs.Move(liwanag.JobMove{IDs: ids(jobs), From: []liwanag.JobStatus{liwanag.JobSubmitted},
		To: liwanag.JobFailed, Failure: failure, At: now})
	if err == nil {
		err = announceFailed(tx, jobs, failed, failure, now)
	}
	if err != nil {
		return err
	}
	return tx.Submissions.Follow(s.ID, now.Add(sweepFetchEvery))
}

// hold leaves a submission in doubt, and its jobs, to an operator.
func hold(tx *datastore.Tx, s liwanag.Submission, cause string, now time.Time) error {
	if s.Cause != "" && cause == paid.CauseRunEnded {
		cause = s.Cause
	}
	done, err := paid.Hold.Apply(tx, s, paid.Change{At: now, Cause: cause,
		Failure: liwanag.JobFailure{Code: cause, Message: "nobody knows whether FullEnrich took it: adopt, resubmit or fail the submission"}})
	if err != nil || !done.Moved {
		return err
	}
	_, err = datastore.Announce(tx, []liwanag.Announcement{{Topic: liwanag.TopicSubmissionHeld, Subject: s.ID, At: now,
		Facts: facts(map[string]any{"cause": cause})}})
	return err
}

// failPending fails the jobs of a run that were not sent.
func failPending(tx *datastore.Tx, runID liwanag.ID, failure liwanag.JobFailure, transient bool, now time.Time) error {
	jobs, err := tx.Jobs.OfRun(runID)
	if err != nil {
		return err
	}
	byRetries := map[int][]liwanag.ID{}
	for _, j := range with(jobs, liwanag.JobPending) {
		byRetries[j.Retries] = append(byRetries[j.Retries], j.ID)
	}
	for n, jobIDs := range byRetries {
		move := liwanag.JobMove{IDs: jobIDs, From: []liwanag.JobStatus{liwanag.JobPending}, To: liwanag.JobFailed, Failure: failure, At: now}
		if transient && n < maxRetries {
			move.RetryAt = now.Add(retryAfterFailure(n))
		}
		failed, err := tx.Jobs.Move(move)
		if err == nil && move.RetryAt.IsZero() {
			err = announceFailed(tx, jobs, failed, failure, now)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// MarkCanceled ends the jobs of a canceled run. What was not sent never will be.
// What was sent stays open, is not resubmitted any more, and its result is
// applied when it comes.
func (e *Enricher) MarkCanceled(ctx context.Context, reason string) error {
	runID, err := runOf(ctx)
	if err != nil {
		return err
	}
	return e.end(ctx, runID, func(tx *datastore.Tx, open []liwanag.Submission, now time.Time) error {
		for _, s := range open {
			switch s.State {
			case liwanag.SubmissionPrepared:
				if err := release(tx, s, paid.CauseRunEnded, now); err != nil {
					return err
				}
			case liwanag.SubmissionAccepted:
				if err := tx.Submissions.Follow(s.ID, now.Add(e.cfg.FetchSchedule[0])); err != nil {
					return err
				}
			case liwanag.SubmissionSending:
				// The step that sent it has ended, or the handler would not run.
				if _, err := goOn(tx, s, now); err != nil {
					return err
				}
			}
		}
		jobs, err := tx.Jobs.OfRun(runID)
		if err != nil {
			return err
		}
		_, err = tx.Jobs.Move(liwanag.JobMove{IDs: ids(jobs), To: liwanag.JobCanceled, At: now,
			From:    []liwanag.JobStatus{liwanag.JobPending, liwanag.JobSubmitted, liwanag.JobHeld},
			Failure: liwanag.JobFailure{Code: liwanag.CodeCanceled, Message: reason}})
		return err
	})
}

// end notes that a run has ended, on its batch and its submissions, and lets
// finish decide on those that are open, in one transaction.
func (e *Enricher) end(ctx context.Context, runID liwanag.ID,
	finish func(tx *datastore.Tx, open []liwanag.Submission, now time.Time) error) error {
	now := e.now()
	err := e.store.Write(ctx, func(tx *datastore.Tx) error {
		err := tx.Batches.Close(runID)
		if err == nil {
			err = tx.Batches.End(runID, now)
		}
		if err == nil {
			err = tx.Batches.Wait(runID, liwanag.WaitingNothing, time.Time{})
		}
		if err != nil && !errors.Is(err, liwanag.ErrNotFound) {
			return err
		}
		open, err := tx.Submissions.Detach(runID, true)
		if err != nil {
			return err
		}
		return finish(tx, open, now)
	})
	if err != nil {
		return err
	}
	return e.settleInbox(ctx, runID)
}
