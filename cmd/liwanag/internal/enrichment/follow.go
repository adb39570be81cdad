package enrichment

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/paid"
	"github.com/liwanag/liwanag/fullenrich"
)

// retention is how long FullEnrich surely keeps results; it promises three
// months. A 404 before that is a fault of the moment.
const retention = 88 * 24 * time.Hour

// lostAfter is when a submission still sending has lost its sender: the POST
// takes at most 20 s, and begins at most 10 s after the commit.
const lostAfter = time.Minute

// Follow looks after the run's latest submission while its webhook does not
// come: it fetches what was accepted, sends once more or holds what is in doubt
// after its grace, and goes on with a resubmission that was refused.
func (e *Enricher) Follow(ctx context.Context) (Arrival, bool, error) {
	runID, err := runOf(ctx)
	if err != nil {
		return Arrival{}, false, err
	}
	subs, err := e.store.Submissions.OfRun(ctx, runID)
	if err != nil || len(subs) == 0 {
		return Arrival{}, false, err
	}
	return e.follow(ctx, subs[len(subs)-1])
}

// follow makes the next move for a submission; true: its result is here, or none
// will ever come.
func (e *Enricher) follow(ctx context.Context, sub liwanag.Submission) (Arrival, bool, error) {
	now := e.now()
	switch sub.State {
	case liwanag.SubmissionSettled:
		return Arrival{SubmissionID: sub.ID, EnrichmentID: sub.EnrichmentID}, true, nil
	case liwanag.SubmissionAccepted:
		return e.fetch(ctx, sub)
	case liwanag.SubmissionSending:
		if now.Sub(sub.SendingAt) < lostAfter {
			return Arrival{}, false, nil
		}
		err := e.store.Write(ctx, func(tx *datastore.Tx) error {
			_, err := goOn(tx, sub, now)
			return err
		})
		return Arrival{}, false, err
	case liwanag.SubmissionAmbiguous:
		if now.Before(sub.GraceUntil) {
			return Arrival{}, false, nil
		}
		return e.resolve(ctx, sub)
	case liwanag.SubmissionRefused:
		next, err := e.again(ctx, sub.RunID, sub.ID, liwanag.SubmissionRefused, "")
		if err != nil || next.ID.IsZero() {
			return Arrival{}, false, err
		}
		return e.transmit(ctx, next)
	case liwanag.SubmissionPrepared:
		return e.transmit(ctx, sub)
	}
	return Arrival{}, false, nil
}

// resolve ends the doubt about a submission whose grace is over.
func (e *Enricher) resolve(ctx context.Context, sub liwanag.Submission) (Arrival, bool, error) {
	evidence, err := e.store.Ledger.Evidence(ctx, e.cfg.PublicURL)
	if err != nil {
		return Arrival{}, false, err
	}
	second, err := e.supersedesDoubt(ctx, sub)
	if err != nil {
		return Arrival{}, false, err
	}
	if cause := e.judge(sub, second, evidence); cause != "" {
		e.cfg.Log.WarnContext(ctx, "a submission is held: nobody knows whether FullEnrich took it", "submission", sub.ID, "cause", cause)
		return Arrival{}, false, e.store.Write(ctx, func(tx *datastore.Tx) error { return hold(tx, sub, cause, e.now()) })
	}
	next, err := e.again(ctx, sub.RunID, sub.ID, liwanag.SubmissionAmbiguous, sub.Cause)
	if err != nil || next.ID.IsZero() {
		return Arrival{}, false, err
	}
	return e.transmit(ctx, next)
}

// supersedesDoubt says whether the submission is itself the one resubmission, or
// comes after it: what it supersedes may only have been refused since.
func (e *Enricher) supersedesDoubt(ctx context.Context, sub liwanag.Submission) (bool, error) {
	for !sub.Supersedes.IsZero() {
		earlier, err := e.store.Submissions.Get(ctx, sub.Supersedes)
		if errors.Is(err, liwanag.ErrNotFound) {
			return true, nil
		}
		if err != nil || earlier.State != liwanag.SubmissionRefused {
			return true, err
		}
		sub = earlier
	}
	return false, nil
}

