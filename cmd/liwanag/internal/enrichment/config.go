package enrichment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich"
)

// PaidRetry says what a 5xx answer to the paid call means when it does not carry
// FullEnrich's error envelope.
type PaidRetry string

// The values of LIWANAG_PAID_RETRY.
const (
	// Standard: a refusal, the step's policy sends again. If FullEnrich accepted
	// nevertheless, each retry may be paid for.
	Standard PaidRetry = "standard"
	// Strict: nobody knows; wait for the webhook.
	Strict PaidRetry = "strict"
)

// OnAmbiguous says what happens when nobody knows and the grace has run out.
type OnAmbiguous string

// The values of LIWANAG_ON_AMBIGUOUS.
const (
	// Resubmit sends once more, if evidence says that a webhook would have come.
	Resubmit OnAmbiguous = "resubmit"
	// Hold waits for an operator.
	Hold OnAmbiguous = "hold"
)

// Config configures enrichment. The zero value works, save that without a
// PublicURL no webhook can come and results arrive by fetch alone.
type Config struct {
	BatchSize      int             // jobs a batch takes, 1 to 100; default 100
	BatchWindow    time.Duration   // how long a batch stays open; default 2 s
	WebhookTimeout time.Duration   // longest wait for a result; default 24 h
	FetchSchedule  []time.Duration // offsets from the start of the wait, the last repeats; default 10m, 20m, 40m, 1h

	CallsPerMinute int // calls of FullEnrich in a calendar minute, over all nodes; default 55
	MaxInFlight    int // contacts in flight; default 2,000
	// CreditBudget is how many credits a UTC day may cost that nobody confirmed; 0: no
	// limit. Somebody may change it while the server runs.
	CreditBudget int64
	// BudgetByDefault: nobody chose CreditBudget. An installation that spent more on a day
	// before there was a default keeps none.
	BudgetByDefault bool
	CreditsLow      int64         // a balance below it is announced; 0: none is
	PaidRetry       PaidRetry     // default Standard
	OnAmbiguous     OnAmbiguous   // default Resubmit
	AmbiguityGrace  time.Duration // how long a submission may be in doubt; default 1 h
	ReuseResults    time.Duration // a result this young is used instead of paid for; default 2,160 h
	ReuseNotFound   time.Duration // whom FullEnrich did not find this lately is not asked for again; default 168 h
	Retention       time.Duration // how long raw webhooks that were not applied are kept, 30 days at most; default 720 h

	PublicURL string              // where FullEnrich reaches us; becomes the webhook URL
	BaseURL   string              // FullEnrich's, to know whether both are loopback
	Keys      []fullenrich.Secret // verify webhooks: FullEnrich's key
	// PreviousKey, the one before, verifies too while keys rotate: until PreviousUntil.
	PreviousKey   fullenrich.Secret
	PreviousUntil time.Time

	// Clean brings what FullEnrich says of a person into the form that sign-ups have.
	// Default: it stays as it is.
	Clean func(liwanag.Finding) liwanag.Finding

	// TrialClient sends our own webhooks; default: as probes are sent.
	TrialClient *http.Client
	// Probe asks whether PublicURL reaches us. Default: GET PublicURL/healthz is 200.
	Probe func(ctx context.Context) error
	// ProbeEvery is how often, while a submission is in doubt; default 20 s, below
	// the 60 s after which FullEnrich repeats a delivery.
	ProbeEvery time.Duration
	SweepEvery time.Duration // how often the sweep looks; default 1 min

	Now   func() time.Time // wall clock; default time.Now
	Log   *slog.Logger     // default: discards
	Meter Meter            // default: discards
}

