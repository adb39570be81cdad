package postgres

import (
	"context"
	"encoding/json"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

// Deliver puts a signal into the inbox.
func (s *Store) Deliver(ctx context.Context, runID string, sig workflow.Signal, now time.Time) (receipt workflow.Receipt, err error) {
	event, err := json.Marshal(sig.Event)
	if err != nil {
		return receipt, s.fault("deliver to run "+runID, err)
	}
	c := &change{signal: sig.ID}
	c.decide = func(g *group, r *row) (err error) {
		receipt, err = g.deliver(r, sig, string(event), now)
		return err
	}
	if err := s.apply(ctx, "deliver to", runID, c); err != nil {
		return workflow.Receipt{}, err
	}
	return receipt, nil
}

// deliver puts a signal into the inbox of a locked run; nil: there is none.
func (g *group) deliver(r *row, sig workflow.Signal, quotedEvent string, now time.Time) (receipt workflow.Receipt, err error) {
	if r == nil {
		return receipt, store.ErrNotFound
	}
	key := sigKey{string(r.id), sig.ID}
	if late, repeated := g.late[key]; repeated {
		return workflow.Receipt{Duplicate: true, Late: late}, nil
	}
	if store.Crowded(r.inboxSeq) {
		if g.inboxes == nil {
			return receipt, errUnweighed
		}
		if err := g.fits(string(r.id), sig.Payload); err != nil {
			return receipt, err
		}
	}
	receipt.Late = r.status != string(store.Open)
	g.late[key] = receipt.Late
	r.seq++
	r.inboxSeq++
	if r.awaits(quotedEvent) {
		r.wake(micros(now))
	}
	g.signals = append(g.signals, signalOf{r.id, store.Signal{Signal: sig, Seq: r.seq, At: now, Late: receipt.Late}})
	g.changed(r, micros(now))
	return receipt, nil
}

// fits counts a signal that a run receives, unless there is no room for it.
func (g *group) fits(run string, payload []byte) error {
	in := g.inboxes[run]
	if in == nil {
		in = &inbox{}
		g.inboxes[run] = in
	}
	if !workflow.InboxHolds(in.events, in.bytes, payload) {
		return store.ErrInboxFull
	}
	in.events++
	in.bytes += len(payload)
	return nil
}
