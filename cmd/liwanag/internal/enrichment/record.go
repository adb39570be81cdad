package enrichment

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/paid"
	"github.com/liwanag/liwanag/fullenrich"
	"github.com/liwanag/liwanag/workflow"
)

// codedError is an error whose code the run's failure keeps.
type codedError struct{ code, message string }

func (e *codedError) Error() string     { return e.message }
func (e *codedError) ErrorCode() string { return e.code }

// Settle applies the result that ended the wait. Settling again changes nothing.
func (e *Enricher) Settle(ctx context.Context, a Arrival) (Settlement, error) {
	runID, err := runOf(ctx)
	if err != nil {
		return Settlement{}, err
	}
	switch {
	case a.Failed != "":
		return Settlement{}, workflow.Permanent(&codedError{a.Failed, "the submission has no result: " + a.Failed})
	case a.DeliveryID == "":
		if a, err = e.fetchNow(ctx, runID); err != nil {
			return Settlement{}, err
		}
	}
	if a.Failed != "" {
		return Settlement{}, workflow.Permanent(&codedError{a.Failed, "the submission has no result: " + a.Failed})
	}
	summary := Settlement{}
	if a.DeliveryID == "" { // its result was applied before
		summary, err = e.summarize(ctx, a.SubmissionID)
	} else {
		var digest liwanag.Digest
		if digest, err = parseDigest(a.DeliveryID); err == nil {
			summary, err = e.settleDelivery(ctx, digest, false)
		}
	}
	if err != nil {
		return Settlement{}, err
	}
	if err := e.leave(ctx, runID); err != nil {
		return summary, err
	}
	return summary, e.settleInbox(ctx, runID)
}

// inbox are the results of a submission that its run has not applied.
func (e *Enricher) inbox(ctx context.Context, id liwanag.ID) ([]liwanag.Delivery, error) {
	came, _, err := e.store.Deliveries.List(ctx, liwanag.DeliveryFilter{States: []liwanag.DeliveryState{liwanag.DeliverySent},
		SubmissionID: id}, liwanag.Page{})
	return came, err
}

