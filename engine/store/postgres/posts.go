package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/internal/pgdb"
	"github.com/liwanag/liwanag/workflow"
)

const (
	postStart = "start"
	postEvent = "event"

	// postedAt is what a notification says of which nothing is due yet, but was posted.
	postedAt = "-1"
	// lookAtPosts is how often a node looks for what nobody told it was posted.
	lookAtPosts = time.Second
	// patience is how long an event is kept for a run that there is not yet: another
	// node may be about to create it.
	patience = "interval '10 seconds'"
	// maxPosts is how many posts are read at once: of the largest ones 8 MiB.
	maxPosts = 128
)

// post is what a transaction of the program asked for.
type post struct {
	id      int64
	version int64
	kind    string
	run     string
	name    string
	signal  workflow.Signal
	having  string // of a start: attributes, as JSON
	old     bool   // it has been there for longer than patience

	exists bool // there is a run of the id
	late   bool // its run is not there, and it waited long enough
}

const postsQuery = "SELECT id, kind, run, workflow, version, signal, event, payload, attributes, at < clock_timestamp() - " + patience + `
	FROM wf_post WHERE id > $1 ORDER BY id LIMIT $2`

// mover moves what was posted to the runs and inboxes.
type mover struct {
	look    chan struct{}
	started sync.Once
	ctx     context.Context // ends with Close
	stop    context.CancelFunc
	done    sync.WaitGroup

	posting atomic.Pointer[store.Posting]
}

// Posted says, after a commit of a transaction of the program, that this process is to
// look at once. It returns before that.
func (s *Store) Posted() {
	s.mover.started.Do(func() { s.mover.done.Go(s.move) })
	select {
	case s.mover.look <- struct{}{}:
	default:
	}
}

// OnPosts gives the clock and the versions by which what was posted becomes runs, and whom
// to tell of posts of which nothing comes.
func (s *Store) OnPosts(p store.Posting) { s.mover.posting.Store(&p) }

func (m *mover) clock() time.Time {
	if p := m.posting.Load(); p != nil {
		return p.Now()
	}
	return time.Now().UTC().Truncate(time.Microsecond)
}

func (m *mover) fault(err error) {
	if p := m.posting.Load(); p != nil {
		p.Tell(err)
		return
	}
	slog.Warn("what a transaction posted came to nothing", "error", err)
}

// move moves what was posted, whenever it is told to look, until the store is closed.
func (s *Store) move() {
	for {
		select {
		case <-s.mover.ctx.Done():
			return
		case <-s.mover.look:
		}
		if err := s.moveAll(s.mover.ctx); err != nil && s.mover.ctx.Err() == nil {
			s.mover.fault(fmt.Errorf("what was posted is moved later: %w", err))
		}
	}
}

// moveAll moves all that is there, in the order in which it was posted.
func (s *Store) moveAll(ctx context.Context) error {
	for last := int64(0); ; {
		posts, err := s.posts(ctx, last)
		if err != nil || len(posts) == 0 {
			return err
		}
		last = posts[len(posts)-1].id
		if err := s.movePosts(ctx, posts); err != nil {
			return err
		}
		s.rouse()
	}
}

func (s *Store) posts(ctx context.Context, last int64) (posts []*post, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, tx pgx.Tx) error {
		posts = nil
		found, err := tx.Query(ctx, s.schema.in(postsQuery), last, maxPosts)
		if err != nil {
			return err
		}
		var p post
		_, err = pgx.ForEachRow(found, []any{&p.id, &p.kind, &p.run, &p.name, &p.version, &p.signal.ID, &p.signal.Event,
			(*[]byte)(&p.signal.Payload), &p.having, &p.old}, func() error {
			one := p
			posts = append(posts, &one)
			p = post{}
			return nil
		})
		return err
	})
	if err != nil {
		return nil, s.fault("read what was posted", err)
	}
	return posts, nil
}

// movePosts moves posts in groups with everything else: the starts, and then the events,
// some of which are for the runs that were started.
func (s *Store) movePosts(ctx context.Context, posts []*post) error {
	for _, kind := range []string{postStart, postEvent} {
		var moving []*post
		var outcomes []func() error
		for _, p := range posts {
			if c := s.changeOf(p); p.kind == kind && c != nil {
				moving = append(moving, p)
				outcomes = append(outcomes, s.begin(ctx, p.run, c))
			}
		}
		var faults []error
		for i, outcome := range outcomes {
			if err := s.moved(ctx, moving[i], outcome()); err != nil {
				faults = append(faults, err)
			}
		}
		if err := errors.Join(faults...); err != nil {
			return err
		}
	}
	return nil
}

