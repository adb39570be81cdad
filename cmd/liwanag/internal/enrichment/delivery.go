package enrichment

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich"
	"github.com/liwanag/liwanag/workflow"
)

// deliveryBatch is how many deliveries are looked up at once.
const deliveryBatch = 100

// deliverStored takes every stored delivery to its run. One that fails stays
// stored, and the next round repeats it; it does not keep the others.
func (s *Service) deliverStored(ctx context.Context) error {
	var faults []error
	seen := map[liwanag.Digest]bool{}
	for ctx.Err() == nil {
		digests, err := s.store.Deliveries.Stored(ctx, deliveryBatch+len(faults))
		if err != nil {
			return errors.Join(append(faults, err)...)
		}
		digests = slices.DeleteFunc(digests, func(d liwanag.Digest) bool { return seen[d] })
		if len(digests) == 0 {
			break
		}
		for _, digest := range digests {
			seen[digest] = true
			if err := s.deliver(ctx, digest); err != nil {
				faults = append(faults, err)
			}
		}
	}
	return errors.Join(faults...)
}

// deliver takes one delivery to its run: learn the id, send the event with the
// digest as its id, mark it sent. Repeating it is harmless.
func (s *Service) deliver(ctx context.Context, digest liwanag.Digest) error {
	d, err := s.store.Deliveries.Get(ctx, digest)
	if err != nil {
		return fmt.Errorf("enrichment: delivery %s: %w", hexOf(digest), err)
	}
	if d.State != liwanag.DeliveryStored && d.State != liwanag.DeliveryUnmatched {
		return nil // another node was faster; its body may be gone by now
	}
	res, parseErr := fullenrich.ParseResult(d.Raw)
	if d.State == liwanag.DeliveryUnmatched {
		return s.place(ctx, d, res)
	}
	if parseErr != nil {
		note := noteUnreadable
		if errors.Is(parseErr, fullenrich.ErrUnsupportedShape) {
			note = noteUnsupported
		}
		return s.quarantine(ctx, d, note)
	}
	sub, err := s.store.Submissions.Get(ctx, d.SubmissionID)
	if err != nil {
		return fmt.Errorf("enrichment: delivery %s: %w", hexOf(digest), err)
	}
	if !isOf(sub, res) {
		return s.quarantine(ctx, d, noteForeignEnrichment)
	}
	if fullenrich.ValidEnrichmentID(res.ID) {
		switch err := s.learn(ctx, sub, res.ID, string(d.Source)); {
		case errors.Is(err, errOtherEnrichment):
			return s.quarantine(ctx, d, noteOtherEnrichment)
		case errors.Is(err, liwanag.ErrState):
			return s.quarantine(ctx, d, noteForeignEnrichment)
		case err != nil:
			return err
		}
	}
	if !res.Status.Terminal() {
		return s.mark(ctx, d, liwanag.DeliverySettled, "") // it taught the id, more it cannot
	}
	return s.send(ctx, d, sub, res.ID)
}

// send hands a result to the run. A run that has ended cannot take it: then it
// is applied here. So is the result of a submission that its run has given up:
// it must be known before the run pays again.
func (s *Service) send(ctx context.Context, d liwanag.Delivery, sub liwanag.Submission, enrichmentID string) error {
	if sub.State == liwanag.SubmissionRefused || sub.State == liwanag.SubmissionSuperseded {
		over, err := s.ended(ctx, sub.RunID)
		if err != nil {
			return err
		}
		if _, err := s.settleDelivery(ctx, d.Digest, over); err != nil {
			return err
		}
		jobs, err := s.store.Jobs.OfRun(ctx, sub.RunID)
		if err != nil || slices.ContainsFunc(jobs, func(j liwanag.Job) bool { return j.Status.Open() }) {
			return err
		}
	}
	receipt, err := Completed.Send(ctx, s.runner, sub.RunID.String(), hexOf(d.Digest),
		Arrival{DeliveryID: hexOf(d.Digest), SubmissionID: sub.ID, EnrichmentID: enrichmentID})
	switch {
	case errors.Is(err, workflow.ErrNotFound), errors.Is(err, workflow.ErrEnded), err == nil && receipt.Late:
		_, err := s.settleDelivery(ctx, d.Digest, true)
		return err
	case err != nil:
		return fmt.Errorf("enrichment: event of delivery %s: %w", hexOf(d.Digest), err)
	}
	if err := s.mark(ctx, d, liwanag.DeliverySent, ""); err != nil {
		return err
	}
	return s.wakeFetching(ctx, sub.RunID)
}

