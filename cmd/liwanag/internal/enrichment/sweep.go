package enrichment

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/chore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/paid"
	"github.com/liwanag/liwanag/fullenrich"
)

// How often and how much the sweep does.
const (
	sweepFetchEvery  = 24 * time.Hour      // an accepted submission whose run has ended
	sweepGroup       = 200                 // rows a transaction
	strandedAfter    = 10 * time.Minute    // a job's age before its run is looked at, and how often
	balanceEvery     = 10 * time.Minute    // FullEnrich's balance
	keepQuarantined  = 30 * 24 * time.Hour // raw bodies that were not applied, at most
	keepSettled      = 90 * 24 * time.Hour // rows of deliveries, without bodies
	keepReach        = 8 * 24 * time.Hour  // probes and call counts
	expiredAtTheMost = 95 * 24 * time.Hour // no result is waited for any longer
)

// sweep looks after everything that no run looks after.
func (s *Service) sweep() []chore.Part {
	return []chore.Part{
		{Name: "retry jobs", Do: s.retryDue},
		{Name: "mailboxes", Do: s.freeWaiting},
		chore.All("follow submissions", s.followDue),
		chore.All("settle deliveries", s.settleLeft),
		{Name: "results from before a restore", Do: s.fetchBack},
		chore.Alone(strandedAfter, chore.All("stranded jobs", s.strandedRuns)), // every waiting run is read
		chore.Alone(time.Hour, chore.All("silence", s.checkSilence)),
		{Name: "prune", Do: s.prune},
		chore.All("scrub", s.scrubOwed),
	}
}

// retryDue makes a new job for everybody whose last one failed for a transient
// cause some time ago, unless a late result has come since.
func (s *Service) retryDue(ctx context.Context) (more bool, err error) {
	now := s.now()
	due, err := s.store.Jobs.RetryDue(ctx, now, sweepGroup)
	if err != nil || len(due) == 0 {
		return false, err
	}
	var opened []liwanag.Opened
	err = s.store.Write(ctx, func(tx *datastore.Tx) error {
		opened = nil
		cleared, err := tx.Jobs.ClearRetry(ids(due))
		if err != nil {
			return err
		}
		jobs, err := tx.Jobs.Get(cleared)
		if err != nil {
			return err
		}
		var people []Enrollment
		for _, j := range with(jobs, liwanag.JobFailed) {
			if _, gone := left(j); gone {
				continue
			}
			people = append(people, Enrollment{SubscriberID: j.SubscriberID, UploadID: j.UploadID, Retries: j.Retries + 1, Confirmed: j.Confirmed})
		}
		opened, err = Enroll(tx, people, s.cfg, now)
		return err
	})
	if err != nil {
		return false, err
	}
	return true, s.Start(ctx, runsOf(opened)...)
}

func runsOf(opened []liwanag.Opened) []liwanag.ID {
	var out []liwanag.ID
	for _, o := range opened {
		if o.Inserted {
			out = append(out, o.RunID)
		}
	}
	return out
}

// followDue looks at submissions that no wait looks at: resubmissions that could
// not be sent at once, and those whose run has ended.
func (s *Service) followDue(ctx context.Context) error {
	due, err := s.store.Submissions.Due(ctx, s.now(), sweepGroup)
	var faults []error
	for _, sub := range due {
		err := s.followOne(ctx, sub)
		faults = append(faults, err)
		if answer := (*fullenrich.Error)(nil); errors.As(err, &answer) {
			break // FullEnrich cannot be asked now: the others stay due
		}
	}
	return errors.Join(append(faults, err)...)
}

