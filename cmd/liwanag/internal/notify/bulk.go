package notify

import (
	"context"
	"slices"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// bulkGroup is how many messages are made or put back in a transaction.
const bulkGroup = 200

// CountAgain counts what ResendAll would send.
func (s *Sender) CountAgain(ctx context.Context, f liwanag.MessageFilter) (total int64, err error) {
	now := s.now()
	for _, state := range f.States {
		n, err := s.cfg.Store.Messages.CountAgain(ctx, f, state, now)
		if err != nil {
			return total, err
		}
		total += n
	}
	return total, nil
}

// ResendAll sends the messages of a sink in the filter's states once more, under the
// same ids, and forgets that the sink failed: it is tried at once. Those that wait for
// their next attempt get a new run; the one that they had finds nothing to do.
func (s *Sender) ResendAll(ctx context.Context, f liwanag.MessageFilter) (total int64, err error) {
	err = s.mended(ctx, f.SinkID)
	now := s.now()
	for _, state := range f.States {
		for n := int64(bulkGroup); err == nil && n == bulkGroup; total += n {
			err = s.cfg.Store.Write(ctx, func(tx *datastore.Tx) (err error) {
				n, err = tx.Messages.AllAgain(f, state, now, bulkGroup)
				return err
			})
			if err != nil {
				n = 0
			}
		}
	}
	s.Ring()
	return total, err
}

// mended forgets that a sink failed. Disabled ones are refused.
func (s *Sender) mended(ctx context.Context, id liwanag.ID) error {
	return s.cfg.Store.Write(ctx, func(tx *datastore.Tx) error {
		sink, err := tx.Sinks.Get(id)
		switch {
		case err != nil:
			return err
		case sink.Disabled:
			return errDisabled
		case sink.FailingSince.IsZero():
			return nil
		}
		sink.FailingSince, sink.UpdatedAt = time.Time{}, s.now()
		return tx.Sinks.Update(sink)
	})
}

// CountBackfill counts of whom Backfill would tell.
func (s *Sender) CountBackfill(ctx context.Context, id liwanag.ID, where liwanag.SubscriberFilter) (total int64, err error) {
	err = s.untold(ctx, id, where, func(people []liwanag.ID) error {
		total += int64(len(people))
		return nil
	})
	return total, err
}

// Backfill tells a sink of people who were found, as where selects them, and of whom it
// has no message, if its view selects them too; of those who unsubscribed only if where says so. Messages that were
// pruned are not known any more.
func (s *Sender) Backfill(ctx context.Context, id liwanag.ID, where liwanag.SubscriberFilter) (total int64, err error) {
	sink, err := s.cfg.Store.Sinks.Get(ctx, id)
	switch {
	case err != nil:
		return 0, err
	case sink.Disabled:
		return 0, errDisabled
	case !sink.Wants(liwanag.TopicEnriched):
		return 0, liwanag.NewError(liwanag.Conflict, "topic_not_wanted",
			"the sink is not told of "+string(liwanag.TopicEnriched)+": add the topic first")
	}
	err = s.untold(ctx, id, where, func(people []liwanag.ID) error {
		var made []liwanag.Message
		err := s.cfg.Store.Write(ctx, func(tx *datastore.Tx) error {
			made = nil
			told, err := tx.Messages.Told(id, liwanag.TopicEnriched, people)
			if err != nil {
				return err
			}
			for _, person := range people {
				if !slices.Contains(told, person.String()) {
					made = append(made, liwanag.Message{ID: liwanag.NewID(liwanag.MessageKind), SinkID: id, Topic: liwanag.TopicEnriched,
						Subject: person, State: liwanag.MessagePending, CreatedAt: s.now()})
				}
			}
			return tx.Messages.Insert(made)
		})
		if err == nil {
			total += int64(len(made))
		}
		return err
	})
	s.Ring()
	return total, err
}

// untold finds people of whom a sink has no message, a group at a time.
func (s *Sender) untold(ctx context.Context, id liwanag.ID, where liwanag.SubscriberFilter, do func([]liwanag.ID) error) error {
	where.Status = liwanag.JobEnriched
	if where.Standing == "" {
		where.Standing = liwanag.StandingIn
	}
	view, err := s.cfg.Store.Views.OfSink(ctx, id)
	if err != nil {
		return err
	}
	for page := (liwanag.Page{Limit: bulkGroup}); ; {
		rows, next, err := s.cfg.Store.Subscribers.List(ctx, where, page)
		if err != nil {
			return err
		}
		var people []liwanag.ID
		for _, p := range rows {
			people = append(people, p.ID)
		}
		told, err := s.cfg.Store.Messages.Told(ctx, id, liwanag.TopicEnriched, people)
		if err != nil {
			return err
		}
		people = slices.DeleteFunc(people, func(p liwanag.ID) bool { return slices.Contains(told, p.String()) })
		if view != nil {
			if people, err = s.cfg.Store.Subscribers.Matching(ctx, view.Filter, people); err != nil {
				return err
			}
		}
		if len(people) > 0 {
			if err := do(people); err != nil {
				return err
			}
		}
		if page.Cursor = next; next == "" {
			return nil
		}
	}
}
