package intake

import (
	"context"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// Arrival is a sign-up that somebody else's webhook tells of.
type Arrival struct {
	Row liwanag.SignUp // as Check made it
	// Subscribed says that the person signed up. Otherwise the sender only knows
	// something new of them, which is stored and triggers nothing.
	Subscribed bool
	// At is when, as the sender says; zero: it does not.
	At time.Time
}

// lifts says whether somebody who left at a time has come back with it. What happened
// in the same instant does not tell which came first: who left stays away.
func (a Arrival) lifts(left, upTo time.Time) bool {
	if !a.At.IsZero() {
		return left.Before(a.At)
	}
	return !left.After(upTo)
}

// Check makes a sign-up into the row that Arrive stores. A value that is no use
// for its field moves to the metadata: other people's forms are no reason to lose
// a subscriber. The error is a *ValidationError.
func (s *SignUps) Check(signUp SignUp) (liwanag.SignUp, error) {
	return s.lenient().normalize(signUp)
}

// Arrive stores people in the caller's transaction, in order, and answers in that
// order; after the commit hand the answers to Start. Whoever subscribed and
// had unsubscribed up to the given time has come back. Looked up is who
// subscribed and is new, was never looked up, or whose lookup ended when they
// unsubscribed; not who came back so soon that its result is still expected, which
// is applied to them.
func (s *SignUps) Arrive(tx *datastore.Tx, people []Arrival, upTo time.Time) ([]Result, error) {
	people, suppressed, err := admitted(tx, people, func(p Arrival) string { return p.Row.EmailKey })
	if err != nil || len(people) == 0 {
		return withSuppressed(nil, suppressed), err
	}
	rows := make([]liwanag.SignUp, len(people))
	for i, p := range people {
		rows[i] = p.Row
	}
	stored, err := upsert(tx, s.cfg, rows)
	if err != nil {
		return nil, err
	}
	known, again, err := returning(tx, stored, people, upTo)
	if err != nil {
		return nil, err
	}
	var e enrollments
	for i, row := range stored {
		person, wasKnown := known[row.ID]
		wants := !wasKnown || again[row.ID] || person.SuppressedAt.IsZero() && person.EnrichmentStatus == ""
		if people[i].Subscribed && wants && s.cfg.wanted(people[i].Row.EmailType) {
			e.people = append(e.people, enrichment.Enrollment{SubscriberID: row.ID})
		}
	}
	if err := e.open(tx, s.starter.enroller); err != nil {
		return nil, err
	}
	results, err := answers(tx, stored, e)
	return withSuppressed(results, suppressed), err
}

// returning takes back those who unsubscribed and came back. It gives the people who subscribed and
// were there before, and whose lookup ended when they left.
func returning(tx *datastore.Tx, stored []liwanag.SignedUp, people []Arrival, upTo time.Time) (known map[liwanag.ID]liwanag.Subscriber,
	again map[liwanag.ID]bool, err error) {
	if known, err = knownOf(tx, stored, people); err != nil {
		return nil, nil, err
	}
	expected, err := expectedOf(tx, known)
	if err != nil {
		return nil, nil, err
	}
	var back []liwanag.ID
	again = map[liwanag.ID]bool{}
	for i, row := range stored {
		person := known[row.ID]
		if !people[i].Subscribed || person.SuppressedAt.IsZero() || !people[i].lifts(person.SuppressedAt, upTo) {
			continue
		}
		back = append(back, row.ID)
		again[row.ID] = unfinished(person.EnrichmentStatus) && !expected[row.ID]
	}
	if len(back) > 0 {
		_, err = tx.Subscribers.Suppress(liwanag.Departure{IDs: back})
	}
	return known, again, err
}

// knownOf are the people who subscribed and were there before, or whose mailbox was and left.
func knownOf(tx *datastore.Tx, stored []liwanag.SignedUp, people []Arrival) (map[liwanag.ID]liwanag.Subscriber, error) {
	var ids []liwanag.ID
	for i, row := range stored {
		if people[i].Subscribed && (!row.Created || row.Left) {
			ids = append(ids, row.ID)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := tx.Subscribers.Get(ids)
	known := make(map[liwanag.ID]liwanag.Subscriber, len(rows))
	for _, row := range rows {
		known[row.ID] = row
	}
	return known, err
}

// expectedOf tells who of those who had unsubscribed has a lookup that is paid for
// and not over.
func expectedOf(tx *datastore.Tx, known map[liwanag.ID]liwanag.Subscriber) (map[liwanag.ID]bool, error) {
	var away []liwanag.ID
	for id, person := range known {
		if !person.SuppressedAt.IsZero() {
			away = append(away, id)
		}
	}
	if len(away) == 0 {
		return nil, nil
	}
	flying, err := tx.Jobs.InFlight(away)
	expected := map[liwanag.ID]bool{}
	for _, id := range flying {
		expected[id] = true
	}
	return expected, err
}

// unfinished are the statuses of somebody of whom no lookup found out anything.
func unfinished(s liwanag.JobStatus) bool {
	return s == "" || s == liwanag.JobCanceled || s == liwanag.JobFailed
}

// Start makes the runs of answers exist, after their commit. One that it could
// not start is started later.
func (s *SignUps) Start(ctx context.Context, results []Result) {
	runs := make([]liwanag.ID, len(results))
	for i, r := range results {
		runs[i] = r.RunID
	}
	s.starter.start(ctx, runs)
}