// settleInbox applies what a run leaves in its inbox when it ends: it is late.
func (e *Enricher) settleInbox(ctx context.Context, runID liwanag.ID) error {
	subs, err := e.store.Submissions.OfRun(ctx, runID)
	if err != nil {
		return err
	}
	for _, sub := range subs {
		came, err := e.inbox(ctx, sub.ID)
		if err != nil {
			return err
		}
		for _, d := range came {
			if _, err := e.settleDelivery(ctx, d.Digest, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// fetchNow serves an event without a result: it asks FullEnrich until there is
// one, without using an attempt, for as long as the wait would have lasted.
func (e *Enricher) fetchNow(ctx context.Context, runID liwanag.ID) (Arrival, error) {
	subs, err := e.store.Submissions.OfRun(ctx, runID)
	if err != nil {
		return Arrival{}, err
	}
	if len(subs) == 0 {
		return Arrival{}, workflow.Permanent(&codedError{"no_submission", "the run has no submission whose result could be fetched"})
	}
	sub := subs[len(subs)-1]
	if came, err := e.inbox(ctx, sub.ID); err != nil || len(came) > 0 {
		if err != nil {
			return Arrival{}, err
		}
		return Arrival{DeliveryID: hexOf(came[0].Digest), SubmissionID: sub.ID, EnrichmentID: came[0].EnrichmentID}, nil
	}
	arrival, done, err := e.follow(ctx, sub)
	switch {
	case done:
		return arrival, err
	case !sub.SendingAt.IsZero() && e.now().Sub(sub.SendingAt) > e.cfg.WebhookTimeout:
		return Arrival{}, workflow.Permanent(errors.Join(&codedError{liwanag.CodeWebhookTimeout,
			"no result came in time; it is applied whenever it comes"}, err))
	case err != nil:
		e.cfg.Log.WarnContext(ctx, "a result that was asked for cannot be fetched yet", "submission", sub.ID, "error", err)
	}
	return Arrival{}, workflow.Snooze(e.cfg.FetchSchedule[0])
}

// storeGiven keeps records that somebody gives by hand as a delivery of the run's
// latest submission, once for each key. It costs nothing more than is known.
func (e *Enricher) storeGiven(ctx context.Context, runID liwanag.ID, key string, records json.RawMessage) (string, error) {
	subs, err := e.store.Submissions.OfRun(ctx, runID)
	if err != nil {
		return "", err
	}
	if len(subs) == 0 || subs[len(subs)-1].State == liwanag.SubmissionPrepared {
		return "", liwanag.NewError(liwanag.Conflict, liwanag.ErrState.Code, "the run has no submission that these results could be of")
	}
	sub := subs[len(subs)-1]
	raw, err := json.Marshal(map[string]any{"id": sub.EnrichmentID, "status": fullenrich.StatusFinished, "data": records,
		"cost": map[string]int64{"credits": sub.Credits}})
	if err == nil {
		_, err = fullenrich.ParseResult(raw)
	}
	if err != nil {
		return "", liwanag.Wrap(err, liwanag.Invalid, noteUnreadable, "the results cannot be read")
	}
	d := liwanag.Delivery{Digest: sha256.Sum256([]byte("given\x00" + sub.ID.String() + "\x00" + key)), Source: liwanag.FromOperator,
		SubmissionID: sub.ID, EnrichmentID: sub.EnrichmentID, Raw: raw, Size: len(raw), State: liwanag.DeliverySent, ReceivedAt: e.now()}
	return hexOf(d.Digest), e.store.Write(ctx, func(tx *datastore.Tx) error {
		_, err := insertDelivery(tx, d)
		return err
	})
}

// settleDelivery applies a stored result, in one transaction: subscribers, jobs,
// costs, submission, delivery. The result is read before, so that the writer is
// held for the rows alone.
func (e *Enricher) settleDelivery(ctx context.Context, digest liwanag.Digest, late bool) (Settlement, error) {
	d, err := e.store.Deliveries.Get(ctx, digest)
	if err != nil {
		return Settlement{}, fmt.Errorf("enrichment: delivery %s: %w", hexOf(digest), err)
	}
	if d.State == liwanag.DeliverySettled || d.State == liwanag.DeliveryQuarantined {
		return e.summarize(ctx, d.SubmissionID)
	}
	res, err := fullenrich.ParseResult(d.Raw)
	if err != nil {
		return Settlement{}, workflow.Permanent(errors.Join(&codedError{noteUnreadable, "the result cannot be read"}, err))
	}
	now := e.now()
	var done settlement
	err = e.store.Write(ctx, func(tx *datastore.Tx) error {
		done = settlement{}
		sub, err := tx.Submissions.Get(d.SubmissionID)
		if err != nil {
			return err
		}
		jobs, err := tx.Jobs.OfSubmission(sub.ID)
		if err != nil {
			return err
		}
		to := liwanag.DeliverySettled
		done = settle(sub, jobs, res, late, now)
		for i, found := range done.profiles {
			done.profiles[i].Found = e.cfg.Clean(found.Found)
		}
		if done.note != "" {
			to = liwanag.DeliveryQuarantined
		}
		moved, err := tx.Deliveries.Move(liwanag.DeliveryMove{Digest: digest, To: to, Note: done.note,
			From: []liwanag.DeliveryState{liwanag.DeliveryStored, liwanag.DeliverySent}})
		if err != nil || !moved {
			return err // another execution has settled it
		}
		if done.note != "" {
			if err := forReview(tx, d); err != nil {
				return err
			}
		}
		fresh, err := share(tx, &done, now)
		if err != nil {
			return err
		}
		if _, err := tx.Jobs.Insert(fresh); err != nil {
			return err
		}
		return e.apply(tx, sub, done, late, now)
	})
	if err != nil {
		return Settlement{}, err
	}
	e.report(ctx, d.SubmissionID, done)
	if !done.noCredits { // the pause has just begun, which the balance may not know yet
		e.askBalance()
	}
	return done.summary, nil
}

// apply writes a settlement.
func (e *Enricher) apply(tx *datastore.Tx, sub liwanag.Submission, s settlement, late bool, now time.Time) error {
	if err := tx.Jobs.Settle(s.results); err != nil {
		return err
	}
	if _, err := tx.Subscribers.Enrich(s.profiles); err != nil {
		return err
	}
	if err := noteAnswers(tx, s.answers, now); err != nil {
		return err
	}
	if _, err := datastore.Announce(tx, s.news); err != nil {
		return err
	}
	if _, err := tx.Jobs.Assign(s.returned, liwanag.ID{}); err != nil {
		return err
	}
	if len(s.retry) > 0 {
		if _, err := tx.Jobs.Move(liwanag.JobMove{IDs: s.retry, From: []liwanag.JobStatus{liwanag.JobFailed},
			To: liwanag.JobFailed, At: now, RetryAt: now,
			Failure: liwanag.JobFailure{Code: liwanag.CodeProviderUnavailable, Message: "FullEnrich had no credits left"}}); err != nil {
			return err
		}
	}
	if s.noCredits {
		if err := pauseForCredits(tx, now); err != nil {
			return err
		}
	}
	return closeSubmission(tx, sub, s, late, now)
}

func closeSubmission(tx *datastore.Tx, sub liwanag.Submission, s settlement, late bool, now time.Time) error {
	if _, err := paid.Settle.Apply(tx, sub, paid.Change{Cause: sub.Cause}); err != nil {
		return err
	}
	if err := tx.Submissions.Cost(liwanag.SubmissionCost{ID: sub.ID, Credits: s.credits,
		Duplicates: sub.Duplicates + s.duplicates, Late: sub.Late || late}); err != nil {
		return err
	}
	return tx.Ledger.AddCredits(liwanag.Credits{Day: sub.CreditDay, Reserved: -sub.Reserved, Spent: s.spent,
		Unconfirmed: s.unconfirmed - sub.Unconfirmed})
}

// pauseForCredits is the credit gate.
func pauseForCredits(tx *datastore.Tx, now time.Time) error {
	return stopSpending(tx, liwanag.Spending{Paused: true, Reason: liwanag.WaitingCredits, Until: now.Add(pauseCredits), At: now,
		Note: "FullEnrich has no credits left"})
}

func (e *Enricher) report(ctx context.Context, id liwanag.ID, s settlement) {
	if s.duplicates > 0 {
		e.cfg.Meter.DuplicatePaid(s.duplicates)
		e.cfg.Log.WarnContext(ctx, "lookups were paid for a second time", "submission", id, "jobs", s.duplicates)
	}
	if s.late > 0 {
		e.cfg.Meter.LateResults(s.late)
	}
	if s.note != "" {
		e.cfg.Log.WarnContext(ctx, "a result is kept for review", "submission", id, "note", s.note)
	}
}

// summarize counts what became of a submission's jobs.
func (e *Enricher) summarize(ctx context.Context, id liwanag.ID) (Settlement, error) {
	sub, err := e.store.Submissions.Get(ctx, id)
	if err != nil {
		return Settlement{}, err
	}
	jobs, err := e.store.Jobs.OfSubmission(ctx, id)
	var out settlement
	for _, j := range jobs {
		out.count(j.Status)
	}
	out.summary.Credits = sub.Credits
	return out.summary, err
}

// leave hands what a completing run still has open over to the sweep: a
// resubmission whose predecessor's result came first is paid for, and its result
// is wanted for the books.
func (e *Enricher) leave(ctx context.Context, runID liwanag.ID) error {
	subs, err := e.store.Submissions.OfRun(ctx, runID)
	if err != nil {
		return err
	}
	if open := len(subs) > 1 && openAmong(subs); !open {
		return nil
	}
	now := e.now()
	return e.store.Write(ctx, func(tx *datastore.Tx) error {
		open, err := tx.Submissions.Detach(runID, true)
		if err != nil {
			return err
		}
		for _, s := range open {
			if s.State == liwanag.SubmissionPrepared {
				err = release(tx, s, paid.CauseNothingLeft, now)
			} else {
				err = tx.Submissions.Follow(s.ID, now.Add(e.cfg.FetchSchedule[0]))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func openAmong(subs []liwanag.Submission) bool {
	for _, s := range subs {
		if s.State.Open() {
			return true
		}
	}
	return false
}

func parseDigest(text string) (liwanag.Digest, error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(liwanag.Digest{}) {
		return liwanag.Digest{}, workflow.Permanent(&codedError{"unknown_delivery", "the event names no delivery"})
	}
	return liwanag.Digest(raw), nil
}
