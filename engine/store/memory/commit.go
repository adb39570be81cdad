package memory

import (
	"context"
	"slices"
	"time"

	"github.com/liwanag/liwanag/engine/store"
)

// Commit writes what a move changed.
func (s *Store) Commit(ctx context.Context, l store.Lease, p store.Progress) (store.News, error) {
	if err := s.lock(ctx); err != nil {
		return store.News{}, err
	}
	defer s.mu.Unlock()
	r := s.runs[l.RunID]
	switch {
	case r == nil || l.Epoch != s.epoch:
		return store.News{}, store.ErrLeaseLost
	case r.token == l.Token+1 && r.Owner == 0 && (p.Park != nil || p.End != nil):
		return store.News{InboxSeq: p.Decided, Canceled: p.Canceled}, nil // it landed before
	case r.Status != store.Open || r.Owner != l.Epoch:
		return store.News{}, store.ErrLeaseLost
	case r.token == l.Token+1:
		return r.news(p), nil // it landed before
	case r.token != l.Token:
		return store.News{}, store.ErrLeaseLost
	}
	if p.End != nil && r.Canceled && !p.Canceled {
		return store.News{}, store.ErrCanceled
	}
	for _, en := range p.Append {
		r.append(en)
	}
	r.token++
	r.Attempt, r.Begun, r.Takeovers = p.Attempt, p.Begun, p.Takeovers
	if r.StartedAt.IsZero() {
		r.StartedAt = p.StartedAt
	}
	if p.Close {
		r.group = nil
	}
	if p.Open != nil {
		s.openSubs(r, *p.Open, p.Now)
	}
	if p.Stop && r.group != nil {
		r.group.Stopped = true
	}
	switch {
	case p.Park != nil && r.InboxSeq == p.Decided:
		r.park(p)
	case p.End != nil:
		s.end(r, *p.End, p.Now)
	}
	return r.news(p), nil
}

func (r *row) news(p store.Progress) store.News {
	news := store.News{InboxSeq: r.InboxSeq, Canceled: r.Canceled}
	if r.InboxSeq != p.Decided {
		i := slices.IndexFunc(r.signals, func(sig store.Signal) bool { return sig.Seq > p.Known })
		if i >= 0 {
			news.Signals = slices.Clone(r.signals[i:])
		}
	}
	return news
}

func (r *row) append(en store.Entry) {
	if en.Folds != 0 && en.Folds == r.Seq {
		n := slices.IndexFunc(r.history, func(old store.Entry) bool { return old.Seq > en.Folds+1-int64(en.Count) })
		r.history = slices.Clip(r.history[:n]) // what was read of it stays as it was
	} else {
		en = en.Alone()
	}
	en.Folds = 0
	if en.Begins {
		en.StartedSeq = r.Seq + 1
	}
	r.Seq += en.Width()
	en.Seq = r.Seq
	if en.Attributes != nil {
		r.Attributes, _ = r.Attributes.With(en.Attributes) // the engine has counted them
		en.Attributes = nil
	}
	r.history = append(r.history, en)
	for i := range r.signals {
		if slices.Contains(en.Consumed, r.signals[i].ID) {
			r.signals[i].ConsumedBy = en.Step
		}
	}
}

func (r *row) park(p store.Progress) {
	r.Park, r.Owner = *p.Park, store.Released(r.InboxSeq)
	if r.Park.Kind.Numbered() && r.Park.Seq == 0 {
		r.Seq++
		r.Park.Seq = r.Seq
	}
}

// end ends a run, and counts it for the one around it.
func (s *Store) end(r *row, e store.Ending, now time.Time) {
	r.Seq++
	r.Status, r.Failure, r.Because = e.Status, e.Failure, e.Because
	r.EndedAt, r.EndedSeq, r.Owner, r.group = now, r.Seq, 0, nil
	s.index(r)
	s.ended(r, now)
}
