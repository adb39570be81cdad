// Package memory is a store in memory: for tests, and for programs whose runs may
// end with the process. It passes the same suite as the durable stores.
package memory

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/liwanag/liwanag/engine/store"
	"github.com/liwanag/liwanag/workflow"
)

// Store keeps runs in memory. The zero value is not usable: call New.
type Store struct {
	mu     sync.Mutex
	runs   map[string]*row
	open   map[store.Definition]map[*row]bool
	shapes map[store.Definition][]store.Shape
	epoch  int64
	buried int64 // the epoch that has dealt with the runs of those before it
	closed bool
}

type row struct {
	store.Run
	token   int64
	history []store.Entry
	signals []store.Signal
}

var _ store.Store = (*Store)(nil)

// New returns an empty store.
func New() *Store {
	return &Store{runs: map[string]*row{}, open: map[store.Definition]map[*row]bool{}, shapes: map[store.Definition][]store.Shape{}}
}

// Close makes every later call fail with store.ErrClosed.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// lock begins a call: the context counts until here.
func (s *Store) lock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return store.ErrClosed
	}
	return nil
}

// Shapes are what Note noted.
func (s *Store) Shapes(ctx context.Context) (map[store.Definition][]store.Shape, error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	return maps.Clone(s.shapes), nil
}

// Note replaces what is noted of a definition.
func (s *Store) Note(ctx context.Context, d store.Definition, shapes []store.Shape) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	s.shapes[d] = slices.Clone(shapes)
	return nil
}

// OldKeys is zero: no run here is of another release.
func (s *Store) OldKeys() time.Time { return time.Time{} }

func (s *Store) find(ctx context.Context, id string) (*row, error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	if r := s.runs[id]; r != nil {
		return r, nil
	}
	s.mu.Unlock()
	return nil, store.ErrNotFound
}

// Heartbeat registers a node. A store in one process has one live node: the last
// that registered.
func (s *Store) Heartbeat(ctx context.Context, name string, _ time.Duration) (store.Node, error) {
	if err := s.lock(ctx); err != nil {
		return store.Node{}, err
	}
	defer s.mu.Unlock()
	s.epoch++
	return store.Node{Name: name, Epoch: s.epoch}, nil
}

// Create inserts a run.
func (s *Store) Create(ctx context.Context, r store.Run) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	if r.Owner != 0 && r.Owner != s.epoch {
		return store.ErrLeaseLost
	}
	if s.runs[r.ID] != nil {
		return store.ErrExists
	}
	r.Input = bytes.Clone(r.Input)
	created := &row{Run: r, token: 1}
	s.runs[r.ID] = created
	s.index(created)
	return nil
}

// index keeps the open runs by definition: those of definitions that a claim does not
// ask for cost it nothing, nor do those that have ended.
func (s *Store) index(r *row) {
	def := store.Definition{Workflow: r.Workflow, Version: r.Version}
	if r.Status != store.Open {
		delete(s.open[def], r)
		return
	}
	if s.open[def] == nil {
		s.open[def] = map[*row]bool{}
	}
	s.open[def][r] = true
}

// Claim leases due runs.
func (s *Store) Claim(ctx context.Context, node store.Node, w store.Wanted, now time.Time) ([]store.Claimed, time.Time, error) {
	if err := s.lock(ctx); err != nil {
		return nil, time.Time{}, err
	}
	defer s.mu.Unlock()
	if node.Epoch != s.epoch {
		return nil, time.Time{}, store.ErrLeaseLost
	}
	s.bury(now)
	var old, fresh, suspects []*row
	var next time.Time
	for _, def := range w.Definitions {
		for r := range s.open[def] {
			switch at := r.Park.Until; {
			case r.Owner == s.epoch:
			case r.Owner != 0: // it had begun
				old = append(old, r)
			case at.After(now):
				if next.IsZero() || at.Before(next) {
					next = at
				}
			case r.Takeovers >= store.SuspectAfter:
				suspects = append(suspects, r)
			case r.StartedAt.IsZero():
				fresh = append(fresh, r)
			default:
				old = append(old, r)
			}
		}
	}
	ready := append(first(old, w.Old), first(fresh, w.New)...)
	var claimed []store.Claimed
	for _, r := range append(first(ready, w.Runs), first(suspects, w.Suspects)...) {
		claimed = append(claimed, r.take(node, now))
	}
	return claimed, next, nil
}

