package workflow

import "context"

// Counter is implemented by runners that can count their runs. What they say may
// be a few seconds old.
type Counter interface {
	// Counts counts all runs by workflow, version, status and step, in that order.
	Counts(ctx context.Context) ([]Count, error)
}

// Count is a number of runs that are alike.
type Count struct {
	Workflow string
	Version  int
	// Status is StatusWaiting of runs in a pause, StatusRunning of other runs that
	// have not ended, pending ones included, or how they ended. Some runners do not
	// tell waiting from running, nor timed_out from failed; docs/parity.md says which.
	Status Status
	Step   string // where waiting runs stand
	Runs   int64
}
