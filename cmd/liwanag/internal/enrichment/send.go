package enrichment

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/paid"
	"github.com/liwanag/liwanag/fullenrich"
)

// Keys of the custom fields every record carries and brings back.
const (
	customJob        = "lw_job"
	customSubmission = "lw_submission"
)

// webhookPath is where results come in; the token follows.
const webhookPath = "/webhooks/fullenrich/"

// post takes a prepared submission over the wire: the sending commit, one POST,
// the outcome. It returns the row as it is afterwards, and what FullEnrich's answer
// means, if it was asked. A *notNow leaves the submission prepared.
func (e *Enricher) post(ctx context.Context, sub liwanag.Submission) (_ liwanag.Submission, answer paid.Reading, err error) {
	if e.partner == nil {
		return sub, answer, &notNow{liwanag.WaitingKey, e.now().Add(pauseKey)}
	}
	if !e.breaker.IsClosed() {
		select {
		case e.trial <- struct{}{}:
			defer func() { <-e.trial }()
		default:
			return sub, answer, &notNow{liwanag.WaitingUnavailable, e.now().Add(e.breakerWait(sub.ID))}
		}
		if e.breaker.RemainingDelay() > 0 {
			return sub, answer, &notNow{liwanag.WaitingUnavailable, e.now().Add(e.breakerWait(sub.ID))}
		}
	}
	token := newToken()
	jobs, committed, line, err := e.commitSending(ctx, sub.ID, token)
	if errors.Is(err, datastore.ErrJournal) { // committed, and not made: without its line a restored backup would not know it
		said := paid.Answer{Err: &fullenrich.Error{Op: "submit", Outcome: fullenrich.OutcomeNotSent, Err: err}}
		sub, err = e.recordAtLast(ctx, sub.ID, said)
		return sub, paid.Read(said), err
	}
	if err != nil {
		return sub, answer, err
	}
	if len(jobs) == 0 {
		sub, err = e.store.Submissions.Get(ctx, sub.ID)
		return sub, answer, err
	}
	said := e.request(ctx, sub, jobs, token, committed)
	e.noteOutcome(ctx, line, sub, said)
	sub, err = e.recordAtLast(ctx, sub.ID, said)
	return sub, paid.Read(said), err
}

// recordEvery is how often an outcome is recorded anew that the database did not
// take.
const recordEvery = time.Second

// recordAtLast is record that goes on, for as long as the step may, while the
// database is away: nobody else knows what FullEnrich answered, and without it
// the call would be in doubt.
func (e *Enricher) recordAtLast(ctx context.Context, id liwanag.ID, said paid.Answer) (liwanag.Submission, error) {
	for {
		sub, err := e.record(context.WithoutCancel(ctx), id, said)
		if class := liwanag.ClassOf(err); err == nil || class != liwanag.Unavailable && class != liwanag.DiskFull {
			return sub, err
		}
		select {
		case <-ctx.Done():
			return sub, err
		case <-time.After(recordEvery):
		}
	}
}

