// Package sources takes other people's webhooks in: Ghost's, Kit's, Mailchimp's,
// and any JSON by a field mapping. A source is one endpoint with a URL that cannot
// be guessed, a proof, and settings; what it receives is kept as receipts, which
// can be taken in once more.
//
// One file a sender says how its webhooks are read. Everything else is the same
// for all: kinds.go is the table, receive.go the way of a webhook, write.go what
// it does to people.
package sources

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/intake"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// SignUps stores people and asks for their lookups; *intake.SignUps is the real
// one.
type SignUps interface {
	Check(signUp intake.SignUp) (liwanag.SignUp, error)
	Arrive(tx *datastore.Tx, people []intake.Arrival, upTo time.Time) ([]intake.Result, error)
	Start(ctx context.Context, results []intake.Result)
}

// Suppressor ends the lookups of people who left; *enrichment.Service is the real
// one.
type Suppressor interface {
	// Suppress notes in the caller's transaction that people unsubscribed, and takes
	// their jobs out of what is not sent yet.
	Suppress(tx *datastore.Tx, d liwanag.Departure) error
}

// Meter counts webhooks; telemetry implements it. Labels are kinds and codes,
// never ids.
type Meter interface {
	WebhookAccepted(kind string)
	WebhookRefused(kind, code string)
}

type noMeter struct{}

func (noMeter) WebhookAccepted(string)        {}
func (noMeter) WebhookRefused(string, string) {}

// Config is what the service can be told. The zero value works, save that URLs
// have no host without a PublicURL.
type Config struct {
	PublicURL string // where senders reach us
	// Retention is how long receipts are kept, 30 days at most; default 720 h.
	Retention time.Duration
	Now       func() time.Time // wall clock; default time.Now
	Meter     Meter            // default: discards
}

// Service looks after sources and takes their webhooks in. It is safe for
// concurrent use.
type Service struct {
	store    *datastore.Store
	people   SignUps
	suppress Suppressor
	cfg      Config
	refusals refusals
	tidied   atomic.Int64 // when old rows were last dropped, Unix seconds
}

// New returns the service.
func New(store *datastore.Store, people SignUps, suppress Suppressor, cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Meter == nil {
		cfg.Meter = noMeter{}
	}
	cfg.Retention = min(cmp.Or(cfg.Retention, keepReceipts), keepReceipts)
	return &Service{store: store, people: people, suppress: suppress, cfg: cfg, refusals: refusals{last: map[liwanag.ID]time.Time{}}}
}

// now is the wall clock in the resolution of the database.
func (s *Service) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }

// tokenBytes are 256 bit: the last part of a URL is a credential by itself.
const tokenBytes = 32

func newToken() string {
	raw := make([]byte, tokenBytes)
	_, _ = rand.Read(raw) // never fails
	return base64.RawURLEncoding.EncodeToString(raw)
}

func hashOf(token string) liwanag.Digest { return sha256.Sum256([]byte(token)) }

// newSecret makes one in the form that the proof wants.
func newSecret(scheme intake.Scheme) string {
	raw := make([]byte, tokenBytes)
	_, _ = rand.Read(raw) // never fails
	if scheme.Name == intake.StandardWebhooks().Name {
		return "whsec_" + base64.StdEncoding.EncodeToString(raw)
	}
	return hex.EncodeToString(raw)
}

// url is where the sender of a source sends to.
func (s *Service) url(kind liwanag.SourceKind, token string) string {
	return strings.TrimRight(s.cfg.PublicURL, "/") + "/webhooks/" + string(kind) + "/" + token
}

// setUp is a source, ready to read with.
type setUp struct {
	liwanag.Source
	kind     *kind
	settings Settings
	scheme   intake.Scheme
}

// setUp reads what a stored source says. It was checked when it was stored, so an
// error is a fault of ours.
func (s *Service) setUp(source liwanag.Source) (setUp, error) {
	k, known := kindOf(source.Kind)
	if !known {
		return setUp{}, fmt.Errorf("sources: %s has the unknown kind %q", source.ID, source.Kind)
	}
	settings, err := readSettings(k, source.Settings)
	if err != nil {
		return setUp{}, fmt.Errorf("sources: stored settings of %s: %s", source.ID, err)
	}
	scheme, err := k.scheme(settings)
	if err != nil {
		return setUp{}, fmt.Errorf("sources: stored settings of %s: %w", source.ID, err)
	}
	return setUp{source, k, settings, scheme}, nil
}