// Validate returns all faults, joined.
func (c Config) Validate() error {
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	fault(c.BatchSize < 0 || c.BatchSize > fullenrich.MaxBatch, "batch size %d: 1 to %d", c.BatchSize, fullenrich.MaxBatch)
	fault(c.CallsPerMinute < 0, "calls per minute %d: at least 1", c.CallsPerMinute)
	fault(c.MaxInFlight < 0, "max in flight %d: at least 1", c.MaxInFlight)
	d := c.withDefaults()
	fault(d.MaxInFlight < d.BatchSize, "max in flight %d is below the batch size %d: nothing would ever be sent", d.MaxInFlight, d.BatchSize)
	fault(c.CreditBudget < 0, "credit budget %d: not negative", c.CreditBudget)
	fault(c.CreditsLow < 0, "credits low %d: not negative", c.CreditsLow)
	fault(d.PaidRetry != Standard && d.PaidRetry != Strict, "paid retry %q: standard or strict", c.PaidRetry)
	fault(d.OnAmbiguous != Resubmit && d.OnAmbiguous != Hold, "on ambiguous %q: resubmit or hold", c.OnAmbiguous)
	for name, duration := range map[string]time.Duration{"batch window": c.BatchWindow, "webhook timeout": c.WebhookTimeout,
		"ambiguity grace": c.AmbiguityGrace, "reuse results": c.ReuseResults,
		"reuse not found": c.ReuseNotFound, "retention": c.Retention, "probe every": c.ProbeEvery,
		"sweep every": c.SweepEvery} {
		fault(duration < 0, "%s %s: not negative", name, duration)
	}
	fault(d.AmbiguityGrace < d.ProbeEvery, "ambiguity grace %s is below the %s between two probes: nothing would be known of the public URL",
		d.AmbiguityGrace, d.ProbeEvery)
	for i, at := range c.FetchSchedule {
		fault(at <= 0, "fetch schedule: entry %d is %s, must be above 0", i+1, at)
	}
	if c.PublicURL != "" {
		u, err := url.Parse(c.PublicURL)
		fault(err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.User != nil,
			"public URL: http(s)://host without user or query is needed")
	}
	return errors.Join(faults...)
}

func (c Config) withDefaults() Config {
	c.BatchSize = cmp.Or(c.BatchSize, fullenrich.MaxBatch)
	c.BatchWindow = cmp.Or(c.BatchWindow, 2*time.Second)
	c.WebhookTimeout = cmp.Or(c.WebhookTimeout, 24*time.Hour)
	c.CallsPerMinute = cmp.Or(c.CallsPerMinute, 55)
	c.MaxInFlight = cmp.Or(c.MaxInFlight, 2000)
	c.PaidRetry = cmp.Or(c.PaidRetry, Standard)
	c.OnAmbiguous = cmp.Or(c.OnAmbiguous, Resubmit)
	c.AmbiguityGrace = cmp.Or(c.AmbiguityGrace, time.Hour)
	c.ReuseResults = cmp.Or(c.ReuseResults, 2160*time.Hour)
	c.ReuseNotFound = cmp.Or(c.ReuseNotFound, 168*time.Hour)
	c.Retention = min(cmp.Or(c.Retention, keepQuarantined), keepQuarantined)
	c.ProbeEvery = cmp.Or(c.ProbeEvery, 20*time.Second)
	c.SweepEvery = cmp.Or(c.SweepEvery, time.Minute)
	c.PublicURL = strings.TrimRight(c.PublicURL, "/")
	if scheme, rest, found := strings.Cut(c.PublicURL, "://"); found { // FullEnrich is not trusted to know HTTPS://
		c.PublicURL = strings.ToLower(scheme) + "://" + rest
	}
	c.BaseURL = cmp.Or(c.BaseURL, fullenrich.DefaultBaseURL)
	if len(c.FetchSchedule) == 0 {
		c.FetchSchedule = []time.Duration{10 * time.Minute, 20 * time.Minute, 40 * time.Minute, time.Hour}
		if loopback(c.PublicURL) && !loopback(c.BaseURL) {
			// FullEnrich cannot reach a loopback address: results come by fetch alone.
			c.FetchSchedule = append([]time.Duration{2 * time.Minute}, c.FetchSchedule...)
		}
	}
	if c.Clean == nil {
		c.Clean = func(f liwanag.Finding) liwanag.Finding { return f }
	}
	if c.Probe == nil {
		c.Probe = probeOver(probeClient(), c.PublicURL)
	}
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

// loopback says whether a URL's host is this machine. An empty URL is not.
func loopback(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil {
		return false
	}
	host := u.Hostname()
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Meter counts what happens to paid calls; telemetry implements it.
type Meter interface {
	// Submission counts outcomes of paid POSTs: accepted, refused, ambiguous.
	Submission(outcome string)
	// Adopted counts submissions in doubt whose id was learnt: by beacon, webhook
	// or operator.
	Adopted(by string)
	// Resubmitted counts submissions that supersede one in doubt.
	Resubmitted()
	// DuplicatePaid counts jobs that were paid for a second time.
	DuplicatePaid(jobs int)
	// LateResults counts jobs whose result came after their run had ended.
	LateResults(jobs int)
	// Accepted counts webhooks of FullEnrich that were authentic and have a submission.
	Accepted()
	// Refused counts webhooks that were turned away: bad_signature, unknown_token, no_key.
	Refused(why string)
}

type noMeter struct{}

func (noMeter) Submission(string) {}
func (noMeter) Adopted(string)    {}
func (noMeter) Resubmitted()      {}
func (noMeter) DuplicatePaid(int) {}
func (noMeter) LateResults(int)   {}
func (noMeter) Accepted()         {}
func (noMeter) Refused(string)    {}
