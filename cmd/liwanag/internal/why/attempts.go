package why

import (
	"context"
	"sync"
	"time"

	"github.com/liwanag/liwanag/workflow"
)

// Attempts knows since when the attempts are under way that this process executes. It
// is an observer of runners; the zero value is ready. It is safe for concurrent use.
type Attempts struct {
	Now func() time.Time // default time.Now

	mu    sync.Mutex
	since map[attempt]time.Time
}

type attempt struct{ run, step string }

var (
	_ workflow.Observer     = (*Attempts)(nil)
	_ workflow.StepObserver = (*Attempts)(nil)
)

// Since is when the attempt of a step began; zero: none is under way here.
func (a *Attempts) Since(run, step string) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.since[attempt{run, step}]
}

// RunEnded says nothing of attempts.
func (a *Attempts) RunEnded(workflow.RunRef, workflow.Status, *workflow.Failure, time.Duration) {}

// AttemptStarted notes an attempt.
func (a *Attempts) AttemptStarted(ctx context.Context, run workflow.RunRef, step string, _ int) context.Context {
	now := time.Now
	if a.Now != nil {
		now = a.Now
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.since == nil {
		a.since = map[attempt]time.Time{}
	}
	a.since[attempt{run.ID, step}] = now()
	return ctx
}

// AttemptEnded forgets it.
func (a *Attempts) AttemptEnded(_ context.Context, run workflow.RunRef, step string, _ int, _ string, _ error,
	_ time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.since, attempt{run.ID, step})
}
