package enrichment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/paid"
	"github.com/liwanag/liwanag/fullenrich"
	"github.com/liwanag/liwanag/workflow"
)

// stateError says that a submission's state does not allow an act.
func stateError(sub liwanag.Submission, act string) error {
	return liwanag.NewError(liwanag.Conflict, liwanag.ErrState.Code,
		fmt.Sprintf("submission %s is %s: only one that is ambiguous or held can be %s", sub.ID, sub.State, act))
}

func inDoubt(s liwanag.SubmissionState) bool {
	return s == liwanag.SubmissionAmbiguous || s == liwanag.SubmissionHeld
}

// Adopt gives a submission in doubt the enrichment id that an operator read in
// FullEnrich's dashboard, and fetches at once; what comes is delivered like a
// webhook. ErrNotFound, ErrState, ErrInvalidID.
func (s *Service) Adopt(ctx context.Context, id liwanag.ID, enrichmentID string) error {
	if !fullenrich.ValidEnrichmentID(enrichmentID) {
		return liwanag.NewError(liwanag.Invalid, liwanag.ErrInvalidID.Code, "an enrichment id is a UUID")
	}
	sub, err := s.store.Submissions.Get(ctx, id)
	if err != nil {
		return err
	}
	if !inDoubt(sub.State) {
		return stateError(sub, "adopted")
	}
	if err := s.belongs(ctx, sub, enrichmentID); err != nil {
		return err
	}
	if err := s.learn(ctx, sub, enrichmentID, string(liwanag.FromOperator)); err != nil {
		return err
	}
	sub.EnrichmentID = enrichmentID
	if err := s.fetchFor(ctx, sub); err != nil {
		s.cfg.Log.WarnContext(ctx, "an adopted submission cannot be fetched yet", "submission", id, "error", err)
		return s.followAt(ctx, id, s.now().Add(retransmitAfter))
	}
	return nil
}

// belongs refuses the id of another submission's enrichment, a slip of the hand
// that would fail every job as missing. While FullEnrich cannot be asked, the
// operator's word counts.
func (s *Service) belongs(ctx context.Context, sub liwanag.Submission, enrichmentID string) error {
	if s.partner == nil {
		return nil
	}
	if got, err := s.partner.Fetch(ctx, enrichmentID); err != nil || isOf(sub, got.Result) {
		return nil
	}
	return liwanag.NewError(liwanag.Conflict, liwanag.ErrState.Code,
		fmt.Sprintf("that enrichment is not of submission %s: FullEnrich's dashboard shows its name, %s", sub.ID, sub.Name))
}

// Resubmit sends the jobs of a submission in doubt once more, on an operator's
// word: if the first was accepted after all, both are paid for. ErrNotFound,
// ErrState.
func (s *Service) Resubmit(ctx context.Context, id liwanag.ID, reason string) error {
	sub, err := s.store.Submissions.Get(ctx, id)
	if err != nil {
		return err
	}
	if !inDoubt(sub.State) {
		return stateError(sub, "resubmitted")
	}
	next, err := s.again(ctx, sub.RunID, id, sub.State, paid.CauseResubmitted)
	if err != nil {
		return err
	}
	if next.ID.IsZero() {
		return liwanag.NewError(liwanag.Conflict, liwanag.ErrState.Code,
			"nothing is left to resubmit, or the credit budget of the day is used up")
	}
	s.cfg.Log.InfoContext(ctx, "an operator resubmits", "submission", id, "reason", reason, "next", next.ID)
	if next.Detached {
		if err := s.followAt(ctx, next.ID, s.now()); err != nil {
			return err
		}
		ring(s.bells.sweep)
		return nil
	}
	_, _, err = s.transmit(ctx, next)
	return err
}

// Fail ends a submission in doubt on an operator's word: its jobs fail, and its
// run with them. A result that comes nevertheless is applied. ErrNotFound,
// ErrState.
func (s *Service) Fail(ctx context.Context, id liwanag.ID, reason string) error {
	sub, err := s.store.Submissions.Get(ctx, id)
	if err != nil {
		return err
	}
	if !inDoubt(sub.State) {
		return stateError(sub, "failed")
	}
	failed, err := s.conclude(ctx, id, liwanag.CodeOperatorFailed, reason, paid.GiveUp)
	if err != nil {
		return err
	}
	if !failed { // adopted meanwhile
		if sub, err = s.store.Submissions.Get(ctx, id); err != nil {
			return err
		}
		return stateError(sub, "failed")
	}
	return s.arrive(ctx, sub, Arrival{SubmissionID: id, Failed: liwanag.CodeOperatorFailed})
}

