// Package door is what every request passes, whatever it asks for: who may come in,
// how much at once, how a request is read and a problem answered, the audit trail,
// and the description of the API. It knows routes, and no resource.
//
// Authentication comes before routing, every error of every route is
// application/problem+json with a stable code, and what is sent is never
// repeated in an answer or a log.
package door

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/access"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/graceful"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/throttle"
)

// Config is what a Door stands on. All of it is needed but DiskFull, Acted,
// PublicURL, TrustedProxies and Memory.
type Config struct {
	Access         *access.Keeper
	PublicURL      string         // with https the console's cookies are sent over TLS alone
	TrustedProxies []netip.Prefix // besides those on this machine

	MaxConnections int   // open at once
	Memory         int64 // that the process may have, bytes, of which bodies take a part; 0: no limit
	MaxRequests    int   // of the API served at once, and as many of webhooks apart from them

	// Note writes a row of the audit trail. An act whose row cannot be written does not
	// happen. Acted is told after it.
	Note  func(context.Context, liwanag.Act) error
	Acted func()
	// Tally adds Times to the row that an act's Seq names, or else writes a row and gives
	// the act its Seq.
	Tally func(context.Context, []*liwanag.Act) error

	DiskFull func(error) bool // finds a full disk in errors that have no class
	Version  string           // of the program, for the description
	// Span begins a span of a request, which end ends; stranger: it brings a proof of its
	// own, or none. Optional.
	Span func(r *http.Request, stranger bool) (ctx context.Context, end func(method, route string, status int))
	// Count counts a request by its route's pattern; took is 0 of listeners.
	Count func(method, route string, status int, took time.Duration)
	Now   func() time.Time
	Log   *slog.Logger
}

// Door serves routes. It is safe for concurrent use once they are all there.
type Door struct {
	Bodies    Bodies
	Strangers Strangers

	cfg      Config
	mux      *http.ServeMux
	spec     *huma.OpenAPI
	routes   []string                 // all patterns
	open     map[string]bool          // patterns that need no key
	scopes   map[string]liwanag.Scope // what the others need, by pattern
	pages    map[string]bool          // patterns of the console
	missing  http.Handler             // answers a browser that asks for no page; nil: a problem does
	stopping chan struct{}            // closed when Serve ends
	document []byte                   // openapi.json
	docs     []byte                   // the page made of it
	failures *throttle.Failures
	starts   *throttle.Failures                       // sign-ins at a provider that began
	noRole   func(subject, email string) http.Handler // answers whom a provider knows and who may do nothing
	guesses  *throttle.Guesses
	tally    *tally
	csrf     *http.CrossOriginProtection
	apiPool  pool
	hookPool pool
}

// New returns a door without any route but those of signing in and of the description.
func New(cfg Config) *Door {
	d := &Door{cfg: cfg, mux: http.NewServeMux(), spec: openAPI(cfg.Version), open: map[string]bool{},
		scopes: map[string]liwanag.Scope{}, pages: map[string]bool{},
		stopping: make(chan struct{}), failures: throttle.NewFailures(cfg.Now),
		starts: throttle.NewFailures(cfg.Now), guesses: throttle.NewGuesses(),
		csrf: http.NewCrossOriginProtection(), apiPool: newPool(cfg.MaxRequests), hookPool: newPool(cfg.MaxRequests),
		Bodies:    newBodies(cfg.Memory),
		Strangers: Strangers{Share: newShare(maxStrangers, 0), from: map[netip.Addr]bool{}}}
	d.tally = &tally{now: cfg.Now, log: cfg.Log, write: cfg.Tally, rows: map[talliedBy]*tallied{}}
	d.registerSignIn()
	d.registerDocs()
	return d
}

// Describe makes the description of the API, when all routes are there; notes say
// what fields of the library mean here.
func (d *Door) Describe(notes map[string]string) (err error) {
	if err := annotate(d.spec, notes); err != nil {
		return fmt.Errorf("description of the API: %w", err)
	}
	if d.document, err = json.MarshalIndent(d.spec, "", "  "); err != nil {
		return fmt.Errorf("description of the API: %w", err)
	}
	d.docs, err = renderDocs(d.spec)
	return err
}

// OpenAPI is the description of the API, as GET /openapi.json answers it.
func (d *Door) OpenAPI() []byte { return d.document }

// Schemas are those that the description has so far.
func (d *Door) Schemas() huma.Registry { return d.spec.Components.Schemas }

// Routes are the patterns of all routes.
func (d *Door) Routes() []string { return slices.Clone(d.routes) }

// Open are the patterns that need no key.
func (d *Door) Open() map[string]bool { return maps.Clone(d.open) }

// Scopes are what patterns need that are neither open nor pages. One that is not there
// needs liwanag.Admin.
func (d *Door) Scopes() map[string]liwanag.Scope { return maps.Clone(d.scopes) }

// Pages are the patterns that answer browsers.
func (d *Door) Pages() map[string]bool { return maps.Clone(d.pages) }

// Limits of connections: a client that is slower than these is cut off. Uploads
// and exports set their own, see Streamer.
const (
	ReadHeaderTimeout = 5 * time.Second
	ReadTimeout       = 30 * time.Second
	WriteTimeout      = 60 * time.Second
	IdleTimeout       = 60 * time.Second
	MaxHeaderBytes    = 32 << 10
)

// Serve serves ln until ctx ends. Then no connection is taken any more; requests
// that are being served may end within grace, and are cut off after it.
func (d *Door) Serve(ctx context.Context, ln net.Listener, grace time.Duration) error {
	hs := &http.Server{
		Handler: d, ReadHeaderTimeout: ReadHeaderTimeout, ReadTimeout: ReadTimeout, WriteTimeout: WriteTimeout,
		IdleTimeout: IdleTimeout, MaxHeaderBytes: MaxHeaderBytes, DisableGeneralOptionsHandler: true,
		ConnState: follow, ConnContext: remember,
		// Faults of connections name addresses of clients, and are theirs.
		ErrorLog: slog.NewLogLogger(d.cfg.Log.Handler(), slog.LevelDebug),
	}
	hs.RegisterOnShutdown(func() { close(d.stopping) })
	counting, stop := context.WithCancel(context.WithoutCancel(ctx))
	var counted sync.WaitGroup
	counted.Go(func() { d.tally.run(counting) })
	defer counted.Wait()
	defer stop()
	err := graceful.Serve(ctx, hs, newConnections(ln, d.cfg.MaxConnections, d.proxy), grace)
	if errors.Is(err, graceful.ErrCutOff) {
		d.cfg.Log.WarnContext(ctx, graceful.ErrCutOff.Error(), "grace", grace)
		return nil
	}
	if err != nil {
		return fmt.Errorf("httpapi: %w", err)
	}
	return nil
}

// Stopping is closed when Serve ends: whoever answers for long should end then.
func (d *Door) Stopping() <-chan struct{} { return d.stopping }