func (s *Service) followOne(ctx context.Context, sub liwanag.Submission) error {
	now := s.now()
	soon, expired := now.Add(retransmitAfter), now.Sub(sub.PreparedAt) > expiredAtTheMost
	next := soon
	switch {
	case !followed(sub):
		next = time.Time{}
	case sub.EnrichmentID != "" && !expired:
		next = now.Add(s.fetchEvery(sub))
	}
	if mine, err := s.takeLook(ctx, sub, next); err != nil || !mine || next.IsZero() {
		return err
	}
	if expired {
		_, err := s.conclude(ctx, sub.ID, liwanag.CodeExpired, "no result came in three months", paid.Expire)
		return errors.Join(err, s.followAt(ctx, sub.ID, time.Time{}))
	}
	if sub.EnrichmentID != "" {
		err := s.fetchFor(ctx, sub)
		if err != nil {
			err = errors.Join(err, s.followAt(ctx, sub.ID, soon))
		}
		return err
	}
	arrival, done, err := s.follow(ctx, sub)
	if err != nil || !done {
		return err
	}
	return s.arrive(ctx, sub, arrival)
}

// takeLook claims the look at a due submission, so that one node makes it, by
// setting the next one (zero: never); what ends the submission clears that again.
// False: another node, or an operator, has set it since it was read.
func (s *Service) takeLook(ctx context.Context, sub liwanag.Submission, next time.Time) (mine bool, err error) {
	err = s.store.Write(ctx, func(tx *datastore.Tx) error {
		now, err := tx.Submissions.Get(sub.ID)
		if mine = err == nil && now.FollowAt.Equal(sub.FollowAt); !mine {
			return err
		}
		return tx.Submissions.Follow(sub.ID, next)
	})
	return mine && err == nil, err
}

// fetchEvery is how often the sweep fetches a submission: as often as a wait
// would, for as long as a wait lasts, and then now and then.
func (s *Service) fetchEvery(sub liwanag.Submission) time.Duration {
	if s.young(sub) {
		return s.cfg.FetchSchedule[len(s.cfg.FetchSchedule)-1]
	}
	return sweepFetchEvery
}

// young says whether a wait for the submission would still last: since it was
// prepared, sent or adopted, whichever was last.
func (s *Service) young(sub liwanag.Submission) bool {
	since := sub.PreparedAt
	for _, at := range []time.Time{sub.SendingAt, sub.OutcomeAt} {
		if at.After(since) {
			since = at
		}
	}
	return s.now().Sub(since) < s.cfg.WebhookTimeout
}

// followed says whether the sweep has anything to do for a submission: fetch a
// result that is paid for, or go on with a resubmission. One in doubt whose run
// has ended is an operator's.
func followed(sub liwanag.Submission) bool {
	switch sub.State {
	case liwanag.SubmissionAccepted, liwanag.SubmissionPrepared, liwanag.SubmissionSending, liwanag.SubmissionRefused:
		return true
	case liwanag.SubmissionSuperseded:
		return sub.EnrichmentID != ""
	case liwanag.SubmissionAmbiguous:
		return !sub.Detached
	}
	return false
}

// fetchFor fetches the result of a submission that its run does not look after.
func (s *Service) fetchFor(ctx context.Context, sub liwanag.Submission) error {
	arrival, done, err := s.fetch(ctx, sub)
	var answer *fullenrich.Error
	if errors.As(err, &answer) && answer.Status == http.StatusNotFound {
		s.cfg.Log.WarnContext(ctx, "FullEnrich does not know an enrichment that it keeps for three months: it is fetched again. "+
			"Try: FULLENRICH_HEADER, if it was made for a sub-account", "submission", sub.ID, "enrichment", sub.EnrichmentID)
		return nil
	}
	if err != nil || !done {
		return err
	}
	return s.arrive(ctx, sub, arrival)
}

// arrive takes what was fetched outside of a wait to the run, or applies it when
// the run has ended.
func (s *Service) arrive(ctx context.Context, sub liwanag.Submission, a Arrival) error {
	if a.DeliveryID == "" {
		over, err := s.ended(ctx, sub.RunID)
		if err != nil || over {
			return err
		}
		_, err = Completed.Send(ctx, s.runner, sub.RunID.String(), sub.ID.String()+"/"+a.Failed, a)
		return err
	}
	digest, err := parseDigest(a.DeliveryID)
	if err != nil {
		return err
	}
	d, err := s.store.Deliveries.Get(ctx, digest)
	if err != nil || d.State == liwanag.DeliverySettled || d.State == liwanag.DeliveryQuarantined {
		return err
	}
	return s.send(ctx, d, sub, a.EnrichmentID)
}

