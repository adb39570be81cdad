package notify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
)

// Views show rows as the API does, so that a webhook and the API tell the same.
type Views struct {
	Subscriber func(liwanag.Subscriber) any
	Upload     func(ctx context.Context, id liwanag.ID) (any, error)
	Submission func(ctx context.Context, id liwanag.ID) (any, error)
}

// Meter counts messages; telemetry implements it.
type Meter interface {
	// Message counts attempts by topic and outcome: delivered, retried, failed or
	// dropped.
	Message(topic liwanag.Topic, outcome string, took time.Duration)
}

type noMeter struct{}

func (noMeter) Message(liwanag.Topic, string, time.Duration) {}

// Config is what notifying stands on. Store and Views are needed.
type Config struct {
	Store *datastore.Store
	Views Views
	// Allow are networks of our own that sinks may be in; none by default: a sink
	// is then a public address on one of the ports 80, 443, 8080 and 8443.
	Allow []netip.Prefix
	// Version of the program, for the User-Agent; default "dev".
	Version    string
	SweepEvery time.Duration    // how often what was left is looked for; default 1 min
	Now        func() time.Time // wall clock; default time.Now
	Log        *slog.Logger     // default: discards
	Meter      Meter            // default: discards
}

// Validate returns all faults, joined.
func (c Config) Validate() error {
	var faults []error
	if c.Store == nil {
		faults = append(faults, errors.New("the Store is missing"))
	}
	if c.Views.Subscriber == nil || c.Views.Upload == nil || c.Views.Submission == nil {
		faults = append(faults, errors.New("one of the Views is missing"))
	}
	if c.SweepEvery < 0 {
		faults = append(faults, fmt.Errorf("sweep every %s: not negative", c.SweepEvery))
	}
	return errors.Join(faults...)
}

func (c Config) withDefaults() Config {
	c.Version = cmp.Or(c.Version, "dev")
	c.SweepEvery = cmp.Or(c.SweepEvery, time.Minute)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Meter == nil {
		c.Meter = noMeter{}
	}
	return c
}
