package postgres

import (
	"context"

	"github.com/liwanag/liwanag/engine/store"
)

// Create inserts a run. [store.ErrLeaseLost] when it is to have a dead owner.
func (s *Store) Create(ctx context.Context, r store.Run) error {
	c := &change{epoch: r.Owner}
	c.decide = func(g *group, there *row) error {
		if r.Owner != 0 && !g.alive[r.Owner] {
			return store.ErrLeaseLost
		}
		if there != nil || g.created[string(c.id)] {
			return store.ErrExists
		}
		g.created[string(c.id)] = true
		g.creates = append(g.creates, creation{c.id, r})
		g.set(c.id, r.Attributes)
		if r.First != nil {
			g.signals = append(g.signals, signalOf{c.id, store.Signal{Signal: *r.First, Seq: r.Seq, At: r.CreatedAt}})
		}
		if r.Owner == 0 {
			g.willBe(micros(r.Park.Until), micros(r.CreatedAt))
		}
		return nil
	}
	return s.apply(ctx, "create", r.ID, c)
}

// Commit writes what a move changed, once the run's row has shown that the lease
// holds: it stays locked until what was written is durable.
func (s *Store) Commit(ctx context.Context, l store.Lease, p store.Progress) (news store.News, err error) {
	c := &change{epoch: l.Epoch}
	c.ofMove(l.RunID, p)
	c.decide = func(g *group, r *row) (err error) {
		news, err = g.commit(c, r, l, p, &news)
		return err
	}
	if err := s.apply(ctx, "commit", l.RunID, c); err != nil {
		return store.News{}, err
	}
	return news, nil
}

// commit decides on a commit; the signals that it is told of are read into news
// when all is written.
func (g *group) commit(c *change, r *row, l store.Lease, p store.Progress, into *store.News) (news store.News, err error) {
	if r == nil || !g.alive[l.Epoch] {
		return news, store.ErrLeaseLost
	}
	landed := r.token == l.Token+1
	if landed && r.owner == 0 && (p.Park != nil || p.End != nil) {
		return store.News{InboxSeq: p.Decided, Canceled: p.Canceled}, nil
	}
	if r.owner != l.Epoch || r.status != string(store.Open) || !landed && r.token != l.Token {
		return news, store.ErrLeaseLost
	}
	if !landed && p.End != nil && r.canceled && !p.Canceled {
		return news, store.ErrCanceled
	}
	news = store.News{InboxSeq: r.inboxSeq, Canceled: r.canceled}
	park := p.Park
	if r.inboxSeq != p.Decided {
		park = nil
		g.news = append(g.news, &newsOf{change: c, known: p.Known, upTo: r.seq, into: into})
	}
	if landed {
		return news, nil
	}
	for _, e := range p.Append {
		if err := g.append(r, e, e.Consumed); err != nil {
			return news, err
		}
	}
	r.token++
	// #nosec G115 -- counts that the column holds
	r.attempt, r.begun, r.takeovers = int32(p.Attempt), p.Begun, int32(p.Takeovers)
	r.begin(micros(p.StartedAt))
	g.changeSubs(c, l.RunID, p)
	switch {
	case park != nil:
		err = r.park(*park)
	case p.End != nil:
		g.ended(c, l.RunID, p.End.Status, p.Now)
		err = r.end(*p.End, micros(p.Now))
	}
	g.changed(r, micros(p.Now))
	return news, err
}
