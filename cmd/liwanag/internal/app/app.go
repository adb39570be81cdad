package app

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/access"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/config"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake/sources"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/journal"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/live"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/notify"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/telemetry"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/why"
	"github.com/liwanag/liwanag/engine/schedule"
	"github.com/liwanag/liwanag/fullenrich"
	"github.com/liwanag/liwanag/workflow"
)

// Config configures an App.
type Config struct {
	// Settings are validated by New.
	Settings config.Settings
	// Log takes the server's log; default: discards.
	Log *slog.Logger
	// SweepEvery is how often the sweep and the background loops look for what is
	// left; default: enrichment's own.
	SweepEvery time.Duration
	// Memory is what the process may have, in bytes, see LimitMemory; 0: no limit.
	Memory int64
	// Now is the wall clock; default time.Now.
	Now func() time.Time
}

// App is a built server: addresses and database are open, nothing runs yet.
type App struct {
	cfg     Config
	log     *slog.Logger
	metrics *telemetry.Metrics
	traces  *telemetry.Tracing

	storage *storage
	store   *datastore.Store
	journal *journal.Journal // nil: there is none

	public, admin net.Listener // admin is nil when it is off
	publicURL     string
	previousUntil time.Time // when FullEnrich's key before ends; zero: there is none

	partner *fullenrich.Client // nil without a key
	runner  *runner
	service *enrichment.Service

	definition *workflow.Workflow[enrichment.Input]
	messages   *workflow.Workflow[notify.Input]
	voice      *notify.Sender
	signUps    *intake.SignUps
	uploads    *intake.Uploads
	sources    *sources.Service
	access     *access.Keeper
	hints      *live.Hints
	api        *httpapi.Server
	times      *schedule.Loop
	attempts   *why.Attempts
}

