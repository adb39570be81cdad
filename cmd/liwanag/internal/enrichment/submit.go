package enrichment

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/paid"
	"github.com/liwanag/liwanag/workflow"
)

// notNow says that spending has to wait: it uses no attempt.
type notNow struct {
	waiting liwanag.Waiting
	until   time.Time
}

func (n *notNow) Error() string {
	return fmt.Sprintf("enrichment: not now: waiting for %s until %s", n.waiting, n.until.Format(time.RFC3339))
}

// Submit makes the run's paid call, at most once at a time, and records how it
// ended. A run that has submitted before goes on with what is there: only after
// a refusal, or with nothing sent, does a new submission begin.
func (e *Enricher) Submit(ctx context.Context) (Submission, error) {
	runID, err := runOf(ctx)
	if err != nil {
		return Submission{}, err
	}
	sub, err := e.prepare(ctx, runID)
	if err != nil {
		return Submission{}, e.postponed(ctx, runID, err)
	}
	var answer paid.Reading
	if sub.State == liwanag.SubmissionPrepared {
		if sub, answer, err = e.post(ctx, sub); err != nil {
			return Submission{}, e.postponed(ctx, runID, err)
		}
	}
	switch {
	case sub.ID.IsZero() || sub.Cause == paid.CauseNothingLeft:
		return Submission{}, nil
	case sub.State == liwanag.SubmissionRefused:
		return Submission{}, e.refusal(ctx, sub, answer)
	}
	return e.submitted(ctx, sub)
}

// submitted is the step's output.
func (e *Enricher) submitted(ctx context.Context, sub liwanag.Submission) (Submission, error) {
	jobs, err := e.store.Jobs.OfSubmission(ctx, sub.ID)
	if err != nil {
		return Submission{}, err
	}
	out := Submission{SubmissionID: sub.ID, EnrichmentID: sub.EnrichmentID, JobIDs: ids(jobs),
		Settled: sub.State == liwanag.SubmissionSettled}
	if sub.State == liwanag.SubmissionAmbiguous {
		out.Grace = max(sub.GraceUntil.Sub(e.now()), time.Second)
	}
	return out, nil
}

// prepare finds the submission to go on with, or prepares the next one: jobs,
// credits and the row in one transaction. A zero submission means that no job is
// left to submit.
func (e *Enricher) prepare(ctx context.Context, runID liwanag.ID) (liwanag.Submission, error) {
	var sub liwanag.Submission
	now := e.now()
	err := e.store.Write(ctx, func(tx *datastore.Tx) error {
		sub = liwanag.Submission{}
		if err := takeBack(tx, runID); err != nil {
			return err
		}
		earlier, err := tx.Submissions.OfRun(runID)
		if err != nil {
			return err
		}
		if n := len(earlier); n > 0 && earlier[n-1].State != liwanag.SubmissionRefused {
			sub, err = goOn(tx, earlier[n-1], now)
			return err
		}
		jobs, err := tx.Jobs.OfRun(runID)
		if err != nil {
			return err
		}
		if jobs = with(jobs, liwanag.JobPending); len(jobs) == 0 {
			return nil
		}
		sub, err = e.reserve(tx, runID, earlier, jobs, now)
		return err
	})
	return sub, err
}

// goOn returns the latest submission as it is, save that one found sending has
// lost its sender: nobody knows, it is never sent again.
func goOn(tx *datastore.Tx, latest liwanag.Submission, now time.Time) (liwanag.Submission, error) {
	if latest.State != liwanag.SubmissionSending {
		return latest, nil
	}
	if _, err := paid.Doubt.Apply(tx, latest, paid.Change{At: now, Cause: paid.CauseLostWorker}); err != nil {
		return liwanag.Submission{}, err
	}
	return tx.Submissions.Get(latest.ID)
}