// commitSending makes the submission durable as sending, which is the fence:
// whoever does not make this transition never posts. It returns the jobs to
// order, none when they all ended while it was prepared, and an instant before the
// commit: a sender that was paused in the middle of it must find that out, too. When it
// returns, the journal knows of the call; line is for how it ends.
func (e *Enricher) commitSending(ctx context.Context, id liwanag.ID, token string) (jobs []liwanag.Job, committed time.Time,
	line int64, err error) {
	sender, hash := uuid.NewString(), liwanag.Digest(sha256.Sum256([]byte(token)))
	err = e.store.Write(ctx, func(tx *datastore.Tx) error {
		jobs, committed = nil, time.Now()
		now := e.now()
		sub, err := tx.Submissions.Get(id)
		if err != nil {
			return err
		}
		if !paid.Send.May(sub.State) {
			return fmt.Errorf("enrichment: submission %s: %w", id, errTakenOver)
		}
		all, err := tx.Jobs.OfSubmission(sub.ID)
		if err != nil {
			return err
		}
		if err := dropGone(tx, all, now); err != nil {
			return err
		}
		if jobs, err = divert(tx, sendable(all), now); err != nil {
			return err
		}
		if len(jobs) == 0 {
			return release(tx, sub, paid.CauseNothingLeft, now)
		}
		today := liwanag.DayOf(now)
		if cause, err := e.outdated(tx, sub, jobs, today); err != nil || cause != "" {
			jobs = nil // the next one is smaller
			return errors.Join(err, release(tx, sub, cause, now))
		}
		if err := e.gate(tx, sub, len(jobs), now); err != nil {
			return err
		}
		if err := e.rebook(tx, sub, today); err != nil {
			return err
		}
		sent, err := paid.Send.Apply(tx, sub, paid.Change{Sending: &liwanag.Sending{Sender: sender, TokenHash: hash,
			RequestDigest: digestOf(jobs), At: now, GraceUntil: now.Add(e.cfg.AmbiguityGrace), CreditDay: today}})
		if err != nil {
			return err
		}
		if !sent.Moved {
			return fmt.Errorf("enrichment: submission %s: %w", sub.ID, errTakenOver)
		}
		if line, err = noteSending(tx, sub, jobs, hash, now); err != nil {
			return err
		}
		return clearWait(tx, sub.RunID)
	})
	return jobs, committed, line, err
}

// outdated says why a prepared submission would wait for ever: it was prepared under a
// larger budget, or one of its sources has stopped since.
func (e *Enricher) outdated(tx *datastore.Tx, sub liwanag.Submission, jobs []liwanag.Job, today liwanag.Day) (cause string, err error) {
	set, err := tx.Ledger.Budget()
	if err != nil {
		return "", err
	}
	if budget := e.bound(set); budget > 0 && sub.Unconfirmed > budget && sub.CreditDay != today {
		return paid.CauseOverBudget, nil
	}
	stopped, err := stoppedSources(tx)
	for _, j := range jobs {
		if stopped[j.Source] {
			cause = paid.CauseFoundRate
		}
	}
	return cause, err
}

// errTakenOver: another execution sends the submission.
var errTakenOver = errors.New("sent by another execution")

func sendable(jobs []liwanag.Job) []liwanag.Job {
	var out []liwanag.Job
	for _, j := range with(jobs, liwanag.JobPending) {
		if _, gone := left(j); !gone {
			out = append(out, j)
		}
	}
	return out
}

// dropGone ends the jobs of people who left before anything was sent.
func dropGone(tx *datastore.Tx, jobs []liwanag.Job, now time.Time) error {
	byReason := map[liwanag.JobFailure][]liwanag.ID{}
	for _, j := range with(jobs, liwanag.JobPending) {
		if why, gone := left(j); gone {
			byReason[why] = append(byReason[why], j.ID)
		}
	}
	for why, gone := range byReason {
		if _, err := tx.Jobs.Move(liwanag.JobMove{IDs: gone, From: []liwanag.JobStatus{liwanag.JobPending}, To: liwanag.JobCanceled, At: now,
			Failure: why}); err != nil {
			return err
		}
	}
	return nil
}

func clearWait(tx *datastore.Tx, runID liwanag.ID) error {
	batch, err := tx.Batches.Get(runID)
	if errors.Is(err, liwanag.ErrNotFound) {
		return nil
	}
	if err != nil || batch.Waiting == liwanag.WaitingNothing {
		return err
	}
	return tx.Batches.Wait(runID, liwanag.WaitingNothing, time.Time{})
}

