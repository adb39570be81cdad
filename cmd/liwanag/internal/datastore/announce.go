package datastore

import (
	"slices"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// Announce makes messages of announcements, one for each sink that wants it, in
// the transaction in which it happened. Of people a sink is told as its view says.
func Announce(tx *Tx, all []liwanag.Announcement) (messages int, err error) {
	if len(all) == 0 {
		return 0, nil
	}
	sinks, err := tx.Sinks.List()
	if err != nil {
		return 0, err
	}
	var out []liwanag.Message
	for _, sink := range sinks {
		wanted := slices.DeleteFunc(slices.Clone(all), func(a liwanag.Announcement) bool { return !sink.Wants(a.Topic) })
		if wanted, err = tx.Sinks.matching(sink, wanted); err != nil {
			return 0, err
		}
		for _, a := range wanted {
			out = append(out, liwanag.Message{ID: liwanag.NewID(liwanag.MessageKind), SinkID: sink.ID, Topic: a.Topic,
				Subject: a.Subject, JobID: a.JobID,
				Facts: a.Facts, State: liwanag.MessagePending, CreatedAt: a.At})
		}
	}
	if len(out) == 0 {
		return 0, nil
	}
	return len(out), tx.Messages.Insert(out)
}

// matching leaves those out that are about people whom the sink's view does not select.
func (t SinkTx) matching(sink liwanag.Sink, all []liwanag.Announcement) ([]liwanag.Announcement, error) {
	if sink.ViewID.IsZero() || len(all) == 0 {
		return all, nil
	}
	view, err := conditionOf(t, sink.ID)
	if err != nil || view == nil {
		return nil, err
	}
	var people []liwanag.ID
	for _, a := range all {
		if a.Subject.Kind() == liwanag.SubscriberKind {
			people = append(people, a.Subject)
		}
	}
	told, err := matching(t, view.Filter, people)
	return slices.DeleteFunc(all, func(a liwanag.Announcement) bool {
		return a.Subject.Kind() == liwanag.SubscriberKind && !slices.Contains(told, a.Subject)
	}), err
}
