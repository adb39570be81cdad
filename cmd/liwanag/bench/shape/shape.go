// Package shape is workload W1, an enrichment whose steps do nothing, without an
// engine: what every contender starts, records and is sent.
package shape

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Batch is the output of the first step, about 210 bytes of JSON.
type Batch struct {
	JobIDs []string `json:"jobIds"`
}

// Submission is the output of the second.
type Submission struct {
	EnrichmentID string   `json:"enrichmentId"`
	JobIDs       []string `json:"jobIds"`
}

// Arrival is the event that the run waits for, about 2 KB of JSON. The last
// step's output is the length of Results.
type Arrival struct {
	Results string `json:"results"`
}

// The names of W1. Its wait stands between submit and process.
const (
	Workflow = "enrich"
	First    = "batch-pending-jobs"
	Submit   = "submit-to-fullenrich"
	Wait     = "wait-for-webhook"
	Process  = "process-results"
	Event    = "enrichment-complete"
	// Within is how long the run waits for its event.
	Within = 24 * time.Hour
)

// What the steps return and the event carries, the same for every run.
var (
	jobIDs    = []string{uuid.NewString(), uuid.NewString(), uuid.NewString(), uuid.NewString(), uuid.NewString()}
	Jobs      = Batch{jobIDs}
	Submitted = Submission{jobIDs[0], jobIDs}
	Results   = Arrival{strings.Repeat("x", 2000)}
)

// NewRunID is a new run's id; ids grow with time.
func NewRunID() string { return "run_" + uuid.Must(uuid.NewV7()).String() }

// Moments are the runs that somebody waits for, at one point of their way. The
// zero value is ready.
type Moments struct{ awaited sync.Map }

// Of is closed when the run gets there. It is asked for before the run starts.
func (m *Moments) Of(runID string) <-chan struct{} {
	reached := make(chan struct{})
	m.awaited.Store(runID, reached)
	return reached
}

// Come says that the run is there.
func (m *Moments) Come(runID string) {
	if reached, ok := m.awaited.LoadAndDelete(runID); ok {
		close(reached.(chan struct{}))
	}
}

// Await waits for a moment, or for the end of ctx.
func Await(ctx context.Context, reached <-chan struct{}) error {
	select {
	case <-reached:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