// gate lets a paid call through only while spending is on, contacts in flight
// stay below the cap, and the calendar minute has a call left. Shared rows, so it
// holds over all nodes.
func (e *Enricher) gate(tx *datastore.Tx, sub liwanag.Submission, contacts int, now time.Time) error {
	spending, err := tx.Ledger.Spending()
	if err != nil {
		return err
	}
	if wait := pausedUntil(spending, now); !wait.IsZero() {
		return &notNow{spending.Reason, wait}
	}
	flying, err := tx.Submissions.InFlight()
	if err != nil {
		return err
	}
	// A batch that was closed under a larger limit goes alone.
	if flying > 0 && flying+contacts > e.cfg.MaxInFlight {
		ahead, err := tx.Submissions.PreparedBefore(sub.ID)
		if err != nil {
			return err
		}
		rounds := ahead * e.cfg.BatchSize / e.cfg.MaxInFlight
		wait := min(capacityWait*time.Duration(1+rounds), longestQueue)
		return &notNow{liwanag.WaitingCapacity, now.Add(wait + time.Duration(float64(capacityWait)*spread(sub.ID)))}
	}
	err = e.takeCall(tx, sub.ID, now, true)
	if wait := (*notNow)(nil); errors.As(err, &wait) {
		ahead, err := tx.Submissions.PreparedBefore(sub.ID)
		if err != nil {
			return err
		}
		return &notNow{wait.waiting, wait.until.Add(min(e.pace()*time.Duration(ahead), longestQueue))}
	}
	return err
}

const (
	// capacityWait is about the time in which FullEnrich works through 50 contacts.
	capacityWait = 15 * time.Second
	// longestQueue bounds how long a submission waits because others were
	// prepared before it: the first in line look again when it is their turn, the
	// others rarely, so that a thousand runs in line cost next to nothing.
	longestQueue = 2 * time.Minute
)

// pausedUntil is when to look again; zero: spending is on.
func pausedUntil(s liwanag.Spending, now time.Time) time.Time {
	switch {
	case !s.Paused || !s.Until.IsZero() && !now.Before(s.Until):
		return time.Time{}
	case s.Until.IsZero():
		// An operator ends it, nobody knows when: the longer it lasts the more
		// rarely a run looks, since each look is kept in its history.
		return now.Add(min(max(now.Sub(s.At)/10, time.Minute), 5*time.Minute))
	case s.Reason == liwanag.WaitingCredits && s.Until.After(now.Add(balanceEvery)):
		return now.Add(balanceEvery) // the balance check may end it earlier
	}
	return s.Until
}

// usable is the part of a calendar minute in which calls are made: none in its
// last two seconds, because FullEnrich's clock may differ.
const usable = 58 * time.Second

// pace is the time from one paced call to the next.
func (e *Enricher) pace() time.Duration { return usable / time.Duration(e.cfg.CallsPerMinute) }

// takeCall counts a call in the calendar minute. Paced calls are spread over it.
func (e *Enricher) takeCall(tx *datastore.Tx, id liwanag.ID, now time.Time, paced bool) error {
	minute := liwanag.MinuteOf(now)
	elapsed := now.Sub(minute.End().Add(-time.Minute))
	if elapsed >= usable {
		return &notNow{liwanag.WaitingCalls, minute.End().Add(time.Duration(float64(time.Second) * spread(id)))}
	}
	calls, err := tx.Ledger.TakeCall(minute)
	if err != nil {
		return err
	}
	if calls > e.cfg.CallsPerMinute {
		return &notNow{liwanag.WaitingCalls, minute.End().Add(time.Duration(float64(usable) * spread(id)))}
	}
	if allowed := 1 + int(float64(e.cfg.CallsPerMinute)*float64(elapsed)/float64(usable)); paced && calls > allowed {
		return &notNow{liwanag.WaitingCalls,
			now.Add(e.pace() * time.Duration(calls-allowed)).Add(time.Duration(float64(2*e.pace()) * spread(id)))}
	}
	return nil
}