// bury deals with the runs of dead nodes that are not taken over as they are.
func (s *Store) bury(now time.Time) {
	if s.buried == s.epoch {
		return
	}
	s.buried = s.epoch
	for _, rows := range s.open {
		for r := range rows {
			begun := !r.StartedAt.IsZero()
			if r.Owner == 0 || r.Owner == s.epoch || begun && r.Takeovers == 0 {
				continue
			}
			r.Owner = 0
			r.token += 2
			if begun && r.Begun {
				r.Takeovers++
				r.Park.Until = now.Add(store.Quarantine)
			}
		}
	}
}

// first are the n earliest, ties by creation.
func first(rows []*row, n int) []*row {
	slices.SortFunc(rows, func(a, b *row) int {
		return cmp.Or(a.Park.Until.Compare(b.Park.Until), a.CreatedAt.Compare(b.CreatedAt), strings.Compare(a.ID, b.ID))
	})
	return rows[:min(max(n, 0), len(rows))]
}

func (r *row) take(node store.Node, now time.Time) store.Claimed {
	c := store.Claimed{TakenOver: r.Owner != 0, New: r.StartedAt.IsZero()}
	if c.TakenOver {
		r.Takeovers++
	}
	if c.New {
		r.StartedAt = now
	}
	r.Owner = node.Epoch
	r.token += 2
	c.Run, c.Lease = r.Run, store.Lease{RunID: r.ID, Epoch: node.Epoch, Token: r.token}
	return c
}

func (r *row) whole() store.Claimed {
	return store.Claimed{Run: r.Run, History: slices.Clone(r.history), Signals: slices.Clone(r.signals)}
}

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
	switch {
	case p.Park != nil && r.InboxSeq == p.Decided:
		r.park(p)
	case p.End != nil:
		r.end(*p.End, p.Now)
		s.index(r)
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
		r.history = slices.Clip(r.history[:len(r.history)-1]) // what was read of it stays as it was
	} else {
		en = en.Alone()
	}
	en.Folds = 0
	if en.Begins {
		en.StartedSeq = r.Seq + 1
	}
	r.Seq += en.Width()
	en.Seq = r.Seq
	r.history = append(r.history, en)
	for i := range r.signals {
		if slices.Contains(en.Consumed, r.signals[i].ID) {
			r.signals[i].ConsumedBy = en.Step
		}
	}
}

func (r *row) park(p store.Progress) {
	r.Park, r.Owner = *p.Park, 0
	if (r.Park.Kind == store.ParkWait || r.Park.Kind == store.ParkSleep) && r.Park.Seq == 0 {
		r.Seq++
		r.Park.Seq = r.Seq
	}
}

func (r *row) end(e store.Ending, now time.Time) {
	r.Seq++
	r.Status, r.Failure, r.Because = e.Status, e.Failure, e.Because
	r.EndedAt, r.EndedSeq, r.Owner = now, r.Seq, 0
}

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
	case r.Owner != 0:
		r.InboxSeq += store.WakeUnit
	case r.Park.Kind.Wakes():
		r.Park.Until = time.Time{}
	}
	return nil
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
	r.end(store.Ending{Status: store.Canceled, Failure: &f}, now)
	s.index(r)
	return nil
}

