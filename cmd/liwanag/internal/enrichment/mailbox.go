package enrichment

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// One mailbox may have several addresses, each a subscriber (liwanag.SharedMailbox). It has one open
// lookup: a job of another address waits for it, as canceled with CodeSameMailbox. A found result is
// that of all its addresses; of one that found nobody FullEnrich may know another, which is asked then.

var sameMailbox = liwanag.JobFailure{Code: liwanag.CodeSameMailbox,
	Message: "another address of the same mailbox is looked up: its result counts for this one, too"}

var takenOver = liwanag.JobFailure{Code: liwanag.CodeSameMailbox,
	Message: "the result is that of another address of the same mailbox"}

// siblings are those others who have an address of the mailboxes of some people, by mailbox.
func siblings(tx *datastore.Tx, ids []liwanag.ID) (map[string][]liwanag.Subscriber, error) {
	others, err := tx.Subscribers.Siblings(ids)
	byBox := make(map[string][]liwanag.Subscriber, len(others))
	for _, o := range others {
		box := liwanag.MailboxOf(o.EmailKey)
		byBox[box] = append(byBox[box], o)
	}
	return byBox, err
}

// lookedUp is the newest result among people that is young enough to be used again. It counts from
// the lookup: what was taken over is no younger.
func (c Config) lookedUp(people []liwanag.Subscriber, now time.Time) (young liwanag.Subscriber, ok bool) {
	for _, p := range people {
		if !p.EnrichedAt.IsZero() && now.Sub(p.ResultAt) < c.ReuseResults && p.ResultAt.After(young.ResultAt) {
			young, ok = p, true
		}
	}
	return young, ok
}

// boxes are what is known of the mailboxes of people before they are looked up.
type boxes struct {
	open   map[liwanag.ID]liwanag.Opened   // by person
	others map[string][]liwanag.Subscriber // by mailbox
	flying []liwanag.ID                    // of the others, with a lookup that is paid for
	asked  map[string]bool                 // mailboxes that are asked for by now
}

func (s *Service) boxesOf(tx *datastore.Tx, people []liwanag.Subscriber) (b boxes, err error) {
	b.asked = map[string]bool{}
	if b.open, err = tx.Jobs.OpenOfMailboxes(idsOf(people)); err != nil {
		return b, err
	}
	if b.others, err = siblings(tx, idsOf(people)); err != nil {
		return b, err
	}
	var others []liwanag.ID
	for _, them := range b.others {
		others = append(others, idsOf(them)...)
	}
	for _, p := range people { // they are siblings of each other, too
		if box, shared := liwanag.SharedMailbox(p.EmailKey); shared {
			b.others[box] = append(b.others[box], p)
		}
	}
	b.flying, err = tx.Jobs.InFlight(others)
	return b, err
}

// lookedUp says whether another address of the mailbox has a young result, or one that is expected.
func (b boxes) lookedUp(cfg Config, p liwanag.Subscriber, now time.Time) bool {
	others := b.others[liwanag.MailboxOf(p.EmailKey)]
	_, young := cfg.lookedUp(others, now)
	return young || slices.ContainsFunc(others, func(o liwanag.Subscriber) bool { return slices.Contains(b.flying, o.ID) })
}

// takeOver gives people the results of others of their mailbox where one is young, and makes those
// wait whose mailbox has a lookup that is paid for. The rest still has to be asked for.
func takeOver(tx *datastore.Tx, people []Enrollment, cfg Config, now time.Time) (opened []liwanag.Opened, rest []int, err error) {
	opened = make([]liwanag.Opened, len(people))
	ids := make([]liwanag.ID, len(people))
	for i, p := range people {
		ids[i], rest = p.SubscriberID, append(rest, i)
	}
	byBox, err := siblings(tx, ids)
	if err != nil || len(byBox) == 0 {
		return opened, rest, err
	}
	them, err := tx.Subscribers.Get(ids)
	if err != nil {
		return nil, nil, err
	}
	person := make(map[liwanag.ID]liwanag.Subscriber, len(them))
	var others []liwanag.ID
	for _, p := range them {
		person[p.ID] = p
		for _, o := range byBox[liwanag.MailboxOf(p.EmailKey)] {
			others = append(others, o.ID)
		}
	}
	flying, err := tx.Jobs.InFlight(others)
	if err != nil {
		return nil, nil, err
	}
	rest = rest[:0]
	for i, p := range people {
		box := byBox[liwanag.MailboxOf(person[p.SubscriberID].EmailKey)]
		young, found := cfg.lookedUp(box, now)
		expected := slices.ContainsFunc(box, func(o liwanag.Subscriber) bool { return slices.Contains(flying, o.ID) })
		switch {
		case p.Again || len(box) == 0 || !found && !expected:
			rest = append(rest, i)
			continue
		case found:
			err = hand(tx, young, p, now)
		default:
			opened[i], err = waits(tx, p, now)
		}
		if err != nil {
			return nil, nil, err
		}
		opened[i].Shared = true
	}
	return opened, rest, nil
}

