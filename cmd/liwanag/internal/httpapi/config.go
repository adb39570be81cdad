// Package httpapi is the HTTP interface: the JSON API under /api/v1, the
// webhooks' receivers, and health. One file a resource: routes, handlers, views.
// What every request passes is package door's.
package httpapi

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/access"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/api"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/enrichment"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake/sources"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/live"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/why"
	"github.com/liwanag/liwanag/fullenrich"
	"github.com/liwanag/liwanag/workflow"
	"github.com/liwanag/liwanag/workflow/runapi"
)

// Enrichment is what the API asks of enrichment; *enrichment.Service is the
// real one.
type Enrichment interface {
	Knows(ctx context.Context, token string) (bool, error)
	Receive(ctx context.Context, token string, contact bool, signature string, raw []byte) error
	RunScheduledBatch(ctx context.Context, always bool) ([]liwanag.ID, error)
	Enrich(ctx context.Context, subscriberIDs []liwanag.ID, again bool) ([]enrichment.EnrichOutcome, error)
	WouldEnrich(ctx context.Context, subscriberIDs []liwanag.ID, again bool) ([]enrichment.EnrichOutcome, error)
	CancelRun(ctx context.Context, runID, reason string) error
	RetryRun(ctx context.Context, runID, from string) error
	RetryRunBy(ctx context.Context, runID, from string, reopen func(ctx context.Context, runID, from string) error) error
	WouldOrder(ctx context.Context, runID string) (lookups int64, err error)
	Emit(ctx context.Context, runID liwanag.ID, eventID string, results json.RawMessage) (workflow.Receipt, error)
	Tracker(ctx context.Context, enrichmentID string) (enrichment.Tracked, error)
	Adopt(ctx context.Context, id liwanag.ID, enrichmentID string) error
	Resubmit(ctx context.Context, id liwanag.ID, reason string) error
	Fail(ctx context.Context, id liwanag.ID, reason string) error
	Pause(ctx context.Context, note string) error
	Resume(ctx context.Context) error
	Release(ctx context.Context, reason string) error
	Budget(ctx context.Context) (int64, error)
	SetBudget(ctx context.Context, credits *int64) error
	ResumeSource(ctx context.Context, source string) error
	DropSource(ctx context.Context, source string) (dropped int64, err error)
	Erase(ctx context.Context, id liwanag.ID) (rows int, err error)
	EraseAndSuppress(ctx context.Context, id liwanag.ID, reason string) (rows int, err error)
	EraseAll(ctx context.Context, ids []liwanag.ID, suppress *liwanag.Suppression) (rows int, err error)
	Scrub(ctx context.Context) error
	SuppressAll(ctx context.Context, ids []liwanag.ID, reason string) (rows int, err error)
	UnsubscribeAll(ctx context.Context, ids []liwanag.ID) (rows int, err error)
	AddSuppression(ctx context.Context, email *liwanag.Email, domain, reason string) (one liwanag.Suppression, rows int, err error)
	ResubscribeUpload(ctx context.Context, id liwanag.ID) (int, error)
	RemoveSuppression(ctx context.Context, id liwanag.ID) error
	Unsubscribe(ctx context.Context, id liwanag.ID) (rows int, err error)
	Resubscribe(ctx context.Context, id liwanag.ID) (rows int, err error)
	// Received finds what is kept of what others sent about a person.
	Received(ctx context.Context, p liwanag.Subscriber) ([]enrichment.ReceivedBody, error)
	Silence(ctx context.Context) (fetched int, err error)
	Redeliver(ctx context.Context, digest liwanag.Digest) error
}

// SignUps takes sign-ups in; *intake.SignUps is the real one.
type SignUps interface {
	Add(ctx context.Context, items []intake.Item) ([]intake.Result, error)
	Receive(ctx context.Context, endpoint string, proof intake.Proof, items []intake.Item) ([]intake.Result, error)
}

