package enrichment

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/paid"
)

// JournalFile is a file of the spend journal, and the last of its lines that the
// database knows.
type JournalFile struct {
	Known int64
	Lines iter.Seq2[liwanag.JournalLine, error]
}

// CatchUp applies what the journal knows beyond the database, after a backup was
// restored and before anything else happens: who left first, then the paid calls.
// Doing it again changes nothing.
func CatchUp(ctx context.Context, store *datastore.Store, files []JournalFile, now func() time.Time, log *slog.Logger) error {
	w := &Enricher{store: store, cfg: Config{Now: now, Log: log}.withDefaults(), bells: newBells()}
	c := &catchUp{Service: NewService(w, nil, nil), calls: map[string]*paidCall{}, gone: map[string]liwanag.JournalLine{}}
	if err := c.read(files); err != nil {
		return err
	}
	if err := c.leave(ctx); err != nil {
		return fmt.Errorf("enrichment: who left since the backup: %w", err)
	}
	for _, call := range c.order {
		if err := store.Write(ctx, func(tx *datastore.Tx) error { return c.know(tx, call) }); err != nil {
			return fmt.Errorf("enrichment: the paid call %s, which the journal knows: %w", call.Submission, err)
		}
	}
	log.InfoContext(ctx, "the database caught up with its spend journal", "calls", len(c.order), "left", len(c.gone))
	return nil
}

// paidCall is a submission as the journal has it.
type paidCall struct {
	liwanag.JournalLine // send
	beyond              bool
	outcome             liwanag.JournalOp // empty: nobody knows
	enrichment          string
	superseded          bool // a later one was sent although nobody knew
}

type catchUp struct {
	*Service
	calls    map[string]*paidCall
	order    []*paidCall
	gone     map[string]liwanag.JournalLine // by digest: the last that was said, an erasure for good
	suppress []liwanag.JournalLine
}

func (c *catchUp) read(files []JournalFile) error {
	outcomes := []liwanag.JournalLine{}
	for _, file := range files {
		for line, err := range file.Lines {
			if err != nil {
				return err
			}
			beyond := line.N > file.Known
			switch line.Op {
			case liwanag.JournalSend:
				call := &paidCall{JournalLine: line, beyond: beyond}
				c.calls[line.Submission], c.order = call, append(c.order, call)
			case liwanag.JournalAccepted, liwanag.JournalRefused:
				outcomes = append(outcomes, line)
			case liwanag.JournalErase, liwanag.JournalUnsubscribe:
				for _, digest := range line.Digests {
					if beyond && c.gone[digest].Op != liwanag.JournalErase {
						c.gone[digest] = line
					}
				}
			case liwanag.JournalSuppress:
				if beyond {
					c.suppress = append(c.suppress, line)
				}
			}
		}
	}
	for _, line := range outcomes {
		if call := c.calls[line.Submission]; call != nil && call.enrichment == "" {
			call.outcome, call.enrichment = line.Op, line.Enrichment
		}
	}
	slices.SortStableFunc(c.order, func(a, b *paidCall) int { return a.At.Compare(b.At) })
	for _, call := range c.order {
		if before := c.calls[call.Supersedes]; before != nil && before.outcome == "" {
			before.superseded = true
		}
	}
	return nil
}

// leave erases, unsubscribes and suppresses again.
func (c *catchUp) leave(ctx context.Context) error {
	key, suppressed, err := c.suppressAgain(ctx)
	if err != nil || len(c.gone)+len(c.suppress) == 0 {
		return err
	}
	var erase []liwanag.ID
	left, here := map[string][]liwanag.ID{}, map[string]bool{} // by who said so; by digest
	for person, err := range c.store.Subscribers.Each(ctx, liwanag.SubscriberFilter{Standing: liwanag.StandingAny}) {
		if err != nil {
			return err
		}
		digest := key.Of(person.EmailKey)
		line, is := c.gone[digest]
		if is && line.Op == liwanag.JournalErase {
			if !person.CreatedAt.After(line.At) {
				erase = append(erase, person.ID)
			}
			here[digest] = person.CreatedAt.After(line.At)
			continue
		}
		by := suppressed[digest]
		for _, domain := range liwanag.DomainsOf(person.EmailKey) {
			by = cmp.Or(by, suppressed[domain])
		}
		if is || by != "" {
			by = cmp.Or(by, liwanag.ByOperator)
			left[by], here[digest] = append(left[by], person.ID), true
		}
	}
	if err := c.keepAway(ctx, here); err != nil {
		return err
	}
	return c.applyLeft(ctx, erase, left)
}