// Pause stops all spending until Resume.
func (s *Service) Pause(ctx context.Context, note string) error {
	now := s.now()
	return s.store.Write(ctx, func(tx *datastore.Tx) error {
		return tx.Ledger.SetSpending(liwanag.Spending{Paused: true, Reason: liwanag.WaitingPaused, Note: note, At: now})
	})
}

// errHeld: only a word lets spending go on.
var errHeld = liwanag.NewError(liwanag.Conflict, "held",
	"spending is held, since the database is older than what was paid for, or may be: "+
		"look at liwanag submissions list, then liwanag submissions release REASON")

// Resume lets spending go on, whatever paused it, and wakes at once what waits for
// that. The error is of class conflict while spending is held: that is Release's.
func (s *Service) Resume(ctx context.Context) error {
	spending, err := s.store.Ledger.Spending(ctx)
	if err == nil && spending.Held() {
		err = errHeld
	}
	if err != nil {
		return err
	}
	return s.resumeWhen(ctx, func(liwanag.Spending) bool { return true })
}

// Release lets spending go on that is held after a restore. What the journal knows to
// be paid for is fetched, and what nobody knows stays held, a submission at a time.
// ErrState when nothing is held.
func (s *Service) Release(ctx context.Context, reason string) error {
	now, released := s.now(), false
	err := s.store.Write(ctx, func(tx *datastore.Tx) (err error) {
		if released, err = tx.Ledger.Release(now); err != nil || !released {
			return err
		}
		return tx.Submissions.FollowUnsent(now)
	})
	if err != nil {
		return err
	}
	if !released {
		return liwanag.NewError(liwanag.Conflict, liwanag.ErrState.Code, "spending is not held: nothing was restored that nobody released")
	}
	s.cfg.Log.InfoContext(ctx, "an operator released spending", "reason", reason)
	s.ringResumed()
	return nil
}

// KeyConfirmed lets spending go on if FullEnrich's refusal of the key stopped it, and
// has the balance read.
func (s *Service) KeyConfirmed(ctx context.Context) error {
	s.askBalance()
	return s.resumeWhen(ctx, func(spending liwanag.Spending) bool {
		return spending.Paused && spending.Reason == liwanag.WaitingKey
	})
}

// CancelRun asks a run to end. Errors are the runner's.
func (s *Service) CancelRun(ctx context.Context, runID, reason string) error {
	return s.runner.Cancel(ctx, runID, reason)
}

// RetryRun reopens a failed, timed-out or canceled run from a step (empty: the
// one that failed) and gives it its jobs back. Errors are the runner's.
func (s *Service) RetryRun(ctx context.Context, runID, from string) error {
	return s.RetryRunBy(ctx, runID, from, s.runner.Retry)
}

// RetryRunBy is RetryRun with another way to reopen a run, as one that repeats a step of which
// nobody knows whether its effect happened.
func (s *Service) RetryRunBy(ctx context.Context, runID, from string,
	reopen func(ctx context.Context, runID, from string) error) error {
	id, err := liwanag.ParseID(liwanag.RunKind, runID)
	if err != nil {
		return err
	}
	if err := reopen(ctx, runID, from); err != nil {
		return err
	}
	// The steps that need the jobs take them back too: this is for a wait.
	return s.store.Write(ctx, func(tx *datastore.Tx) error {
		if err := takeBack(tx, id); err != nil {
			return err
		}
		return tx.Jobs.Confirm(id)
	})
}

// errOnlyCounted takes back what was done to see what it would do.
var errOnlyCounted = errors.New("enrichment: only counted")

// WouldOrder says how many lookups a run would order if it were retried now. It
// makes the change of RetryRun and takes it back.
func (s *Service) WouldOrder(ctx context.Context, runID string) (lookups int64, err error) {
	id, err := liwanag.ParseID(liwanag.RunKind, runID)
	if err != nil {
		return 0, err
	}
	err = s.store.Write(ctx, func(tx *datastore.Tx) error {
		lookups = 0
		if err := takeBack(tx, id); err != nil {
			return err
		}
		jobs, err := tx.Jobs.OfRun(id)
		if err != nil {
			return err
		}
		for _, j := range with(jobs, liwanag.JobPending) {
			if _, gone := left(j); !gone {
				lookups++
			}
		}
		return errOnlyCounted
	})
	if !errors.Is(err, errOnlyCounted) {
		return 0, err
	}
	return lookups, nil
}

