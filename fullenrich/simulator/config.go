package simulator

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// DefaultKey is the API key of a simulator that was given none.
const DefaultKey = "fe_sim_key"

// How a GET is answered while the enrichment runs. The provider's pages
// contradict each other, so both are offered.
const (
	RunningAs400 = "400" // the envelope error.enrichment.in_progress
	RunningAs200 = "200" // the result object without data
)

// What stands in profile when nobody was found. The provider does not say.
const (
	NotFoundMixed  = "mixed" // one of the other three, by address
	NotFoundAbsent = "absent"
	NotFoundNull   = "null"
	NotFoundEmpty  = "empty"
)

// Whether looking up the same input again within the retention is free.
const (
	DedupNone       = "none"
	DedupDocumented = "documented" // free once the first lookup has completed; never within a request or at the same time
)

// Config sets a simulator up. The zero value is a faithful provider in memory.
type Config struct {
	// Keys are the API keys of the workspace; default DefaultKey alone. They
	// share one balance, queue and call window.
	Keys []string
	// PreviousKey signs the webhooks of ActionSignaturePreviousKey until a
	// rotation replaces it. It opens no door: calls with it are answered 401.
	PreviousKey string
	// Balance is the credits of the workspace; 0 means 100,000, a negative
	// value an empty account.
	Balance float64
	// Seed decides outcomes, people, durations and fault probabilities.
	Seed int64
	// Speed divides every simulated duration; default 1, the provider's own
	// pace. At 20 a contact takes 1.5 to 4.5 s and the call window 3 s.
	Speed float64
	// Now is the wall clock; default time.Now. Waiting is done with the time
	// package, so testing/synctest makes both virtual.
	Now func() time.Time
	// Dir keeps the state, so that a killed simulator goes on where it was;
	// empty keeps it in memory. One process at a time.
	Dir string
	// HTTPClient sends webhooks; default: 10 s timeout, redirects not followed.
	HTTPClient *http.Client
	// Queue is how many contacts are looked up in parallel; default 100.
	Queue int
	// CallsPerMinute is the quota of a calendar minute; default 60.
	CallsPerMinute int
	// MaxRows is the largest request; default 100.
	MaxRows int
	// Retries is how often a webhook that was not answered 2xx is repeated,
	// a minute apart; default 5 (six attempts in all), negative for none.
	Retries int
	// Senders is how many webhooks are sent at once; default 32.
	Senders int
	// FoundShare is the part of unmarked addresses that belong to a known
	// person; default 0.6.
	FoundShare float64
	// RunningStyle, NotFoundShape and Dedup choose between documented
	// contradictions; defaults RunningAs400, NotFoundMixed, DedupNone.
	RunningStyle, NotFoundShape, Dedup string
}

// Validate returns every fault of the configuration, joined.
func (c Config) Validate() error {
	var faults []error
	need := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf("simulator: "+format, args...))
		}
	}
	for i, key := range c.Keys {
		need(key != "", "Keys[%d] is empty", i)
	}
	need(c.Speed >= 0, "Speed must not be negative, is %v", c.Speed)
	need(c.Queue >= 0, "Queue must not be negative, is %d", c.Queue)
	need(c.CallsPerMinute >= 0, "CallsPerMinute must not be negative, is %d", c.CallsPerMinute)
	need(c.MaxRows >= 0, "MaxRows must not be negative, is %d", c.MaxRows)
	need(c.Senders >= 0, "Senders must not be negative, is %d", c.Senders)
	need(c.FoundShare >= 0 && c.FoundShare <= 1, "FoundShare must be from 0 to 1, is %v", c.FoundShare)
	need(oneOf(c.RunningStyle, "", RunningAs400, RunningAs200), "RunningStyle %q is unknown", c.RunningStyle)
	need(oneOf(c.NotFoundShape, "", NotFoundMixed, NotFoundAbsent, NotFoundNull, NotFoundEmpty),
		"NotFoundShape %q is unknown", c.NotFoundShape)
	need(oneOf(c.Dedup, "", DedupNone, DedupDocumented), "Dedup %q is unknown", c.Dedup)
	return errors.Join(faults...)
}

func oneOf(s string, allowed ...string) bool {
	for _, a := range allowed {
		if s == a {
			return true
		}
	}
	return false
}

func (c Config) withDefaults() Config {
	if len(c.Keys) == 0 {
		c.Keys = []string{DefaultKey}
	}
	switch {
	case c.Balance == 0:
		c.Balance = 100_000
	case c.Balance < 0:
		c.Balance = 0
	}
	setDefault(&c.Speed, 1)
	setDefault(&c.Queue, 100)
	setDefault(&c.CallsPerMinute, 60)
	setDefault(&c.MaxRows, 100)
	setDefault(&c.Retries, 5)
	setDefault(&c.Senders, 32)
	setDefault(&c.FoundShare, 0.6)
	setDefault(&c.RunningStyle, RunningAs400)
	setDefault(&c.NotFoundShape, NotFoundMixed)
	setDefault(&c.Dedup, DedupNone)
	wall := c.Now
	if wall == nil {
		wall = time.Now
	}
	c.Now = func() time.Time { return wall().UTC() }
	if c.HTTPClient == nil {
		c.HTTPClient = &http.Client{
			Timeout:       10 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport:     http.DefaultTransport.(*http.Transport).Clone(),
		}
	}
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