// again prepares the submission that follows another one of a run that is past
// its submit step: the earlier one is superseded, unless it was refused. The
// sweep sends it if this process ends first. A zero submission: nothing was
// written, because no job is left to submit, the day's credit budget is used up,
// or the earlier one is not in the state that was read.
func (e *Enricher) again(ctx context.Context, runID, id liwanag.ID, from liwanag.SubmissionState,
	cause string) (liwanag.Submission, error) {
	now := e.now()
	var next liwanag.Submission
	err := e.store.Write(ctx, func(tx *datastore.Tx) error {
		next = liwanag.Submission{}
		all, err := tx.Submissions.OfRun(runID)
		if err != nil || len(all) == 0 {
			return err
		}
		sub := all[len(all)-1]
		if sub.ID != id || sub.State != from {
			return nil // somebody was faster
		}
		if from != liwanag.SubmissionRefused {
			if done, err := paid.Supersede.Apply(tx, sub, paid.Change{At: now, Cause: cause}); err != nil || !done.Moved {
				return errors.Join(err, errChanged)
			}
			sub.State = liwanag.SubmissionSuperseded
		}
		jobs, err := tx.Jobs.OfSubmission(id)
		if err != nil {
			return err
		}
		if jobs = with(jobs, liwanag.JobPending); len(jobs) == 0 {
			return errNothingLeft
		}
		if next, err = e.reserve(tx, sub.RunID, []liwanag.Submission{sub}, jobs, now); err != nil {
			return err
		}
		if sub.Detached {
			if _, err := tx.Submissions.Detach(sub.RunID, true); err != nil {
				return err
			}
		}
		return tx.Submissions.Follow(next.ID, now.Add(retransmitAfter))
	})
	var wait *notNow
	if errors.As(err, &wait) || errors.Is(err, errNothingLeft) {
		return liwanag.Submission{}, nil // everything is as before, until the next look
	}
	if err == nil && !next.ID.IsZero() && from != liwanag.SubmissionRefused {
		e.cfg.Meter.Resubmitted()
	}
	return next, err
}

// errNothingLeft: every job of the submission has ended.
var errNothingLeft = errors.New("enrichment: no job is left to submit")

// retransmitAfter is when the sweep looks at a prepared or refused resubmission.
const retransmitAfter = 5 * time.Minute

// transmit sends a resubmission. What only has to wait is left to the sweep.
func (e *Enricher) transmit(ctx context.Context, sub liwanag.Submission) (Arrival, bool, error) {
	id := sub.ID
	sub, answer, err := e.post(ctx, sub)
	var wait *notNow
	switch {
	case errors.As(err, &wait):
		return Arrival{}, false, e.park(ctx, id, wait)
	case errors.Is(err, errTakenOver):
		return Arrival{}, false, nil
	case err != nil:
		return Arrival{}, false, err
	}
	switch sub.State {
	case liwanag.SubmissionRefused:
		return e.refusedAgain(ctx, sub, answer)
	case liwanag.SubmissionAmbiguous:
		return Arrival{}, false, e.followAt(ctx, id, sub.GraceUntil)
	case liwanag.SubmissionAccepted:
		if sub.Detached {
			return Arrival{}, false, e.followAt(ctx, id, e.now().Add(e.cfg.FetchSchedule[0]))
		}
	}
	return Arrival{}, false, nil
}

// refusedAgain decides on a resubmission that was refused. FullEnrich refusing
// one of its addresses ends it: the jobs go on in a run of their own, which
// halves. An answer that concerns all requests pauses spending. All else is
// tried again later.
func (e *Enricher) refusedAgain(ctx context.Context, sub liwanag.Submission, answer paid.Reading) (Arrival, bool, error) {
	at := e.now().Add(retransmitAfter)
	switch answer.Meaning {
	case "": // it was not asked
		if sub.Cause != paid.CauseOverBudget && sub.Cause != paid.CauseFoundRate {
			return Arrival{}, false, nil
		}
		at = e.now() // the next one is smaller
	case paid.Address:
		err := e.store.Write(ctx, func(tx *datastore.Tx) error {
			jobs, err := tx.Jobs.OfSubmission(sub.ID)
			if err != nil {
				return err
			}
			return splitOff(tx, ids(with(jobs, liwanag.JobPending)), e.now())
		})
		ring(e.bells.starts)
		return Arrival{SubmissionID: sub.ID, Failed: "moved"}, err == nil, err
	case paid.Key, paid.Credits, paid.Fault:
		wait, err := e.pauseFor(ctx, answer)
		if err != nil {
			return Arrival{}, false, err
		}
		return Arrival{}, false, e.park(ctx, sub.ID, wait)
	case paid.Busy:
		at = later(at, answer.After, e.now())
	}
	return Arrival{}, false, e.followAt(ctx, sub.ID, at)
}

