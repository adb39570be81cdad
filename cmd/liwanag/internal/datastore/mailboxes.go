package datastore

import (
	"context"
	"slices"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// sharedMailbox is what a column keeps of an address: the mailbox that it shares with others,
// or nothing.
func sharedMailbox(emailKey string) string {
	if box, shared := liwanag.SharedMailbox(emailKey); shared {
		return box
	}
	return ""
}

// OfMailbox lists all who have an address of the mailbox of an e-mail key, oldest first.
func (s Subscribers) OfMailbox(ctx context.Context, emailKey string) ([]liwanag.Subscriber, error) {
	return list(s.in(ctx), scanSubscriber, `SELECT `+subscriberColumns+` FROM subscriber s WHERE s.email_key = $1 OR s.mailbox = $2 ORDER BY s.id`,
		emailKey, text(sharedMailbox(emailKey)))
}

// LookedUp tells which of some mailboxes need no lookup of their own: they have an open one, or a
// result that was applied at or after the given time.
func (s Subscribers) LookedUp(ctx context.Context, mailboxes []string, since time.Time) (map[string]bool, error) {
	q := s.in(ctx)
	found, err := list(q, scanString, `SELECT s.mailbox FROM subscriber s
		WHERE s.mailbox = ANY(ARRAY(SELECT unnest($1::text[]))) AND s.enriched_at >= $2`, wordsOf(q, mailboxes), micros(since))
	if err != nil {
		return nil, err
	}
	open, err := openBoxes(q, mailboxes)
	all := make(map[string]bool, len(found)+len(open))
	for _, box := range found {
		all[box] = true
	}
	for box := range open {
		all[box] = true
	}
	return all, err
}

// openBox is the open job of a mailbox.
type openBox struct {
	box string
	of  liwanag.ID
	job liwanag.ID
	run liwanag.ID
}

func openBoxes(q querier, mailboxes []string) (map[string]openBox, error) {
	if len(mailboxes) == 0 {
		return nil, nil
	}
	all, err := list(q, func(r Row) (o openBox, err error) {
		err = r.Scan(&o.box, idTo(liwanag.SubscriberKind, &o.of), idTo(liwanag.JobKind, &o.job), idTo(liwanag.RunKind, &o.run))
		return o, err
	}, `SELECT j.mailbox, j.subscriber_id, j.id, j.run_id FROM job j
		WHERE j.mailbox = ANY(ARRAY(SELECT unnest($1::text[]))) AND j.`+isOpen, wordsOf(q, mailboxes))
	open := make(map[string]openBox, len(all))
	for _, o := range all {
		open[o.box] = o
	}
	return open, err
}

// boxesOf are the shared mailboxes of people.
func boxesOf(q querier, ids []liwanag.ID) (of map[liwanag.ID]string, boxes []string, err error) {
	type boxed struct {
		of  liwanag.ID
		box string
	}
	all, err := list(q, func(r Row) (b boxed, err error) {
		err = r.Scan(idTo(liwanag.SubscriberKind, &b.of), &b.box)
		return b, err
	}, `SELECT id, mailbox FROM subscriber WHERE id = ANY($1) AND mailbox IS NOT NULL`, idsOf(q, ids))
	of = make(map[liwanag.ID]string, len(all))
	for _, b := range all {
		of[b.of] = b.box
		boxes = append(boxes, b.box)
	}
	return of, boxes, err
}

// SameMailbox are all who have an address of the shared mailboxes of people, those among them too.
func (s Subscribers) SameMailbox(ctx context.Context, ids []liwanag.ID) ([]liwanag.ID, error) {
	q := s.in(ctx)
	return list(q, scanID(liwanag.SubscriberKind), `SELECT s.id FROM subscriber s WHERE s.mailbox = ANY(ARRAY(
		SELECT o.mailbox FROM subscriber o WHERE o.id = ANY($1) AND o.mailbox IS NOT NULL))`, idsOf(q, ids))
}

// Siblings are those others who have an address of the mailboxes of people, oldest first.
func (t SubscriberTx) Siblings(ids []liwanag.ID) ([]liwanag.Subscriber, error) {
	_, boxes, err := boxesOf(t, ids)
	if err != nil || len(boxes) == 0 {
		return nil, err
	}
	all, err := list(t, scanID(liwanag.SubscriberKind), `SELECT s.id FROM subscriber s
		WHERE s.mailbox = ANY(ARRAY(SELECT unnest($1::text[])))`, wordsOf(t, boxes))
	all = slices.DeleteFunc(all, func(id liwanag.ID) bool { return slices.Contains(ids, id) })
	if err != nil || len(all) == 0 {
		return nil, err
	}
	people, err := t.Get(all)
	slices.SortFunc(people, func(a, b liwanag.Subscriber) int { return a.ID.Compare(b.ID) })
	return people, err
}

// inherit lets new people follow those of their mailbox who unsubscribed, and tells who does.
func (t SubscriberTx) inherit(signUps []liwanag.SignUp, inserted []liwanag.ID) (map[liwanag.ID]bool, error) {
	isNew := make(map[liwanag.ID]bool, len(inserted))
	for _, id := range inserted {
		isNew[id] = true
	}
	var ids []liwanag.ID
	for _, s := range signUps {
		if isNew[s.ID] && sharedMailbox(s.EmailKey) != "" {
			ids = append(ids, s.ID)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	const left = `FROM subscriber o WHERE o.mailbox = subscriber.mailbox AND o.suppressed_at IS NOT NULL`
	away, err := list(t, scanID(liwanag.SubscriberKind), `UPDATE subscriber SET
		suppressed_at = (SELECT o.suppressed_at `+left+` ORDER BY o.suppressed_at DESC LIMIT 1),
		unsubscribed_by = (SELECT o.unsubscribed_by `+left+` ORDER BY o.suppressed_at DESC LIMIT 1)
		WHERE id = ANY($1) AND suppressed_at IS NULL AND EXISTS (SELECT 1 `+left+`) RETURNING id`, idsOf(t, ids))
	them := make(map[liwanag.ID]bool, len(away))
	for _, id := range away {
		them[id] = true
	}
	return them, err
}

// Unboxed lists up to limit people of a release that knew no mailboxes, by id.
func (t SubscriberTx) Unboxed(limit int) ([]liwanag.Subscriber, error) {
	return list(t, scanSubscriber, `SELECT `+subscriberColumns+` FROM subscriber s WHERE s.mailbox = '' ORDER BY s.id LIMIT $1`, limit)
}

// Box notes the mailboxes of such people, and on those of their jobs that are not open.
func (t SubscriberTx) Box(people []liwanag.Subscriber) error {
	ids := make([]liwanag.ID, len(people))
	for i, p := range people {
		ids[i] = p.ID
	}
	r := recordsOf(people).
		id("id", func(p liwanag.Subscriber) liwanag.ID { return p.ID }).
		text("mailbox", func(p liwanag.Subscriber) string { return sharedMailbox(p.EmailKey) })
	if err := t.updateEach("subscriber", r.Records, ""); err != nil {
		return err
	}
	_, err := t.exec(`UPDATE job SET mailbox = (SELECT s.mailbox FROM subscriber s WHERE s.id = job.subscriber_id)
		WHERE subscriber_id = ANY($1) AND NOT `+isOpen, idsOf(t, ids))
	return err
}

// Box notes the mailbox of a job, which must be the only open one of it.
func (t JobTx) Box(id liwanag.ID) error {
	return t.must(`UPDATE job SET mailbox = (SELECT s.mailbox FROM subscriber s WHERE s.id = job.subscriber_id) WHERE id = $1`, id.Bytes())
}

// OpenOfMailboxes finds, for those of the people who share a mailbox, its open job, whoever's it is.
func (t JobTx) OpenOfMailboxes(subscriberIDs []liwanag.ID) (map[liwanag.ID]liwanag.Opened, error) {
	of, boxes, err := boxesOf(t, subscriberIDs)
	if err != nil {
		return nil, err
	}
	open, err := openBoxes(t, boxes)
	all := make(map[liwanag.ID]liwanag.Opened, len(open))
	for id, box := range of {
		if o, ok := open[box]; ok {
			all[id] = liwanag.Opened{JobID: o.job, RunID: o.run, Shared: o.of != id}
		}
	}
	return all, err
}

// waitingJob is a job that waits for the lookup of another address of its mailbox.
const waitingJob = `status = 'canceled' AND j.failure_code = 'same_mailbox'`

// WaitingOf finds the jobs of people that wait for the lookup of another address.
func (t JobTx) WaitingOf(subscriberIDs []liwanag.ID) ([]liwanag.Job, error) {
	return list(t, scanJob, selectJobs+`WHERE j.subscriber_id = ANY($1) AND j.latest = true AND j.`+waitingJob, idsOf(t, subscriberIDs))
}

// Freed lists jobs that wait for the lookup of another address although none is open, oldest first.
func (s Jobs) Freed(ctx context.Context, limit int) ([]liwanag.Job, error) {
	return list(s.in(ctx), scanJob, `SELECT `+jobColumns+` FROM job j /*lite INDEXED BY job_same_mailbox*/`+withEmail+
		`WHERE j.latest = true AND j.`+waitingJob+` AND s.suppressed_at IS NULL
		AND NOT EXISTS (SELECT 1 FROM job o WHERE o.mailbox = j.mailbox AND o.`+isOpen+`) ORDER BY j.subscriber_id, j.id LIMIT $1`, limit)
}
