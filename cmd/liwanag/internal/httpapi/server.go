package httpapi

import (
	"context"
	"fmt"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/httpapi/door"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/why"
)

// Server serves the HTTP interface: resources behind a door. It is safe for
// concurrent use.
type Server struct {
	*door.Door
	cfg       Config
	verifier  *intake.Verifier
	overviews overviews
	why       *why.Reader
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
	s := &Server{cfg: cfg, verifier: verifier, overviews: newOverviews(), why: newWhy(cfg)}
	s.Door = door.New(door.Config{Access: cfg.Access, PublicURL: cfg.PublicURL, TrustedProxies: cfg.TrustedProxies,
		MaxConnections: cfg.MaxConnections, MaxRequests: cfg.MaxRequests, Memory: cfg.Memory, Note: s.note,
		Tally: s.tally, Acted: s.overviews.forget,
		DiskFull: cfg.DiskFull, Version: cfg.Version, Count: cfg.Meter.Request, Span: cfg.Span, Now: cfg.Now, Log: cfg.Log})
	s.register()
	nameSourceKind(s.Schemas())
	if err := s.Describe(api.Notes); err != nil {
		return nil, fmt.Errorf("httpapi: %w", err)
	}
	return s, nil
}

// note writes a row of the audit trail.
func (s *Server) note(ctx context.Context, act liwanag.Act) error {
	return s.cfg.Store.Write(ctx, func(tx *datastore.Tx) error { return tx.Acts.Insert(act) })
}

// tally writes what the door counted.
func (s *Server) tally(ctx context.Context, acts []*liwanag.Act) error {
	seqs := make([]int64, len(acts))
	err := s.cfg.Store.Write(ctx, func(tx *datastore.Tx) (err error) {
		for i, act := range acts {
			if seqs[i], err = tx.Acts.Count(*act); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i, act := range acts {
		act.Seq = seqs[i]
	}
	return nil
}

// register registers the routes of all resources.
func (s *Server) register() {
	s.registerSubscribers()
	s.registerSuppressions()
	s.registerViews()
	s.registerUploads()
	s.registerUploadMapping()
	s.registerRuns()
	s.registerBulk()
	s.registerWorkflows()
	s.registerEnrichments()
	s.registerSubmissions()
	s.registerCredits()
	s.registerBackups()
	s.registerSubscriberWebhook()
	s.registerFullEnrichWebhook()
	s.registerSources()
	s.registerSourceWebhook()
	s.registerDeliveries()
	s.registerSinks()
	s.registerOverview()
	s.registerAttention()
	s.registerEvents()
	s.registerAudit()
	s.registerKeys()
	s.registerHealth()
	s.registerWhy()
}