// Reopen makes an ended run due again.
func (s *Store) Reopen(ctx context.Context, runID string, o store.Reopening, now time.Time) error {
	r, err := s.find(ctx, runID)
	if err != nil {
		return err
	}
	defer s.mu.Unlock()
	if r.Status == store.Open || r.Status == store.Completed || r.Seq != o.Seq {
		return store.ErrNotEnded
	}
	ended := store.Entry{Seq: r.EndedSeq, Kind: store.EntryEnded, Label: string(r.Status), At: r.EndedAt, Failure: r.Failure}
	if r.Park.Seq != 0 {
		ended.Step, ended.StartedSeq, ended.StartedAt = r.Park.Step, r.Park.Seq, r.Park.Since
	}
	r.history = append(r.history, ended)
	r.Status, r.Failure, r.EndedAt, r.EndedSeq = store.Open, nil, time.Time{}, 0
	r.Park, r.Attempt, r.Begun, r.Takeovers, r.Canceled = store.Park{Until: now}, 0, false, 0, false
	r.append(store.Entry{Kind: store.EntryReopened, Step: o.From, At: now})
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

// Get reads a run whole.
func (s *Store) Get(ctx context.Context, runID string) (store.Claimed, error) {
	r, err := s.find(ctx, runID)
	if err != nil {
		return store.Claimed{}, err
	}
	defer s.mu.Unlock()
	return r.whole(), nil
}

// List reads runs, newest first.
func (s *Store) List(ctx context.Context, q store.Query) ([]store.Run, string, error) {
	after, id, err := parseCursor(q.Cursor)
	if err != nil {
		return nil, "", err
	}
	if err := s.lock(ctx); err != nil {
		return nil, "", err
	}
	defer s.mu.Unlock()
	var runs []store.Run
	for _, r := range s.runs {
		if matches(r.Run, q) && (q.Cursor == "" || before(r.Run, after, id)) {
			runs = append(runs, r.Run)
		}
	}
	slices.SortFunc(runs, func(a, b store.Run) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), strings.Compare(b.ID, a.ID))
	})
	if q.Limit <= 0 || len(runs) <= q.Limit {
		return runs, "", nil
	}
	last := runs[q.Limit-1]
	return runs[:q.Limit], formatCursor(last), nil
}

func before(r store.Run, at time.Time, id string) bool {
	return r.CreatedAt.Before(at) || r.CreatedAt.Equal(at) && r.ID < id
}

func matches(r store.Run, q store.Query) bool {
	return (q.Workflow == "" || r.Workflow == q.Workflow) &&
		(q.Status == "" || q.Status == r.Status || q.Status == r.Derived(q.Now)) &&
		(q.Since.IsZero() || !r.CreatedAt.Before(q.Since)) &&
		(q.Until.IsZero() || r.CreatedAt.Before(q.Until)) &&
		(q.IDs == nil || slices.Contains(q.IDs, r.ID))
}

func formatCursor(r store.Run) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(r.CreatedAt.UnixMicro(), 10) + " " + r.ID))
}

func parseCursor(cursor string) (time.Time, string, error) {
	if cursor == "" {
		return time.Time{}, "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return time.Time{}, "", store.ErrCursor
	}
	micros, id, ok := strings.Cut(string(raw), " ")
	at, err := strconv.ParseInt(micros, 10, 64)
	if !ok || err != nil {
		return time.Time{}, "", store.ErrCursor
	}
	return time.UnixMicro(at), id, nil
}

// Counts counts runs.
func (s *Store) Counts(ctx context.Context) ([]store.Count, error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	counts := map[store.Count]int64{}
	for _, r := range s.runs {
		c := store.Count{Workflow: r.Workflow, Version: r.Version, Status: r.Status}
		if r.Status == store.Open && r.Owner == 0 {
			c.Step = r.Park.Step
		}
		counts[c]++
	}
	var out []store.Count
	for c, n := range counts {
		c.Runs = n
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b store.Count) int {
		return cmp.Or(strings.Compare(a.Workflow, b.Workflow), cmp.Compare(a.Version, b.Version), strings.Compare(string(a.Status), string(b.Status)), strings.Compare(a.Step, b.Step))
	})
	return out, nil
}

// Overdue counts open runs that were due before the given time.
func (s *Store) Overdue(ctx context.Context, before time.Time) (int64, error) {
	if err := s.lock(ctx); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	var n int64
	for _, r := range s.runs {
		if r.Status == store.Open && r.Owner == 0 && r.Park.Until.Before(before) && r.CreatedAt.Before(before) {
			n++
		}
	}
	return n, nil
}

// Prune deletes runs that ended long ago.
func (s *Store) Prune(ctx context.Context, endedBefore time.Time, n int) (int, error) {
	if err := s.lock(ctx); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	pruned := 0
	for id, r := range s.runs {
		if pruned < n && r.Status != store.Open && r.EndedAt.Before(endedBefore) {
			delete(s.runs, id)
			pruned++
		}
	}
	return pruned, nil
}
