package enrichment_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/sqlite"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/engine"
	enginesqlite "github.com/liwanag/liwanag/engine/store/sqlite"
	"github.com/liwanag/liwanag/fullenrich"
	"github.com/liwanag/liwanag/fullenrich/simulator"
	"github.com/liwanag/liwanag/internal/opened"
	"github.com/liwanag/liwanag/internal/sqlitedb"
	"github.com/liwanag/liwanag/workflow"
)

const (
	publicURL = "http://127.0.0.1:8484"
	partner   = "http://127.0.0.1:8486"
)

// world is the whole of enrichment in virtual time: the engine and the
// application on one real SQLite file, and FullEnrich's simulator, with HTTP
// without sockets both ways. It is to be made inside a synctest bubble.
type world struct {
	t    *testing.T
	path string
	born time.Time
	cfg  enrichment.Config
	sim  *simulator.Server
	key  fullenrich.Secret
	out  http.RoundTripper // to the simulator

	journal   *pages                                      // nil: there is none
	source    string                                      // of who signs up
	partner   func(*fullenrich.Client) enrichment.Partner // what stands before a node's client; nil: nothing
	nodes     int                                         // processes that share the store
	mu        sync.Mutex
	life      *life // nil: the process is down
	reachable bool  // the public URL
	meter     *counters
	statuses  []int // answers given to webhooks
	bodies    [][]byte
	deaths    int // processes that were killed while the world was calm
}

// life is one process: from start to stop or kill. Where there are more nodes, it
// is all of them, and svc and work are the first one's.
type life struct {
	store  *mortal
	db     *sqlitedb.DB
	engine *engine.Engine
	svc    *enrichment.Service
	work   *enrichment.Enricher
	all    []*enrichment.Service
	woken  *waker
	cancel context.CancelFunc
	ended  sync.WaitGroup
}

// inWorld runs a test in virtual time, in a world that checks the laws that
// always hold when it ends, beside the worlds of other tests.
func inWorld(t *testing.T, cfg enrichment.Config, sim simulator.Config, test func(w *world)) {
	t.Helper()
	t.Parallel()
	onNodes(t, 1, cfg, sim, test)
}

// onNodes is inWorld with several nodes.
func onNodes(t *testing.T, nodes int, cfg enrichment.Config, sim simulator.Config, test func(w *world)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "liwanag.db")
	file, err := fresh()
	if err == nil {
		err = os.WriteFile(path, file, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	// Sweeps and probes are most of what a world does in a day: see watchful.
	cfg.SweepEvery, cfg.ProbeEvery = cmp.Or(cfg.SweepEvery, 10*time.Minute), cmp.Or(cfg.ProbeEvery, cfg.AmbiguityGrace, time.Hour)
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, path: path, born: time.Now(), nodes: nodes, cfg: cfg, key: simulator.DefaultKey, reachable: true, meter: &counters{}}
		sim.HTTPClient = &http.Client{Transport: simulator.InMemory(http.HandlerFunc(w.receive)), Timeout: 10 * time.Second}
		server, err := simulator.New(sim)
		if err != nil {
			t.Fatal(err)
		}
		w.sim, w.out = server, simulator.InMemory(server)
		w.boot()
		test(w)
		w.stop()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
}

// watchful is a world that sweeps and probes as often as a server does.
func watchful(cfg enrichment.Config) enrichment.Config {
	cfg.SweepEvery, cfg.ProbeEvery = cmp.Or(cfg.SweepEvery, time.Minute), cmp.Or(cfg.ProbeEvery, 20*time.Second)
	return cfg
}

// takesSeconds leaves a test out of -short.
func takesSeconds(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short leaves out what takes seconds")
	}
}

