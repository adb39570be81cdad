package notify

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/sqlite"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/engine"
	enginesqlite "github.com/liwanag/liwanag/engine/store/sqlite"
	"github.com/liwanag/liwanag/fullenrich/simulator"
	"github.com/liwanag/liwanag/internal/opened"
	"github.com/liwanag/liwanag/internal/sqlitedb"
	"github.com/liwanag/liwanag/workflow"
)

// stage is webhooks out in virtual time: rows and runs on one real SQLite file, and
// receivers behind HTTP without sockets. Every call that arrives is verified by the
// library of Standard Webhooks.
type stage struct {
	t     *testing.T
	path  string
	nodes int // services that share the store
	also  []workflow.Definition
	log   lockedBuffer

	mu      sync.Mutex
	secrets map[string]string // of sinks, by host
	answer  func(r call) (status int, header http.Header, after time.Duration)
	calls   []call
	open    int // calls under way
	most    int // of them at once
	act     *act
}

// call is one webhook as it arrived.
type call struct {
	host, id string
	body     []byte
	at       time.Time
	n        int // of this id, from 1
}

// act is one process, from start to stop or kill.
type act struct {
	db       *sqlitedb.DB
	store    *frail
	engine   *engine.Engine
	services []*Service
	cancel   context.CancelFunc
	ended    sync.WaitGroup
}

// onStage runs a test in virtual time, beside others. What receivers answer is 200 at
// first.
func onStage(t *testing.T, test func(s *stage)) {
	t.Helper()
	t.Parallel()
	play(t, test)
}

func play(t *testing.T, test func(s *stage)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "liwanag.db")
	synctest.Test(t, func(t *testing.T) {
		s := &stage{t: t, path: path, nodes: 1, secrets: map[string]string{}}
		s.answers(http.StatusOK)
		test(s)
		s.stop()
	})
}

func (s *stage) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) answers(status int) {
	s.answersBy(func(call) (int, http.Header, time.Duration) { return status, nil, 0 })
}

func (s *stage) answersBy(fn func(call) (int, http.Header, time.Duration)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = fn
}

// boot starts a process on the stage's file; its n-th write of rows kills it,
// before or after the commit (n 0: none does).
func (s *stage) boot(n int, after bool) *act {
	s.t.Helper()
	ctx := context.Background()
	db, err := sqlitedb.Open(ctx, sqlitedb.Config{Path: s.path, Synchronous: sqlitedb.Normal})
	s.must(err)
	rows, err := sqlite.New(ctx, db)
	s.must(err)
	a := &act{db: db, store: newFrail(rows, n, after)}
	sender := s.sender(a.store.Store)
	wf := New(sender)
	runs, err := enginesqlite.Open(opened.With(ctx, db), s.path)
	s.must(err)
	a.engine, err = engine.New(engine.Config{Store: runs, Definitions: append(s.also, wf), StopTimeout: time.Second})
	s.must(err)
	a.services = append(a.services, NewService(sender, wf, a.engine))
	for range s.nodes - 1 {
		a.services = append(a.services, NewService(s.sender(a.store.Store), wf, a.engine))
	}
	run, cancel := context.WithCancel(ctx)
	a.cancel, s.act = cancel, a
	a.ended.Go(func() {
		if err := a.engine.Run(run); err != nil {
			s.t.Error(err)
		}
	})
	for _, svc := range a.services {
		a.ended.Go(func() { _ = svc.Run(run) })
	}
	synctest.Wait()
	return a
}

func (s *stage) sender(store *datastore.Store) *Sender {
	s.t.Helper()
	sender, err := NewSender(Config{Store: store, Log: slog.New(slog.NewTextHandler(&s.log, nil)), Views: Views{
		Subscriber: func(p liwanag.Subscriber) any { return map[string]string{"id": p.ID.String(), "email": p.Email} },
		Upload: func(_ context.Context, id liwanag.ID) (any, error) {
			return map[string]string{"id": id.String()}, nil
		},
		Submission: func(context.Context, liwanag.ID) (any, error) { return nil, liwanag.ErrNotFound },
	}})
	s.must(err)
	sender.client.Transport = simulator.InMemory(http.HandlerFunc(s.receive))
	return sender
}

type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// receive takes a webhook in, as a receiver does.
func (s *stage) receive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Error(err)
	}
	s.mu.Lock()
	c := call{host: r.Host, id: r.Header.Get("webhook-id"), body: body, at: time.Now(), n: 1}
	for _, earlier := range s.calls {
		if earlier.id == c.id {
			c.n++
		}
	}
	s.calls = append(s.calls, c)
	s.open++
	s.most = max(s.most, s.open)
	secret, answer := s.secrets[r.Host], s.answer
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.open--
		s.mu.Unlock()
	}()
	if wh, err := standardwebhooks.NewWebhook(secret); err != nil || wh.Verify(body, r.Header) != nil {
		s.t.Errorf("the signature of %s does not verify (%v)", c.id, err)
	}
	status, header, after := answer(c)
	select {
	case <-time.After(after):
	case <-r.Context().Done():
		panic(http.ErrAbortHandler)
	}
	for name, values := range header {
		w.Header()[name] = values
	}
	w.WriteHeader(status)
}

