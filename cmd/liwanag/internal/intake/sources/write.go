package sources

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// item is an event that was checked.
type item struct {
	what What
	at   time.Time      // when it happened; zero: when it came
	id   string         // of the event; empty: none
	row  liwanag.SignUp // of who left, the address alone
	err  error          // why it cannot be taken
}

// said is what a delivery says, element by element.
type said []item

// check makes events into what is stored.
func (s *Service) check(by setUp, events []event) said {
	items := make(said, len(events))
	for i, e := range events {
		items[i] = item{what: e.what, at: e.at, id: e.id, err: e.err}
		if e.err != nil || e.what == Ignored {
			continue
		}
		if e.what == Unsubscribed {
			e.signUp = intake.SignUp{Email: e.signUp.Email}
		}
		if e.what == Subscribed && e.signUp.Source == "" {
			e.signUp.Source = by.label(e.list)
		}
		e.signUp.TagsOf = by.ID.String()
		items[i].row, items[i].err = s.people.Check(e.signUp)
	}
	return items
}

// label is the source of people whose sender names none.
func (by setUp) label(list string) string {
	if list == "" {
		return by.Name
	}
	return by.Name + ": " + list
}

// hopeless is the first fault when there are faults and nothing else to take.
func (all said) hopeless() (first error) {
	for _, i := range all {
		switch {
		case i.err != nil && first == nil:
			first = i.err
		case i.err == nil && i.what != Ignored:
			return nil
		}
	}
	if n := all.failed(); n > 1 {
		return liwanag.Wrap(first, liwanag.Invalid, liwanag.CodeOf(first),
			fmt.Sprintf("none of %d elements can be taken, the first because of", n))
	}
	return first
}

func (all said) failed() (n int) {
	for _, i := range all {
		if i.err != nil {
			n++
		}
	}
	return n
}

// unseen are those that can be taken and whose event did not come in another
// delivery before.
func (all said) unseen(tx *datastore.Tx, source liwanag.ID, at time.Time) (said, error) {
	var fresh said
	for _, i := range all {
		if i.err != nil || i.what == Ignored {
			continue
		}
		if i.id != "" {
			stored, _, err := tx.Webhooks.Remember(source.String(), nameOf("event", i.id), nil, at)
			if err != nil {
				return nil, err
			}
			if !stored {
				continue
			}
		}
		fresh = append(fresh, i)
	}
	return fresh, nil
}

// takeable are those that can be taken, seen or not.
func (all said) takeable() (out said) {
	for _, i := range all {
		if i.err == nil && i.what != Ignored {
			out = append(out, i)
		}
	}
	return out
}

// leaving finds the people who unsubscribed, by their mailbox. Who is not known
// has nothing to lose.
func (s *Service) leaving(ctx context.Context, all said) (map[string]liwanag.ID, error) {
	found := map[string]liwanag.ID{}
	for _, i := range all {
		if i.err != nil || i.what != Unsubscribed {
			continue
		}
		people, err := s.store.Subscribers.OfMailbox(ctx, i.row.EmailKey)
		if err != nil {
			return nil, err
		}
		if len(people) > 0 {
			found[i.row.EmailKey] = people[0].ID
		}
	}
	return found, nil
}

// write does to people what a delivery says, and counts it in the receipt. Of
// several events of one person the last one says whether they are in or out.
func (s *Service) write(tx *datastore.Tx, all said, leaving map[string]liwanag.ID, receipt *liwanag.Receipt) ([]intake.Result, error) {
	last, left := map[string]What{}, map[string]time.Time{}
	for _, i := range all {
		last[i.row.EmailKey] = i.what
		if i.what == Unsubscribed {
			left[i.row.EmailKey] = i.happened(receipt.ReceivedAt)
		}
	}
	var people []intake.Arrival
	for _, i := range all {
		if i.what != Unsubscribed {
			people = append(people, intake.Arrival{Row: i.row, Subscribed: i.what == Subscribed && last[i.row.EmailKey] != Unsubscribed,
				At: i.at})
		}
	}
	receipt.Code = ""
	if err := withoutSuppressed(tx, all, receipt); err != nil {
		return nil, err
	}
	results, err := s.people.Arrive(tx, people, receipt.ReceivedAt)
	if err != nil {
		return nil, err
	}
	ids := map[string]liwanag.ID{}
	for i, r := range results {
		ids[people[i].Row.EmailKey] = r.SubscriberID
		if r.Status == intake.Suppressed {
			receipt.Code = codeSuppressed
		} else if r.Status == intake.Created {
			receipt.Created++
		} else {
			receipt.Updated++
		}
	}
	gone := map[time.Time][]liwanag.ID{}
	for key, what := range last {
		if what != Unsubscribed {
			continue
		}
		id, arrived := ids[key]
		if !arrived {
			id = leaving[key]
		}
		if !id.IsZero() {
			gone[left[key]] = append(gone[left[key]], id)
			receipt.Unsubscribed++
		}
	}
	for at, ids := range gone {
		if err := s.suppress.Suppress(tx, liwanag.Departure{IDs: ids, At: at, By: receipt.SourceID.String()}); err != nil {
			return nil, err
		}
	}
	return results, nil
}

// withoutSuppressed keeps no body that names somebody who is suppressed.
func withoutSuppressed(tx *datastore.Tx, all said, receipt *liwanag.Receipt) error {
	var keys []string
	for _, i := range all {
		keys = append(keys, i.row.EmailKey)
	}
	found, err := tx.Suppressions.Of(keys)
	if slices.ContainsFunc(keys, found.Has) {
		receipt.Body = nil
	}
	return err
}

// happened is when it happened, never later than it came.
func (i item) happened(came time.Time) time.Time {
	if i.at.IsZero() || i.at.After(came) {
		return came
	}
	return i.at
}

// Codes of receipts that did nothing, though nothing is wrong with them.
const (
	codeNotASignUp = "not_a_sign_up"  // none of its events is about subscribing
	codeRepeated   = "repeated"       // its events came in another delivery before
	codeNobody     = "unknown_person" // somebody left who was never here
	codeSuppressed = "suppressed"     // its people are suppressed
)

// conclude says in the receipt what became of it all; fresh is how many events
// were taken.
func (all said) conclude(receipt *liwanag.Receipt, fresh int) {
	receipt.State, receipt.Failed = liwanag.ReceiptIgnored, all.failed()
	switch {
	case receipt.Created+receipt.Updated+receipt.Unsubscribed > 0:
		receipt.State, receipt.Code, receipt.Reason = liwanag.ReceiptAccepted, "", ""
	case len(all.takeable()) == 0:
		receipt.Code, receipt.Reason = codeNotASignUp, "not a sign-up event"
	case fresh == 0:
		receipt.Code, receipt.Reason = codeRepeated, "its events came in another delivery before"
	case receipt.Code == codeSuppressed:
		receipt.Reason = "its people are suppressed: nothing of them is stored"
	default:
		receipt.Code, receipt.Reason = codeNobody, "nobody here has the address"
	}
	if receipt.Failed == 0 {
		return
	}
	for _, i := range all {
		if i.err != nil {
			receipt.Code = liwanag.CodeOf(i.err)
			receipt.Reason = fmt.Sprintf("%d of %d elements could not be taken, the first because of: %v", receipt.Failed, len(all), i.err)
			return
		}
	}
}