// strandedRuns looks after open jobs whose run has ended or is unknown: what was
// not sent goes back to the scheduled batch; what was sent is followed or held.
func (s *Service) strandedRuns(ctx context.Context) error {
	before := s.now().Add(-strandedAfter)
	var faults []error // of one run, which do not keep the others
	after := liwanag.ID{}
	for {
		runIDs, err := s.store.Jobs.OpenRuns(ctx, before, after, sweepGroup)
		if err != nil {
			return err
		}
		if len(runIDs) == 0 {
			return errors.Join(faults...)
		}
		for _, id := range runIDs {
			over, err := s.ended(ctx, id)
			if err == nil && over {
				err = s.rescue(ctx, id)
			}
			if err != nil {
				faults = append(faults, fmt.Errorf("run %s: %w", id, err))
			}
		}
		after = runIDs[len(runIDs)-1]
	}
}

// rescue ends what a run left open that did not end through its handlers.
func (s *Service) rescue(ctx context.Context, runID liwanag.ID) error {
	batch, err := s.store.Batches.Get(ctx, runID)
	if err != nil && !errors.Is(err, liwanag.ErrNotFound) {
		return err
	}
	if err == nil && !batch.Started {
		return nil // the starter has it
	}
	subs, err := s.store.Submissions.OfRun(ctx, runID)
	if err != nil {
		return err
	}
	if n := len(subs); n > 0 && subs[n-1].Detached && !subs[n-1].FollowAt.IsZero() && s.young(subs[n-1]) {
		return nil // an operator's act on an ended run, which followDue carries out
	}
	failure := liwanag.JobFailure{Code: liwanag.CodeWebhookTimeout, Message: "its run has ended; the result is applied whenever it comes"}
	return s.end(ctx, runID, func(tx *datastore.Tx, open []liwanag.Submission, now time.Time) error {
		for _, sub := range open {
			if sub.State == liwanag.SubmissionHeld {
				continue
			}
			if err := failSubmission(tx, sub, failure, now); err != nil {
				return err
			}
		}
		jobs, err := tx.Jobs.OfRun(runID)
		if err != nil {
			return err
		}
		_, err = tx.Jobs.Assign(ids(with(jobs, liwanag.JobPending)), liwanag.ID{})
		return err
	})
}

// prune drops what is past its time, piece by piece.
func (s *Service) prune(ctx context.Context) (more bool, err error) {
	now := s.now()
	err = s.store.Write(ctx, func(tx *datastore.Tx) (err error) {
		if more, err = tx.Deliveries.Prune(now.Add(-s.cfg.Retention), now.Add(-keepSettled), maxUnmatched); err != nil {
			return err
		}
		return tx.Ledger.Prune(now.Add(-keepReach))
	})
	return more && err == nil, err
}

// RunScheduledBatch makes batches of all pending jobs that have none, as many
// runs as needed, and starts them. Triggered by hand (always), it starts one even
// when there is nothing to do.
func (s *Service) RunScheduledBatch(ctx context.Context, always bool) ([]liwanag.ID, error) {
	var runIDs []liwanag.ID
	for {
		jobs, err := s.store.Jobs.Unbatched(ctx, s.cfg.BatchSize)
		if err != nil {
			return runIDs, err
		}
		if len(jobs) == 0 && (!always || len(runIDs) > 0) {
			return runIDs, nil
		}
		runID, now, size := liwanag.NewID(liwanag.RunKind), s.now(), 0
		err = s.store.Write(ctx, func(tx *datastore.Tx) error {
			moved, err := tx.Jobs.Assign(ids(jobs), runID)
			if err != nil {
				return err
			}
			if size = len(moved); size == 0 && len(jobs) > 0 {
				return nil // another node was faster
			}
			return tx.Batches.Insert([]liwanag.Batch{{RunID: runID, ClosesAt: now, Size: size, State: liwanag.BatchClosed, CreatedAt: now}})
		})
		if err != nil {
			return runIDs, err
		}
		if size == 0 && len(jobs) > 0 {
			continue
		}
		runIDs = append(runIDs, runID)
		if err := s.Start(ctx, runID); err != nil {
			return runIDs, err
		}
	}
}