// Emit ends a run's wait by hand: with results, as FullEnrich would have given
// them, or without, which fetches now. The results are kept as a delivery, so
// that the event holds no personal data. Of several with one event ID the first
// wins. ErrState when the run has submitted nothing; else the runner's errors.
func (s *Service) Emit(ctx context.Context, runID liwanag.ID, eventID string, results json.RawMessage) (workflow.Receipt, error) {
	var a Arrival
	if len(results) > 0 {
		var err error
		if a.DeliveryID, err = s.storeGiven(ctx, runID, eventID, results); err != nil {
			return workflow.Receipt{}, err
		}
	}
	receipt, err := Completed.Send(ctx, s.runner, runID.String(), eventID, a)
	if err != nil || !receipt.Late || a.DeliveryID == "" {
		return receipt, err
	}
	digest, err := parseDigest(a.DeliveryID)
	if err == nil {
		_, err = s.settleDelivery(ctx, digest, true)
	}
	return receipt, err
}

// EnrichOutcome says what Enrich did for a subscriber.
type EnrichOutcome struct {
	SubscriberID liwanag.ID
	Result       EnrichResult
	RunID        liwanag.ID // of the open job
}

// EnrichResult is the kind of an EnrichOutcome.
type EnrichResult string

// The results of Enrich.
const (
	EnrichStarted    EnrichResult = "started"    // a new job
	EnrichOpen       EnrichResult = "open"       // there was an open job already
	EnrichReused     EnrichResult = "reused"     // a young result was used again, nothing is paid
	EnrichInFlight   EnrichResult = "in_flight"  // an earlier lookup is paid for and its result expected
	EnrichSuppressed EnrichResult = "suppressed" // the address is suppressed
	EnrichUnknown    EnrichResult = "not_found"  // no such subscriber
	// EnrichNotFound: FullEnrich did not find the person lately, and would not now.
	EnrichNotFound EnrichResult = "recently_not_found"
	EnrichLeft     EnrichResult = "unsubscribed" // the person unsubscribed: nothing is looked up for them
	// EnrichSameMailbox: another address of the mailbox is looked up, or has a young result, which counts for
	// this one, too.
	EnrichSameMailbox EnrichResult = "same_mailbox"
)

// Enrich makes new jobs for subscribers, at most a few hundred at a time. A
// result younger than Config.ReuseResults is used again, whom FullEnrich did not find
// within Config.ReuseNotFound is not asked for, and a lookup that is still expected is
// not ordered twice; again orders and pays for all of them.
func (s *Service) Enrich(ctx context.Context, subscriberIDs []liwanag.ID, again bool) ([]EnrichOutcome, error) {
	now := s.now()
	var outcomes []EnrichOutcome
	var opened []liwanag.Opened
	err := s.store.Write(ctx, func(tx *datastore.Tx) (err error) {
		outcomes, opened, err = s.enrich(tx, subscriberIDs, again, now)
		return err
	})
	if err != nil {
		return nil, err
	}
	return outcomes, s.Start(ctx, runsOf(opened)...)
}

// WouldEnrich says what Enrich would do now, and does nothing.
func (s *Service) WouldEnrich(ctx context.Context, subscriberIDs []liwanag.ID, again bool) (outcomes []EnrichOutcome, err error) {
	err = s.store.Write(ctx, func(tx *datastore.Tx) error {
		outcomes, err = s.judge(tx, subscriberIDs, again, s.now())
		return err
	})
	return outcomes, err
}

// judge decides on each subscriber, on the rows as they are.
func (s *Service) judge(tx *datastore.Tx, subscriberIDs []liwanag.ID, again bool, now time.Time) ([]EnrichOutcome, error) {
	people, err := tx.Subscribers.Get(subscriberIDs)
	if err != nil {
		return nil, err
	}
	lookups, err := s.lookupsOf(tx, subscriberIDs, people, now)
	if err != nil {
		return nil, err
	}
	known := map[liwanag.ID]liwanag.Subscriber{}
	for _, p := range people {
		known[p.ID] = p
	}
	outcomes := make([]EnrichOutcome, len(subscriberIDs))
	for i, id := range subscriberIDs {
		outcomes[i] = EnrichOutcome{SubscriberID: id, Result: EnrichUnknown}
		if p, ok := known[id]; ok {
			outcomes[i].Result, outcomes[i].RunID = lookups.judge(s.cfg, p, again, now)
		}
	}
	return outcomes, nil
}

// lookups are what is known of the lookups of people before new ones are made.
type lookups struct {
	open     map[liwanag.ID]liwanag.Job // by subscriber
	inFlight []liwanag.ID
	missed   []liwanag.ID // not found lately
	boxes    boxes
}