// fresh is a database file with all tables and no rows, made once.
var fresh = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "liwanag")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "liwanag.db")
	db, err := sqlitedb.Open(context.Background(), sqlitedb.Config{Path: path, Synchronous: sqlitedb.Normal})
	if err != nil {
		return nil, err
	}
	_, rows := sqlite.New(context.Background(), db)
	_, runs := enginesqlite.Open(opened.With(context.Background(), db), path)
	if err := errors.Join(rows, runs, db.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// underBoth runs a test under both policies for a 5xx answer; -short under one.
func underBoth(t *testing.T, cfg enrichment.Config, test func(w *world)) {
	t.Helper()
	for _, policy := range []enrichment.PaidRetry{enrichment.Standard, enrichment.Strict} {
		if testing.Short() && policy == enrichment.Strict {
			continue
		}
		t.Run(string(policy), func(t *testing.T) {
			cfg.PaidRetry = policy
			inWorld(t, cfg, simulator.Config{}, test)
		})
	}
}

// boot starts a process on the world's file.
func (w *world) boot() {
	w.t.Helper()
	ctx := context.Background()
	db, err := sqlitedb.Open(ctx, sqlitedb.Config{Path: w.path, Synchronous: sqlitedb.Normal})
	w.must(err)
	rows, err := sqlite.New(ctx, db)
	w.must(err)
	if w.journal != nil {
		rows = rows.Journaled(w.journal)
	}
	l := &life{store: newMortal(rows), db: db}
	works := &inTurn{}
	for range w.nodes {
		works.nodes = append(works.nodes, w.node(l.store.Store))
	}
	wf := enrichment.New(works, w.cfg)
	runs, err := enginesqlite.Open(opened.With(ctx, db), db.Path())
	w.must(err)
	l.engine, err = engine.New(engine.Config{Store: unchecked{runs}, Definitions: []workflow.Definition{wf}, StopTimeout: time.Second})
	w.must(err)
	l.woken = &waker{Runner: l.engine}
	for _, work := range works.nodes {
		l.all = append(l.all, enrichment.NewService(work, wf, l.woken))
	}
	l.work, l.svc = works.nodes[0], l.all[0]
	run, cancel := context.WithCancel(ctx)
	l.cancel = cancel
	l.ended.Go(func() {
		if err := l.engine.Run(run); err != nil {
			w.t.Error(err)
		}
	})
	for _, svc := range l.all {
		l.ended.Go(func() { _ = svc.Run(run) })
	}
	w.mu.Lock()
	w.life = l
	w.mu.Unlock()
	synctest.Wait() // the engine has registered, the first sweep is over
}

// unchecked is the engine's store without the look at its file that an engine takes
// every five seconds: in virtual time that is most of what there is to do.
type unchecked struct{ *enginesqlite.Store }

func (unchecked) Check() error { return nil }

// node is the work of one node, with a client of its own.
func (w *world) node(store *datastore.Store) *enrichment.Enricher {
	w.t.Helper()
	cfg := w.cfg
	cfg.PublicURL, cfg.BaseURL, cfg.Meter = cmp.Or(cfg.PublicURL, publicURL), partner+"/api/v2", w.meter
	cfg.Log = slog.New(slog.NewTextHandler(testLog{w.t}, nil))
	if cfg.Keys == nil {
		cfg.Keys = []fullenrich.Secret{w.key}
	}
	if cfg.Probe == nil {
		cfg.Probe = w.probe
	}
	client, err := fullenrich.New(fullenrich.Config{BaseURL: cfg.BaseURL, Key: w.key,
		Transport: transport(func() http.RoundTripper { return w.out }), Budget: enrichment.CallBudget(store, cfg)})
	w.must(err)
	var before enrichment.Partner = client
	if w.partner != nil {
		before = w.partner(client)
	}
	work, err := enrichment.NewEnricher(store, before, cfg)
	w.must(err)
	return work
}

// stop ends the process: what runs ends first.
func (w *world) stop() {
	l := w.down()
	if l == nil {
		return
	}
	l.cancel()
	select {
	case <-l.store.killed:
		// A killed process does nothing more: its file is closed before what it
		// was in the middle of returns.
		time.Sleep(2 * time.Second)
		_ = l.db.Close()
		close(l.store.gone)
		l.ended.Wait()
	default:
		l.ended.Wait()
		w.must(l.db.Close())
	}
}

// stopFor is a process that is down for so long.
func (w *world) stopFor(d time.Duration) {
	w.t.Helper()
	w.stop()
	w.sleep(d)
	w.boot()
}

func (w *world) down() *life {
	w.mu.Lock()
	defer w.mu.Unlock()
	l := w.life
	w.life = nil
	return l
}

// killedThenRebooted waits for the armed failpoint, clears the dead process away
// and starts another one on its file.
func (w *world) killedThenRebooted() {
	w.t.Helper()
	select {
	case <-w.life.store.killed:
	case <-time.After(48 * time.Hour):
		w.t.Fatal("the failpoint never fired")
	}
	w.stop()
	w.boot()
}

// waker counts the runs that are woken.
type waker struct {
	workflow.Runner
	runs sync.Map
}

func (k *waker) Wake(ctx context.Context, runID string) error {
	k.runs.Store(runID, true)
	return k.Runner.Wake(ctx, runID)
}

func (k *waker) count() (n int) {
	k.runs.Range(func(any, any) bool { n++; return true })
	return n
}

type transport func() http.RoundTripper

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t().RoundTrip(r) }

