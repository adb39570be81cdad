package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/net/netutil"

	"github.com/liwanag/liwanag/internal/api"
	"github.com/liwanag/liwanag/internal/graceful"
	"github.com/liwanag/liwanag/internal/intake"
	"github.com/liwanag/liwanag/internal/throttle"
)

// Server serves the HTTP interface. It is safe for concurrent use.
type Server struct {
	cfg       Config
	verifier  *intake.Verifier
	mux       *http.ServeMux
	spec      *huma.OpenAPI
	open      map[string]bool // patterns that need no key
	pages     map[string]bool // patterns of the console
	missing   http.Handler    // answers a browser that asks for no page; nil: a problem does
	stopping  chan struct{}   // closed when Serve ends
	routes    []string        // all patterns
	document  []byte          // openapi.json
	docs      []byte          // the page made of it
	failures  *throttle.Failures
	guesses   *throttle.Guesses
	csrf      *http.CrossOriginProtection
	apiPool   pool
	overviews overviews
	hookPool  pool

	apiBodies, knownBodies, unproven *share
	strangers                        strangers
}

// New returns a server, or all faults of cfg.
func New(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("httpapi: %w", err)
	}
	cfg = cfg.withDefaults()
	var secrets []string
	for _, s := range cfg.SubscriberSecrets {
		if s != "" {
			secrets = append(secrets, s.Reveal())
		}
	}
	verifier, err := intake.NewVerifier(intake.StandardWebhooks(), secrets, cfg.Now)
	if err != nil {
		return nil, fmt.Errorf("httpapi: %w\n  Try: SUBSCRIBER_WEBHOOK_SECRET=whsec_$(openssl rand -base64 32)", err)
	}
	s := &Server{
		cfg: cfg, stopping: make(chan struct{}), pages: map[string]bool{}, overviews: newOverviews(), verifier: verifier, mux: http.NewServeMux(),
		open: map[string]bool{}, failures: throttle.NewFailures(cfg.Now), csrf: http.NewCrossOriginProtection(),
		apiPool: newPool(cfg.MaxRequests), hookPool: newPool(cfg.MaxRequests),
		apiBodies: newShare(maxBodies, 0), knownBodies: newShare(maxBodies, 0), unproven: newShare(maxUnproven, maxUnproven/4),
		strangers: strangers{share: newShare(maxStrangers, 0), from: map[netip.Addr]bool{}}, guesses: throttle.NewGuesses(),
	}
	s.register()
	if err := annotate(s.spec, api.Notes); err != nil {
		return nil, fmt.Errorf("httpapi: description of the API: %w", err)
	}
	nameSourceKind(s.spec.Components.Schemas)
	if s.document, err = json.MarshalIndent(s.spec, "", "  "); err != nil {
		return nil, fmt.Errorf("httpapi: description of the API: %w", err)
	}
	s.docs, err = renderDocs(s.spec)
	return s, err
}

// OpenAPI is the description of the API, as GET /openapi.json answers it.
func (s *Server) OpenAPI() []byte { return s.document }

// Limits of connections: a client that is slower than these is cut off. Uploads
// and exports set their own, see extend.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 60 * time.Second
	idleTimeout       = 60 * time.Second
	maxHeaderBytes    = 32 << 10
)

// Serve serves ln until ctx ends. Then no connection is taken any more; requests
// that are being served may end within grace, and are cut off after it.
func (s *Server) Serve(ctx context.Context, ln net.Listener, grace time.Duration) error {
	hs := &http.Server{
		Handler: s, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes, DisableGeneralOptionsHandler: true,
		// Faults of connections name addresses of clients, and are theirs.
		ErrorLog: slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelDebug),
	}
	hs.RegisterOnShutdown(func() { close(s.stopping) })
	err := graceful.Serve(ctx, hs, netutil.LimitListener(ln, s.cfg.MaxConnections), grace)
	if errors.Is(err, graceful.ErrCutOff) {
		s.cfg.Log.WarnContext(ctx, graceful.ErrCutOff.Error(), "grace", grace)
		return nil
	}
	if err != nil {
		return fmt.Errorf("httpapi: %w", err)
	}
	return nil
}

// stopped says whether Serve is ending.
func (s *Server) stopped() bool {
	select {
	case <-s.stopping:
		return true
	default:
		return false
	}
}

// register registers all routes.
func (s *Server) register() {
	s.spec = openAPI(s.cfg.Version)
	s.registerSubscribers()
	s.registerUploads()
	s.registerUploadMapping()
	s.registerRuns()
	s.registerBulk()
	s.registerWorkflows()
	s.registerEnrichments()
	s.registerSubmissions()
	s.registerCredits()
	s.registerSubscriberWebhook()
	s.registerFullEnrichWebhook()
	s.registerSources()
	s.registerSourceWebhook()
	s.registerDeliveries()
	s.registerSinks()
	s.registerOverview()
	s.registerEvents()
	s.registerAudit()
	s.registerSignIn()
	s.registerHealth()
	s.registerDocs()
}