// Config is what a Server stands on. Store, Runner, Workflows, Enrichment,
// Access, SignUps, Uploads and Sources are needed; the rest may be zero.
type Config struct {
	Store      *datastore.Store
	Runner     workflow.Runner
	Steering   workflow.Runner // the same, as itself: it may resolve and pause; default: Runner
	Workflows  []workflow.Definition
	Enrichment Enrichment
	SignUps    SignUps
	Uploads    *intake.Uploads
	Sources    *sources.Service
	Sinks      Sinks

	// Access keeps the door of everything under /api and of the console. Where it
	// needs no key only requests whose Host is a loopback name are served: bind to
	// loopback only.
	Access *access.Keeper
	// PublicURL is where others reach the server; with https the console's cookies
	// are sent over TLS alone.
	PublicURL string
	// TrustedProxies are proxies besides those on this machine: of their requests the
	// client is whom X-Forwarded-For names.
	TrustedProxies []netip.Prefix
	// Hints are what GET /api/v1/events tells; default: nothing ever happens.
	Hints *live.Hints
	// Counts counts all runs; default: nobody can say.
	Counts func(ctx context.Context) ([]runapi.RunCount, error)
	// SubscriberSecrets verify POST /webhooks/subscribers, in the form
	// whsec_<base64>; several while they are rotated. None: 503 secret_missing.
	SubscriberSecrets []fullenrich.Secret

	CreditsLow int64 // a balance below it needs a person; 0: none does
	// NoKey says that there is no FullEnrich key: nothing can be looked up.
	NoKey bool
	// Unreachable is the public URL if FullEnrich cannot reach it.
	Unreachable string
	// BackUp copies the database into the folder for backups; the name may be empty.
	// Default: 409 backup_dir.
	BackUp func(ctx context.Context, name string) (liwanag.Backup, error)
	// Prune deletes what is older than it is kept, and says from when on that is; default:
	// nothing is.
	Prune func(ctx context.Context) (before time.Time, err error)
	// Span begins a span of a request, which end ends; stranger: it brings a proof of its
	// own, or none. Optional.
	Span func(r *http.Request, stranger bool) (ctx context.Context, end func(method, route string, status int))
	// Ready says whether the process can serve. Default: the store answers.
	Ready func(ctx context.Context) error
	// Notices are what a person should know of a process that can serve; anybody may
	// read them. Default: nothing.
	Notices func() []string
	// DiskFull finds a full disk in errors of the runner's store, which have no
	// class of their own. Default: none is found.
	DiskFull func(error) bool
	Version  string // of the program, shown in the API's description; default "dev"

	// Why is what GET …/why reads besides what is said here.
	Why why.Config

	// Settings are what the server runs with, for people.
	Settings []api.Setting
	// Doctor examines the server and what is around it.
	Doctor func(context.Context, api.DoctorRequest) api.Diagnosis

	Meter Meter // default: discards

	MaxConnections int // open at once; default 8,192, and fewer where Memory is little
	// Memory is what the process may have, in bytes; bodies and connections take a part
	// of it. 0: no limit.
	Memory      int64
	MaxRequests int // of the API served at once, and as many of webhooks apart from them; default 256

	Now func() time.Time // wall clock; default time.Now
	Log *slog.Logger     // default: discards
}

// Meter counts what the server answers; telemetry implements it. Labels are
// patterns of routes, statuses and codes.
type Meter interface {
	// Request counts a request by its route's pattern; took is 0 of listeners.
	Request(method, route string, status int, took time.Duration)
	// WebhookAccepted and WebhookRefused count webhooks of sign-ups.
	WebhookAccepted(kind string)
	WebhookRefused(kind, code string)
}

type noMeter struct{}

func (noMeter) Request(string, string, int, time.Duration) {}
func (noMeter) WebhookAccepted(string)                     {}
func (noMeter) WebhookRefused(string, string)              {}

// Validate returns all faults, joined.
func (c Config) Validate() error {
	var faults []error
	for _, part := range []struct {
		name    string
		missing bool
	}{{"Store", c.Store == nil}, {"Runner", c.Runner == nil}, {"Workflows", len(c.Workflows) == 0},
		{"Enrichment", c.Enrichment == nil}, {"Access", c.Access == nil}, {"SignUps", c.SignUps == nil}, {"Uploads", c.Uploads == nil},
		{"Sources", c.Sources == nil}} {
		if part.missing {
			faults = append(faults, errors.New(part.name+" is missing"))
		}
	}
	if c.MaxConnections < 0 || c.MaxRequests < 0 {
		faults = append(faults, fmt.Errorf("MaxConnections %d and MaxRequests %d must not be negative", c.MaxConnections, c.MaxRequests))
	}
	return errors.Join(faults...)
}

const (
	maxConnections = 8192
	// connectionTakes is a third of what each connection may cost: one that waits takes
	// about 20 KiB.
	connectionTakes = 64 << 10
)

func (c Config) withDefaults() Config {
	c.Version = cmp.Or(c.Version, "dev")
	if c.MaxConnections == 0 {
		c.MaxConnections = maxConnections
		if c.Memory > 0 {
			c.MaxConnections = int(min(maxConnections, max(c.Memory/connectionTakes, 64)))
		}
	}
	c.MaxRequests = cmp.Or(c.MaxRequests, 256)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Meter == nil {
		c.Meter = noMeter{}
	}
	if c.Hints == nil {
		c.Hints = live.NewHints()
	}
	if c.Counts == nil {
		c.Counts = func(context.Context) ([]runapi.RunCount, error) { return nil, nil }
	}
	if c.Notices == nil {
		c.Notices = func() []string { return nil }
	}
	if c.Doctor == nil {
		version := c.Version
		c.Doctor = func(context.Context, api.DoctorRequest) api.Diagnosis {
			return api.Diagnosis{OK: true, Version: version, Findings: []api.Finding{}}
		}
	}
	if c.BackUp == nil {
		c.BackUp = func(context.Context, string) (liwanag.Backup, error) {
			return liwanag.Backup{}, liwanag.NewError(liwanag.Conflict, "backup_dir", "the server has no folder for backups")
		}
	}
	if c.Prune == nil {
		c.Prune = func(context.Context) (time.Time, error) { return time.Time{}, nil }
	}
	if c.Ready == nil {
		store := c.Store
		c.Ready = func(ctx context.Context) error {
			_, err := store.Batches.Unstarted(ctx, 1)
			return err
		}
	}
	return c
}