// park leaves a resubmission to the sweep until its wait is over.
func (e *Enricher) park(ctx context.Context, id liwanag.ID, wait *notNow) error {
	now, at := e.now(), wait.until
	err := e.store.Write(ctx, func(tx *datastore.Tx) (err error) {
		if at, err = e.waitFrom(tx, wait, now); err != nil {
			return err
		}
		return tx.Submissions.Follow(id, at)
	})
	if in := at.Sub(now); err == nil && in < e.cfg.SweepEvery {
		// A sweep that always falls on the end of a minute would never send it.
		time.AfterFunc(in, func() { ring(e.bells.sweep) })
	}
	return err
}

func (e *Enricher) followAt(ctx context.Context, id liwanag.ID, at time.Time) error {
	return e.store.Write(ctx, func(tx *datastore.Tx) error { return tx.Submissions.Follow(id, at) })
}

// fetch asks FullEnrich for the result of an accepted submission. A final one is
// stored as a delivery, like a webhook.
func (e *Enricher) fetch(ctx context.Context, sub liwanag.Submission) (Arrival, bool, error) {
	if e.partner == nil {
		return Arrival{}, false, nil
	}
	got, err := e.partner.Fetch(ctx, sub.EnrichmentID)
	var answer *fullenrich.Error
	if errors.As(err, &answer) && answer.Status == http.StatusNotFound && e.now().Sub(sub.SendingAt) >= retention {
		return Arrival{SubmissionID: sub.ID, Failed: liwanag.CodeExpired}, true, e.expire(ctx, sub)
	}
	if err != nil {
		return Arrival{}, false, fmt.Errorf("enrichment: fetch of submission %s: %w", sub.ID, err)
	}
	if !got.Result.Status.Terminal() {
		return Arrival{}, false, nil
	}
	d := liwanag.Delivery{Digest: fetchDigest(sub.EnrichmentID, got.Raw), Source: liwanag.FromFetch, SubmissionID: sub.ID,
		EnrichmentID: sub.EnrichmentID, Raw: got.Raw, Size: len(got.Raw), State: liwanag.DeliverySent, ReceivedAt: e.now()}
	err = e.store.Write(ctx, func(tx *datastore.Tx) error {
		_, err := insertDelivery(tx, d)
		return err
	})
	return Arrival{DeliveryID: hexOf(d.Digest), SubmissionID: sub.ID, EnrichmentID: sub.EnrichmentID}, err == nil, err
}

func fetchDigest(enrichmentID string, raw []byte) liwanag.Digest {
	h := sha256.New()
	h.Write([]byte("fetch\x00" + enrichmentID + "\x00"))
	h.Write(raw)
	return liwanag.Digest(h.Sum(nil))
}

// expire ends an accepted submission whose result FullEnrich no longer has. It is
// never sent again by itself.
func (e *Enricher) expire(ctx context.Context, sub liwanag.Submission) error {
	_, err := e.conclude(ctx, sub.ID, liwanag.CodeExpired, "FullEnrich keeps results for three months; this one is gone", paid.Expire)
	return err
}

// conclude settles a submission that will have no result: its open jobs fail.
// False: the move cannot be made from its state, and nothing was written.
func (e *Enricher) conclude(ctx context.Context, id liwanag.ID, code, message string, move *paid.Move) (moved bool, err error) {
	now, failure := e.now(), liwanag.JobFailure{Code: code, Message: message}
	err = e.store.Write(ctx, func(tx *datastore.Tx) error {
		sub, err := tx.Submissions.Get(id)
		if err != nil {
			return err
		}
		done, err := move.Apply(tx, sub, paid.Change{At: now, Cause: code, Failure: failure})
		if moved = done.Moved; err != nil || !moved {
			return err
		}
		return announceFailed(tx, with(done.Jobs, liwanag.JobSubmitted, liwanag.JobHeld), done.Changed, failure, now)
	})
	return moved && err == nil, err
}