// hand gives somebody the result that another address of their mailbox has.
func hand(tx *datastore.Tx, from liwanag.Subscriber, to Enrollment, now time.Time) error {
	raw, err := tx.Subscribers.Profile(from.ID)
	if errors.Is(err, liwanag.ErrNotFound) {
		raw, err = []byte(`{}`), nil
	}
	if err != nil {
		return err
	}
	if _, err := tx.Subscribers.Enrich([]liwanag.Enriched{{SubscriberID: to.SubscriberID, Found: from.Found, Profile: raw,
		ResultAt: from.ResultAt, At: now}}); err != nil {
		return err
	}
	job := takenOverBy(to.SubscriberID, now)
	job.UploadID, job.Confirmed = to.UploadID, to.Confirmed
	_, err = tx.Jobs.Insert([]liwanag.Job{job})
	if err == nil {
		_, err = datastore.Announce(tx, []liwanag.Announcement{{Topic: liwanag.TopicEnriched, Subject: to.SubscriberID, JobID: job.ID, At: now}})
	}
	return err
}

func takenOverBy(id liwanag.ID, now time.Time) liwanag.Job {
	return liwanag.Job{ID: liwanag.NewID(liwanag.JobKind), SubscriberID: id, Status: liwanag.JobEnriched, Failure: takenOver,
		CreatedAt: now, EndedAt: now}
}

// waits notes that somebody waits for the lookup of another address, once.
func waits(tx *datastore.Tx, p Enrollment, now time.Time) (liwanag.Opened, error) {
	waiting, err := tx.Jobs.WaitingOf([]liwanag.ID{p.SubscriberID})
	if err != nil || len(waiting) > 0 {
		return liwanag.Opened{Shared: true}, err
	}
	job := newJobs([]Enrollment{p}, liwanag.ID{}, now)[0]
	job.Status, job.Failure, job.EndedAt = liwanag.JobCanceled, sameMailbox, now
	_, err = tx.Jobs.Insert([]liwanag.Job{job})
	return liwanag.Opened{JobID: job.ID, Shared: true}, err
}

// share extends a settlement: what was found of somebody is true of their whole mailbox.
func share(tx *datastore.Tx, s *settlement, now time.Time) (fresh []liwanag.Job, err error) {
	found := make([]liwanag.ID, len(s.profiles))
	for i, p := range s.profiles {
		found[i] = p.SubscriberID
	}
	byBox, err := siblings(tx, found)
	if err != nil || len(byBox) == 0 {
		return nil, err
	}
	owners, err := tx.Subscribers.Get(found)
	if err != nil {
		return nil, err
	}
	profile := map[liwanag.ID]liwanag.Enriched{}
	for _, p := range s.profiles {
		profile[p.SubscriberID] = p
	}
	for _, owner := range owners {
		box := byBox[liwanag.MailboxOf(owner.EmailKey)]
		delete(byBox, liwanag.MailboxOf(owner.EmailKey))
		for _, other := range box {
			jobs, err := s.shareWith(tx, other, profile[owner.ID], now)
			if err != nil {
				return nil, err
			}
			fresh = append(fresh, jobs...)
		}
	}
	return fresh, nil
}

// shareWith gives one of a mailbox what was found of another.
func (s *settlement) shareWith(tx *datastore.Tx, other liwanag.Subscriber, profile liwanag.Enriched, now time.Time) ([]liwanag.Job, error) {
	if !other.SuppressedAt.IsZero() || other.EnrichmentStatus.Open() || other.ResultAt.After(profile.ResultAt) {
		return nil, nil
	}
	profile.SubscriberID = other.ID
	s.profiles = append(s.profiles, profile)
	waiting, err := tx.Jobs.WaitingOf([]liwanag.ID{other.ID})
	if err != nil {
		return nil, err
	}
	job := takenOverBy(other.ID, now)
	for _, w := range waiting {
		job = w
		s.results = append(s.results, liwanag.JobResult{ID: w.ID, Status: liwanag.JobEnriched, Failure: takenOver, At: now})
	}
	if len(waiting) == 0 && other.EnrichmentStatus == liwanag.JobEnriched {
		return nil, nil // they had a result, and have a newer one
	}
	s.news = append(s.news, liwanag.Announcement{Topic: liwanag.TopicEnriched, Subject: other.ID, JobID: job.ID, At: now})
	if len(waiting) > 0 {
		return nil, nil
	}
	return []liwanag.Job{job}, nil
}

