package datastore

import "github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"

// Announce makes messages of announcements, one for each sink that wants it, in
// the transaction in which it happened.
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
		for _, a := range all {
			if sink.Wants(a.Topic) {
				out = append(out, liwanag.Message{ID: liwanag.NewID(liwanag.MessageKind), SinkID: sink.ID, Topic: a.Topic,
					Subject: a.Subject, JobID: a.JobID,
					Facts: a.Facts, State: liwanag.MessagePending, CreatedAt: a.At})
			}
		}
	}
	if len(out) == 0 {
		return 0, nil
	}
	return len(out), tx.Messages.Insert(out)
}
