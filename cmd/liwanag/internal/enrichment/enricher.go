package enrichment

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"github.com/liwanag/liwanag/cmd/liwanag/internal/datastore"
	"github.com/liwanag/liwanag/cmd/liwanag/internal/liwanag"
	"github.com/liwanag/liwanag/fullenrich"
	"github.com/liwanag/liwanag/workflow"
)

// Partner is FullEnrich; *fullenrich.Client is the real one.
type Partner interface {
	// Submit makes the paid POST, once; every error is a *fullenrich.Error.
	Submit(ctx context.Context, r fullenrich.SubmitRequest) (enrichmentID string, err error)
	// Fetch reads a result; a running one is no error.
	Fetch(ctx context.Context, enrichmentID string) (fullenrich.Fetched, error)
	// Credits reads the balance.
	Credits(ctx context.Context) (float64, error)
}

// Enricher does the work of the steps. It is safe for concurrent use.
type Enricher struct {
	store   *datastore.Store
	partner Partner
	cfg     Config
	breaker circuitbreaker.CircuitBreaker[any]
	trial   chan struct{} // held by the one sender that tries whether FullEnrich is back
	bells   bells
	// balanceAsked: somebody wants to know the balance, which may have changed.
	balanceAsked *atomic.Bool
	probed       *atomic.Pointer[probed] // the latest look at the public URL
}

// The breaker opens after this many failures in a row, more than one run's
// attempts, and lets one call through after the delay.
const (
	breakerFailures = 2 * submitAttempts
	breakerDelay    = 30 * time.Second
)

// NewEnricher returns an Enricher, or all faults of cfg. A nil partner means
// that no key is configured: jobs wait for one.
func NewEnricher(store *datastore.Store, partner Partner, cfg Config) (*Enricher, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("enrichment: %w", err)
	}
	bells := newBells()
	return &Enricher{
		store: store, partner: partner, cfg: cfg.withDefaults(), bells: bells,
		trial: make(chan struct{}, 1), balanceAsked: &atomic.Bool{}, probed: &atomic.Pointer[probed]{},
		breaker: circuitbreaker.NewBuilder[any]().WithFailureThreshold(breakerFailures).WithSuccessThreshold(1).
			WithDelay(breakerDelay).OnClose(func(circuitbreaker.StateChangedEvent) { ring(bells.wakes) }).Build(),
	}, nil
}

// now is the wall clock in UTC, in the resolution that rows keep.
func (e *Enricher) now() time.Time { return e.cfg.Now().UTC().Truncate(time.Microsecond) }

// runOf is the run a step works for.
func runOf(ctx context.Context) (liwanag.ID, error) {
	id, err := liwanag.ParseID(liwanag.RunKind, workflow.InfoFrom(ctx).RunID)
	if err != nil {
		return liwanag.ID{}, workflow.Permanent(fmt.Errorf("enrichment: run id: %w", err))
	}
	return id, nil
}

// bells wake the background loops of this process: a bell that rings while
// nobody listens is heard afterwards, once.
type bells struct {
	deliveries, starts, sweep, wakes, balance chan struct{}
}

func newBells() bells {
	return bells{deliveries: make(chan struct{}, 1), starts: make(chan struct{}, 1), sweep: make(chan struct{}, 1),
		wakes: make(chan struct{}, 1), balance: make(chan struct{}, 1)}
}

func ring(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}

// errChanged tells that a compare-and-set found another state than was read in
// the same transaction, which the store's isolation rules out.
var errChanged = errors.New("enrichment: a row changed within its transaction")

// ids collects the IDs of jobs.
func ids(jobs []liwanag.Job) []liwanag.ID {
	out := make([]liwanag.ID, len(jobs))
	for i, j := range jobs {
		out[i] = j.ID
	}
	return out
}

// with selects the jobs in one of the given states.
func with(jobs []liwanag.Job, states ...liwanag.JobStatus) []liwanag.Job {
	var out []liwanag.Job
	for _, j := range jobs {
		for _, s := range states {
			if j.Status == s {
				out = append(out, j)
			}
		}
	}
	return out
}
