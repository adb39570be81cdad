// Package schedule starts runs at their times, over whichever runner: a loop over a
// [workflow.Runner] and a small [Ledger], in which all nodes agree on what was fired.
//
// An engine has it built in: engine.Config's Schedules. Elsewhere, as with Temporal, a
// program runs a [Loop] itself, with the ledger of a store that it opens for it.
package schedule

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/liwanag/liwanag/workflow"
)

// ErrUnknown: there is no schedule of this name.
var ErrUnknown = errors.New("schedule: no such schedule")

// Overlap says what becomes of a firing while the run of one before is open.
type Overlap string

// The ways to overlap. What somebody asked for, by Trigger or Backfill, is not skipped: under
// Skip it queues.
const (
	Skip   Overlap = ""       // it is left out
	Queue  Overlap = "queue"  // it is started when that run has ended
	Beside Overlap = "beside" // it is started nevertheless
)

// Schedule is what is to be started when. Name, Next and Start are needed.
type Schedule struct {
	// Name is what all nodes know it by, in up to 100 bytes; it begins the IDs of its runs.
	Name string
	// Next is the first firing time after another, zero when there is none: the method of a
	// cron.Expression, or a function of yours which all nodes answer alike.
	Next func(after time.Time) time.Time
	// Start starts the run of a firing, as Run does, under the ID that the firing has, on the runner that is
	// handed in. It is called on one node, for one firing of a schedule at a time; after an error, and when the node is
	// lost inside of it, again: what it does must be repeatable, as the start of a run by its ID is.
	Start func(ctx context.Context, on workflow.Runner, f Firing) error
	// CatchUp is how late a firing may be. Of those that were missed, because no node was there
	// or the clock was set forward, those within it are started, the earliest first. Default: the
	// latest of them is, however late.
	CatchUp time.Duration
	// Overlap; default Skip.
	Overlap Overlap
}

// Run is a Start that starts a run with the input which the firing's time makes.
func Run[In any](ref workflow.Ref[In], input func(firing time.Time) In) func(context.Context, workflow.Runner, Firing) error {
	return func(ctx context.Context, on workflow.Runner, f Firing) error {
		return ref.Start(ctx, on, f.RunID(), input(f.At))
	}
}

// maxName is the longest name of a schedule, so that the IDs of its runs are short enough.
const maxName = 100

// Validate returns every fault of the schedule, joined.
func (s Schedule) Validate() error {
	var faults []error
	if err := workflow.CheckName("name", s.Name); err != nil || s.Name == "" || len(s.Name) > maxName {
		faults = append(faults, fmt.Errorf("a name of 1 to %d printable bytes is needed", maxName))
	}
	if s.Next == nil || s.Start == nil {
		faults = append(faults, errors.New("Next and Start are needed"))
	}
	if s.CatchUp < 0 {
		faults = append(faults, fmt.Errorf("CatchUp %s must not be negative", s.CatchUp))
	}
	if s.Overlap != Skip && s.Overlap != Queue && s.Overlap != Beside {
		faults = append(faults, fmt.Errorf("Overlap %q is none of %q, %q and Skip, which is empty", s.Overlap, Queue, Beside))
	}
	if len(faults) > 0 {
		return fmt.Errorf("schedule %q: %w", s.Name, errors.Join(faults...))
	}
	return nil
}

// Validate returns every fault of the schedules, joined.
func Validate(all []Schedule) error {
	var faults []error
	known := map[string]bool{}
	for _, s := range all {
		faults = append(faults, s.Validate())
		if known[s.Name] {
			faults = append(faults, fmt.Errorf("schedule %q: there are two of this name", s.Name))
		}
		known[s.Name] = true
	}
	return errors.Join(faults...)
}

// Firing is one time of a schedule, which fires once, over all nodes and for as long as the
// ledger remembers it.
type Firing struct {
	Schedule string
	At       time.Time
	Cause    Cause
	State    State
	Failure  string    // why the last Start of it failed
	Tries    int       // of Start that failed
	Open     bool      // its run may be open, and others heed that
	Taken    time.Time // until then it is a node's; zero: it is nobody's
}

// RunID is the ID of the run of the firing: nightly@2026-11-30T02:00:00Z.
func (f Firing) RunID() string { return f.Schedule + "@" + f.At.UTC().Format(time.RFC3339Nano) }

// Cause is why there is a firing.
type Cause string

// The causes.
const (
	ByTime     Cause = "time"
	ByTrigger  Cause = "trigger"
	ByBackfill Cause = "backfill"
)

// Causes are all of them, in the order in which their firings are started.
var Causes = []Cause{ByTime, ByTrigger, ByBackfill}

// State is what became of a firing.
type State string

// The states. All but Due are final.
const (
	Due     State = "due"     // it is to be started
	Started State = "started" // Start has returned
	Skipped State = "skipped" // the run of one before was open
	Missed  State = "missed"  // it was later than CatchUp, or another time came before it succeeded
)

// Standing is a schedule as the ledger knows it.
type Standing struct {
	Name   string
	Upto   time.Time // up to when its firing times are noted
	Paused bool
	Due    bool // it has firings that are due
}

// Query selects firings; zero fields select all.
type Query struct {
	Schedule string
	State    State
	Cause    Cause
	Open     bool      // only those with Open
	Before   time.Time // firing times before
	Limit    int       // default 50
}

// Ledger is what nodes agree in. Every call that returns nil is durable, and each method is one
// transaction. The engine's stores have one: their method Ledger.
type Ledger interface {
	// Schedule reads a schedule; one that is not known begins at now.
	Schedule(ctx context.Context, name string, now time.Time) (Standing, error)
	// Schedules reads all that are known, by name.
	Schedules(ctx context.Context) ([]Standing, error)
	// Pause pauses a schedule, or ends its pause. ErrUnknown.
	Pause(ctx context.Context, name string, paused bool) error
	// Plan notes firings of a schedule, of each time the first one ever, and moves its Upto from
	// one time to another; when it is not the first by now, nothing is written. Equal times leave
	// it. ErrUnknown.
	Plan(ctx context.Context, name string, from, to time.Time, firings []Firing) (added int, err error)
	// Take takes the next firing of a schedule that is due, until a time: of each of the Causes
	// in their order the earliest first. None while another is taken, and none by time while the
	// schedule is paused.
	Take(ctx context.Context, name string, now, until time.Time) (f Firing, ok bool, err error)
	// Change writes what became of a firing: State, Failure, Tries, Open and Taken. false: it is not
	// as taken as was says, and nothing was written.
	Change(ctx context.Context, was, is Firing) (ok bool, err error)
	// Firings reads firings, newest first.
	Firings(ctx context.Context, q Query) ([]Firing, error)
	// Forget forgets firings before a time that are neither due nor open.
	Forget(ctx context.Context, before time.Time) error
}