// freeWaiting asks for those who waited for the lookup of another address that has ended without a result.
func (s *Service) freeWaiting(ctx context.Context) (more bool, err error) {
	free, err := s.store.Jobs.Freed(ctx, sweepGroup)
	if err != nil || len(free) == 0 {
		return false, err
	}
	reopened := 0
	err = s.store.Write(ctx, func(tx *datastore.Tx) error {
		reopened = 0
		var able []liwanag.ID
		for _, j := range free {
			others, err := tx.Subscribers.Siblings([]liwanag.ID{j.SubscriberID})
			if err != nil {
				return err
			}
			flying, err := tx.Jobs.InFlight(idsOf(others))
			if err != nil {
				return err
			}
			if len(flying) == 0 {
				able = append(able, j.ID)
			}
		}
		back, err := tx.Jobs.Reopen(able, liwanag.JobPending)
		reopened = len(back)
		return err
	})
	if err != nil || reopened == 0 {
		return false, err
	}
	_, err = s.RunScheduledBatch(ctx, false)
	return reopened == sweepGroup, err
}

func idsOf(people []liwanag.Subscriber) []liwanag.ID {
	all := make([]liwanag.ID, len(people))
	for i, p := range people {
		all[i] = p.ID
	}
	return all
}

// boxPiece is how many people are told apart in one transaction.
const boxPiece = 1000

// Box notes the mailboxes of people of a release that knew none, and makes one of the open lookups of
// a mailbox; who unsubscribed has with all addresses. It goes on where it stopped, and has to be done
// before anything else is written.
func Box(ctx context.Context, store *datastore.Store, log *slog.Logger) error {
	var people, merged, left int
	for {
		n := 0
		err := store.Write(ctx, func(tx *datastore.Tx) error {
			rows, err := tx.Subscribers.Unboxed(boxPiece)
			if n = len(rows); err != nil || n == 0 {
				return err
			}
			if err := tx.Subscribers.Box(rows); err != nil {
				return err
			}
			m, err := mergeOpen(tx, rows)
			if err != nil {
				return err
			}
			l, err := mergeStanding(tx, rows)
			merged, left = merged+m, left+l
			return err
		})
		if err != nil {
			return fmt.Errorf("enrichment: people of one mailbox are brought together, which goes on where it stopped: %w", err)
		}
		if n == 0 {
			break
		}
		people += n
	}
	if people > 0 {
		log.InfoContext(ctx, "people of one mailbox are brought together", "people", people, "lookupsSpared", merged, "unsubscribed", left)
	}
	return nil
}

// mergeOpen leaves each mailbox one open job: one that was sent, else the oldest. Of two that were
// sent the later is outside of the guard, since both are paid for.
func mergeOpen(tx *datastore.Tx, people []liwanag.Subscriber) (merged int, err error) {
	jobs, err := tx.Jobs.OpenOf(idsOf(people))
	if err != nil {
		return 0, err
	}
	slices.SortFunc(jobs, func(a, b liwanag.Job) int { return a.ID.Compare(b.ID) })
	for _, job := range jobs {
		kept, err := tx.Jobs.OpenOfMailboxes([]liwanag.ID{job.SubscriberID})
		if err != nil {
			return merged, err
		}
		loser, first := job.ID, kept[job.SubscriberID].JobID
		if !first.IsZero() && job.Status != liwanag.JobPending {
			loser = first
		}
		if !first.IsZero() {
			if _, err := tx.Jobs.Assign([]liwanag.ID{loser}, liwanag.ID{}); err != nil {
				return merged, err
			}
			moved, err := tx.Jobs.Move(liwanag.JobMove{IDs: []liwanag.ID{loser}, From: []liwanag.JobStatus{liwanag.JobPending},
				To: liwanag.JobCanceled, Failure: sameMailbox, At: job.CreatedAt})
			if err != nil {
				return merged, err
			}
			if merged += len(moved); len(moved) == 0 {
				continue
			}
		}
		if err := tx.Jobs.Box(job.ID); err != nil {
			return merged, err
		}
	}
	return merged, nil
}

// mergeStanding lets all addresses of a mailbox follow the one that unsubscribed.
func mergeStanding(tx *datastore.Tx, people []liwanag.Subscriber) (left int, err error) {
	others, err := tx.Subscribers.Siblings(idsOf(people))
	if err != nil {
		return 0, err
	}
	for _, p := range append(people, others...) {
		if _, shared := liwanag.SharedMailbox(p.EmailKey); !shared || p.SuppressedAt.IsZero() {
			continue
		}
		changed, err := tx.Subscribers.Suppress(liwanag.Departure{IDs: []liwanag.ID{p.ID}, At: p.SuppressedAt, By: p.UnsubscribedBy})
		if err == nil {
			err = cancelOpen(tx, changed, p.SuppressedAt)
		}
		if err != nil {
			return left, err
		}
		left += len(changed)
	}
	return left, nil
}
