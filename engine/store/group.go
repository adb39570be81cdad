package store

import (
	"context"
	"time"

	"github.com/liwanag/liwanag/workflow"
)

// Group counts the sub-runs of the step that a run stands at; it has one at most. What
// begins or ends a sub-run changes the group of the run around it in the same
// transaction, and wakes that run when it has something to decide. So at any time Next
// is the number of the step's rows that its counters tell of, Open, Completed, Again,
// and Failed with Canceled, those of each kind (while they are undone, Again those that
// completed); and an ended run has no group.
type Group struct {
	Step       string
	Workflow   string // of the sub-runs
	Version    int
	Generation int // see workflow.SubRunID
	Total      int
	AtMost     int // open at once
	Need       int // completed ones that suffice; 0: all
	Tolerate   int // that may fail

	Next      int // the index that begins next
	Open      int
	Completed int
	Failed    int
	Canceled  int // by a stop: they did not fail
	Again     int // that ended badly before the run was reopened, and are to be reopened, too
	Stopped   bool
}

// Room says whether another sub-run may begin that has not begun before.
func (g *Group) Room() bool {
	return g.goesOn() && g.Open < g.AtMost && g.Next < g.Total
}

// goesOn says whether nothing tells the sub-runs to stop.
func (g *Group) goesOn() bool {
	return !g.Stopped && g.Failed <= g.Tolerate && (g.Need == 0 || g.Completed < g.Need)
}

// StoppedAround says whether the sub-runs were stopped by what happened to the run around
// them, and not by how they ended.
func (g *Group) StoppedAround() bool {
	return g.Stopped && g.Failed <= g.Tolerate && (g.Need == 0 || g.Completed < g.Need)
}

// Wakes says whether the run has something to decide after a sub-run has ended: all
// have, the others are to stop, or some are to be reopened.
func (g *Group) Wakes() bool {
	return g.Open == 0 || !g.Stopped && !g.goesOn() || g.goesOn() && g.Again > 0 && g.Open <= g.AtMost/2
}

// Ended counts a sub-run that has ended.
func (g *Group) Ended(s Status) {
	g.Open--
	switch {
	case s == Completed:
		g.Completed++
	case s == Canceled && g.Stopped:
		g.Canceled++
	default:
		g.Failed++
	}
}

// Reopened counts a sub-run that is reopened.
func (g *Group) Reopened() {
	g.Again--
	g.Open++
}

// Found counts the sub-runs of an earlier opening. Those that are to be undone count as
// stopped, so that none begins and the run is woken when all that are open have ended.
func (o Opening) Found(g *Group, all, completed int) {
	g.Next, g.Completed, g.Again = all, completed, all-completed
	g.Total = max(g.Total, all)
	if o.Undo {
		g.Completed, g.Again, g.Canceled, g.Stopped = 0, completed, all-completed, true
	}
}

// Begin is the sub-run that begins next; due is what the row says of it.
func (g *Group) Begin(parent string, now time.Time) Run {
	r := Run{ID: workflow.SubRunID(parent, g.Step, g.Generation, g.Next), Workflow: g.Workflow, Version: g.Version, Sub: true, CreatedAt: now,
		Status: Open, Seq: 1, Park: Park{Until: now}}
	g.Next++
	g.Open++
	return r
}

// Is says whether a sub-run's id is one of the group's.
func (g *Group) Is(step string, generation int) bool {
	return g != nil && g.Step == step && g.Generation == generation
}

// Opening begins sub-runs.
type Opening struct {
	// Group is what is to be counted, without counters. One of the same step goes on with
	// its counters, and with the Total of this one.
	Group Group
	Count int // begin now, of those that have not begun
	// Again: where there is no group yet, there may be sub-runs of an earlier opening, which
	// have all ended: they are counted, see Group's Again.
	Again bool
	// Undo, with Again: those that completed are to be reopened, and no others.
	Undo bool
}

// SubQuery selects sub-runs of a step of a run.
type SubQuery struct {
	Parent, Step string
	Generation   int
	From         int      // index
	Limit        int      // how many; 0: all
	Status       []Status // stored ones; nil: all
	Rows         bool     // without histories and signals
}

// Subs are the calls about sub-runs that are no moves of a run.
type Subs interface {
	// Group reads how far the sub-runs of a run are; nil when there are none.
	Group(ctx context.Context, runID string) (*Group, error)

	// Subs reads sub-runs, in order of their index.
	Subs(ctx context.Context, q SubQuery) ([]Claimed, error)
}
