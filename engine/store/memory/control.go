package memory

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

// Deliver puts a signal into the inbox.
func (s *Store) Deliver(ctx context.Context, runID string, sig workflow.Signal, now time.Time) (workflow.Receipt, error) {
	r, err := s.find(ctx, runID)
	if err != nil {
		return workflow.Receipt{}, err
	}
	defer s.mu.Unlock()
	for _, have := range r.signals {
		if have.ID == sig.ID {
			return workflow.Receipt{Duplicate: true, Late: have.Late}, nil
		}
	}
	size := 0
	for _, have := range r.signals {
		size += len(have.Payload)
	}
	if !workflow.InboxHolds(len(r.signals), size, sig.Payload) {
		return workflow.Receipt{}, store.ErrInboxFull
	}
	r.Seq++
	r.InboxSeq++
	sig.Payload = bytes.Clone(sig.Payload)
	late := r.Status != store.Open
	r.signals = append(r.signals, store.Signal{Signal: sig, Seq: r.Seq, At: now, Late: late})
	if slices.Contains(r.Park.Events, sig.Event) {
		r.wake(now)
	}
	return workflow.Receipt{Late: late}, nil
}

// wake makes a parked run due; while a node owns the run it means nothing, since
// the node's next park compares InboxSeq.
func (r *row) wake(now time.Time) {
	if r.Park.Until.After(now) {
		r.Park.Until = now
	}
}

// Cancel records a request to end.
func (s *Store) Cancel(ctx context.Context, runID, reason string, now time.Time) error {
	r, err := s.find(ctx, runID)
	if err != nil {
		return err
	}
	defer s.mu.Unlock()
	if r.Status != store.Open {
		return store.ErrEnded
	}
	if r.Canceled {
		return nil
	}
	r.Canceled = true
	r.pause(false)
	r.InboxSeq++
	r.append(store.Entry{Kind: store.EntryCancel, Label: reason, At: now})
	r.wake(now)
	return nil
}

// Hurry makes a parked run due before its time.
func (s *Store) Hurry(ctx context.Context, runID string) error {
	r, err := s.find(ctx, runID)
	if err != nil {
		return err
	}
	defer s.mu.Unlock()
	switch {
	case r.Status != store.Open:
		return store.ErrEnded
	case r.Owner > 0:
		r.InboxSeq += store.WakeUnit
	case r.Park.Kind.Wakes():
		r.Park.Until = time.Time{}
	}
	return nil
}

// Pause sets or clears the pause of a run.
func (s *Store) Pause(ctx context.Context, runID string, paused bool) error {
	r, err := s.find(ctx, runID)
	if err != nil {
		return err
	}
	defer s.mu.Unlock()
	if r.Status != store.Open {
		return store.ErrEnded
	}
	r.pause(paused)
	return nil
}

func (r *row) pause(paused bool) {
	if r.InboxSeq &^= store.PausedBit; paused {
		r.InboxSeq |= store.PausedBit
	}
	if r.Owner <= 0 {
		r.Owner = store.Released(r.InboxSeq)
	}
}

// Terminate ends a run at once.
func (s *Store) Terminate(ctx context.Context, runID string, f workflow.Failure, now time.Time) error {
	r, err := s.find(ctx, runID)
	if err != nil {
		return err
	}
	defer s.mu.Unlock()
	if r.Status != store.Open {
		return store.ErrEnded
	}
	ending := store.Ending{Status: store.Canceled, Failure: &f}
	for id, below := range s.runs { // of them none is counted: their groups end with them
		if below.Sub && below.Status == store.Open && strings.HasPrefix(id, runID+"/") {
			below.Seq++
			below.Status, below.Failure, below.Because = ending.Status, ending.Failure, ""
			below.EndedAt, below.EndedSeq, below.Owner, below.group = now, below.Seq, 0, nil
			s.index(below)
		}
	}
	s.end(r, ending, now)
	return nil
}

// Reopen makes an ended run due again.
func (s *Store) Reopen(ctx context.Context, runID string, o store.Reopening, now time.Time) error {
	r, err := s.find(ctx, runID)
	if err != nil {
		return err
	}
	defer s.mu.Unlock()
	if !o.Takes(r.Status) || r.Seq != o.Seq {
		return store.ErrNotEnded
	}
	if r.Sub {
		_, g := s.around(r)
		if g == nil {
			return store.ErrNotEnded
		}
		g.Reopened()
	}
	ended := store.Entry{Seq: r.EndedSeq, Kind: store.EntryEnded, Label: string(r.Status), At: r.EndedAt, Failure: r.Failure}
	if r.Park.Seq != 0 {
		ended.Step, ended.StartedSeq, ended.StartedAt = r.Park.Step, r.Park.Seq, r.Park.Since
	}
	r.history = append(r.history, ended)
	r.Status, r.Failure, r.EndedAt, r.EndedSeq = store.Open, nil, time.Time{}, 0
	r.Park, r.Attempt, r.Begun, r.Takeovers, r.Canceled = store.Park{Until: now}, 0, false, 0, false
	r.append(store.Entry{Kind: store.EntryReopened, Step: o.From, At: now})
	if o.Resolved != nil {
		r.append(*o.Resolved)
	}
	r.pause(false)
	r.InboxSeq++
	s.index(r)
	for i := range r.signals {
		if slices.Contains(o.Return, r.signals[i].ID) {
			r.signals[i].ConsumedBy = ""
		}
		if r.signals[i].ConsumedBy == "" {
			r.signals[i].Late = false
		}
	}
	return nil
}