// request makes the one POST.
func (e *Enricher) request(ctx context.Context, sub liwanag.Submission, jobs []liwanag.Job, token string, committed time.Time) paid.Answer {
	said := paid.Answer{Standard: e.cfg.PaidRetry == Standard}
	if !e.breaker.TryAcquirePermit() {
		said.Err = &fullenrich.Error{Op: "submit", Outcome: fullenrich.OutcomeNotSent, Err: paid.ErrBreakerOpen}
		return said
	}
	request := fullenrich.SubmitRequest{Name: sub.Name, CommittedAt: committed, Contacts: make([]fullenrich.Contact, len(jobs))}
	if e.cfg.PublicURL != "" {
		request.WebhookURL = e.cfg.PublicURL + webhookPath + token
		request.ContactWebhookURL = request.WebhookURL + "/contact"
	}
	for i, j := range jobs {
		request.Contacts[i] = fullenrich.Contact{Email: j.Email,
			Custom: map[string]string{customJob: j.ID.String(), customSubmission: sub.ID.String()}}
	}
	enrichmentID, err := e.partner.Submit(ctx, request)
	switch {
	case err == nil:
		said.EnrichmentID = enrichmentID
	case !errors.As(err, &said.Err):
		said.Err = &fullenrich.Error{Op: "submit", Outcome: fullenrich.OutcomeAmbiguous, Err: err}
	}
	if err == nil || said.Err.Status >= 400 && said.Err.Status < 500 {
		e.breaker.RecordSuccess() // it answers
	} else {
		e.breaker.RecordFailure()
	}
	return said
}

// breakerWait is when to ask the breaker again, not all at the same time.
func (e *Enricher) breakerWait(id liwanag.ID) time.Duration {
	return max(e.breaker.RemainingDelay(), time.Second) + time.Duration(5*float64(time.Second)*spread(id))
}

// record writes the outcome, a compare-and-set: a webhook or another execution
// may have been faster. It returns the row as it is then.
func (e *Enricher) record(ctx context.Context, id liwanag.ID, said paid.Answer) (liwanag.Submission, error) {
	answer, now := paid.Read(said), e.now()
	var sub liwanag.Submission
	err := e.store.Write(ctx, func(tx *datastore.Tx) (err error) {
		if sub, err = tx.Submissions.Get(id); err != nil {
			return err
		}
		if answer.Meaning == paid.Taken {
			err = accept(tx, sub, said.EnrichmentID, now)
		} else {
			_, err = answer.Meaning.Move().Apply(tx, sub, paid.Change{At: now, Cause: answer.Cause})
		}
		if err != nil {
			return err
		}
		sub, err = tx.Submissions.Get(id)
		return err
	})
	if errors.Is(err, liwanag.ErrState) && answer.Meaning == paid.Taken {
		// The id belongs to another submission, which FullEnrich should never
		// answer: nobody knows what this one became.
		return e.record(ctx, id, paid.Answer{Err: &fullenrich.Error{Op: "submit", Outcome: fullenrich.OutcomeAmbiguous, Err: paid.ErrIDTaken}})
	}
	if err == nil {
		e.cfg.Meter.Submission(string(answer.State()))
		if said.EnrichmentID != "" && sub.EnrichmentID != said.EnrichmentID {
			e.cfg.Log.ErrorContext(ctx, "the paid call was answered with another enrichment id than its webhook",
				"submission", sub.ID, "answered", said.EnrichmentID, "webhook", sub.EnrichmentID)
		}
	}
	return sub, err
}

// accept notes the id. One that is in doubt is adopted, its jobs go on; one that
// ended otherwise only learns its id.
func accept(tx *datastore.Tx, sub liwanag.Submission, enrichmentID string, now time.Time) error {
	done, err := paid.Accept.Apply(tx, sub, paid.Change{At: now, EnrichmentID: enrichmentID})
	if err == nil && !done.Moved {
		_, err = tx.Submissions.Learn(sub.ID, enrichmentID)
	}
	return err
}

// release ends a submission that ordered nothing.
func release(tx *datastore.Tx, sub liwanag.Submission, cause string, now time.Time) error {
	_, err := paid.Refuse.Apply(tx, sub, paid.Change{At: now, Cause: cause})
	return err
}

// newToken draws the capability that the webhook's path carries: 256 bits, kept
// in memory until the POST is out and stored only as its SHA-256.
func newToken() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: the runtime stops the program instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// digestOf is a digest of what is ordered, without telling it.
func digestOf(jobs []liwanag.Job) liwanag.Digest {
	h := sha256.New()
	for _, j := range jobs {
		h.Write([]byte(j.ID.String() + "\x00" + j.Email + "\x00"))
	}
	return liwanag.Digest(h.Sum(nil))
}

func hexOf(d liwanag.Digest) string { return hex.EncodeToString(d[:]) }
