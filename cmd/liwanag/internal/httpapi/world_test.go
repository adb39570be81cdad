package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/access"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/datastoretest"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore/sqlite"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake/sources"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/engine"
	"github.com/liwanag/liwanag/engine/store/memory"
	"github.com/liwanag/liwanag/fullenrich"
	"github.com/liwanag/liwanag/fullenrich/simulator"
	"github.com/liwanag/liwanag/internal/sqlitedb"
	"github.com/liwanag/liwanag/workflow"
)

const (
	apiKey     = "test-api-key-of-32-characters-xx"
	hookSecret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	publicURL  = "http://127.0.0.1:8484"
	partnerURL = "http://127.0.0.1:8486"
)

// world is the server over the real application: rows on SQLite, the engine over
// memory, FullEnrich's simulator without sockets.
type world struct {
	t       testing.TB
	server  *Server
	store   *breakable
	engine  *engine.Engine
	service *enrichment.Service
	uploads *intake.Uploads
	sim     *simulator.Server
	log     *lockedBuffer
	clock   *clock
}

// clock is a wall clock that tests move.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time           { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(by time.Duration) { c.ahead.Add(int64(by)) }

// breakable is a store that can be told to fail.
type breakable struct {
	*datastore.Store
	rows *datastore.Store // the same, whole
	err  atomic.Pointer[liwanag.Error]
}

func newBreakable(store *datastore.Store) *breakable {
	b := &breakable{rows: store}
	b.Store = datastoretest.Watch(store, b.broken, func(string, []any) error { return b.broken() })
	return b
}

func (b *breakable) breakWith(err *liwanag.Error) { b.err.Store(err) }

func (b *breakable) broken() error {
	if err := b.err.Load(); err != nil {
		return err
	}
	return nil
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newWorld builds it all; change may alter the server's configuration. Nothing
// runs in the background before run.
func newWorld(t testing.TB, change ...func(*Config)) *world {
	t.Helper()
	return newWorldOf(t, []fullenrich.Secret{simulator.DefaultKey}, change...)
}

// newWorldOf is newWorld with the keys that verify FullEnrich's webhooks.
func newWorldOf(t testing.TB, keys []fullenrich.Secret, change ...func(*Config)) *world {
	t.Helper()
	w := &world{t: t, log: &lockedBuffer{}, clock: &clock{}}
	ctx := context.Background()
	db, err := sqlitedb.Open(ctx, sqlitedb.Config{Path: filepath.Join(t.TempDir(), "liwanag.db"), Synchronous: sqlitedb.Normal})
	w.must(err)
	t.Cleanup(func() { w.must(db.Close()) })
	rows, err := sqlite.New(ctx, db)
	w.must(err)
	w.store = newBreakable(rows)
	hooks := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.server.ServeHTTP(rw, r) })
	w.sim, err = simulator.New(simulator.Config{HTTPClient: &http.Client{Transport: simulator.InMemory(hooks)}, FoundShare: 1})
	w.must(err)
	t.Cleanup(func() { w.must(w.sim.Close()) })
	cfg := enrichment.Config{PublicURL: publicURL, BaseURL: partnerURL + "/api/v2", Keys: keys,
		Probe: func(context.Context) error { return nil }, Log: slog.New(slog.DiscardHandler)}
	client, err := fullenrich.New(fullenrich.Config{BaseURL: cfg.BaseURL, Key: simulator.DefaultKey, Transport: simulator.InMemory(w.sim),
		Budget: enrichment.CallBudget(w.store.Store, cfg)})
	w.must(err)
	work, err := enrichment.NewEnricher(w.store.Store, client, cfg)
	w.must(err)
	definition := enrichment.New(work, cfg)
	w.engine, err = engine.New(engine.Config{Store: memory.New(), Definitions: []workflow.Definition{definition}, StopTimeout: time.Second})
	w.must(err)
	w.service = enrichment.NewService(work, definition, w.engine)
	quiet := intake.Config{Logger: slog.New(slog.DiscardHandler)}
	signUps, err := intake.NewSignUps(w.store.Store, w.service, quiet)
	w.must(err)
	w.uploads, err = intake.NewUploads(w.store.Store, w.service, quiet)
	w.must(err)
	endpoints := sources.New(w.store.Store, signUps, w.service, sources.Config{PublicURL: publicURL, Now: w.clock.now})
	c := Config{Sources: endpoints, Store: w.store.Store, Runner: w.engine, Workflows: []workflow.Definition{definition},
		Enrichment: w.service, SignUps: signUps,
		Uploads: w.uploads, Access: access.New(datastore.Alone{Store: w.store.Store}, apiKey, w.clock.now), PublicURL: publicURL,
		SubscriberSecrets: []fullenrich.Secret{hookSecret}, Now: w.clock.now,
		Log: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for _, f := range change {
		f(&c)
	}
	w.server, err = New(c)
	w.must(err)
	return w
}

