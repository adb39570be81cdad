package postgres

import (
	"context"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

// Cancel records a request to end.
func (s *Store) Cancel(ctx context.Context, runID, reason string, now time.Time) error {
	return s.apply(ctx, "cancel", runID, &change{decide: func(g *group, r *row) error {
		switch {
		case r == nil:
			return store.ErrNotFound
		case r.status != string(store.Open):
			return store.ErrEnded
		case r.canceled:
			return nil
		}
		r.canceled = true
		r.pause(false)
		r.inboxSeq++
		r.wake(micros(now))
		g.changed(r, micros(now))
		return g.append(r, store.Entry{Kind: store.EntryCancel, Label: reason, At: now}, nil)
	}})
}

// Hurry makes a parked run due before its time.
func (s *Store) Hurry(ctx context.Context, runID string) error {
	return s.apply(ctx, "hurry", runID, &change{decide: func(g *group, r *row) error {
		switch {
		case r == nil:
			return store.ErrNotFound
		case r.status != string(store.Open):
			return store.ErrEnded
		case r.owner > 0:
			r.inboxSeq += store.WakeUnit
		case store.ParkKind(r.parkKind).Wakes():
			r.dueAt = 0
		default:
			return nil
		}
		g.changed(r, r.dueAt)
		return nil
	}})
}

// Pause sets or clears the pause of a run.
func (s *Store) Pause(ctx context.Context, runID string, paused bool) error {
	return s.apply(ctx, "pause", runID, &change{decide: func(g *group, r *row) error {
		switch {
		case r == nil:
			return store.ErrNotFound
		case r.status != string(store.Open):
			return store.ErrEnded
		}
		r.pause(paused)
		g.changed(r, r.dueAt)
		return nil
	}})
}

func (r *row) pause(paused bool) {
	if r.inboxSeq &^= store.PausedBit; paused {
		r.inboxSeq |= store.PausedBit
	}
	if r.owner <= 0 {
		r.owner = store.Released(r.inboxSeq)
	}
}

// Terminate ends a run at once and fences its owner.
func (s *Store) Terminate(ctx context.Context, runID string, f workflow.Failure, now time.Time) error {
	c := (&change{below: store.Below(runID)}).ofSub(runID)
	c.counted = append(c.counted, store.PackID(runID))
	c.decide = func(g *group, r *row) error {
		switch {
		case r == nil:
			return store.ErrNotFound
		case r.status != string(store.Open):
			return store.ErrEnded
		}
		g.changed(r, micros(now))
		if err := r.end(store.Ending{Status: store.Canceled, Failure: &f}, micros(now)); err != nil {
			return err
		}
		if g.subs[string(c.id)] != nil {
			delete(g.subs, string(c.id))
			g.closed = append(g.closed, c.id)
			g.terminated = append(g.terminated, termination{c.below, micros(now), r.failure})
		}
		g.ended(c, runID, store.Canceled, now)
		return nil
	}
	return s.apply(ctx, "terminate", runID, c)
}

// Reopen makes an ended run due again.
func (s *Store) Reopen(ctx context.Context, runID string, o store.Reopening, now time.Time) error {
	c := (&change{}).ofSub(runID)
	c.decide = func(g *group, r *row) error {
		switch {
		case r == nil:
			return store.ErrNotFound
		case !o.Takes(store.Status(r.status)) || r.seq != o.Seq:
			return store.ErrNotEnded
		}
		if c.parent != nil {
			_, s := g.around(c, runID)
			if s == nil {
				return store.ErrNotEnded
			}
			s.dirty = true
			s.Reopened()
		}
		ended := store.Entry{Seq: r.endedSeq, Kind: store.EntryEnded, Label: r.status, At: instant(r.endedAt), Failure: r.failureOf()}
		if r.parkSeq != 0 {
			ended.Step, ended.StartedSeq, ended.StartedAt = r.parkStep, r.parkSeq, instant(r.parkSince)
		}
		if err := g.note(r, ended, nil); err != nil {
			return err
		}
		r.reopen(micros(now))
		// What a wait consumed was never late.
		g.returns = append(g.returns, r.id)
		g.changed(r, micros(now))
		err := g.append(r, store.Entry{Kind: store.EntryReopened, Step: o.From, At: now}, o.Return)
		if err == nil && o.Resolved != nil {
			err = g.append(r, *o.Resolved, nil)
		}
		return err
	}
	return s.apply(ctx, "reopen", runID, c)
}

func (r *row) reopen(now int64) {
	r.status, r.dueAt, r.failure, r.because, r.endedAt, r.endedSeq = string(store.Open), now, "", "", 0, 0
	r.attempt, r.begun, r.takeovers, r.canceled = 0, false, 0, false
	r.parkKind, r.parkStep, r.parkEvents, r.parkSince, r.parkSeq = "", "", "", 0, 0
	r.pause(false)
	r.inboxSeq++
}