// New opens the database and the addresses, and builds everything in the order
// of its parts. On an error nothing stays open. Close gives it all back.
func New(ctx context.Context, c Config) (_ *App, err error) {
	if err := c.Settings.Validate(); err != nil {
		return nil, &UsageError{err}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	a := &App{cfg: c, log: c.Log, metrics: telemetry.NewMetrics(Version()), hints: live.NewHints(), attempts: &why.Attempts{Now: c.Now}}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	for _, phase := range []func(context.Context) error{a.openTraces, a.openAddresses, a.openStorage, a.openJournal,
		a.buildNotify, a.buildEnrichment,
		a.buildIntake, a.buildSources, a.buildAPI, a.buildConsole, a.buildSchedule, a.buildMetrics} {
		if err := phase(ctx); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// Traces, where OpenTelemetry's variables name an endpoint.
func (a *App) openTraces(ctx context.Context) (err error) {
	if a.traces, err = telemetry.NewTracing(ctx, Version()); err != nil {
		return &UsageError{err}
	}
	return nil
}

// Addresses first: whoever starts a second server by mistake hears of it before
// anything is touched, and the public URL may depend on the port.
func (a *App) openAddresses(ctx context.Context) (err error) {
	s := &a.cfg.Settings
	if a.public, err = listen(ctx, "the server", s.Addr, "LIWANAG_ADDR=127.0.0.1:0 takes a free port"); err != nil {
		return err
	}
	if s.AdminAddr != config.AddrOff {
		a.admin, err = listen(ctx, "the admin address", s.AdminAddr, "LIWANAG_ADMIN_ADDR=off, or 127.0.0.1:0 for a free port")
	}
	a.publicURL = s.PublicBase(a.public.Addr().String())
	return err
}

// Storage: one database, for the application's tables and the engine's.
func (a *App) openStorage(ctx context.Context) (err error) {
	if a.storage, err = openStorage(ctx, a.cfg.Settings.Database); err != nil {
		return err
	}
	a.store = a.storage.rows.Announcing(func() { a.voice.Ring() })
	return enrichment.BringUp(ctx, a.storage.rows, a.log)
}

// Enrichment: the partner, the work of the steps, the definition, the engine
// that runs it, and the service around them.
func (a *App) buildEnrichment(ctx context.Context) error {
	cfg, err := a.enrichmentConfig()
	if err != nil {
		return err
	}
	if err := a.retireKey(ctx, &cfg); err != nil {
		return err
	}
	var partner enrichment.Partner // stays nil without a key: a nil *Client is not
	if key := a.cfg.Settings.FullEnrichAPIKey; key.IsSet() {
		header := http.Header{}
		name, value, err := a.cfg.Settings.ExtraHeader()
		if err != nil {
			return &UsageError{err}
		}
		if name != "" {
			header.Set(name, value)
		}
		a.partner, err = fullenrich.New(fullenrich.Config{BaseURL: cfg.BaseURL, Key: fullenrich.Secret(key.Reveal()), Header: header,
			Budget: enrichment.CallBudget(a.store, cfg), Observe: func(ctx context.Context, c fullenrich.Call) {
				a.metrics.Call(c)
				a.traces.Call(ctx, c)
			}})
		if err != nil {
			return &UsageError{err}
		}
		partner = a.partner
	}
	work, err := enrichment.NewEnricher(a.store, partner, cfg)
	if err != nil {
		return &UsageError{err}
	}
	a.definition, a.messages = enrichment.New(work, cfg), notify.New(a.voice)
	if a.runner, err = a.openRunner(ctx, a.definition, a.messages); err != nil {
		return err
	}
	a.service = enrichment.NewService(work, a.definition, a.runner)
	return nil
}

func (a *App) enrichmentConfig() (enrichment.Config, error) {
	s := &a.cfg.Settings
	cfg := enrichment.Config{
		BatchSize: s.BatchSize, BatchWindow: s.BatchWindow, WebhookTimeout: s.WebhookTimeout, FetchSchedule: s.FetchSchedule,
		CallsPerMinute: s.CallsPerMinute, MaxInFlight: s.MaxInFlight, CreditsLow: s.CreditsLow,
		PaidRetry: enrichment.PaidRetry(s.PaidRetry), OnAmbiguous: enrichment.OnAmbiguous(s.OnAmbiguous),
		AmbiguityGrace: s.AmbiguityGrace, ProbeEvery: s.ProbeEvery, ReuseResults: s.ReuseResults,
		ReuseNotFound: s.ReuseNotFound, Retention: s.Retention,
		PublicURL: a.publicURL, BaseURL: s.FullEnrichBaseURL, Clean: intake.CleanFound,
		SweepEvery: a.cfg.SweepEvery, Now: a.cfg.Now, Log: a.log, Meter: a.metrics,
	}
	cfg.CreditBudget, cfg.BudgetByDefault = s.Budget()
	if key := s.FullEnrichAPIKey; key.IsSet() {
		cfg.Keys = append(cfg.Keys, fullenrich.Secret(key.Reveal()))
	}
	return cfg, cfg.Validate()
}

// retireKey lets the key before verify for a while from the first start with it as such.
func (a *App) retireKey(ctx context.Context, cfg *enrichment.Config) error {
	s := &a.cfg.Settings
	key := s.FullEnrichPreviousAPIKey
	if !key.IsSet() {
		return nil
	}
	return a.store.Write(ctx, func(tx *datastore.Tx) error {
		since, err := tx.Ledger.Retired(sha256.Sum256([]byte("liwanag retired key\x00"+key.Reveal())), a.cfg.Now())
		cfg.PreviousKey, cfg.PreviousUntil = fullenrich.Secret(key.Reveal()), since.Add(s.FullEnrichPreviousAPIKeyFor)
		a.previousUntil = cfg.PreviousUntil
		return err
	})
}

// Intake: sign-ups and uploads.
func (a *App) buildIntake(context.Context) (err error) {
	cfg := intake.Config{Enrich: intake.Policy(a.cfg.Settings.Enrich), Now: a.cfg.Now, Logger: a.log, Meter: a.metrics}
	if _, alone := a.cfg.Settings.SQLitePath(); alone {
		cfg.Node = "alone" // whoever opens the file next goes on at once with the imports left in it
	}
	if file := a.cfg.Settings.PersonalDomainsFile; file != "" {
		if cfg.Domains, err = liwanag.LoadDomains(file); err != nil {
			return &UsageError{err}
		}
	}
	if a.signUps, err = intake.NewSignUps(a.store, a.service, cfg); err != nil {
		return err
	}
	a.uploads, err = intake.NewUploads(a.store, a.service, cfg)
	return err
}

// The API: every route of the public address but the console's pages.
func (a *App) buildAPI(ctx context.Context) (err error) {
	s := &a.cfg.Settings
	proxies, err := s.ProxyNetworks()
	if err != nil {
		return &UsageError{err}
	}
	a.access = access.New(datastore.Alone{Store: a.store}, s.APIKey.Reveal(), a.cfg.Now)
	if !s.KeySignIn {
		a.access.RefuseKeys()
	}
	if s.OIDCIssuer != "" {
		roles, err := access.ParseRoles(s.OIDCRoles)
		if err != nil {
			return &UsageError{fmt.Errorf("oidc-roles: %w\n  Try: LIWANAG_OIDC_ROLES='admin=you@example.com;viewer=group:sales'", err)}
		}
		a.access.Trust(access.NewProvider(access.ProviderConfig{Issuer: s.OIDCIssuer, ClientID: s.OIDCClientID,
			Secret: s.OIDCClientSecret.Reveal(), Callback: a.publicURL + door.CallbackPath, Roles: roles}))
	}
	if err := a.access.Forget(ctx); err != nil {
		return err
	}
	cfg := httpapi.Config{
		Store: a.store, Runner: a.runner, Steering: a.runner.Runner,
		Workflows: []workflow.Definition{a.definition, a.messages}, Enrichment: a.service,
		SignUps: a.signUps, Uploads: a.uploads, Sources: a.sources, Sinks: a.voice, Access: a.access,
		CreditsLow: s.CreditsLow, NoKey: !s.FullEnrichAPIKey.IsSet(), Unreachable: s.Unreachable(a.publicURL),
		PublicURL: a.publicURL, TrustedProxies: proxies, Hints: a.hints, Counts: countsOf(a.runner.counter),
		Version: Version(), Log: a.log, Now: a.cfg.Now, DiskFull: a.storage.full, Meter: a.metrics,
		Ready: a.ready, Notices: a.runner.notices, Memory: a.cfg.Memory, Why: a.whyConfig(), Doctor: a.Diagnose, Settings: shownSettings(s),
		BackUp: a.BackUp, Prune: a.prune, Span: a.traces.Request,
	}
	if s.SubscriberWebhookSecret.IsSet() {
		cfg.SubscriberSecrets = []fullenrich.Secret{fullenrich.Secret(s.SubscriberWebhookSecret.Reveal())}
	}
	a.api, err = httpapi.New(cfg)
	return err
}

// ready says why the server cannot serve: its database does not answer or is not where
// it was, or its node may not run workflows.
func (a *App) ready(ctx context.Context) error {
	if _, err := a.store.Batches.Unstarted(ctx, 1); err != nil {
		return err
	}
	if a.storage.check != nil {
		if err := a.storage.check(); err != nil {
			return err
		}
	}
	return a.runner.ready(ctx)
}

// URL is where the server is reached from this machine.
func (a *App) URL() string { return localURL(a.public) }

// Addr is the address that the server listens on.
func (a *App) Addr() string { return a.public.Addr().String() }

// Store is where the rows are, for whoever shows what the server came to.
func (a *App) Store() *datastore.Store { return a.store }

// AdminURL is where metrics and profiles are, empty when they are off.
func (a *App) AdminURL() string {
	if a.admin == nil {
		return ""
	}
	return localURL(a.admin)
}

// Database is where the rows are: a file, or a server and a name.
func (a *App) Database() string { return a.storage.where }

// Engine is what runs the workflows.
func (a *App) Engine() string { return a.runner.where }

// Warnings are settings that work, but hardly as meant, each with a way out.
func (a *App) Warnings() []string {
	s := a.cfg.Settings
	s.PublicURL = a.publicURL
	warnings := append(s.Warnings(), a.storage.warnings...)
	if until := a.previousUntil; !until.IsZero() && !a.cfg.Now().Before(until) {
		warnings = append(warnings, "FULLENRICH_PREVIOUS_API_KEY verifies nothing since "+until.UTC().Format(time.RFC3339)+
			". Try: unset it, or FULLENRICH_PREVIOUS_API_KEY_FOR with a longer time")
	}
	return warnings
}

// NewLog is the log that settings ask for.
func NewLog(s config.Settings, out io.Writer, terminal bool) (*slog.Logger, error) {
	return telemetry.NewLogger(telemetry.LogConfig{Out: out, Level: s.LogLevel, Format: s.LogFormat, Terminal: terminal})
}

// PublicURL is where FullEnrich reaches the server.
func (a *App) PublicURL() string { return a.publicURL }

func localURL(l net.Listener) string {
	var all config.Settings
	return all.PublicBase(l.Addr().String())
}

// Close gives the addresses and the database back, what Run did not. It comes
// after Run has returned.
func (a *App) Close() error {
	var faults []error
	for _, l := range []net.Listener{a.public, a.admin} {
		if l == nil {
			continue
		}
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			faults = append(faults, err)
		}
	}
	a.metrics.Close()
	if a.partner != nil {
		a.partner.CloseIdleConnections()
	}
	if a.runner != nil {
		faults = append(faults, a.runner.close())
	}
	if a.storage != nil {
		faults = append(faults, a.storage.close())
	}
	if a.journal != nil {
		faults = append(faults, a.journal.Close())
	}
	if a.traces != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := a.traces.Close(ctx); err != nil {
			a.log.Warn("the last traces could not be exported", "error", err)
		}
	}
	return errors.Join(faults...)
}