// reserve inserts the run's next submission of the jobs that may be ordered now. The
// others get batches of their own, which wait.
func (e *Enricher) reserve(tx *datastore.Tx, runID liwanag.ID, earlier []liwanag.Submission, jobs []liwanag.Job,
	now time.Time) (liwanag.Submission, error) {
	day := liwanag.DayOf(now)
	jobs, unconfirmed, aside, err := e.affordable(tx, jobs, now)
	if err != nil {
		return liwanag.Submission{}, err
	}
	for _, waiting := range aside {
		if len(waiting) > 0 {
			time.AfterFunc(time.Second, func() { ring(e.bells.starts) }) // it is committed by then, or the next round starts it
		}
		if err := splitOff(tx, ids(waiting), now); err != nil {
			return liwanag.Submission{}, err
		}
	}
	id := liwanag.NewID(liwanag.SubmissionKind)
	sub := liwanag.Submission{ID: id, RunID: runID, N: 1, State: liwanag.SubmissionPrepared, Name: "liwanag-" + id.String(),
		Jobs: len(jobs), PreparedAt: now, Reserved: int64(len(jobs)), CreditDay: day, Unconfirmed: unconfirmed}
	for _, last := range earlier[max(len(earlier)-1, 0):] {
		sub.N, sub.Supersedes = last.N+1, last.Supersedes
		if paid.MayHaveBeenTaken(last) {
			sub.Supersedes = last.ID
		}
	}
	if err := tx.Submissions.Insert(sub, ids(jobs)); err != nil {
		return liwanag.Submission{}, err
	}
	return sub, tx.Ledger.AddCredits(liwanag.Credits{Day: day, Reserved: sub.Reserved, Unconfirmed: unconfirmed})
}

// rebook moves the reservation of a submission that was prepared on another day
// to the one it is sent on: otherwise what piles up while spending is paused
// would be spent on top of that day's budget.
func (e *Enricher) rebook(tx *datastore.Tx, sub liwanag.Submission, today liwanag.Day) error {
	if sub.CreditDay == today {
		return nil
	}
	room, err := e.room(tx, today)
	if err != nil {
		return err
	}
	if sub.Unconfirmed > 0 && room < sub.Unconfirmed {
		return &notNow{liwanag.WaitingBudget, today.End()}
	}
	if err := tx.Ledger.AddCredits(liwanag.Credits{Day: sub.CreditDay, Reserved: -sub.Reserved, Unconfirmed: -sub.Unconfirmed}); err != nil {
		return err
	}
	return tx.Ledger.AddCredits(liwanag.Credits{Day: today, Reserved: sub.Reserved, Unconfirmed: sub.Unconfirmed})
}

// postponed turns a notNow into a snooze, and notes what the batch waits for. What
// another execution sends is looked at again when that knows how it ended.
func (e *Enricher) postponed(ctx context.Context, runID liwanag.ID, err error) error {
	var wait *notNow
	switch {
	case errors.Is(err, errTakenOver):
		return workflow.Snooze(time.Second)
	case !errors.As(err, &wait):
		return err
	}
	now, until := e.now(), wait.until
	err = e.store.Write(ctx, func(tx *datastore.Tx) (err error) {
		if until, err = e.waitFrom(tx, wait, now); err != nil || !until.After(now) {
			return err
		}
		batch, err := tx.Batches.Get(runID)
		if err != nil || batch.Waiting == wait.waiting && !batch.WaitingUntil.Before(now) {
			return err
		}
		return tx.Batches.Wait(runID, wait.waiting, until)
	})
	if err != nil && !errors.Is(err, liwanag.ErrNotFound) {
		return err
	}
	return workflow.Snooze(max(until.Sub(now), time.Millisecond))
}

// refusal decides what a refused submission means for the step: a later try, a
// smaller batch, or the policy's next attempt. refusedAgain is its counterpart for
// a resubmission.
func (e *Enricher) refusal(ctx context.Context, sub liwanag.Submission, answer paid.Reading) error {
	refused := &refusedError{cause: sub.Cause, status: answer.Status}
	attempt := workflow.InfoFrom(ctx).Attempt
	switch answer.Meaning {
	case paid.Unsent:
		return e.postponed(ctx, sub.RunID, &notNow{liwanag.WaitingUnavailable, e.now().Add(e.breakerWait(sub.ID))})
	case paid.Address:
		return e.halve(ctx, sub)
	case paid.Key, paid.Credits, paid.Fault:
		wait, err := e.pauseFor(ctx, answer)
		if err != nil {
			return err
		}
		return e.postponed(ctx, sub.RunID, wait)
	case paid.Busy:
		if attempt >= submitAttempts {
			until := liwanag.MinuteOf(e.now()).End()
			return e.postponed(ctx, sub.RunID, &notNow{liwanag.WaitingCalls, later(until, answer.After, e.now())})
		}
		if answer.After > time.Second<<min(max(attempt-1, 0), 10) {
			return workflow.RetryAfter(refused, answer.After)
		}
	}
	return refused // unreached, down; or another execution has the answer
}