// wakeFetching wakes a run whose wait was ended by hand, without a result: it looks for
// one now and then, and this is it.
func (s *Service) wakeFetching(ctx context.Context, runID liwanag.ID) error {
	run, err := s.runner.Describe(ctx, runID.String())
	if err != nil || run.WaitingFor == nil || run.WaitingFor.Step != stepSettle {
		return err
	}
	if err := s.runner.Wake(ctx, runID.String()); !errors.Is(err, workflow.ErrEnded) {
		return err
	}
	return nil
}

func (s *Service) mark(ctx context.Context, d liwanag.Delivery, to liwanag.DeliveryState, note string) error {
	return s.store.Write(ctx, func(tx *datastore.Tx) error {
		_, err := tx.Deliveries.Move(liwanag.DeliveryMove{Digest: d.Digest, From: []liwanag.DeliveryState{d.State}, To: to, Note: note})
		return err
	})
}

// quarantine keeps a delivery for review.
func (s *Service) quarantine(ctx context.Context, d liwanag.Delivery, note string) error {
	return s.store.Write(ctx, func(tx *datastore.Tx) error {
		moved, err := tx.Deliveries.Move(liwanag.DeliveryMove{Digest: d.Digest, From: []liwanag.DeliveryState{d.State},
			To: liwanag.DeliveryQuarantined, Note: note})
		if err != nil || !moved {
			return err
		}
		return forReview(tx, d)
	})
}

// place finds the jobs of a signed result whose token nobody knows (a restored
// backup, a mistyped public URL) by the ids that FullEnrich echoes. Only jobs
// that are open take it. What belongs to a submission goes the usual way; what
// has none is applied at once.
func (s *Service) place(ctx context.Context, d liwanag.Delivery, res fullenrich.Result) error {
	wanted := jobIDsOf(res)
	placed := liwanag.DeliveryUnmatched
	now := s.now()
	var done settlement
	err := s.store.Write(ctx, func(tx *datastore.Tx) error {
		placed, done = liwanag.DeliveryUnmatched, settlement{}
		note := liwanag.DeliveryMove{Digest: d.Digest, From: []liwanag.DeliveryState{liwanag.DeliveryUnmatched},
			To: liwanag.DeliveryUnmatched, Note: noteUnplaced, EnrichmentID: res.ID}
		jobs, err := tx.Jobs.Get(wanted)
		if err != nil {
			return err
		}
		if err := forReview(tx, d); err != nil {
			return err
		}
		jobs = with(jobs, liwanag.JobPending, liwanag.JobSubmitted, liwanag.JobHeld)
		if len(jobs) == 0 || !res.Status.Terminal() {
			_, err := tx.Deliveries.Move(note)
			return err
		}
		note.Note = ""
		switch sub, err := tx.Submissions.OfJob(jobs[0].ID); {
		case err == nil && sub.State != liwanag.SubmissionPrepared:
			placed = liwanag.DeliveryStored
			note.To, note.SubmissionID = placed, sub.ID
			_, err := tx.Deliveries.Move(note)
			return err
		case err != nil && !errors.Is(err, liwanag.ErrNotFound):
			return err
		}
		placed = liwanag.DeliverySettled
		note.To = placed
		if moved, err := tx.Deliveries.Move(note); err != nil || !moved {
			return err // another node has placed it
		}
		done = settle(liwanag.Submission{SendingAt: d.ReceivedAt}, jobs, res, true, now)
		if err := tx.Jobs.Settle(done.results); err != nil {
			return err
		}
		if err := tx.Ledger.AddCredits(liwanag.Credits{Day: liwanag.DayOf(now), Spent: done.spent,
			Unconfirmed: done.unconfirmed}); err != nil {
			return err
		}
		if _, err := tx.Subscribers.Enrich(done.profiles); err != nil {
			return err
		}
		_, err = datastore.Announce(tx, done.news)
		return err
	})
	if err == nil && placed == liwanag.DeliverySettled {
		s.report(ctx, d.SubmissionID, done)
	}
	return err
}

func jobIDsOf(res fullenrich.Result) []liwanag.ID {
	var out []liwanag.ID
	for _, r := range res.Data {
		if id, err := liwanag.ParseID(liwanag.JobKind, r.Custom[customJob]); err == nil {
			out = append(out, id)
		}
	}
	return out
}

// settleLeft applies results whose run ended without consuming them.
func (s *Service) settleLeft(ctx context.Context) error {
	digests, err := s.store.Deliveries.Unsettled(ctx, s.now().Add(-5*time.Minute), deliveryBatch)
	if err != nil {
		return err
	}
	var faults []error
	for _, digest := range digests {
		d, err := s.store.Deliveries.Get(ctx, digest)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		sub, err := s.store.Submissions.Get(ctx, d.SubmissionID)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		over, err := s.ended(ctx, sub.RunID)
		if err == nil && over {
			_, err = s.settleDelivery(ctx, digest, true)
		}
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}