// receive is the HTTP layer's route for FullEnrich's webhooks.
func (w *world) receive(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	l := w.life
	w.mu.Unlock()
	if l == nil {
		panic(http.ErrAbortHandler) // nobody listens
	}
	raw, err := io.ReadAll(io.LimitReader(r.Body, 8<<20))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	token := strings.TrimPrefix(r.URL.Path, "/webhooks/fullenrich/")
	token, contact := strings.CutSuffix(token, "/contact")
	w.mu.Lock()
	svc := l.all[len(w.statuses)%len(l.all)] // as a load balancer would
	w.bodies = append(w.bodies, raw)
	w.mu.Unlock()
	status := http.StatusOK
	switch err := svc.Receive(r.Context(), token, contact, r.Header.Get(fullenrich.SignatureHeader), raw); liwanag.ClassOf(err) {
	case liwanag.Unauthorized:
		status = http.StatusUnauthorized
	case liwanag.NotFound:
		status = http.StatusNotFound
	default:
		if err != nil {
			status = http.StatusServiceUnavailable
		}
	}
	w.mu.Lock()
	w.statuses = append(w.statuses, status)
	w.mu.Unlock()
	rw.WriteHeader(status)
}

func (w *world) probe(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.reachable {
		return fmt.Errorf("unreachable")
	}
	return nil
}

func (w *world) setReachable(yes bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reachable = yes
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// sleep lets virtual time pass, and what is due happen.
func (w *world) sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// fault scripts the simulator.
func (w *world) fault(f simulator.Fault) {
	w.t.Helper()
	_, err := w.sim.AddFault(f)
	w.must(err)
}

// signUp is what intake does with personal addresses: subscriber, job and batch
// in one transaction, then the start. It returns the run of each.
func (w *world) signUp(emails ...string) []liwanag.ID {
	w.t.Helper()
	opened, err := w.trySignUp(emails...)
	w.must(err)
	runs := make([]liwanag.ID, len(opened))
	for i, o := range opened {
		runs[i] = o.RunID
	}
	return runs
}

func (w *world) trySignUp(emails ...string) ([]liwanag.Opened, error) {
	var opened []liwanag.Opened
	err := w.life.store.Write(context.Background(), func(tx *datastore.Tx) error {
		var signUps []liwanag.SignUp
		for _, e := range emails {
			parsed, err := liwanag.ParseEmail(e)
			if err != nil {
				return err
			}
			signUps = append(signUps, liwanag.SignUp{ID: liwanag.NewID(liwanag.SubscriberKind), EmailKey: parsed.Key, Email: parsed.Address,
				EmailType: liwanag.Personal, Source: w.source, At: time.Now()})
		}
		stored, err := tx.Subscribers.Upsert(signUps)
		if err != nil {
			return err
		}
		var people []enrichment.Enrollment
		for _, s := range stored {
			people = append(people, enrichment.Enrollment{SubscriberID: s.ID})
		}
		opened, err = w.life.svc.Enroll(tx, people)
		return err
	})
	if err != nil {
		return nil, err
	}
	var runs []liwanag.ID
	for _, o := range opened {
		runs = append(runs, o.RunID)
	}
	return opened, w.life.svc.Start(context.Background(), runs...)
}

// errOf is the error of what also answers something.
func errOf[T any](_ T, err error) error { return err }