// stop ends the process; a killed one does nothing more: its file is closed before
// what it was in the middle of returns.
func (s *stage) stop() {
	s.t.Helper()
	a := s.act
	if s.act = nil; a == nil {
		return
	}
	a.cancel()
	select {
	case <-a.store.killed:
		time.Sleep(2 * time.Second)
		_ = a.db.Close()
		close(a.store.gone)
		a.ended.Wait()
	default:
		a.ended.Wait()
		s.must(a.db.Close())
	}
}

// sleep lets virtual time pass, and what is due happen.
func (s *stage) sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (s *stage) service() *Service { return s.act.services[0] }

// sink makes a sink at a host.
func (s *stage) sink(host string, topics ...liwanag.Topic) liwanag.ID {
	s.t.Helper()
	made, err := s.service().Add(context.Background(), "", "https://"+host+"/hook?token=canary-token", topics, liwanag.ID{})
	s.must(err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secrets[host] = made.Secret
	return made.ID
}

// tell announces n times what no row is about.
func (s *stage) tell(n int) {
	s.t.Helper()
	all := make([]liwanag.Announcement, n)
	for i := range all {
		all[i] = liwanag.Announcement{Topic: liwanag.TopicCreditsLow, Facts: `{"balance":7}`, At: time.Now()}
	}
	s.announce(all...)
}

// announce announces in a transaction that no failpoint counts, and rings as the
// store of the product does.
func (s *stage) announce(all ...liwanag.Announcement) {
	s.t.Helper()
	s.must(s.act.store.rows.Write(context.Background(), func(tx *datastore.Tx) error {
		_, err := datastore.Announce(tx, all)
		return err
	}))
	for _, svc := range s.act.services {
		svc.Ring()
	}
	synctest.Wait()
}

func (s *stage) messages(f liwanag.MessageFilter) []liwanag.Message {
	s.t.Helper()
	var all []liwanag.Message
	for page := (liwanag.Page{Limit: 500}); ; {
		rows, next, err := s.act.store.Messages.List(context.Background(), f, page)
		s.must(err)
		if all = append(all, rows...); next == "" {
			return all
		}
		page.Cursor = next
	}
}

// states counts messages by state.
func (s *stage) states() map[liwanag.MessageState]int {
	s.t.Helper()
	counts := map[liwanag.MessageState]int{}
	for _, m := range s.messages(liwanag.MessageFilter{}) {
		counts[m.State]++
	}
	return counts
}

func (s *stage) wantStates(want map[liwanag.MessageState]int) {
	s.t.Helper()
	got := s.states()
	for state, n := range want {
		if got[state] != n {
			s.t.Errorf("%d messages are %s, want %d; all: %v", got[state], state, n, got)
		}
		delete(got, state)
	}
	if len(got) > 0 {
		s.t.Errorf("besides there are %v", got)
	}
}

func (s *stage) sinkNow(id liwanag.ID) liwanag.Sink {
	s.t.Helper()
	sink, err := s.act.store.Sinks.Get(context.Background(), id)
	s.must(err)
	return sink
}

// heard are the calls until now, and how many messages they carried.
func (s *stage) heard() (calls []call, messages int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := map[string]bool{}
	for _, c := range s.calls {
		ids[c.id] = true
	}
	return append(calls, s.calls...), len(ids)
}

func (s *stage) run(m liwanag.Message) workflow.Run {
	s.t.Helper()
	run, err := s.act.engine.Describe(context.Background(), m.RunID.String())
	s.must(err)
	return run
}

// errKilled rolls back the transaction a process dies in.
var errKilled = errors.New("killed")

// frail is a store whose process dies at one of its writes, before or after the
// commit; every write from then on stays where it is until the process is gone.
type frail struct {
	*datastore.Store
	rows         *datastore.Store // the same, undisturbed
	at           int
	after        bool
	mu           sync.Mutex
	n            int
	dead         bool
	waited       int // reads that dispatching begins with
	killed, gone chan struct{}
}

func newFrail(store *datastore.Store, at int, after bool) *frail {
	f := &frail{rows: store, at: at, after: after, killed: make(chan struct{}), gone: make(chan struct{})}
	f.Store = store.Through(func(db datastore.Database) datastore.Database { return frailDatabase{db, f} })
	return f
}

type frailDatabase struct {
	datastore.Database
	f *frail
}

func (d frailDatabase) Write(ctx context.Context, fn func(datastore.Writer) error) error {
	f := d.f
	f.mu.Lock()
	f.n++
	dead, hit := f.dead, f.n == f.at
	f.dead = dead || hit
	f.mu.Unlock()
	if !dead && !hit {
		return d.Database.Write(ctx, fn)
	}
	if hit {
		if f.after {
			if err := d.Database.Write(context.WithoutCancel(ctx), fn); err != nil {
				return err
			}
		}
		close(f.killed)
	}
	<-f.gone
	return errKilled
}

func (d frailDatabase) Query(ctx context.Context, query string, args ...any) (datastore.Rows, error) {
	if strings.Contains(query, "FROM message m WHERE m.sink_id = sink.id") { // which sinks have something waiting
		d.f.mu.Lock()
		d.f.waited++
		d.f.mu.Unlock()
	}
	return d.Database.Query(ctx, query, args...)
}

// asked is how often it was asked what waits.
func (f *frail) asked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.waited
}