// moved tells what became of a post of which nothing came.
func (s *Store) moved(ctx context.Context, p *post, err error) error {
	switch {
	case err == nil && p.exists:
		return s.compare(ctx, p)
	case err == nil, errors.Is(err, store.ErrNotFound) && !p.late:
		return nil
	case errors.Is(err, store.ErrNotFound):
		err = fmt.Errorf("%w: %s, to which the event %s (%s) was posted", workflow.ErrNotFound, p.run, p.signal.Event, p.signal.ID)
	case errors.Is(err, store.ErrInboxFull):
		err = fmt.Errorf("%w: %s, to which the event %s (%s) was posted", workflow.ErrInboxFull, p.run, p.signal.Event, p.signal.ID)
	case pgdb.IsRefused(err):
		if _, gone := s.db.Pool().Exec(ctx, s.schema.in("DELETE FROM wf_post WHERE id = $1"), p.id); gone != nil {
			return s.fault("drop what was posted for run "+p.run, gone)
		}
	default:
		return s.fault("move what was posted for run "+p.run, err)
	}
	s.mover.fault(err)
	return nil
}

// compare tells of a start whose run exists with another input.
func (s *Store) compare(ctx context.Context, p *post) error {
	c, err := s.Get(ctx, p.run)
	switch {
	case errors.Is(err, store.ErrNotFound): // it was pruned meanwhile
		return nil
	case err != nil:
		return err
	case c.Run.Workflow != p.name || !workflow.SameJSON(c.Run.Input, p.signal.Payload):
		s.mover.fault(fmt.Errorf("%w: %s, which was posted with another one", workflow.ErrInputDiffers, p.run))
	}
	return nil
}

// changeOf is the change that a post asks for; nil: it stays for a node that knows which
// version is meant.
func (s *Store) changeOf(p *post) *change {
	now := s.mover.clock()
	c := &change{id: store.PackID(p.run), post: p.id}
	if p.kind == postEvent {
		event, _ := json.Marshal(p.signal.Event) // a string
		c.signal = p.signal.ID
		c.decide = func(g *group, r *row) error {
			if !g.posts[p.id] {
				return nil // another node has it
			}
			if p.late = r == nil && p.old; r != nil || p.late {
				g.moved = append(g.moved, p.id)
			}
			_, err := g.deliver(r, p.signal, string(event), now)
			return err
		}
		return c
	}
	version := int(p.version)
	if version == 0 {
		if known := s.mover.posting.Load(); known != nil {
			version = known.Latest(p.name)
		}
		if version == 0 {
			return nil
		}
	}
	run := store.Run{ID: p.run, Workflow: p.name, Version: version, Input: p.signal.Payload, CreatedAt: now, Status: store.Open, Seq: 1,
		Park: store.Park{Until: now}}
	var unread error
	if decoded(p.having, &run.Attributes, &unread); unread != nil {
		s.mover.fault(fmt.Errorf("run %s starts without its attributes: %w", p.run, unread))
	}
	c.decide = func(g *group, there *row) error {
		if p.exists = false; !g.posts[p.id] {
			return nil
		}
		g.moved = append(g.moved, p.id)
		if there != nil || g.created[string(c.id)] {
			p.exists = true
			return nil
		}
		g.created[string(c.id)] = true
		g.creates = append(g.creates, creation{c.id, run})
		g.set(c.id, run.Attributes)
		g.willBe(micros(now), micros(now))
		return nil
	}
	return c
}

// Posts are locked behind all rows of runs, and only those that no other node has.
const lockPostsQuery = "SELECT id FROM wf_post WHERE id = ANY($1) ORDER BY id FOR UPDATE SKIP LOCKED"

// lockPosts takes the posts that the group is to move.
func (g *group) lockPosts(b batch) {
	var ids []int64
	for _, c := range g.changes {
		if c.post != 0 {
			ids = append(ids, c.post)
		}
	}
	if len(ids) == 0 {
		return
	}
	g.posts = map[int64]bool{}
	b.Queue(lockPostsQuery, ids).Query(func(found pgx.Rows) error {
		var id int64
		_, err := pgx.ForEachRow(found, []any{&id}, func() error { g.posts[id] = true; return nil })
		return err
	})
}

// writePosts deletes the posts that the group moves.
func (g *group) writePosts(b batch) {
	if len(g.moved) > 0 {
		b.Queue("DELETE FROM wf_post WHERE id = ANY($1)", g.moved)
	}
}