// run lets the background work, until the test ends.
func (w *world) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	for _, run := range []func(context.Context) error{w.engine.Run, w.service.Run, w.uploads.Run} {
		ended.Go(func() {
			if err := run(ctx); err != nil && ctx.Err() == nil {
				w.t.Error(err)
			}
		})
	}
	return func() { cancel(); ended.Wait() }
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// request builds one as a well-behaved client sends it: with the key, and JSON
// when there is a body.
func request(method, target, body string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if body == "" {
		r = httptest.NewRequest(method, target, nil)
	}
	r.Host = "localhost:8484"
	r.Header.Set("Authorization", "Bearer "+apiKey)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

func (w *world) do(r *http.Request) *httptest.ResponseRecorder {
	w.t.Helper()
	rec := httptest.NewRecorder()
	w.server.ServeHTTP(rec, r)
	return rec
}

func (w *world) call(method, target, body string) *httptest.ResponseRecorder {
	w.t.Helper()
	return w.do(request(method, target, body))
}

// answer decodes a successful answer.
func answerOf[T any](w *world, rec *httptest.ResponseRecorder, status int) T {
	w.t.Helper()
	var v T
	if rec.Code != status {
		w.t.Fatalf("status %d, want %d: %s", rec.Code, status, rec.Body)
	}
	w.must(json.Unmarshal(rec.Body.Bytes(), &v))
	return v
}

// wantProblem checks that an answer is a problem as promised.
func (w *world) wantProblem(rec *httptest.ResponseRecorder, status int, code string) api.Problem {
	w.t.Helper()
	var p api.Problem
	if got := rec.Header().Get("Content-Type"); got != "application/problem+json" {
		w.t.Errorf("content type %q: %s", got, rec.Body)
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &p); err != nil {
		w.t.Errorf("no problem: %v: %s", err, rec.Body)
	}
	if rec.Code != status || p.Code != code || p.Status != status || p.Type != "about:blank" || p.Title != http.StatusText(status) ||
		p.Detail == "" {
		w.t.Errorf("status %d, want %d %s: %s", rec.Code, status, code, rec.Body)
	}
	return p
}

// rows counts what is stored, so that a test can tell that nothing was added.
func (w *world) rows() string {
	w.t.Helper()
	ctx := context.Background()
	people, err := w.store.rows.Subscribers.Count(ctx)
	w.must(err)
	jobs, err := w.store.Jobs.Count(ctx)
	w.must(err)
	deliveries, _, err := w.store.Deliveries.List(ctx, liwanag.DeliveryFilter{}, liwanag.Page{})
	w.must(err)
	uploads, _, err := w.store.Uploads.List(ctx, liwanag.Page{})
	w.must(err)
	runs, err := w.engine.List(ctx, workflow.Query{})
	w.must(err)
	raw, err := json.Marshal([]any{people, jobs, len(deliveries), len(uploads), len(runs.Runs)})
	w.must(err)
	return string(raw)
}

func readAll(t testing.TB, r io.Reader) string {
	t.Helper()
	raw, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