func later(until time.Time, wanted time.Duration, now time.Time) time.Time {
	if asked := now.Add(wanted); asked.After(until) {
		return asked
	}
	return until
}

// halve answers a batch that was refused for one of its addresses: the run goes
// on with the first half, the other half gets a run of its own; a single job is
// the culprit, and fails with its run.
func (e *Enricher) halve(ctx context.Context, sub liwanag.Submission) error {
	single := false
	now := e.now()
	err := e.store.Write(ctx, func(tx *datastore.Tx) error {
		jobs, err := tx.Jobs.OfRun(sub.RunID)
		if err != nil {
			return err
		}
		jobs = with(jobs, liwanag.JobPending)
		if single = len(jobs) == 1; single {
			failure := liwanag.JobFailure{Code: liwanag.CodeInvalidEmail, Message: "FullEnrich does not take this address"}
			failed, err := tx.Jobs.Move(liwanag.JobMove{IDs: ids(jobs), From: []liwanag.JobStatus{liwanag.JobPending},
				To: liwanag.JobFailed, Failure: failure, At: now})
			if err != nil {
				return err
			}
			return announceFailed(tx, jobs, failed, failure, now)
		}
		return splitOff(tx, ids(jobs[(len(jobs)+1)/2:]), now)
	})
	if err != nil {
		return err
	}
	if single {
		return workflow.Permanent(&refusedError{cause: liwanag.CodeInvalidEmail, status: http.StatusBadRequest})
	}
	ring(e.bells.starts)
	return workflow.Snooze(time.Millisecond)
}

// How long spending pauses after an answer that says "not like this". Without
// credits the balance check ends or renews the pause before it ends by itself.
const (
	pauseOurFault = 15 * time.Minute
	pauseCredits  = 2*balanceEvery + 5*time.Minute
	pauseKey      = 5 * time.Minute
)

// pauseFor stops all spending for a while: the answer would be the same for every
// batch.
func (e *Enricher) pauseFor(ctx context.Context, answer paid.Reading) (*notNow, error) {
	now := e.now()
	s := liwanag.Spending{Paused: true, Reason: liwanag.WaitingPaused, Until: now.Add(pauseOurFault), At: now,
		Note: "FullEnrich refuses our requests: " + answer.Text}
	switch answer.Meaning {
	case paid.Key:
		s.Reason, s.Until, s.Note = liwanag.WaitingKey, now.Add(pauseKey), "FullEnrich refuses the API key: check FULLENRICH_API_KEY"
	case paid.Credits:
		s.Reason, s.Until, s.Note = liwanag.WaitingCredits, now.Add(pauseCredits), "FullEnrich has no credits left"
	}
	if err := e.pause(ctx, s); err != nil {
		return nil, err
	}
	return &notNow{s.Reason, pausedUntil(s, now)}, nil
}

func (e *Enricher) pause(ctx context.Context, s liwanag.Spending) error {
	e.cfg.Log.WarnContext(ctx, "spending is paused", "reason", s.Reason, "until", s.Until)
	return e.store.Write(ctx, func(tx *datastore.Tx) error { return stopSpending(tx, s) })
}

// stopSpending pauses; a pause that an operator made stays as it is.
func stopSpending(tx *datastore.Tx, s liwanag.Spending) error {
	if old, err := tx.Ledger.Spending(); err != nil || old.Paused && old.Until.IsZero() {
		return err
	}
	return tx.Ledger.SetSpending(s)
}

// refusedError is a refused submission as the step's policy sees it.
type refusedError struct {
	cause  string
	status int
}

// Error says what happened, and what comes next.
func (r *refusedError) Error() string {
	if r.cause == liwanag.CodeInvalidEmail {
		return "FullEnrich refused the address: correct it and enrich the subscriber again"
	}
	return "FullEnrich refused the submission (" + r.cause + "): nothing was ordered, it is tried again later"
}

// StatusCode is the HTTP status, 0 for a failed connection. A 5xx that the step's
// policy does not name counts as 502, so that every 5xx is retried.
func (r *refusedError) StatusCode() int {
	if r.status >= 500 && !slices.Contains(retryOn, r.status) {
		return http.StatusBadGateway
	}
	return r.status
}

// ErrorCode is kept in the run's failure.
func (r *refusedError) ErrorCode() string {
	if r.cause == liwanag.CodeInvalidEmail {
		return r.cause
	}
	return liwanag.CodeProviderUnavailable
}