// suppressAgain suppresses what was suppressed, and says by which id, by digest or domain.
func (c *catchUp) suppressAgain(ctx context.Context) (key liwanag.SuppressionKey, ids map[string]string, err error) {
	ids = map[string]string{}
	err = c.store.Write(ctx, func(tx *datastore.Tx) (err error) {
		if key, err = tx.Suppressions.Key(); err != nil {
			return err
		}
		for _, line := range c.suppress {
			for _, digest := range append(line.Digests, "")[:max(len(line.Digests), 1)] { // a domain has none
				one, err := tx.Suppressions.Insert(liwanag.Suppression{ID: liwanag.NewID(liwanag.SuppressionKind), Digest: digest,
					Domain: line.Domain, Reason: line.Reason, CreatedAt: line.At})
				if err != nil {
					return err
				}
				ids[cmp.Or(digest, line.Domain)] = one.ID.String()
			}
		}
		return nil
	})
	return key, ids, err
}

// applyLeft erases people and unsubscribes others, by who said so.
func (c *catchUp) applyLeft(ctx context.Context, erase []liwanag.ID, left map[string][]liwanag.ID) error {
	now := c.now()
	for _, id := range erase {
		if _, err := c.Erase(ctx, id); err != nil && !errors.Is(err, liwanag.ErrNotFound) { // of one mailbox, all went at once
			return err
		}
	}
	for by, people := range left {
		for piece := range slices.Chunk(people, suppressAtOnce) {
			err := c.store.Write(ctx, func(tx *datastore.Tx) error {
				_, err := Suppress(tx, liwanag.Departure{IDs: piece, At: now, By: by})
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// keepAway suppresses who left and has no row that says so: they came after the backup,
// or were erased, and the list that they stood in may be imported again.
func (c *catchUp) keepAway(ctx context.Context, here map[string]bool) error {
	return c.store.Write(ctx, func(tx *datastore.Tx) error {
		for digest, line := range c.gone {
			if here[digest] {
				continue
			}
			one := liwanag.Suppression{ID: liwanag.NewID(liwanag.SuppressionKind), Digest: digest, CreatedAt: line.At,
				Reason: "left since a backup that was restored"}
			if _, err := tx.Suppressions.Insert(one); err != nil {
				return err
			}
		}
		return nil
	})
}

// know brings one submission to what the journal knows of it.
func (c *catchUp) know(tx *datastore.Tx, call *paidCall) error {
	id, err := liwanag.ParseID(liwanag.SubmissionKind, call.Submission)
	if err != nil {
		return err
	}
	sub, err := tx.Submissions.Get(id)
	switch {
	case errors.Is(err, liwanag.ErrNotFound) && !call.beyond:
		return nil
	case errors.Is(err, liwanag.ErrNotFound):
		return c.insert(tx, id, call)
	case err != nil:
		return err
	case sub.State == liwanag.SubmissionPrepared:
		if err := c.sent(tx, sub, call); err != nil {
			return err
		}
	}
	if sub, err = tx.Submissions.Get(id); err != nil {
		return err
	}
	return c.conclude(tx, sub, call)
}

// sent makes a submission that the backup has as prepared one that was sent.
func (c *catchUp) sent(tx *datastore.Tx, sub liwanag.Submission, call *paidCall) error {
	token, err := call.token()
	if err != nil {
		return err
	}
	_, err = paid.Send.Apply(tx, sub, paid.Change{Sending: &liwanag.Sending{Sender: paid.CauseRestored, TokenHash: token,
		At: call.At, GraceUntil: call.At, CreditDay: sub.CreditDay}})
	return err
}

func (c *paidCall) token() (hash liwanag.Digest, err error) {
	raw, err := hex.DecodeString(c.Token)
	if err == nil && len(raw) != len(hash) {
		err = errors.New("the token's hash has another length")
	}
	copy(hash[:], raw)
	return hash, err
}

// conclude moves a submission that is there to where the journal says it came to.
func (c *catchUp) conclude(tx *datastore.Tx, sub liwanag.Submission, call *paidCall) error {
	now := c.now()
	unknown := sub.State == liwanag.SubmissionSending || sub.State == liwanag.SubmissionAmbiguous
	switch {
	case call.outcome == liwanag.JournalAccepted && sub.EnrichmentID == "" && sub.State != liwanag.SubmissionSettled:
		if err := accept(tx, sub, call.enrichment, now); err != nil {
			return err
		}
		return tx.Submissions.Follow(sub.ID, now)
	case call.outcome == liwanag.JournalRefused && unknown:
		_, err := paid.Refuse.Apply(tx, sub, paid.Change{At: now, Cause: paid.CauseRestored})
		return err
	case call.superseded && unknown:
		if _, err := paid.Doubt.Apply(tx, sub, paid.Change{At: now, Cause: paid.CauseRestored}); err != nil {
			return err
		}
		_, err := paid.Supersede.Apply(tx, sub, paid.Change{At: now, Cause: paid.CauseRestored})
		return err
	case unknown:
		return hold(tx, sub, paid.CauseRestored, now)
	}
	return nil
}

// insert makes a submission that the backup does not have, of those of its jobs that it
// has. The others are remembered by their people's digests.
func (c *catchUp) insert(tx *datastore.Tx, id liwanag.ID, call *paidCall) error {
	runID, err := liwanag.ParseID(liwanag.RunKind, call.Run)
	if err != nil {
		return err
	}
	token, err := call.token()
	if err != nil {
		return err
	}
	now := c.now()
	sub := liwanag.Submission{ID: id, RunID: runID, N: call.Ordinal, State: liwanag.SubmissionHeld, Name: "liwanag-" + id.String(),
		Jobs: len(call.Jobs), Sender: paid.CauseRestored, TokenHash: token, Cause: paid.CauseRestored, PreparedAt: call.At,
		SendingAt: call.At, OutcomeAt: now, GraceUntil: call.At, CreditDay: liwanag.DayOf(call.At)}
	switch {
	case call.outcome == liwanag.JournalAccepted:
		sub.State, sub.EnrichmentID, sub.Cause, sub.OutcomeAt = liwanag.SubmissionAccepted, call.enrichment, "", call.At
	case call.outcome == liwanag.JournalRefused:
		sub.State = liwanag.SubmissionRefused
	case call.superseded:
		sub.State = liwanag.SubmissionSuperseded
	}
	if call.Supersedes != "" {
		if sub.Supersedes, err = liwanag.ParseID(liwanag.SubmissionKind, call.Supersedes); err != nil {
			return err
		}
	}
	here, missing, err := c.jobsOf(tx, call, sub.State)
	if err != nil {
		return err
	}
	batch, err := tx.Batches.Get(runID)
	if err != nil && !errors.Is(err, liwanag.ErrNotFound) {
		return err
	}
	if sub.Detached = err != nil || !batch.EndedAt.IsZero(); sub.State == liwanag.SubmissionAccepted && len(here) > 0 {
		sub.FollowAt = now
	}
	if sub.State.Open() {
		sub.Reserved = int64(len(call.Jobs))
		if err := tx.Ledger.AddCredits(liwanag.Credits{Day: sub.CreditDay, Reserved: sub.Reserved}); err != nil {
			return err
		}
	}
	if err := tx.Submissions.Insert(sub, here); err != nil {
		return err
	}
	if sub.State.Open() {
		if _, err := tx.Jobs.Move(liwanag.JobMove{IDs: here, To: paid.JobStatus(sub.State), At: now,
			From: []liwanag.JobStatus{liwanag.JobPending, liwanag.JobSubmitted, liwanag.JobHeld}}); err != nil {
			return err
		}
		for i := range missing {
			missing[i].SubmissionID = id
		}
		return tx.Instance.Order(missing)
	}
	return nil
}

// jobsOf are the jobs of a paid call that are here and in no other open submission, and
// those that are not here.
func (c *catchUp) jobsOf(tx *datastore.Tx, call *paidCall, state liwanag.SubmissionState) (here []liwanag.ID,
	missing []liwanag.Ordered, err error) {
	var wanted []liwanag.ID
	digests := map[liwanag.ID]string{}
	for _, j := range call.Jobs {
		id, err := liwanag.ParseID(liwanag.JobKind, j.ID)
		if err != nil {
			return nil, nil, err
		}
		wanted, digests[id] = append(wanted, id), j.Digest
	}
	found, err := tx.Jobs.Get(wanted)
	if err != nil {
		return nil, nil, err
	}
	for _, j := range found {
		delete(digests, j.ID)
		other, err := tx.Submissions.OfJob(j.ID)
		if err != nil && !errors.Is(err, liwanag.ErrNotFound) {
			return nil, nil, err
		}
		if state.Open() && err == nil && other.State.Open() {
			if other.State != liwanag.SubmissionPrepared {
				continue
			}
			// It was prepared when the backup was made, and given up afterwards.
			if err := release(tx, other, paid.CauseRestored, c.now()); err != nil {
				return nil, nil, err
			}
		}
		here = append(here, j.ID)
	}
	for id, digest := range digests {
		missing = append(missing, liwanag.Ordered{Digest: digest, JobID: id})
	}
	return here, missing, nil
}

// divert takes those out of a batch whose lookup the journal knows of: it goes on as
// that one, which is paid for already, or of which nobody knows.
func divert(tx *datastore.Tx, jobs []liwanag.Job, now time.Time) ([]liwanag.Job, error) {
	if some, err := tx.Instance.AnyOrdered(); err != nil || !some || len(jobs) == 0 {
		return jobs, err
	}
	key, err := tx.Suppressions.Key()
	if err != nil {
		return nil, err
	}
	digests := make([]string, len(jobs))
	for i, j := range jobs {
		digests[i] = key.Of(j.EmailKey)
	}
	known, err := tx.Instance.Ordered(digests)
	if err != nil || len(known) == 0 {
		return jobs, err
	}
	var staying []liwanag.Job
	for i, j := range jobs {
		gone, err := false, error(nil)
		for _, o := range known {
			if o.Digest == digests[i] && !gone {
				gone, err = instead(tx, j, o, now)
			}
			if err != nil {
				return nil, err
			}
		}
		if !gone {
			staying = append(staying, j)
		}
	}
	return staying, nil
}

// instead lets the lookup that was ordered take the place of a new one. False: it
// ordered nothing after all.
func instead(tx *datastore.Tx, j liwanag.Job, o liwanag.Ordered, now time.Time) (bool, error) {
	sub, err := tx.Submissions.Get(o.SubmissionID)
	if err != nil {
		return false, err
	}
	if sub.State == liwanag.SubmissionRefused || sub.State == liwanag.SubmissionSuperseded {
		return false, tx.Instance.Forget(o)
	}
	why := liwanag.JobFailure{Code: liwanag.CodeOrdered, Message: "it was ordered before a backup was restored: that lookup goes on instead"}
	if _, err := tx.Jobs.Move(liwanag.JobMove{IDs: []liwanag.ID{j.ID}, From: []liwanag.JobStatus{liwanag.JobPending},
		To: liwanag.JobCanceled, At: now, Failure: why}); err != nil {
		return false, err
	}
	status := paid.JobStatus(sub.State)
	if _, err := tx.Jobs.Insert([]liwanag.Job{{ID: o.JobID, SubscriberID: j.SubscriberID, RunID: sub.RunID, UploadID: j.UploadID,
		Status: status, Confirmed: j.Confirmed, CreatedAt: now}}); err != nil {
		return false, err
	}
	if err := tx.Submissions.Attach(sub.ID, o.JobID, sub.State.Open()); err != nil {
		return false, err
	}
	if sub.State.Open() {
		if sub.State == liwanag.SubmissionAccepted {
			err = tx.Submissions.Follow(sub.ID, now)
		}
		return true, errors.Join(err, tx.Instance.Forget(o))
	}
	return true, tx.Instance.Returned(o)
}

// fetchBack fetches once more what was settled before a person of it was here again.
func (s *Service) fetchBack(ctx context.Context) (more bool, err error) {
	back, err := s.store.Instance.Back(ctx, deliveryBatch)
	if err != nil || len(back) == 0 || s.partner == nil {
		return false, err
	}
	sub, err := s.store.Submissions.Get(ctx, back[0].SubmissionID)
	if err != nil {
		return false, err
	}
	got, err := s.partner.Fetch(ctx, sub.EnrichmentID)
	if err != nil || !got.Result.Status.Terminal() {
		return false, err
	}
	now := s.now()
	var done settlement
	err = s.store.Write(ctx, func(tx *datastore.Tx) error {
		jobs, err := tx.Jobs.OfSubmission(sub.ID)
		if err != nil {
			return err
		}
		as := sub
		as.State = liwanag.SubmissionAccepted // for them it is not settled yet
		done = settle(as, with(jobs, liwanag.JobSubmitted), got.Result, true, now)
		for i, found := range done.profiles {
			done.profiles[i].Found = s.cfg.Clean(found.Found)
		}
		for _, o := range back {
			if o.SubmissionID == sub.ID {
				if err := tx.Instance.Forget(o); err != nil {
					return err
				}
			}
		}
		return s.apply(tx, sub, done, true, now)
	})
	if err == nil {
		s.report(ctx, sub.ID, done)
	}
	return err == nil, err
}