func (s *Service) lookupsOf(tx *datastore.Tx, ids []liwanag.ID, people []liwanag.Subscriber, now time.Time) (l lookups, err error) {
	open, err := tx.Jobs.OpenOf(ids)
	if err != nil {
		return l, err
	}
	l.open = map[liwanag.ID]liwanag.Job{}
	for _, j := range open {
		l.open[j.SubscriberID] = j
	}
	if l.inFlight, err = tx.Jobs.InFlight(ids); err != nil {
		return l, err
	}
	if l.missed, err = tx.Jobs.NotFoundSince(ids, now.Add(-s.cfg.ReuseNotFound)); err != nil {
		return l, err
	}
	l.boxes, err = s.boxesOf(tx, people)
	return l, err
}

// judge decides on a subscriber, and names the run of a lookup that is open. The
// mailbox of whom it says EnrichStarted of is asked for from then on.
func (l lookups) judge(cfg Config, p liwanag.Subscriber, again bool, now time.Time) (EnrichResult, liwanag.ID) {
	mailbox := liwanag.MailboxOf(p.EmailKey)
	var none liwanag.ID
	switch open := l.open[p.ID]; {
	case strings.HasPrefix(p.UnsubscribedBy, string(liwanag.SuppressionKind)):
		return EnrichSuppressed, none
	case !p.SuppressedAt.IsZero():
		return EnrichLeft, none
	case !open.ID.IsZero():
		return EnrichOpen, open.RunID
	case l.boxes.open[p.ID].Shared:
		return EnrichSameMailbox, l.boxes.open[p.ID].RunID
	case !again && slices.Contains(l.inFlight, p.ID):
		return EnrichInFlight, none
	case !again && !p.EnrichedAt.IsZero() && now.Sub(p.EnrichedAt) < cfg.ReuseResults:
		return EnrichReused, none
	case !again && l.boxes.lookedUp(cfg, p, now), l.boxes.asked[mailbox]:
		return EnrichSameMailbox, none
	case !again && slices.Contains(l.missed, p.ID):
		return EnrichNotFound, none
	}
	_, l.boxes.asked[mailbox] = liwanag.SharedMailbox(p.EmailKey)
	return EnrichStarted, none
}

func (s *Service) enrich(tx *datastore.Tx, subscriberIDs []liwanag.ID, again bool, now time.Time) ([]EnrichOutcome,
	[]liwanag.Opened, error) {
	outcomes, err := s.judge(tx, subscriberIDs, again, now)
	if err != nil {
		return nil, nil, err
	}
	var wanted []Enrollment
	var reused []liwanag.Job
	var at []int
	var shared []Enrollment
	for i, o := range outcomes {
		switch o.Result {
		case EnrichReused:
			reused = append(reused, liwanag.Job{ID: liwanag.NewID(liwanag.JobKind), SubscriberID: o.SubscriberID,
				Status: liwanag.JobEnriched, CreatedAt: now, EndedAt: now})
		case EnrichStarted:
			wanted, at = append(wanted, Enrollment{SubscriberID: o.SubscriberID, Confirmed: true, Again: again}), append(at, i)
		case EnrichSameMailbox:
			shared = append(shared, Enrollment{SubscriberID: o.SubscriberID, Confirmed: true})
		}
	}
	if _, err := tx.Jobs.Insert(reused); err != nil {
		return nil, nil, err
	}
	opened, err := Enroll(tx, wanted, s.cfg, now)
	for i, o := range opened {
		outcomes[at[i]].RunID = o.RunID
		if !o.Inserted { // the same person twice in one call
			outcomes[at[i]].Result = EnrichOpen
		}
	}
	if err == nil { // their mailbox is looked up by now, or was
		_, err = Enroll(tx, shared, s.cfg, now)
	}
	return outcomes, opened, err
}

// CallBudget takes a call from the shared budget of the calendar minute; it is
// what fullenrich.Config.Budget asks before every call but the paid one. In the
// last seconds of a minute, when no call is made, it waits for the next: a fetch
// that happens to fall there must not be put off to the next look. The error is
// of class unavailable.
func CallBudget(store *datastore.Store, cfg Config) func(context.Context) error {
	e := &Enricher{store: store, cfg: cfg.withDefaults()}
	return func(ctx context.Context) error {
		for {
			now := e.now()
			err := store.Write(ctx, func(tx *datastore.Tx) error { return e.takeCall(tx, liwanag.ID{}, now, false) })
			wait := new(notNow)
			switch {
			case !errors.As(err, &wait):
				return err
			case wait.until.Sub(now) > time.Minute-usable:
				return liwanag.Wrap(err, liwanag.Unavailable, "call_budget", "FullEnrich's calls of this minute are used up")
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(wait.until.Sub(now)):
			}
		}
	}
}
